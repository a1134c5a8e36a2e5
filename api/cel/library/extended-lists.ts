import { functionsOf, type CelFunction, type Row } from '#api/cel/eval/function.ts';
import { compare, equals, Fault, isList, numberOf, type Value } from '#api/cel/eval/values.ts';

function asList(value: Value): readonly Value[] {
  return isList(value) ? value : [];
}

const count = (args: readonly Value[]): number => asList(args[0]).length + 1;
const square = (args: readonly Value[]): number => asList(args[0]).length ** 2 + 1;
/** Of what is in a list and the lists within. */
const whole = ([list]: readonly Value[]): number => 1 + wholeLength(list);

function wholeLength(value: Value): number {
  return isList(value) ? value.reduce<number>((sum, one) => sum + 1 + wholeLength(one), 0) : 0;
}

const ordered = ['int', 'uint', 'double', 'bool', 'string', 'bytes', 'timestamp', 'duration'] as const;

/** cel-go, ext/lists.go (version 3). */
const rows: Readonly<Record<string, Row>> = {
  'list(A).slice(int, int): list(A)': [slice, count],
  'list(dyn).flatten(): list(dyn)': [(list) => asList(list).flat(1), whole],
  'list(dyn).flatten(int): list(dyn)': [
    (list, depth) =>
      Number(numberOf(depth)) < 0
        ? new Fault('level must be non-negative')
        : asList(list).flat(numberOf(depth) ?? 0),
    whole,
  ],
  'lists.range(int): list(int)': [
    (length) => Array.from({ length: Math.max(0, numberOf(length) ?? 0) }, (_, index) => index),
    ([length]) => Math.max(0, numberOf(length) ?? 0) + 1,
  ],
  'list(A).distinct(): list(A)': [
    (list) =>
      asList(list).filter((one, index, all) => all.findIndex((other) => equals(one, other)) === index),
    square,
  ],
  'list(A).reverse(): list(A)': [(list) => asList(list).toReversed(), count],
  ...Object.fromEntries(
    ordered.flatMap((kind): [string, Row][] => [
      [`list(${kind}).sort(): list(${kind})`, [(list) => sorted(asList(list), asList(list)), square]],
      [
        `list(A).@sortByAssociatedKeys(list(${kind})): list(A)`,
        [(list, keys) => sorted(asList(list), asList(keys)), square],
      ],
    ]),
  ),
};

export const extendedLists: readonly CelFunction[] = functionsOf(rows);

function slice(list: Value, from: Value, to: Value): Value {
  const [start, end] = [numberOf(from) ?? 0, numberOf(to) ?? 0];
  const what = `cannot slice(${start}, ${end})`;
  if (start < 0 || end < 0) return new Fault(`${what}, negative indexes not supported`);
  if (start > end) return new Fault(`${what}, start index must be less than or equal to end index`);
  const { length } = asList(list);
  if (end > length) return new Fault(`${what}, list is length ${length}`);
  return asList(list).slice(start, end);
}

/** By keys of the same length. */
function sorted(list: readonly Value[], keys: readonly Value[]): Value {
  if (list.length !== keys.length)
    return new Fault(
      `@sortByAssociatedKeys() expected a list of the same size as the associated keys list, but got ${list.length} and ${keys.length} elements respectively.`,
    );
  const order = keys.map((_, index) => index).sort((a, b) => compare(keys[a], keys[b]) ?? 0);
  return order.map((index) => list[index]);
}
