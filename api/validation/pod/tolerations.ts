import { duplicateField, invalidField, notSupportedField, type FieldError } from '#api/errors/field-error.ts';
import { objectsOf, stringOf } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { formatErrors, labelValue, qualifiedName } from '#api/validation/format.ts';

const effects = ['NoSchedule', 'PreferNoSchedule', 'NoExecute'];

/** Complaints about which taints a pod bears (ValidateTolerations). */
export function tolerationErrors(tolerations: readonly JsonObject[], path: string): readonly FieldError[] {
  return tolerations.flatMap((toleration, index) => {
    const field = `${path}[${index}]`;
    const [key, operator, effect] = ['key', 'operator', 'effect'].map((name) => stringOf(toleration[name]));
    const all = 'operator must be Exists when `key` is empty, which means "match all values and all keys"';
    const timed = "effect must be 'NoExecute' when `tolerationSeconds` is set";
    return [
      ...(key === '' ? [] : formatErrors(`${field}.key`, key ?? '', qualifiedName)),
      ...(key === '' && operator !== 'Exists' ? [invalidField(`${field}.operator`, operator, all)] : []),
      ...(toleration['tolerationSeconds'] !== undefined && effect !== 'NoExecute'
        ? [invalidField(`${field}.effect`, effect, timed)]
        : []),
      ...operatorErrors(operator ?? '', stringOf(toleration['value']), `${field}.operator`),
      ...(effect === '' || effects.includes(effect ?? '')
        ? []
        : [notSupportedField(`${field}.effect`, effect, effects)]),
    ];
  });
}

/** No operator means Equal; the two that compare numbers are of an alpha feature (KEP-5471). */
function operatorErrors(operator: string, value: string, field: string): readonly FieldError[] {
  switch (operator) {
    case '':
    case 'Equal': {
      const faults = labelValue(value);
      return faults.length === 0 ? [] : [invalidField(field, value, faults.join(';'))];
    }
    case 'Exists':
      return value === ''
        ? []
        : [invalidField(field, value, "value must be empty when `operator` is 'Exists'")];
    case 'Lt':
    case 'Gt':
      return [notSupportedField(field, operator, ['Equal', 'Exists', 'Lt', 'Gt'])];
    default:
      return [notSupportedField(field, operator, ['Equal', 'Exists'])];
  }
}

/** Complaints about what a pod waits for before it is scheduled (validateSchedulingGates). */
export function gateErrors(spec: JsonObject, path: string): readonly FieldError[] {
  const seen = new Set<string>();
  return objectsOf(spec['schedulingGates']).flatMap((gate, index) => {
    const [name, field] = [stringOf(gate['name']), `${path}.schedulingGates[${index}]`];
    const isDuplicate = seen.has(name);
    seen.add(name);
    return [
      ...formatErrors(field, name, qualifiedName),
      ...(isDuplicate ? [duplicateField(field, name)] : []),
    ];
  });
}

/** Complaints about the conditions that a pod counts as ready by (validateReadinessGates). */
export function readinessErrors(spec: JsonObject, path: string): readonly FieldError[] {
  return objectsOf(spec['readinessGates']).flatMap((gate, index) =>
    formatErrors(
      `${path}.readinessGates[${index}].conditionType`,
      stringOf(gate['conditionType']),
      qualifiedName,
    ),
  );
}
