import { Duration, Fault, Timestamp } from './values.ts';

const rfc3339 = /^(\d{4}-(\d\d)-(\d\d)T(\d\d):\d\d:\d\d)(?:[.,](\d{1,9})\d*)?(Z|[+-](\d\d):(\d\d))$/;

/** RFC 3339 as Go reads it; undefined for what is none, and for days and hours that there are not. */
export function parseTimestamp(text: string): Timestamp | undefined {
  const match = rfc3339.exec(text);
  if (match === null) return undefined;
  const [, seconds = '', month, day, hour, fraction = '', zone = '', zoneHours = '', zoneMinutes = ''] =
    match;
  const ms = Date.parse(`${seconds}Z`);
  if (Number.isNaN(ms) || Number(hour) > 23 || Number(zoneHours) > 24 || Number(zoneMinutes) > 60)
    return undefined;
  const date = new Date(ms); // A day that the month does not have is one of the next.
  if (date.getUTCMonth() + 1 !== Number(month) || date.getUTCDate() !== Number(day)) return undefined;
  const aheadMs = (Number(zoneHours) * 60 + Number(zoneMinutes)) * 60_000 * (zone.startsWith('-') ? -1 : 1);
  return new Timestamp(BigInt(ms - aheadMs) * 1_000_000n + BigInt(fraction.padEnd(9, '0')));
}

/** What a schema's `format` says is a day alone, or a time, of which it reads small letters as well (strfmt.ParseDateTime). */
export function parseDate(text: string): Timestamp | undefined {
  return parseTimestamp(text.length === 10 ? `${text}T00:00:00Z` : text.toUpperCase());
}

/** From the year 1 to 9999. */
const [firstNs, lastNs] = [-62_135_596_800_000_000_000n, 253_402_300_799_999_999_999n];

/** A time of so many nanoseconds, where there is one. */
export function timestampOf(ns: bigint): Timestamp | Fault {
  return ns >= firstNs && ns <= lastNs ? new Timestamp(ns) : new Fault('timestamp overflow');
}

export function formatTimestamp({ ns }: Timestamp): string {
  const [seconds, rest] = divide(ns, 1_000_000_000n);
  const text = new Date(Number(seconds) * 1000).toISOString().slice(0, 19);
  const fraction = rest === 0n ? '' : `.${rest.toString().padStart(9, '0').replace(/0+$/, '')}`;
  return `${text}${fraction}Z`;
}

const unitNs: Readonly<Record<string, bigint>> = {
  ...{ ns: 1n, us: 1000n, µs: 1000n, ms: 1_000_000n },
  ...{ s: 1_000_000_000n, m: 60_000_000_000n, h: 3_600_000_000_000n },
};

/** As Go writes durations; undefined for what is none, and for more than int64 holds. */
export function parseDuration(text: string): Duration | undefined {
  const match = /^([+-]?)((?:(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|ms|s|m|h))+|0)$/.exec(text);
  if (match === null) return undefined;
  const [, sign, parts = ''] = match;
  let ns = 0n;
  for (const [, whole = '', fraction = '', unit = ''] of parts.matchAll(
    /(\d*)(?:\.(\d*))?(ns|us|µs|ms|s|m|h)/g,
  )) {
    const one = unitNs[unit] ?? 0n;
    ns += BigInt(whole === '' ? 0 : whole) * one;
    if (fraction !== '') ns += (BigInt(fraction) * one) / 10n ** BigInt(fraction.length);
  }
  const signed = sign === '-' ? -ns : ns;
  return BigInt.asIntN(64, signed) === signed ? new Duration(signed) : undefined;
}

/** `5.5s`, as CEL writes it: in seconds. */
export function formatDuration({ ns }: Duration): string {
  const [seconds, rest] = [ns / 1_000_000_000n, ns % 1_000_000_000n];
  const digits = (rest < 0n ? -rest : rest).toString().padStart(9, '0').replace(/0+$/, '');
  const sign = ns < 0n && seconds === 0n ? '-' : '';
  return `${sign}${seconds}${digits === '' ? '' : `.${digits}`}s`;
}

/** Rounded down, with what is left. */
function divide(value: bigint, by: bigint): readonly [bigint, bigint] {
  const rest = ((value % by) + by) % by;
  return [(value - rest) / by, rest];
}
