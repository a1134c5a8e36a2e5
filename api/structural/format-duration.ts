const units: readonly (readonly string[])[] = [
  ['ns', 'nano'],
  ['us', 'µs', 'micro'],
  ['ms', 'milli'],
  ['s', 'sec'],
  ['m', 'min'],
  ['h', 'hr', 'hour'],
  ['d', 'day'],
  ['w', 'week'],
];

/** Characters of a text that is looked at. */
const textLengthMax = 1024;

/** Go's `1h30m`, or Scala's `22 ns`, `3 weeks` (strfmt.ParseDuration). */
export function isDuration(text: string): boolean {
  if (text.length > textLengthMax) return false;
  if (isGoDuration(text)) return true;
  const parts = [...text.matchAll(/(\d+)\s*([A-Za-zµ]+)/g)];
  return parts.some(([, , unit = '']) => isUnit(unit.toLowerCase()));
}

/** The last name of a unit may go on: `milliseconds`. */
function isUnit(unit: string): boolean {
  return units.some((names) => names.includes(unit) || unit.startsWith(names.at(-1) ?? ''));
}

/** `-1.5h`, `300ms`, `0` (Go's time.ParseDuration), within 2^63 ns. */
function isGoDuration(text: string): boolean {
  if (/^[+-]?0$/.test(text)) return true;
  if (!/^[+-]?((\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h))+$/.test(text)) return false;
  const seconds: Readonly<Record<string, number>> = { h: 3600, m: 60, s: 1, ms: 1e-3, ns: 1e-9 };
  let total = 0;
  for (const [, count = '', unit = ''] of text.matchAll(/([\d.]+)([a-zµμ]+)/g)) {
    total += Number(count) * (seconds[unit] ?? 1e-6);
  }
  return total < 2 ** 63 / 1e9;
}
