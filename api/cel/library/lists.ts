import { functionsOf, type CelFunction, type Row } from '#api/cel/eval/function.ts';
import { Budget } from '#api/cel/eval/budget.ts';
import { operators } from '#api/cel/eval/operators.ts';
import { compare, equals, Fault, isFault, isList, type Value } from '#api/cel/eval/values.ts';
import { wholeTraversal } from './costs.ts';

/** Of numbers alone. */
const unbounded = new Budget(Infinity);

const ordered = ['int', 'uint', 'double', 'bool', 'string', 'bytes', 'timestamp', 'duration'] as const;
const summed = ['int', 'uint', 'double', 'duration'] as const;

/** Kubernetes' own (apiserver/pkg/cel/library/lists.go). */
export const lists: readonly CelFunction[] = functionsOf({
  ...forEach(ordered, (kind) => [
    [`list(${kind}).isSorted(): bool`, isSorted],
    [`list(${kind}).min(): ${kind}`, (list) => extreme(list, 'min', (order) => order < 0)],
    [`list(${kind}).max(): ${kind}`, (list) => extreme(list, 'max', (order) => order > 0)],
  ]),
  ...forEach(summed, (kind) => [[`list(${kind}).sum(): ${kind}`, sum]]),
  'list(A).indexOf(A): int': [
    (list, value) => asList(list).findIndex((one) => equals(one, value)),
    wholeTraversal,
  ],
  'list(A).lastIndexOf(A): int': [
    (list, value) => asList(list).findLastIndex((one) => equals(one, value)),
    wholeTraversal,
  ],
});

/** cel-go, ext/sets.go. */
export const sets: readonly CelFunction[] = functionsOf({
  'sets.contains(list(A), list(A)): bool': [(list, sub) => isWithin(sub, list), product],
  'sets.equivalent(list(A), list(A)): bool': [
    (a, b) => isWithin(a, b) && isWithin(b, a),
    (args) => 2 * product(args) - 1,
  ],
  'sets.intersects(list(A), list(A)): bool': [
    (a, b) => asList(a).some((one) => asList(b).some((other) => equals(one, other))),
    product,
  ],
});

function forEach(
  kinds: readonly string[],
  rows: (kind: string) => readonly (readonly [string, (list: Value) => Value])[],
): Record<string, Row> {
  return Object.fromEntries(
    kinds.flatMap((kind) => rows(kind).map(([line, call]): [string, Row] => [line, [call, wholeTraversal]])),
  );
}

function asList(value: Value): readonly Value[] {
  return isList(value) ? value : [];
}

function product([a, b]: readonly Value[]): number {
  return 1 + asList(a).length * asList(b).length;
}

function isWithin(sub: Value, list: Value): boolean {
  return asList(sub).every((one) => asList(list).some((other) => equals(one, other)));
}

function isSorted(list: Value): Value {
  return asList(list).every(
    (value, index) => index === 0 || (compare(asList(list)[index - 1], value) ?? 1) <= 0,
  );
}

function extreme(list: Value, name: string, isBetter: (order: number) => boolean): Value {
  const [first, ...others] = asList(list);
  if (first === undefined) return new Fault(`${name} called on empty list`);
  return others.reduce((best, value) => (isBetter(compare(value, best) ?? 0) ? value : best), first);
}

function sum(list: Value): Value {
  const [first, ...others] = asList(list);
  if (first === undefined) return 0;
  return others.reduce<Value>(
    (total, value) => (isFault(total) ? total : operators['_+_']?.apply(total, value, unbounded)),
    first,
  );
}
