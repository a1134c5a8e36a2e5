import {
  addQuantity,
  compareQuantity,
  parseQuantity,
  quantityToInteger,
  quantityToNumber,
  subtractQuantity,
  tryParseQuantity,
  type Quantity,
} from '#api/meta/quantity.ts';
import { isPodwrightError } from '#base/errors.ts';
import { functionsOf, type CelFunction, type Row } from '#api/cel/eval/function.ts';
import { doubleOf, Fault, isInt, Opaque, type Value } from '#api/cel/eval/values.ts';
import { traversal } from './costs.ts';

class QuantityValue extends Opaque {
  readonly typeName = 'kubernetes.Quantity';
  readonly quantity: Quantity;

  constructor(quantity: Quantity) {
    super();
    this.quantity = quantity;
  }

  equals(other: Opaque): boolean {
    return other instanceof QuantityValue && compareQuantity(this.quantity, other.quantity) === 0;
  }
}

/** An amount as a value of expressions. */
export function quantityValue(quantity: Quantity): Opaque {
  return new QuantityValue(quantity);
}

const zero = parseQuantity('0');
const malformed =
  "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";

/** One that is written well may be too large all the same. */
function read(text: Value): Quantity | Fault {
  try {
    return tryParseQuantity(text) ?? new Fault(malformed);
  } catch (error) {
    if (isPodwrightError(error, 'E_INVALID')) return new Fault(error.message);
    throw error;
  }
}

function of(value: Value): Quantity {
  return value instanceof QuantityValue ? value.quantity : zero;
}

function operand(value: Value): Quantity {
  return isInt(value) ? parseQuantity(String(value)) : of(value);
}

function isWhole({ nanos }: Quantity): boolean {
  const whole = nanos / 1_000_000_000n;
  return nanos % 1_000_000_000n === 0n && BigInt.asIntN(64, whole) === whole;
}

const kind = 'kubernetes.Quantity';
const either = (name: string, call: (a: Quantity, b: Quantity) => Quantity): Readonly<Record<string, Row>> =>
  Object.fromEntries(
    [kind, 'int'].map((type): [string, Row] => [
      `${kind}.${name}(${type}): ${kind}`,
      (a, b) => new QuantityValue(call(of(a), operand(b))),
    ]),
  );

/** Kubernetes' own (apiserver/pkg/cel/library/quantity.go). */
export const quantities: readonly CelFunction[] = functionsOf({
  [`quantity(string): ${kind}`]: [
    (text) => {
      const quantity = read(text);
      return quantity instanceof Fault ? quantity : new QuantityValue(quantity);
    },
    traversal,
  ],
  'isQuantity(string): bool': [(text) => !(read(text) instanceof Fault), traversal],
  [`${kind}.isInteger(): bool`]: (value) => isWhole(of(value)),
  [`${kind}.asInteger(): int`]: (value) =>
    isWhole(of(value)) ? quantityToInteger(of(value)) : new Fault('cannot convert value to integer'),
  [`${kind}.asApproximateFloat(): double`]: (value) => doubleOf(quantityToNumber(of(value))),
  [`${kind}.sign(): int`]: (value) => compareQuantity(of(value), zero),
  [`${kind}.compareTo(${kind}): int`]: (a, b) => compareQuantity(of(a), of(b)),
  [`${kind}.isLessThan(${kind}): bool`]: (a, b) => compareQuantity(of(a), of(b)) < 0,
  [`${kind}.isGreaterThan(${kind}): bool`]: (a, b) => compareQuantity(of(a), of(b)) > 0,
  ...either('add', addQuantity),
  ...either('sub', subtractQuantity),
});
