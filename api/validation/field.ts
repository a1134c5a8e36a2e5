import {
  duplicateField,
  invalidField,
  invalidStruct,
  notSupportedField,
  requiredField,
  tooLongField,
  tooManyField,
  type FieldError,
} from '#api/errors/field-error.ts';
import { goValue } from '#api/errors/go-value.ts';
import { at, equalJson, numberOf, stringOf } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';

/** The complaint where it is one; it is made only then. */
export function when(isWrong: boolean, complaint: () => FieldError): readonly FieldError[] {
  return isWrong ? [complaint()] : [];
}

/** A text that, where it is given, must be one of a set; an empty one is none of it. */
export function givenChoiceErrors(
  field: string,
  value: unknown,
  allowed: readonly string[],
): readonly FieldError[] {
  return value === undefined || allowed.includes(stringOf(value))
    ? []
    : [notSupportedField(field, value, allowed)];
}

/** Values of a list that were in it before; `fieldOf` says what the one at a place is called. */
export function repeatedErrors(
  values: readonly unknown[],
  fieldOf: (index: number) => string,
): readonly FieldError[] {
  const seen = new Set<unknown>();
  return values.flatMap((value, index) => {
    const isRepeated = seen.has(value);
    seen.add(value);
    return when(isRepeated, () => duplicateField(fieldOf(index), value));
  });
}

/** A field that stays as it was created; one that holds structs is of a `type` by the facts. */
export function immutable(
  path: string,
  detail = 'field is immutable',
  type?: string,
): (old: JsonObject, object: JsonObject) => readonly FieldError[] {
  return (old, object) => {
    const value = at(object, path);
    if (equalJson(at(old, path), value)) return [];
    return [
      type === undefined
        ? invalidField(path, value ?? null, detail)
        : invalidStruct(path, goValue(type, value), detail),
    ];
  };
}

/** Numbers that may be absent but not negative. */
export function nonNegative(object: JsonObject, paths: readonly string[]): readonly FieldError[] {
  return paths.flatMap((path) =>
    numberOf(at(object, path)) < 0
      ? [invalidField(path, at(object, path), 'must be greater than or equal to 0')]
      : [],
  );
}

/** A count, or a percentage. */
export function intOrPercentErrors(value: unknown, field: string): readonly FieldError[] {
  if (typeof value === 'number') {
    return value < 0 ? [invalidField(field, value, 'must be greater than or equal to 0')] : [];
  }
  if (value === undefined || /^\d+%$/.test(stringOf(value))) return [];
  const detail =
    "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')";
  return [invalidField(field, value, detail)];
}

/** The number of a count or a percentage (getIntOrPercentValue); what is neither counts as 0. */
export function amountOf(value: unknown): number {
  if (typeof value === 'number') return value;
  return /^\d+%?$/.test(stringOf(value)) ? Number.parseInt(stringOf(value), 10) : 0;
}

/** A percentage that is one of a whole. */
export function shareErrors(value: unknown, field: string): readonly FieldError[] {
  const isOver = /^\d+%$/.test(stringOf(value)) && Number.parseInt(stringOf(value), 10) > 100;
  return isOver ? [invalidField(field, value, 'must not be greater than 100%')] : [];
}

/** Texts of an object that must be there and not empty; `path` is the object's. */
export function missingErrors(
  object: JsonObject,
  names: readonly string[],
  path: string,
): readonly FieldError[] {
  return names.flatMap((name) => (stringOf(object[name]) === '' ? [requiredField(`${path}.${name}`)] : []));
}

/** A text that must be one of a set; an empty one is missing. */
export function choiceErrors(
  field: string,
  value: unknown,
  allowed: readonly string[],
): readonly FieldError[] {
  return stringOf(value) === '' ? [requiredField(field)] : givenChoiceErrors(field, value, allowed);
}

/** Numbers of an object that may be absent but not negative; `path` is the object's. */
export function negativeErrors(
  object: JsonObject,
  names: readonly string[],
  path: string,
): readonly FieldError[] {
  return names.flatMap((name) =>
    numberOf(object[name]) < 0
      ? [invalidField(`${path}.${name}`, object[name], 'must be greater than or equal to 0')]
      : [],
  );
}

/** A number that, where it is given, lies within bounds, both included (validation.InclusiveRangeError). */
export function rangeErrors(
  field: string,
  value: unknown,
  [min, max]: readonly [number, number],
): readonly FieldError[] {
  return typeof value !== 'number' || (value >= min && value <= max)
    ? []
    : [invalidField(field, value, `must be between ${min} and ${max}, inclusive`)];
}

/** A list that is not longer than it may be. */
export function tooManyErrors(field: string, count: number, countMax: number): readonly FieldError[] {
  return count > countMax ? [tooManyField(field, count, countMax)] : [];
}

/** A text that is not longer than it may be, in bytes. */
export function tooLongErrors(field: string, text: string, byteCountMax: number): readonly FieldError[] {
  return Buffer.byteLength(text) > byteCountMax ? [tooLongField(field, byteCountMax)] : [];
}
