import { functionsOf, type CelFunction } from '#api/cel/eval/function.ts';
import { Fault, isList, isMap, none, numberOf, Optional, sizeOf, type Value } from '#api/cel/eval/values.ts';

/** cel-go, cel/library.go (OptionalTypes). */
export const optionals: readonly CelFunction[] = functionsOf({
  'optional.of(A): optional_type(A)': (value) => new Optional(value),
  'optional.none(): optional_type(A)': () => none,
  'optional.ofNonZeroValue(A): optional_type(A)': (value) => (isZero(value) ? none : new Optional(value)),
  'optional_type(A).hasValue(): bool': (optional) => optional instanceof Optional && optional.isThere,
  'optional_type(A).value(): A': (optional) =>
    optional instanceof Optional && optional.isThere
      ? optional.value
      : new Fault('optional.none() dereference'),
  // Compiled by eval/compile.ts, which evaluates the other only where it is needed.
  'optional_type(A).or(optional_type(A)): optional_type(A)': [otherwise, () => 0],
  'optional_type(A).orValue(A): A': [otherwise, () => 0],
  'list(A).first(): optional_type(A)': (list) =>
    isList(list) && list.length > 0 ? new Optional(list[0]) : none,
  'list(A).last(): optional_type(A)': (list) =>
    isList(list) && list.length > 0 ? new Optional(list.at(-1)) : none,
  'optional.unwrap(list(optional_type(A))): list(A)': unwrap,
  'list(optional_type(A)).unwrapOpt(): list(A)': unwrap,
});

function otherwise(): Value {
  return new Fault('no such overload');
}

function unwrap(list: Value): Value {
  if (!isList(list)) return new Fault('no such overload');
  return list.flatMap((one) => (one instanceof Optional && one.isThere ? [one.value] : []));
}

function isZero(value: Value): boolean {
  if (value === null || value === false) return true;
  return (
    numberOf(value) === 0 ||
    ((typeof value === 'string' || isList(value) || isMap(value)) && sizeOf(value) === 0)
  );
}
