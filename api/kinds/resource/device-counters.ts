import { requiredField, tooManyField, type FieldError } from '#api/errors/field-error.ts';
import { objectOf } from '#api/wire/json.ts';
import { labelNameErrors } from './device-names.ts';

const counterCountMax = 32;

/** Counters by name; any amount is one. */
export function counterErrors(counters: unknown, field: string): readonly FieldError[] {
  const names = Object.keys(objectOf(counters));
  if (names.length === 0) return [requiredField(field)];
  if (names.length > counterCountMax) return [tooManyField(field, names.length, counterCountMax)];
  return names.flatMap((name) => labelNameErrors(name, field));
}
