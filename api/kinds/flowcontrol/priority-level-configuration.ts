import type { KindRules } from '#api/kinds/rules.ts';

/** Rules of PriorityLevelConfigurations. */
export const priorityLevelConfigurationRules: KindRules = {
  defaults: [
    ['spec.limited.nominalConcurrencyShares', 30],
    ['spec.limited.lendablePercent', 0],
    ['spec.limited.limitResponse.queuing.queues', 64, 'zero'],
    ['spec.limited.limitResponse.queuing.handSize', 8, 'zero'],
    ['spec.limited.limitResponse.queuing.queueLengthLimit', 50, 'zero'],
    ['spec.exempt.nominalConcurrencyShares', 0],
    ['spec.exempt.lendablePercent', 0],
  ],
};
