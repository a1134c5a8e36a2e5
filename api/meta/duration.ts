import { PodwrightError } from '#base/errors.ts';

const unitMs: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};
const part = /(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)/y;

/** Milliseconds of a Go duration (`1h30m`, `250ms`, `-2s`). @throws {E_INVALID} */
export function parseDurationMs(text: string): number {
  const sign = text.startsWith('-') ? -1 : 1;
  const rest = text.replace(/^[+-]/, '');
  if (rest === '0') return 0;
  let sum = 0;
  let position = 0;
  while (position < rest.length) {
    part.lastIndex = position;
    const match = part.exec(rest);
    if (match === null) break;
    sum += Number(match[1]) * (unitMs[match[2] ?? ''] ?? 0);
    position = part.lastIndex;
  }
  if (position < rest.length && /^(\d+\.?\d*|\.\d+)/.test(rest.slice(position))) {
    const unit = /^[\d.]+([^\d.]*)/.exec(rest.slice(position))?.[1] ?? '';
    throw new PodwrightError(
      'E_INVALID',
      unit === ''
        ? `time: missing unit in duration ${JSON.stringify(text)}`
        : `time: unknown unit ${JSON.stringify(unit)} in duration ${JSON.stringify(text)}`,
    );
  }
  if (rest === '' || position < rest.length) {
    throw new PodwrightError('E_INVALID', `time: invalid duration ${JSON.stringify(text)}`);
  }
  return sign * sum;
}

/** Whole seconds as Go prints a duration: `2m0s`, `1h0m0s`, `0s`. */
export function formatDuration(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  const [h, m, s] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  return `${h > 0 ? `${h}h` : ''}${seconds >= 60 ? `${m}m` : ''}${s}s`;
}
