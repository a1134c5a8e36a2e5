import { isPodwrightError } from '#base/errors.ts';
import { parseDurationMs } from '#api/meta/duration.ts';

/** When something is due, to the minute, by the clock of some time zone; or always after the same time. */
export type CronSchedule = CronFields | { readonly kind: 'every'; readonly everyMs: number };

/** Five fields of which each names the values that match. */
export interface CronFields {
  readonly kind: 'fields';
  /** Minutes of the day, ascending: hours and minutes at once. */
  readonly minutesOfDay: readonly number[];
  /** 1 to 31 */
  readonly days: ReadonlySet<number>;
  /** 1 to 12 */
  readonly months: ReadonlySet<number>;
  /** 0 (Sunday) to 6 */
  readonly weekdays: ReadonlySet<number>;
  /** Days of the month and of the week are both named: either will do. With one of them `*` the other decides. */
  readonly isEitherDay: boolean;
}

export interface InvalidSchedule {
  readonly kind: 'invalid';
  /** In the words of github.com/robfig/cron, which kube-apiserver shows. */
  readonly message: string;
}

interface Range {
  readonly min: number;
  readonly max: number;
  readonly names?: readonly string[];
}

interface Field {
  readonly values: ReadonlySet<number>;
  readonly isStar: boolean;
}

const monthNames = 'jan feb mar apr may jun jul aug sep oct nov dec'.split(' ');
const weekdayNames = 'sun mon tue wed thu fri sat'.split(' ');
const ranges: readonly Range[] = [
  { min: 0, max: 59 },
  { min: 0, max: 23 },
  { min: 1, max: 31 },
  { min: 1, max: 12, names: monthNames },
  { min: 0, max: 6, names: weekdayNames },
];

const macros: Readonly<Record<string, string>> = {
  '@yearly': '0 0 1 1 *',
  '@annually': '0 0 1 1 *',
  '@monthly': '0 0 1 * *',
  '@weekly': '0 0 * * 0',
  '@daily': '0 0 * * *',
  '@midnight': '0 0 * * *',
  '@hourly': '0 * * * *',
};

/**
 * A schedule of a CronJob (batch/v1 CronJobSpec.schedule): minute, hour, day of month, month, day of week; each `*` or `?`, or a list
 * of values, names and ranges (`a-b`), any of them with a step (`a-b/n`). Or a macro: `@hourly`, `@every 90m`.
 */
export function parseSchedule(text: string): CronSchedule | InvalidSchedule {
  try {
    if (text === '') throw new ScheduleError('empty spec string');
    return text.startsWith('@') ? parseMacro(text) : parseFields(text);
  } catch (error) {
    if (error instanceof ScheduleError) return { kind: 'invalid', message: error.message };
    throw error;
  }
}

class ScheduleError extends Error {}

function parseMacro(text: string): CronSchedule {
  const fields = macros[text];
  if (fields !== undefined) return parseFields(fields);
  const every = '@every ';
  if (!text.startsWith(every)) throw new ScheduleError(`unrecognized descriptor: ${text}`);
  try {
    const seconds = Math.floor(parseDurationMs(text.slice(every.length)) / 1000);
    return { kind: 'every', everyMs: Math.max(1, seconds) * 1000 };
  } catch (error) {
    if (!isPodwrightError(error, 'E_INVALID')) throw error;
    throw new ScheduleError(`failed to parse duration ${text}: ${error.message}`);
  }
}

function parseFields(text: string): CronFields {
  const parts = text.trim().split(/\s+/);
  if (parts.length !== ranges.length) {
    throw new ScheduleError(`expected exactly 5 fields, found ${parts.length}: [${parts.join(' ')}]`);
  }
  const fields = parts.map((part, index) => parseField(part, ranges[index] ?? { min: 0, max: 0 }));
  const [minutes, hours, days, months, weekdays] = fields;
  if (minutes === undefined || hours === undefined || days === undefined) throw new ScheduleError(text);
  if (months === undefined || weekdays === undefined) throw new ScheduleError(text);
  const minutesOfDay = [...hours.values].flatMap((hour) =>
    [...minutes.values].map((minute) => hour * 60 + minute),
  );
  return {
    kind: 'fields',
    minutesOfDay: minutesOfDay.toSorted((a, b) => a - b),
    days: days.values,
    months: months.values,
    weekdays: weekdays.values,
    isEitherDay: !days.isStar && !weekdays.isStar,
  };
}

function parseField(text: string, range: Range): Field {
  const values = new Set<number>();
  let isStar = false;
  for (const part of text.split(',').filter((one) => one !== '')) {
    const { start, end, step, isAll } = parseRange(part, range);
    for (let value = start; value <= end; value += step) values.add(value);
    isStar ||= isAll;
  }
  return { values, isStar };
}

function parseRange(part: string, range: Range) {
  const [limits = '', step = '1', ...slashes] = part.split('/');
  const [first = '', last, ...hyphens] = limits.split('-');
  if (hyphens.length > 0) throw new ScheduleError(`too many hyphens: ${part}`);
  if (slashes.length > 0) throw new ScheduleError(`too many slashes: ${part}`);
  const isWild = (first === '*' || first === '?') && last === undefined;
  const start = isWild ? range.min : parseValue(first, range);
  const isOpen = isWild || (last === undefined && part.includes('/')); // `5/10`: from 5 on.
  const end = isOpen ? range.max : last === undefined ? start : parseValue(last, range);
  const by = parseValue(step, { min: 0, max: 0 });
  if (start < range.min)
    throw new ScheduleError(`beginning of range (${start}) below minimum (${range.min}): ${part}`);
  if (end > range.max) throw new ScheduleError(`end of range (${end}) above maximum (${range.max}): ${part}`);
  if (start > end)
    throw new ScheduleError(`beginning of range (${start}) beyond end of range (${end}): ${part}`);
  if (by === 0) throw new ScheduleError(`step of range should be a positive number: ${part}`);
  return { start, end, step: by, isAll: isWild && by === 1 };
}

function parseValue(text: string, { names = [], min }: Range): number {
  const named = names.indexOf(text.toLowerCase());
  if (named >= 0) return named + min;
  if (/^[+]?\d{1,9}$/.test(text)) return Number(text);
  const quoted = JSON.stringify(text);
  throw new ScheduleError(
    `failed to parse int from ${text}: strconv.Atoi: parsing ${quoted}: invalid syntax`,
  );
}
