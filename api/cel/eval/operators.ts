import type { Budget } from './budget.ts';
import { timestampOf } from './time.ts';
import {
  compare,
  doubleOf,
  Duration,
  equals,
  Fault,
  intOf,
  isDouble,
  isInt,
  isList,
  isMap,
  keyText,
  hasMember,
  memberAt,
  none,
  numberOf,
  Optional,
  sizeOf,
  smallerSize,
  Timestamp,
  Uint,
  type Value,
} from './values.ts';

/** What an operator does with its one or two operands, of which none is a fault. */
export interface Operator {
  readonly apply: (left: Value, right: Value, budget: Budget) => Value;
  readonly cost: (left: Value, right: Value) => number;
}

const one = (): number => 1;
/** Of walking over a text: a tenth of a unit for each character. */
const perCharacter = 0.1;

export const operators: Readonly<Record<string, Operator | undefined>> = {
  '_==_': { apply: (a, b, budget) => equals(a, b, budget), cost: comparing },
  '_!=_': { apply: (a, b, budget) => !equals(a, b, budget), cost: comparing },
  '_<_': { apply: (a, b) => ordered(a, b, (order) => order < 0), cost: ordering },
  '_<=_': { apply: (a, b) => ordered(a, b, (order) => order <= 0), cost: ordering },
  '_>_': { apply: (a, b) => ordered(a, b, (order) => order > 0), cost: ordering },
  '_>=_': { apply: (a, b) => ordered(a, b, (order) => order >= 0), cost: ordering },
  '_+_': { apply: add, cost: joining },
  '_-_': { apply: subtract, cost: one },
  '_*_': { apply: (a, b) => arithmetic(a, b, { int: (x, y) => x * y, double: (x, y) => x * y }), cost: one },
  '_/_': {
    apply: (a, b) => dividing(a, b, 'division by zero', { int: (x, y) => x / y, double: (x, y) => x / y }),
    cost: one,
  },
  '_%_': { apply: (a, b) => dividing(a, b, 'modulus by zero', { int: (x, y) => x % y }), cost: one },
  '!_': { apply: (a) => (typeof a === 'boolean' ? !a : noSuchOverload()), cost: one },
  '-_': { apply: negate, cost: one },
  '_[_]': { apply: index, cost: one },
  '_[?_]': { apply: indexOptional, cost: one },
  '@in': {
    apply: (a, b, budget) => {
      if (isList(b)) return b.some((item) => equals(a, item, budget));
      return isMap(b) ? hasMember(b, a) : noSuchOverload();
    },
    cost: (_, b) => (isList(b) ? b.length : 1),
  },
};

function noSuchOverload(): Fault {
  return new Fault('no such overload');
}

/** Of two texts, lists or maps the smaller is walked over. */
function comparing(a: Value, b: Value): number {
  return Math.ceil(smallerSize(a, b) * perCharacter);
}

/** Of texts and bytes by their length. */
function ordering(a: Value, b: Value): number {
  return typeof a === 'string' || a instanceof Uint8Array ? comparing(a, b) : 1;
}

function joining(a: Value, b: Value): number {
  if (typeof a !== 'string' && !(a instanceof Uint8Array)) return 1;
  return Math.ceil(((sizeOf(a) ?? 0) + (sizeOf(b) ?? 0)) * perCharacter);
}

function ordered(a: Value, b: Value, holds: (order: number) => boolean): Value {
  const order = compare(a, b);
  if (order !== undefined) return holds(order);
  return numberOf(a) !== undefined && numberOf(b) !== undefined ? false : noSuchOverload(); // NaN.
}

interface Arithmetic {
  readonly int: (x: bigint, y: bigint) => bigint;
  readonly double?: (x: number, y: number) => number;
}

function arithmetic(a: Value, b: Value, { int, double }: Arithmetic): Value {
  if (isInt(a) && isInt(b)) return fitted(int(BigInt(a), BigInt(b)));
  if (a instanceof Uint && b instanceof Uint) {
    const made = int(a.value, b.value);
    return BigInt.asUintN(64, made) === made ? new Uint(made) : new Fault('unsigned integer overflow');
  }
  const [x, y] = [numberOf(a), numberOf(b)];
  if (double === undefined || !isDouble(a) || !isDouble(b) || x === undefined || y === undefined)
    return noSuchOverload();
  return doubleOf(double(x, y));
}

function fitted(made: bigint): Value {
  return BigInt.asIntN(64, made) === made ? intOf(made) : new Fault('integer overflow');
}

function dividing(a: Value, b: Value, byZero: string, how: Arithmetic): Value {
  const isZero = (isInt(b) && Number(b) === 0) || (b instanceof Uint && b.value === 0n);
  return isZero && !isDouble(a) ? new Fault(byZero) : arithmetic(a, b, how);
}

function add(a: Value, b: Value, budget: Budget): Value {
  if (typeof a === 'number' && typeof b === 'number' && Number.isSafeInteger(a) && Number.isSafeInteger(b)) {
    const sum = a + b;
    if (Number.isSafeInteger(sum)) return sum;
  }
  if (typeof a === 'string' && typeof b === 'string') return a + b;
  if (isList(a) && isList(b)) {
    budget.strain(a.length + b.length);
    return a.concat(b);
  }
  if (a instanceof Uint8Array && b instanceof Uint8Array) return Buffer.concat([a, b]);
  if (a instanceof Timestamp && b instanceof Duration) return timestampOf(a.ns + b.ns);
  if (a instanceof Duration && b instanceof Timestamp) return timestampOf(a.ns + b.ns);
  if (a instanceof Duration && b instanceof Duration) return duration(a.ns + b.ns);
  return arithmetic(a, b, { int: (x, y) => x + y, double: (x, y) => x + y });
}

function subtract(a: Value, b: Value): Value {
  if (a instanceof Timestamp && b instanceof Timestamp) return duration(a.ns - b.ns);
  if (a instanceof Timestamp && b instanceof Duration) return timestampOf(a.ns - b.ns);
  if (a instanceof Duration && b instanceof Duration) return duration(a.ns - b.ns);
  return arithmetic(a, b, { int: (x, y) => x - y, double: (x, y) => x - y });
}

function duration(ns: bigint): Value {
  return BigInt.asIntN(64, ns) === ns ? new Duration(ns) : new Fault('duration overflow');
}

function negate(a: Value): Value {
  if (isInt(a)) return fitted(-BigInt(a));
  const number = numberOf(a);
  return isDouble(a) && number !== undefined ? doubleOf(-number) : noSuchOverload();
}

function index(operand: Value, key: Value): Value {
  if (operand instanceof Optional) return indexOptional(operand, key);
  if (isList(operand)) {
    const at = numberOf(key);
    if (at === undefined || !Number.isInteger(at)) return noSuchOverload();
    return at >= 0 && at < operand.length ? operand[at] : new Fault(`index out of bounds: ${at}`);
  }
  if (!isMap(operand)) return noSuchOverload();
  const member = memberAt(operand, key);
  return member === undefined ? new Fault(`no such key: ${keyText(key)}`) : member;
}

function indexOptional(operand: Value, key: Value): Value {
  const holder = operand instanceof Optional ? operand : new Optional(operand);
  if (!holder.isThere || !(isList(holder.value) || isMap(holder.value))) return none;
  const found = index(holder.value, key);
  if (found instanceof Fault) return found.message === 'no such overload' ? found : none;
  return new Optional(found);
}
