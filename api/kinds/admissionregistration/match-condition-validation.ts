import { duplicateField, requiredField, tooManyField, type FieldError } from '#api/errors/field-error.ts';
import { objectsOf, stringOf } from '#api/wire/json.ts';
import { when } from '#api/validation/field.ts';
import { formatErrors, qualifiedName } from '#api/validation/format.ts';

const conditionsMax = 64;

/** Conditions under which requests are matched. Their expressions are not compiled. */
export function matchConditionErrors(list: unknown, path: string): readonly FieldError[] {
  const conditions = objectsOf(list);
  const names = new Set<string>();
  return [
    ...when(conditions.length > conditionsMax, () => tooManyField(path, conditions.length, conditionsMax)),
    ...conditions.flatMap((condition, index) => {
      const field = `${path}[${index}].name`;
      const name = stringOf(condition['name']);
      const isRepeated = name !== '' && names.has(name);
      names.add(name);
      return [
        ...when(isBlank(condition['expression']), () => requiredField(`${path}[${index}].expression`)),
        ...(name === '' ? [requiredField(field)] : formatErrors(field, name, qualifiedName)),
        ...when(isRepeated, () => duplicateField(field, name)),
      ];
    }),
  ];
}

/** Whether the text is missing or nothing but spaces. */
export function isBlank(value: unknown): boolean {
  return stringOf(value).trim() === '';
}
