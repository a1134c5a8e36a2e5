import type { CronFields, CronSchedule } from './schedule.ts';
import { offsetMs } from './time-zone.ts';

const minuteMs = 60_000;
const dayMs = 86_400_000;
/** How far upstream looks ahead. What matches at all does within that time, but for 29 February around 2100. */
const yearsMax = 5;

/**
 * The first time after `afterMs` that the schedule names, in milliseconds since the epoch; undefined: there is none. A time that the
 * clocks skip is skipped; one that they show twice comes twice. Pure but for the time zones that the runtime knows.
 */
export function nextTime(schedule: CronSchedule, zone: string, afterMs: number): number | undefined {
  if (schedule.kind === 'every') return Math.floor(afterMs / 1000) * 1000 + schedule.everyMs;
  if (schedule.minutesOfDay.length === 0) return undefined;
  const firstDay = startOfDay(afterMs + offsetMs(zone, afterMs));
  // The clocks may go back over midnight: the day before may come again.
  for (let day = firstDay - dayMs; day < firstDay + yearsMax * 366 * dayMs; day += dayMs) {
    if (!isDue(schedule, day)) continue;
    const found = nextOnDay(schedule, { zone, day, afterMs });
    if (found !== undefined) return found;
  }
  return undefined;
}

/** The last time after `afterMs` and not after `untilMs`; undefined: there is none. */
export function latestTime(
  schedule: CronSchedule,
  zone: string,
  { afterMs, untilMs }: { readonly afterMs: number; readonly untilMs: number },
): number | undefined {
  const isReached = (fromMs: number): boolean => (nextTime(schedule, zone, fromMs) ?? Infinity) <= untilMs;
  if (!isReached(afterMs)) return undefined;
  if (schedule.kind === 'every') {
    const startMs = Math.floor(afterMs / 1000) * 1000;
    return startMs + Math.floor((untilMs - startMs) / schedule.everyMs) * schedule.everyMs;
  }
  // Times are whole minutes, so the last minute from which one is reached is the one before it.
  let low = Math.floor(afterMs / minuteMs);
  let high = Math.floor(untilMs / minuteMs) + 1;
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (isReached(middle * minuteMs)) low = middle;
    else high = middle;
  }
  return nextTime(schedule, zone, Math.max(afterMs, low * minuteMs));
}

/** `day`: midnight of a date, as if it were in UTC. */
function isDue({ days, months, weekdays, isEitherDay }: CronFields, day: number): boolean {
  const date = new Date(day);
  if (!months.has(date.getUTCMonth() + 1)) return false;
  const isDay = days.has(date.getUTCDate());
  const isWeekday = weekdays.has(date.getUTCDay());
  return isEitherDay ? isDay || isWeekday : isDay && isWeekday;
}

function nextOnDay(
  { minutesOfDay }: CronFields,
  { zone, day, afterMs }: { readonly zone: string; readonly day: number; readonly afterMs: number },
): number | undefined {
  // The offsets that the day may have: those before and after it, wherever on the globe it is.
  const offsets = new Set(
    [day - dayMs, day + dayMs / 2, day + 2 * dayMs].map((atMs) => offsetMs(zone, atMs)),
  );
  let first: number | undefined;
  for (const offset of offsets) {
    for (const minute of minutesOfDay) {
      const atMs = day + minute * minuteMs - offset;
      if (atMs <= afterMs) continue;
      if (first !== undefined && atMs >= first) break;
      if (offsets.size === 1 || offsetMs(zone, atMs) === offset) {
        first = atMs;
        break;
      }
    }
  }
  return first;
}

function startOfDay(ms: number): number {
  return Math.floor(ms / dayMs) * dayMs;
}
