import { forbiddenField } from '#api/errors/field-error.ts';
import { at, numberOf, stringOf } from '#api/wire/json.ts';
import { acted } from '#api/kinds/effect.ts';
import type { KindRules } from '#api/kinds/rules.ts';
import { ageOfObject, nameOf, text } from '#api/table/object.ts';
import { immutable } from '#api/validation/field.ts';

/** Rules of PriorityClasses. */
export const priorityClassRules: KindRules = {
  effect: acted('control-plane/apiserver/chain/admission/priority.ts'),
  defaults: [['preemptionPolicy', 'PreemptLowerPriority']],
  validate: (priority) => {
    const isSystem = stringOf(at(priority, 'metadata.name')).startsWith('system-');
    return !isSystem && numberOf(priority['value']) > userPriorityMax
      ? [forbiddenField('value', `maximum allowed value of a user defined priority is ${userPriorityMax}`)]
      : [];
  },
  validateUpdate: (old, priority) => [
    ...(old['value'] === priority['value']
      ? []
      : [forbiddenField('value', 'may not be changed in an update.')]),
    ...immutable('preemptionPolicy')(old, priority),
  ],
  cells: (priority, now) => [
    nameOf(priority),
    priority['value'] ?? 0,
    priority['globalDefault'] === true,
    ageOfObject(priority, now),
    text(priority, 'preemptionPolicy', ''),
  ],
};

const userPriorityMax = 1_000_000_000;
