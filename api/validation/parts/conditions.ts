import {
  duplicateField,
  invalidField,
  notSupportedField,
  requiredField,
  tooLongField,
  type FieldError,
} from '#api/errors/field-error.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { at, numberOf, objectsOf, stringOf } from '#api/wire/json.ts';
import { when } from '#api/validation/field.ts';
import { formatErrors, qualifiedName } from '#api/validation/format.ts';

/** Bytes of what a condition says (k8s.io/apimachinery pkg/apis/meta/v1/validation). */
const reasonBytesMax = 1024;
const messageBytesMax = 32_768;
const statuses = ['False', 'True', 'Unknown'];
const reasonSyntax = '[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?';
const isReason = new RegExp(`^${reasonSyntax}$`);
const reasonText = `a condition reason must start with alphabetic character, optionally followed by a string of alphanumeric characters or '_,:', and must end with an alphanumeric character or '_' (e.g. 'my_name',  or 'MY_NAME',  or 'MyName',  or 'ReasonA,ReasonB',  or 'ReasonA:ReasonB', regex used for validation is '${reasonSyntax}')`;

/** The conditions of a status that are `metav1.Condition`s, each type once (ValidateConditions). */
export function conditionErrors(object: JsonObject): readonly FieldError[] {
  return conditionListErrors(objectsOf(at(object, 'status.conditions')), 'status.conditions');
}

/** The same of a list anywhere. */
export function conditionListErrors(conditions: readonly JsonObject[], field: string): readonly FieldError[] {
  const types = new Set<string>();
  return conditions.flatMap((condition, index) => {
    const path = `${field}[${index}]`;
    const type = stringOf(condition['type']);
    const isRepeated = types.has(type);
    types.add(type);
    return [...when(isRepeated, () => duplicateField(`${path}.type`, type)), ...partErrors(condition, path)];
  });
}

function partErrors(condition: JsonObject, path: string): readonly FieldError[] {
  const { status = '', observedGeneration, lastTransitionTime } = condition;
  const message = stringOf(condition['message']);
  return [
    ...formatErrors(`${path}.type`, stringOf(condition['type']), qualifiedName),
    ...when(!statuses.includes(stringOf(status)), () =>
      notSupportedField(`${path}.status`, status, statuses),
    ),
    ...when(numberOf(observedGeneration) < 0, () =>
      invalidField(`${path}.observedGeneration`, observedGeneration, 'must be greater than or equal to zero'),
    ),
    ...when(typeof lastTransitionTime !== 'string', () =>
      requiredField(`${path}.lastTransitionTime`, 'must be set'),
    ),
    ...reasonErrors(stringOf(condition['reason']), `${path}.reason`),
    ...when(Buffer.byteLength(message) > messageBytesMax, () =>
      tooLongField(`${path}.message`, messageBytesMax),
    ),
  ];
}

function reasonErrors(reason: string, field: string): readonly FieldError[] {
  if (reason === '') return [requiredField(field, 'must be set')];
  return [
    ...when(!isReason.test(reason.slice(0, messageBytesMax)), () => invalidField(field, reason, reasonText)),
    ...when(Buffer.byteLength(reason) > reasonBytesMax, () => tooLongField(field, reasonBytesMax)),
  ];
}
