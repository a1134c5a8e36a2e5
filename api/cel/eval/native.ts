import type { CelType } from '#api/cel/check/cel-type.ts';
import { parseDate, parseDuration } from './time.ts';
import { doubleOf, Fault, intOf, type Value } from './values.ts';

type Convert = (value: Value) => Value;

const same: Convert = (value) => value;

/** What JSON is where a schema says more of it: 1 may be a double, a text a time. */
export function nativeOf(type: CelType): Convert {
  switch (type.kind) {
    case 'double':
      return (value) => (typeof value === 'number' ? doubleOf(value) : value);
    case 'int':
      // Beyond 2^53 JSON has lost what was not exact already.
      return (value) => (typeof value === 'number' && !Number.isSafeInteger(value) ? whole(value) : value);
    case 'timestamp':
      return (value) =>
        typeof value === 'string' ? (parseDate(value) ?? unreadable('timestamp', value)) : value;
    case 'duration':
      return (value) =>
        typeof value === 'string' ? (parseDuration(value) ?? unreadable('duration', value)) : value;
    case 'bytes':
      return (value) => (typeof value === 'string' ? Buffer.from(value, 'base64') : value);
    default:
      return same;
  }
}

function whole(value: number): Value {
  return Number.isInteger(value) ? intOf(BigInt(value)) : value;
}

function unreadable(what: string, text: string): Fault {
  return new Fault(`invalid ${what}: ${JSON.stringify(text)}`);
}
