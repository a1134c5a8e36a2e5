/**
 * What an expression comes to. JSON stays as it is: a number that is an integer is an int, any other a double, an object a map or an object,
 * a list a list. What JSON does not have, or could not tell apart, has a class.
 */
import { isObject } from '#api/wire/json.ts';
import type { CelType } from '#api/cel/check/cel-type.ts';

/** Any value; `unknown` where JSON is passed through. */
export type Value = unknown;

/** An int beyond 2^53 is a bigint, a smaller one a number: never both for one value. */
export type Int = number | bigint;

/** A double that a plain number would make an int of, or any other. */
export class Double {
  readonly value: number;

  constructor(value: number) {
    this.value = value;
  }
}

export class Uint {
  readonly value: bigint;

  constructor(value: bigint) {
    this.value = value;
  }
}

/** Seconds and nanoseconds since the epoch, as one number of nanoseconds. */
export class Timestamp {
  readonly ns: bigint;

  constructor(ns: bigint) {
    this.ns = ns;
  }
}

export class Duration {
  readonly ns: bigint;

  constructor(ns: bigint) {
    this.ns = ns;
  }
}

/** A map that an expression wrote, whose keys need not be texts. */
export class CelMap {
  /** By `keyOf`. */
  readonly entries: Map<unknown, readonly [key: Value, value: Value]>;

  constructor(entries: Map<unknown, readonly [Value, Value]>) {
    this.entries = entries;
  }
}

export class Optional {
  /** undefined for none. */
  readonly value: Value;

  constructor(value: Value) {
    this.value = value;
  }

  get isThere(): boolean {
    return this.value !== undefined;
  }
}

export const none: Optional = new Optional(undefined);

export class TypeValue {
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }
}

/** A value of a library. */
export abstract class Opaque {
  abstract readonly typeName: string;
  abstract equals(other: Opaque): boolean;
}

/** An error as a value: who does not need the value need not mind it (`true || 1/0 > 1`). */
export class Fault {
  readonly message: string;

  constructor(message: string) {
    this.message = message;
  }
}

export function isFault(value: Value): value is Fault {
  return value instanceof Fault;
}

export function isInt(value: Value): value is Int {
  return typeof value === 'bigint' || (typeof value === 'number' && Number.isInteger(value));
}

export function isDouble(value: Value): value is number | Double {
  return value instanceof Double || (typeof value === 'number' && !Number.isInteger(value));
}

export function doubleOf(value: number): number | Double {
  return Number.isInteger(value) ? new Double(value) : value;
}

/** Of an int, uint or double; undefined for others. */
export function numberOf(value: Value): number | undefined {
  if (typeof value === 'number') return value;
  if (typeof value === 'bigint') return Number(value);
  if (value instanceof Double) return value.value;
  return value instanceof Uint ? Number(value.value) : undefined;
}

/** In its one form. */
export function intOf(value: bigint): Int {
  return value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER ? Number(value) : value;
}

export function isList(value: Value): value is readonly Value[] {
  return Array.isArray(value);
}

/** What objects were called that expressions wrote: `Object.spec`. */
const writtenTypes = new WeakMap<object, string>();

export function markWritten(value: object, typeName: string): void {
  writtenTypes.set(value, typeName);
}

/** undefined of what no expression wrote as an object of a named type. */
export function writtenTypeOf(value: Value): string | undefined {
  return typeof value === 'object' && value !== null ? writtenTypes.get(value) : undefined;
}

/** A JSON object or a map that an expression wrote. */
export function isMap(value: Value): value is CelMap | Readonly<Record<string, Value>> {
  return value instanceof CelMap || isPlain(value);
}

