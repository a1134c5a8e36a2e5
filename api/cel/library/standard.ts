import { ExpiringMap } from '#base/expiring-map.ts';
import { parseBool } from '#api/wire/parse-bool.ts';
import { functionsOf, type CelFunction, type Row } from '#api/cel/eval/function.ts';
import {
  formatDuration,
  formatTimestamp,
  parseDuration,
  parseTimestamp,
  timestampOf,
} from '#api/cel/eval/time.ts';
import {
  Double,
  doubleOf,
  Duration,
  Fault,
  intOf,
  isInt,
  numberOf,
  sizeOf,
  Timestamp,
  typeNameOf,
  TypeValue,
  Uint,
  type Value,
} from '#api/cel/eval/values.ts';
import { searching, traversal } from './costs.ts';
import { matches } from './regex.ts';

const same = (value: Value): Value => value;

/** Functions of the language itself (cel-spec, langdef.md, "List of Standard Definitions"). */
const rows: Readonly<Record<string, Row>> = {
  ...sizes(),
  'string.contains(string): bool': [(text, part) => String(text).includes(String(part)), searching],
  'string.startsWith(string): bool': [(text, part) => String(text).startsWith(String(part)), traversal],
  'string.endsWith(string): bool': [(text, part) => String(text).endsWith(String(part)), traversal],
  'string.matches(string): bool': matches,
  'matches(string, string): bool': matches,
  'dyn(A): dyn': same,
  'type(A): type(A)': (value) => new TypeValue(typeNameOf(value)),
  ...conversions(),
  ...times(),
};

export const standard: readonly CelFunction[] = functionsOf(rows);

function sizes(): Record<string, Row> {
  const size = (value: Value): Value => sizeOf(value) ?? new Fault('no such overload');
  const kinds = ['string', 'bytes', 'list(A)', 'map(A, B)'];
  return Object.fromEntries(
    kinds.flatMap((kind): [string, Row][] => [
      [`size(${kind}): int`, size],
      [`${kind}.size(): int`, size],
    ]),
  );
}

function conversions(): Record<string, Row> {
  return {
    'bool(bool): bool': same,
    'bool(string): bool': (text) => fitting(parseBool(String(text)), 'bool'),
    'int(int): int': same,
    'int(uint): int': (value) => toInt(value instanceof Uint ? value.value : undefined),
    'int(double): int': (value) => toInt(truncated(value)),
    'int(string): int': (text) =>
      fitting(
        /^[+-]?\d+$/.test(String(text)) ? toInt(BigInt(String(text).replace('+', ''))) : undefined,
        'int',
      ),
    'int(timestamp): int': (time) => intOf(time instanceof Timestamp ? floor(time.ns, 1_000_000_000n) : 0n),
    'int(duration): int': (span) => intOf(span instanceof Duration ? span.ns : 0n),
    'uint(uint): uint': same,
    'uint(int): uint': (value) => toUint(isInt(value) ? BigInt(value) : undefined),
    'uint(double): uint': (value) => toUint(truncated(value)),
    'uint(string): uint': (text) =>
      fitting(/^\d+$/.test(String(text)) ? toUint(BigInt(String(text))) : undefined, 'uint'),
    'double(double): double': same,
    'double(int): double': (value) => doubleOf(numberOf(value) ?? 0),
    'double(uint): double': (value) => doubleOf(numberOf(value) ?? 0),
    'double(string): double': (text) => fitting(readDouble(String(text)), 'double'),
    'string(string): string': same,
    ...Object.fromEntries(
      ['bool', 'int', 'uint', 'double', 'timestamp', 'duration'].map((kind): [string, Row] => [
        `string(${kind}): string`,
        textOf,
      ]),
    ),
    'string(bytes): string': [textOf, traversal],
    'bytes(bytes): bytes': same,
    'bytes(string): bytes': [(text) => Buffer.from(String(text)), traversal],
    'timestamp(timestamp): timestamp': same,
    'timestamp(string): timestamp': (text) => readTimestamp(String(text)),
    'timestamp(int): timestamp': (seconds) =>
      timestampOf(BigInt(isInt(seconds) ? seconds : 0) * 1_000_000_000n),
    'duration(duration): duration': same,
    'duration(string): duration': (text) => fitting(parseDuration(String(text)), 'google.protobuf.Duration'),
  };
}

const textType = "'string'";

/** What a text was read as; a text that is none, or more than the type holds, is one error (cel-go, common/types/string.go). */
function fitting(value: Value, type: string): Value {
  if (value !== undefined && !(value instanceof Fault)) return value;
  return new Fault(`type conversion error from ${textType} to '${type}'`);
}

function readTimestamp(text: string): Value {
  const read = parseTimestamp(text);
  return read === undefined ? fitting(read, 'google.protobuf.Timestamp') : timestampOf(read.ns);
}

/** As Go reads it (strconv.ParseFloat): `Inf` and `NaN` have no case, and what overflows is none. */
function readDouble(text: string): Value {
  const [, sign, name] = /^([+-]?)(inf(?:inity)?|nan)$/i.exec(text) ?? [];
  if (name !== undefined) {
    if (name.toLowerCase() === 'nan') return sign === '' ? doubleOf(Number.NaN) : undefined;
    return doubleOf(sign === '-' ? -Infinity : Infinity);
  }
  if (!/^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i.test(text)) return undefined;
  const number = Number(text);
  return Number.isFinite(number) ? doubleOf(number) : undefined;
}

function toInt(value: bigint | undefined): Value {
  return value !== undefined && BigInt.asIntN(64, value) === value
    ? intOf(value)
    : new Fault('integer overflow');
}

