import { parseSignature, type Signature } from '#api/cel/check/signature.ts';
import { isList, type Value } from './values.ts';

/** What a function comes to: a value, or a `Fault`. */
export type Implementation = (...args: Value[]) => Value;

/** What a call costs beyond its arguments; one that does not look at the result is spent before the call. */
export type Cost = (args: readonly Value[], result: Value) => number;

export interface CelFunction extends Signature {
  readonly call: Implementation;
  readonly cost: Cost;
  /**
   * Work beside the cost, in elements (`Budget.strain`), where that is more than its arguments and result say; as cost before the call, where
   * it does not look at the result.
   */
  readonly strain: Cost;
}

/** A row of a library: what it does, what it costs where that is not 1, and what work is beside. */
export type Row = Implementation | readonly [call: Implementation, cost: Cost, strain?: Cost];

/** The functions of a library, by the lines of their signatures (`string.startsWith(string): bool`). */
export function functionsOf(rows: Readonly<Record<string, Row>>): readonly CelFunction[] {
  return Object.entries(rows).map(([line, row]) => {
    const [call, cost, strain = strainOf] = typeof row === 'function' ? [row, one] : row;
    return { ...parseSignature(line), call, cost, strain };
  });
}

const one: Cost = () => 1;

/** What measuring and making takes, beside the cost: long texts, long lists. */
function strainOf(values: readonly Value[], result: Value): number {
  let strain = 0;
  for (const value of [...values, result]) {
    if (typeof value === 'string') strain += value.length / 8;
    else if (isList(value)) strain += value.length / 8;
  }
  return strain;
}

/** Whether a signature is one that can be called. */
export function isFunction(signature: object): signature is CelFunction {
  return 'call' in signature;
}