export function isPlain(value: Value): value is Readonly<Record<string, Value>> {
  if (!isObject(value)) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/** What a map finds a key by: numbers that are equal are the same key. */
export function keyOf(key: Value): unknown {
  if (key instanceof Uint) return intOf(key.value);
  if (key instanceof Double) return key.value;
  return key;
}

/** A key in the text of an error; of one that no map has (a list) its type alone, as its text may be long and errors are made by the thousand. */
export function keyText(key: Value): string {
  const found = numberOf(key) ?? keyOf(key);
  return typeof found === 'object' && found !== null ? typeNameOf(key) : String(found);
}

/** The keys as values. */
export function keysOf(map: CelMap | Readonly<Record<string, Value>>): readonly Value[] {
  return map instanceof CelMap
    ? [...map.entries.values()].map(([key]) => key)
    : Object.keys(map).filter((key) => map[key] !== undefined);
}

/** What lies under a key; undefined where nothing does. */
export function memberAt(map: CelMap | Readonly<Record<string, Value>>, key: Value): Value {
  const found = keyOf(key);
  if (map instanceof CelMap) return map.entries.get(found)?.[1];
  return typeof found === 'string' && Object.hasOwn(map, found) ? map[found] : undefined;
}

/** Whether a map has a key; one that makes up members for keys that it does not have still says no. */
export function hasMember(map: CelMap | Readonly<Record<string, Value>>, key: Value): boolean {
  return map instanceof CelMap ? map.entries.has(keyOf(key)) : memberAt(map, key) !== undefined;
}

export function sizeOf(value: Value): number | undefined {
  if (typeof value === 'string') return lengthOf(value);
  if (isList(value)) return value.length;
  if (value instanceof Uint8Array) return value.length;
  if (value instanceof CelMap) return value.entries.size;
  return isPlain(value) ? memberCount(value) : undefined;
}

/** Objects that were counted: nobody changes one while expressions look at it. */
const memberCounts = new WeakMap<object, number>();

function memberCount(object: Readonly<Record<string, Value>>): number {
  const known = memberCounts.get(object);
  if (known !== undefined) return known;
  const count = keysOf(object).length;
  memberCounts.set(object, count);
  return count;
}

/** In code points. */
export function lengthOf(text: string): number {
  let pairs = 0;
  for (let at = 0; at < text.length; at++) {
    if (isPairAt(text, at)) pairs++;
  }
  return text.length - pairs;
}

/** Where a code point begins, in UTF-16 units; undefined behind the end. The end itself is one more place. */
export function offsetOf(text: string, index: number): number | undefined {
  let at = 0;
  for (let left = index; left > 0; left--) {
    if (at >= text.length) return undefined;
    at += isPairAt(text, at) ? 2 : 1;
  }
  return index < 0 ? undefined : at;
}

function isPairAt(text: string, at: number): boolean {
  const unit = text.charCodeAt(at);
  if (unit < 0xd800 || unit > 0xdbff) return false;
  const next = text.charCodeAt(at + 1);
  return next >= 0xdc00 && next <= 0xdfff;
}

/** Of two the smaller size; a text that is clearly the longer is not measured. */
export function smallerSize(a: Value, b: Value): number {
  if (typeof a === 'string' && typeof b === 'string') {
    if (a.length > 2 * b.length) return lengthOf(b);
    if (b.length > 2 * a.length) return lengthOf(a);
  }
  return Math.min(sizeOf(a) ?? 1, sizeOf(b) ?? 1);
}

/** What counts the elements that are looked at. */
interface Strained {
  strain(units: number): void;
}

/** Deep, numbers by what they are worth; what is of different kinds is not equal. */
export function equals(a: Value, b: Value, strained?: Strained): boolean {
  if (a === b) return true;
  const [left, right] = [numericOf(a), numericOf(b)];
  // eslint-disable-next-line eqeqeq -- A bigint and a number of one worth are one value here.
  if (left !== undefined && right !== undefined) return left == right;
  if (isList(a) && isList(b)) {
    strained?.strain(a.length);
    return a.length === b.length && a.every((item, index) => equals(item, b[index], strained));
  }
  if (a instanceof Uint8Array && b instanceof Uint8Array) return Buffer.compare(a, b) === 0;
  if (a instanceof Timestamp && b instanceof Timestamp) return a.ns === b.ns;
  if (a instanceof Duration && b instanceof Duration) return a.ns === b.ns;
  if (a instanceof Optional && b instanceof Optional)
    return a.isThere === b.isThere && (!a.isThere || equals(a.value, b.value, strained));
  if (a instanceof TypeValue && b instanceof TypeValue) return a.name === b.name;
  if (a instanceof Opaque && b instanceof Opaque) return a.typeName === b.typeName && a.equals(b);
  if (isMap(a) && isMap(b)) {
    const keys = keysOf(a);
    strained?.strain(keys.length);
    return (
      keys.length === keysOf(b).length &&
      keys.every((key) => {
        const other = memberAt(b, key);
        return other !== undefined && equals(memberAt(a, key), other, strained);
      })
    );
  }
  return false;
}

function numericOf(value: Value): number | bigint | undefined {
  if (typeof value === 'number' || typeof value === 'bigint') return value;
  if (value instanceof Double || value instanceof Uint) return value.value;
  return undefined;
}

/** Less than nothing, nothing or more, of two that have an order; undefined of others, and of what is no number. */
export function compare(a: Value, b: Value): number | undefined {
  const [left, right] = [numericOf(a), numericOf(b)];
  if (left !== undefined && right !== undefined)
    return left < right ? -1 : left > right ? 1 : isSame(left, right);
  if (typeof a === 'string' && typeof b === 'string') return compareText(a, b);
  if (typeof a === 'boolean' && typeof b === 'boolean') return Number(a) - Number(b);
  if (a instanceof Uint8Array && b instanceof Uint8Array) return Buffer.compare(a, b);
  if ((a instanceof Timestamp && b instanceof Timestamp) || (a instanceof Duration && b instanceof Duration))
    return a.ns < b.ns ? -1 : a.ns > b.ns ? 1 : 0;
  return undefined;
}

function isSame(left: number | bigint, right: number | bigint): number | undefined {
  return Number.isNaN(Number(left)) || Number.isNaN(Number(right)) ? undefined : 0;
}

/** By code points, as Go compares its bytes. */
function compareText(a: string, b: string): number {
  if (a === b) return 0;
  return /[\ud800-\udfff]/.test(a + b) ? Buffer.compare(Buffer.from(a), Buffer.from(b)) : a < b ? -1 : 1;
}

/** As `type()` and messages name it. */
export function typeNameOf(value: Value): string {
  if (value === null) return 'null_type';
  if (typeof value === 'boolean') return 'bool';
  if (typeof value === 'string') return 'string';
  if (isInt(value)) return 'int';
  if (isDouble(value)) return 'double';
  if (value instanceof Uint) return 'uint';
  if (value instanceof Uint8Array) return 'bytes';
  if (value instanceof Timestamp) return 'google.protobuf.Timestamp';
  if (value instanceof Duration) return 'google.protobuf.Duration';
  if (value instanceof Optional) return 'optional_type';
  if (value instanceof TypeValue) return 'type';
  if (value instanceof Opaque) return value.typeName;
  return isList(value) ? 'list' : 'map';
}

/** Whether a value may be an argument of that type; what lies within is not looked at. */
export function isOfType(value: Value, type: CelType): boolean {
  switch (type.kind) {
    case 'dyn':
    case 'param':
      return true;
    case 'null':
      return value === null;
    case 'bool':
      return typeof value === 'boolean';
    case 'int':
      return isInt(value);
    case 'uint':
      return value instanceof Uint;
    case 'double':
      return isDouble(value);
    case 'string':
      return typeof value === 'string';
    case 'bytes':
      return value instanceof Uint8Array;
    case 'timestamp':
      return value instanceof Timestamp;
    case 'duration':
      return value instanceof Duration;
    case 'list':
      return isList(value);
    case 'map':
    case 'object':
      return isMap(value);
    case 'type':
      return value instanceof TypeValue;
    case 'opaque':
      return type.name === 'optional_type'
        ? value instanceof Optional
        : value instanceof Opaque && value.typeName === type.name;
    case 'error':
      return false;
  }
}

export function noSuchOverload(): Fault {
  return new Fault('no such overload');
}
