import type { KindRules } from '#api/kinds/rules.ts';

/** Rules of PriorityClasses. */
export const priorityClassRules: KindRules = {
  defaults: [['preemptionPolicy', 'PreemptLowerPriority']],
};
