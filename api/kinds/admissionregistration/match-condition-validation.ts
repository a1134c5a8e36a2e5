import {
  duplicateField,
  invalidField,
  requiredField,
  tooManyField,
  type FieldError,
} from '#api/errors/field-error.ts';
import { objectsOf, stringOf } from '#api/wire/json.ts';
import { when } from '#api/validation/field.ts';
import { formatErrors, qualifiedName } from '#api/validation/format.ts';

const conditionsMax = 64;

/** What is wrong with an expression, or with that at a place; undefined: nothing, or it was not compiled. */
export type ExpressionProblems = (expression: string, path: string) => string | undefined;

const none: ExpressionProblems = () => undefined;

/** Conditions under which requests are matched. */
export function matchConditionErrors(
  list: unknown,
  path: string,
  problemOf: ExpressionProblems = none,
): readonly FieldError[] {
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
        ...(isBlank(condition['expression'])
          ? [requiredField(`${path}[${index}].expression`)]
          : expressionErrors(`${path}[${index}].expression`, condition['expression'], problemOf)),
        ...(name === '' ? [requiredField(field)] : formatErrors(field, name, qualifiedName)),
        ...when(isRepeated, () => duplicateField(field, name)),
      ];
    }),
  ];
}

/** That an expression cannot be compiled, or comes to what it may not. */
export function expressionErrors(
  field: string,
  text: unknown,
  problemOf: ExpressionProblems,
): readonly FieldError[] {
  const problem = problemOf(stringOf(text), field);
  return problem === undefined ? [] : [invalidField(field, text, problem)];
}

/** Whether the text is missing or nothing but spaces. */
export function isBlank(value: unknown): boolean {
  return stringOf(value).trim() === '';
}
