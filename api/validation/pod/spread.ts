import {
  duplicateField,
  invalidField,
  notSupportedField,
  requiredField,
  type FieldError,
} from '#api/errors/field-error.ts';
import { objectsOf, stringOf } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { formatErrors, qualifiedName } from '#api/validation/format.ts';

const choices = ['DoNotSchedule', 'ScheduleAnyway'];
const positiveText = 'must be greater than zero';

/** Complaints about spec.topologySpreadConstraints (validateTopologySpreadConstraints). */
export function spreadErrors(spec: JsonObject, path: string): readonly FieldError[] {
  const seen = new Set<string>();
  return objectsOf(spec['topologySpreadConstraints']).flatMap((constraint, index) => {
    const field = `${path}.topologySpreadConstraints[${index}]`;
    const { maxSkew, minDomains } = constraint;
    const [key, action] = [stringOf(constraint['topologyKey']), stringOf(constraint['whenUnsatisfiable'])];
    const pair = `{${key}, ${action}}`;
    const isDuplicate = seen.has(pair);
    seen.add(pair);
    const errors: FieldError[] = [];
    if (typeof maxSkew !== 'number' || maxSkew <= 0) {
      errors.push(invalidField(`${field}.maxSkew`, maxSkew ?? 0, positiveText));
    }
    if (key === '') errors.push(requiredField(`${field}.topologyKey`, 'can not be empty'));
    else errors.push(...formatErrors(`${field}.topologyKey`, key, qualifiedName));
    if (!choices.includes(action)) {
      errors.push(notSupportedField(`${field}.whenUnsatisfiable`, action, choices));
    }
    if (isDuplicate) errors.push(duplicateField(`${field}.{topologyKey, whenUnsatisfiable}`, pair));
    if (typeof minDomains === 'number') {
      if (minDomains <= 0) errors.push(invalidField(`${field}.minDomains`, minDomains, positiveText));
      if (action !== 'DoNotSchedule') {
        const detail = `can only use minDomains if whenUnsatisfiable=DoNotSchedule, not ${action}`;
        errors.push(invalidField(`${field}.minDomains`, minDomains, detail));
      }
    }
    return errors;
  });
}