function toUint(value: bigint | undefined): Value {
  return value !== undefined && BigInt.asUintN(64, value) === value
    ? new Uint(value)
    : new Fault('unsigned integer overflow');
}

function truncated(value: Value): bigint | undefined {
  const number = numberOf(value);
  return number !== undefined && Number.isFinite(number) ? BigInt(Math.trunc(number)) : undefined;
}

/** As `string()` writes it. */
export function textOf(value: Value): Value {
  if (typeof value === 'boolean' || isInt(value)) return String(value);
  if (value instanceof Uint) return value.value.toString();
  if (value instanceof Timestamp) return formatTimestamp(value);
  if (value instanceof Duration) return formatDuration(value);
  if (value instanceof Uint8Array) {
    try {
      return new TextDecoder('utf-8', { fatal: true }).decode(value);
    } catch {
      return new Fault('invalid UTF-8 in bytes, cannot convert to string');
    }
  }
  const number = value instanceof Double ? value.value : numberOf(value);
  return number === undefined ? new Fault('no such overload') : doubleText(number);
}

/** As Go's %g writes it: with an exponent, of two digits at least, from 1e+06 and below 1e-04. */
function doubleText(number: number): string {
  if (!Number.isFinite(number)) return Number.isNaN(number) ? 'NaN' : number > 0 ? '+Inf' : '-Inf';
  const isLong = number !== 0 && (Math.abs(number) >= 1e6 || Math.abs(number) < 1e-4);
  if (!isLong) return Object.is(number, -0) ? '-0' : String(number);
  const [mantissa = '', exponent = '0'] = number.toExponential().split('e');
  const digits = exponent.replace(/^[+-]/, '').padStart(2, '0');
  return `${mantissa}e${exponent.startsWith('-') ? '-' : '+'}${digits}`;
}

/** Parts of a time in a zone, UTC without; of a duration the whole of it. */
function times(): Record<string, Row> {
  const parts: Readonly<Record<string, (date: Date) => number>> = {
    getFullYear: (date) => date.getUTCFullYear(),
    getMonth: (date) => date.getUTCMonth(),
    getDate: (date) => date.getUTCDate(),
    getDayOfMonth: (date) => date.getUTCDate() - 1,
    getDayOfWeek: (date) => date.getUTCDay(),
    getDayOfYear: (date) =>
      Math.floor(
        (Date.UTC(date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDate()) -
          Date.UTC(date.getUTCFullYear(), 0, 1)) /
          86_400_000,
      ),
    getHours: (date) => date.getUTCHours(),
    getMinutes: (date) => date.getUTCMinutes(),
    getSeconds: (date) => date.getUTCSeconds(),
    getMilliseconds: (date) => date.getUTCMilliseconds(),
  };
  const units: Readonly<Record<string, bigint>> = {
    ...{ getHours: 3_600_000_000_000n, getMinutes: 60_000_000_000n },
    ...{ getSeconds: 1_000_000_000n, getMilliseconds: 1_000_000n },
  };
  return {
    ...Object.fromEntries(
      Object.entries(parts).flatMap(([name, read]): [string, Row][] => [
        [`timestamp.${name}(): int`, (time) => partOf(time, 'UTC', read)],
        [`timestamp.${name}(string): int`, (time, zone) => partOf(time, String(zone), read)],
      ]),
    ),
    ...Object.fromEntries(
      Object.entries(units).map(([name, unit]): [string, Row] => [
        `duration.${name}(): int`,
        (span) => intOf(span instanceof Duration ? span.ns / unit : 0n),
      ]),
    ),
  };
}

function partOf(time: Value, zone: string, read: (date: Date) => number): Value {
  if (!(time instanceof Timestamp)) return new Fault('no such overload');
  const date = new Date(Number(floor(time.ns, 1_000_000n)));
  const offset = offsetMs(date, zone);
  return offset === undefined
    ? new Fault(`unknown time zone ${zone}`)
    : read(new Date(date.getTime() + offset));
}

/** How far ahead of UTC a zone is then: `+02:00`, or a name of the IANA database. */
function offsetMs(date: Date, zone: string): number | undefined {
  if (zone === 'UTC' || zone === '') return 0;
  const fixed = /^([+-]?)(\d\d):(\d\d)$/.exec(zone);
  if (fixed !== null) {
    const [, sign, hours, minutes] = fixed;
    return (sign === '-' ? -1 : 1) * (Number(hours) * 60 + Number(minutes)) * 60_000;
  }
  try {
    const parts = zoneFormat(zone).formatToParts(date);
    const name = parts.find(({ type }) => type === 'timeZoneName')?.value ?? '';
    return name === 'GMT' ? 0 : offsetMs(date, name.replace('GMT', ''));
  } catch {
    return undefined;
  }
}

/** Zones that were asked for; making one takes long. */
const zoneFormats = new ExpiringMap<string, Intl.DateTimeFormat>(100);

/** @throws {RangeError} for a zone that there is not */
function zoneFormat(zone: string): Intl.DateTimeFormat {
  const known = zoneFormats.get(zone, 0);
  if (known !== undefined) return known;
  const made = new Intl.DateTimeFormat('en-US', { timeZone: zone, timeZoneName: 'longOffset' });
  zoneFormats.set(zone, made, { ttlMs: Number.MAX_SAFE_INTEGER, nowMs: 0 });
  return made;
}

function floor(value: bigint, by: bigint): bigint {
  const rest = value % by;
  return rest < 0n ? (value - rest) / by - 1n : value / by;
}
