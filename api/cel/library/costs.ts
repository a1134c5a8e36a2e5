import type { Cost } from '#api/cel/eval/function.ts';
import { isList, isMap, keysOf, memberAt, sizeOf, type Value } from '#api/cel/eval/values.ts';

/** A tenth of a unit for each character, byte or element (cel-go, common/cost.go StringTraversalCostFactor). */
const perElement = 0.1;

function size(value: Value): number {
  return sizeOf(value) ?? 1;
}

/** Of walking over the first argument. */
export const traversal: Cost = ([first]) => Math.ceil(size(first) * perElement);

/** Of walking over the first argument and making another of its length. */
export const making: Cost = ([first]) => Math.ceil(size(first) * 2 * perElement);

/** Of making a text as long as the result. */
export const joining: Cost = (_, result) => Math.ceil(size(result) * 2 * perElement);

/** Of looking for the second in the first. */
export const searching: Cost = ([first, second]) =>
  Math.ceil(size(first) * perElement) * Math.ceil(size(second) * perElement);

/** Of all that lies within the first argument (apiserver/pkg/cel/library/cost.go, traversalCost). */
export const wholeTraversal: Cost = ([first]) => wholeCost(first);

function wholeCost(value: Value): number {
  if (typeof value === 'string') return Math.floor(Buffer.byteLength(value) * perElement);
  if (value instanceof Uint8Array) return Math.floor(value.length * perElement);
  if (isList(value)) return value.reduce<number>((sum, one) => sum + wholeCost(one), 0);
  if (!isMap(value)) return 1;
  return keysOf(value).reduce<number>(
    (sum, key) => sum + wholeCost(key) + wholeCost(memberAt(value, key)),
    0,
  );
}

/** A quarter of a unit for each character of a pattern (RegexStringLengthCostFactor). */
const perPatternCharacter = 0.25;

/** Of a regular expression: its length times what it walks over. */
export const matching: Cost = ([text, pattern]) => patternCost(text, size(pattern));

export function patternCost(text: Value, patternLength: number): number {
  return Math.ceil((size(text) + 1) * perElement) * Math.ceil(patternLength * perPatternCharacter);
}
