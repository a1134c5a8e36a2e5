import { duplicateField, requiredField, type FieldError } from '#api/errors/field-error.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { at, objectsOf, stringOf } from '#api/wire/json.ts';
import { when } from '#api/validation/field.ts';

/** Complaints about conditions of FlowSchemas and of levels: each has a type, and none another's. */
export function flowControlConditionErrors(object: JsonObject): readonly FieldError[] {
  const types = new Set<string>();
  return objectsOf(at(object, 'status.conditions')).flatMap((condition, index) => {
    const field = `status.conditions[${index}].type`;
    const type = stringOf(condition['type']);
    const isRepeated = types.has(type);
    types.add(type);
    return [
      ...when(isRepeated, () => duplicateField(field, type)),
      ...when(type === '', () => requiredField(field, 'must not be empty')),
    ];
  });
}
