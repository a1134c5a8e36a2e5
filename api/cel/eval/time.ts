import { Duration, Timestamp } from './values.ts';

const rfc3339 = /^(\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d)(?:\.(\d{1,9})\d*)?([Zz]|[+-]\d\d:\d\d)$/;
const dateOnly = /^\d{4}-\d\d-\d\d$/;

/** RFC 3339, or a date alone (a schema's `format: date`); undefined for what is none. */
export function parseTimestamp(text: string): Timestamp | undefined {
  const given = dateOnly.test(text) ? `${text}T00:00:00Z` : text;
  const match = rfc3339.exec(given);
  if (match === null) return undefined;
  const [, seconds = '', fraction = '', zone = ''] = match;
  const ms = Date.parse(`${seconds.toUpperCase()}${zone.toUpperCase()}`);
  if (Number.isNaN(ms)) return undefined;
  return new Timestamp(BigInt(ms) * 1_000_000n + BigInt(fraction.padEnd(9, '0')));
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
