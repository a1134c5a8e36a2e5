import {
  duplicateField,
  invalidField,
  notSupportedField,
  requiredField,
  type FieldError,
} from '#api/errors/field-error.ts';
import { numberOf, objectsOf, stringOf } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { givenChoiceErrors } from '#api/validation/field.ts';
import { labelSelectorErrors } from '#api/validation/label-selector.ts';
import { labelKeyErrors, type PodLabels } from './affinity.ts';

const choices = ['DoNotSchedule', 'ScheduleAnyway'];
const policies = ['Honor', 'Ignore'];

/** Complaints about spec.topologySpreadConstraints (validateTopologySpreadConstraints). */
export function spreadErrors(spec: JsonObject, path: string, labels: PodLabels): readonly FieldError[] {
  const constraints = objectsOf(spec['topologySpreadConstraints']);
  const pairs = constraints.map(
    (constraint) => `{${stringOf(constraint['topologyKey'])}, ${stringOf(constraint['whenUnsatisfiable'])}}`,
  );
  const last = new Map(pairs.map((pair, index) => [pair, index]));
  return constraints.flatMap((constraint, index) => {
    const field = `${path}.topologySpreadConstraints[${index}]`;
    const action = stringOf(constraint['whenUnsatisfiable']);
    const pair = pairs[index] ?? '';
    return [
      ...positiveErrors(constraint['maxSkew'] ?? 0, `${field}.maxSkew`),
      ...(stringOf(constraint['topologyKey']) === ''
        ? [requiredField(`${field}.topologyKey`, 'can not be empty')]
        : []),
      ...(choices.includes(action) ? [] : [notSupportedField(`${field}.whenUnsatisfiable`, action, choices)]),
      ...(last.get(pair) === index
        ? []
        : [duplicateField(`${field}.{topologyKey, whenUnsatisfiable}`, pair)]),
      ...domainErrors(constraint['minDomains'], action, `${field}.minDomains`),
      ...['nodeAffinityPolicy', 'nodeTaintsPolicy'].flatMap((name) =>
        givenChoiceErrors(`${field}.${name}`, constraint[name], policies),
      ),
      ...labelKeyErrors({ ...constraint, mismatchLabelKeys: [] }, field, labels),
      ...labelSelectorErrors(constraint['labelSelector'], `${field}.labelSelector`),
    ];
  });
}

function positiveErrors(value: unknown, field: string): readonly FieldError[] {
  return numberOf(value) > 0 ? [] : [invalidField(field, value, 'must be greater than zero')];
}

function domainErrors(count: unknown, action: string, field: string): readonly FieldError[] {
  if (typeof count !== 'number') return [];
  const detail = `can only use minDomains if whenUnsatisfiable=DoNotSchedule, not ${action}`;
  return [
    ...positiveErrors(count, field),
    ...(action === 'DoNotSchedule' ? [] : [invalidField(field, count, detail)]),
  ];
}
