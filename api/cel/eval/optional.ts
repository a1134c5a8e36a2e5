import { isFault, isList, isMap, memberAt, none, noSuchOverload, Optional, type Value } from './values.ts';

/** The field of what an optional holds, if both are there: of null, and of what has no fields, there is none (cel-go, refQualify). */
export function selectOptional({ value, isThere }: Optional, field: string, isTest: boolean): Value {
  if (!isThere) return isTest ? false : none;
  if (isList(value)) return noSuchOverload();
  if (!isMap(value)) return isTest ? false : none;
  const member = memberAt(value, field);
  if (isTest) return member !== undefined;
  return member === undefined ? none : new Optional(member);
}

/** A field of a schema that is null is one that is not there, as where it is selected plainly. */
export function withoutNull(selected: Value): Value {
  return selected instanceof Optional && selected.value === null ? none : selected;
}

/** `or` and `orValue`: the other is asked for where the optional holds nothing. */
export function otherwise(optional: Value, other: () => Value, isValue: boolean): Value {
  if (isFault(optional)) return optional;
  if (!(optional instanceof Optional)) return noSuchOverload();
  if (optional.isThere) return isValue ? optional.value : optional;
  const made = other();
  return isValue || isFault(made) || made instanceof Optional ? made : noSuchOverload();
}
