import { formatDuration, formatTimestamp } from './time.ts';
import {
  CelMap,
  Double,
  Duration,
  isList,
  isPlain,
  keyOf,
  Optional,
  Timestamp,
  Uint,
  type Value,
} from './values.ts';

/** A value as JSON has it, of what JSON has. An optional that is none leaves its place out. */
export function toJson(value: Value): unknown {
  if (isList(value)) return value.filter(isThere).map(toJson);
  if (value instanceof CelMap) {
    const entries = [...value.entries.values()].filter(([, one]) => isThere(one));
    return Object.fromEntries(entries.map(([key, one]) => [String(keyOf(key)), toJson(one)]));
  }
  if (isPlain(value))
    return Object.fromEntries(
      Object.entries(value)
        .filter(([, one]) => isThere(one))
        .map(([name, one]) => [name, toJson(one)]),
    );
  if (value instanceof Optional) return toJson(value.value);
  if (value instanceof Double) return value.value;
  if (value instanceof Uint) return Number(value.value);
  if (typeof value === 'bigint') return Number(value);
  if (value instanceof Timestamp) return formatTimestamp(value);
  if (value instanceof Duration) return formatDuration(value);
  return value instanceof Uint8Array ? Buffer.from(value).toString('base64') : value;
}

function isThere(value: Value): boolean {
  return !(value instanceof Optional) || value.isThere;
}
