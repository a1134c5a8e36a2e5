import { forbiddenField, notSupportedField, type FieldError } from '#api/errors/field-error.ts';
import { at, numberOf, stringOf } from '#api/wire/json.ts';
import { acted } from '#api/kinds/effect.ts';
import type { KindRules } from '#api/kinds/rules.ts';
import { ageOfObject, nameOf, text } from '#api/table/object.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { immutable } from '#api/validation/field.ts';

/** Rules of PriorityClasses. */
export const priorityClassRules: KindRules = {
  effect: acted('control-plane/apiserver/chain/admission/pods/priority.ts'),
  defaults: [['preemptionPolicy', 'PreemptLowerPriority']],
  validate: (priority) => {
    const name = stringOf(at(priority, 'metadata.name'));
    const isSystem = name.startsWith('system-');
    const large = `maximum allowed value of a user defined priority is ${userPriorityMax}`;
    const policy = stringOf(priority['preemptionPolicy']);
    return [
      ...(isSystem ? systemErrors(priority, name) : []),
      ...(!isSystem && numberOf(priority['value']) > userPriorityMax ? [forbiddenField('value', large)] : []),
      ...(policy === '' || policies.includes(policy)
        ? []
        : [notSupportedField('preemptionPolicy', policy, policies)]),
    ];
  },
  updateChecks: ['metadata changes', 'changes'],
  validateUpdate: (old, priority) => [
    ...(old['value'] === priority['value']
      ? []
      : [forbiddenField('value', 'may not be changed in an update.')]),
    ...immutable('preemptionPolicy')(old, priority),
  ],
  refuseDeletion: (name) =>
    systemPriorities.has(name) ? 'this is a system priority class and cannot be deleted' : undefined,
  generationCounts: { only: [] },
  cells: (priority, now) => [
    nameOf(priority),
    priority['value'] ?? 0,
    priority['globalDefault'] === true,
    ageOfObject(priority, now),
    text(priority, 'preemptionPolicy', ''),
  ],
};

const policies = ['PreemptLowerPriority', 'Never'];

/** The classes of the system are known by name and value. */
function systemErrors(priority: JsonObject, name: string): readonly FieldError[] {
  const known = systemPriorities.get(name);
  const reserved = `priority class names with 'system-' prefix are reserved for system use only. error: `;
  if (known === undefined)
    return [forbiddenField('metadata.name', `${reserved}${name} is not a known system priority class`)];
  const complain = (what: string): readonly FieldError[] => [
    forbiddenField('metadata.name', `${reserved}${what}`),
  ];
  if (numberOf(priority['value']) !== known)
    return complain(`value of ${name} PriorityClass must be ${known}`);
  return priority['globalDefault'] === true
    ? complain(`globalDefault of ${name} PriorityClass must be false`)
    : [];
}

const systemPriorities: ReadonlyMap<string, number> = new Map([
  ['system-node-critical', 2_000_001_000],
  ['system-cluster-critical', 2_000_000_000],
]);
const userPriorityMax = 1_000_000_000;
