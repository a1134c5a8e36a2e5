import { at } from '#api/wire/json.ts';
import { shares } from '#api/kinds/effect.ts';
import type { KindRules } from '#api/kinds/rules.ts';
import { ageOfObject, nameOf, text } from '#api/table/object.ts';
import { none } from '#api/table/text.ts';
import { flowControlConditionErrors } from './flow-control-conditions.ts';
import { validatePriorityLevel } from './priority-level-validation.ts';

/** Rules of PriorityLevelConfigurations. */
export const priorityLevelConfigurationRules: KindRules = {
  effect: shares,
  reset: { status: { fields: ['metadata', 'spec'] } },
  defaults: [
    ['spec.limited.nominalConcurrencyShares', 30],
    ['spec.limited.lendablePercent', 0],
    ['spec.limited.limitResponse.queuing.queues', 64, 'zero'],
    ['spec.limited.limitResponse.queuing.handSize', 8, 'zero'],
    ['spec.limited.limitResponse.queuing.queueLengthLimit', 50, 'zero'],
    ['spec.exempt.nominalConcurrencyShares', 0],
    ['spec.exempt.lendablePercent', 0],
  ],
  updateChecks: ['metadata', 'object'],
  validate: validatePriorityLevel,
  validateStatus: flowControlConditionErrors,
  validatesAll: true,
  cells: (level, now) => {
    const queuing = 'spec.limited.limitResponse.queuing';
    const shares =
      at(level, 'spec.limited.nominalConcurrencyShares') ?? at(level, 'spec.exempt.nominalConcurrencyShares');
    return [
      nameOf(level),
      text(level, 'spec.type', ''),
      at(level, 'spec.type') === 'Limited' ? (shares ?? 0) : none,
      at(level, `${queuing}.queues`) ?? none,
      at(level, `${queuing}.handSize`) ?? none,
      at(level, `${queuing}.queueLengthLimit`) ?? none,
      ageOfObject(level, now),
    ];
  },
};
