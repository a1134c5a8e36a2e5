import { PodwrightError } from '#base/errors.ts';

const rfc3339 = /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$/;

/** Milliseconds since the epoch of an RFC 3339 time. @throws {E_INVALID} with Go's text */
export function parseTime(text: string): number {
  const ms = rfc3339.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(ms)) {
    const quoted = JSON.stringify(text);
    throw new PodwrightError(
      'E_INVALID',
      `parsing time ${quoted} as "2006-01-02T15:04:05Z07:00": cannot parse ${quoted} as "2006"`,
    );
  }
  return ms;
}

/** What four digits of a year can say: a grace of 2^53 s from now ends at the end of it, as one without end would. */
const [writtenMsMin, writtenMsMax] = [-62_167_219_200_000, 253_402_300_799_999];

function isoTime(ms: number): string {
  return new Date(Math.min(Math.max(ms, writtenMsMin), writtenMsMax)).toISOString();
}

/** What was written last: a server writes the same second many times. */
const latest = { second: Number.NaN, text: '' };

/** meta.v1.Time: UTC, whole seconds (`2026-11-20T08:49:56Z`). */
export function formatTime(ms: number): string {
  const second = Math.floor(ms / 1000);
  if (second !== latest.second) {
    latest.text = `${isoTime(ms).slice(0, 19)}Z`;
    latest.second = second;
  }
  return latest.text;
}

/** meta.v1.MicroTime: UTC, six decimals; `text` (what `ms` was parsed from) gives the digits below a millisecond. */
export function formatMicroTime(ms: number, text = ''): string {
  const below = (/\.(\d+)/.exec(text)?.[1] ?? '').slice(3, 6).padEnd(3, '0');
  return `${isoTime(ms).slice(0, 23)}${below}Z`;
}
