import type { ValidationRule } from '#api/structural/structural-schema.ts';

export const reasons = [
  'FieldValueDuplicate',
  'FieldValueForbidden',
  'FieldValueInvalid',
  'FieldValueRequired',
] as const;

/** What a failed rule is called: its message, or the rule. */
export function nameOfRule({ message, rule }: ValidationRule): string {
  return (message === '' ? rule : message).trim();
}
