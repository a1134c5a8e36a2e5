import { describe, expect, it } from 'vitest';
import { latestTime, nextTime } from './next-time.ts';
import { parseSchedule, type CronSchedule } from './schedule.ts';
import { formatZonedTime, offsetMs, timeZoneError } from './time-zone.ts';

function scheduleOf(text: string): CronSchedule {
  const schedule = parseSchedule(text);
  return schedule.kind === 'invalid' ? expect.unreachable(schedule.message) : schedule;
}

describe('parseSchedule()', () => {
  it.each([
    ['', 'empty spec string'],
    ['* * * *', 'expected exactly 5 fields, found 4: [* * * *]'],
    ['60 * * * *', 'end of range (60) above maximum (59): 60'],
    ['* * 0 * *', 'beginning of range (0) below minimum (1): 0'],
    ['* * * * 7', 'end of range (7) above maximum (6): 7'],
    ['5-1 * * * *', 'beginning of range (5) beyond end of range (1): 5-1'],
    ['*/0 * * * *', 'step of range should be a positive number: */0'],
    ['1-2-3 * * * *', 'too many hyphens: 1-2-3'],
    ['1/2/3 * * * *', 'too many slashes: 1/2/3'],
    ['x * * * *', 'failed to parse int from x: strconv.Atoi: parsing "x": invalid syntax'],
    ['@never', 'unrecognized descriptor: @never'],
    ['@every soon', 'failed to parse duration @every soon: time: invalid duration "soon"'],
  ])('refuses %s', (text, message) => {
    expect(parseSchedule(text)).toEqual({ kind: 'invalid', message });
  });

  it.each([
    ['0 9-17/4 * * *', { minutesOfDay: [540, 780, 1020] }],
    ['50/5 0 * * *', { minutesOfDay: [50, 55] }],
    ['0,30 0 * * *', { minutesOfDay: [0, 30] }],
    ['0 0 * JAN-mar sun,6', { months: new Set([1, 2, 3]), weekdays: new Set([0, 6]), isEitherDay: false }],
    ['0 0 1 * 1', { isEitherDay: true }],
    ['0 0 */2 * 1', { isEitherDay: true }],
    ['0 0 ? * 1', { isEitherDay: false }],
    ['@hourly', { minutesOfDay: Array.from({ length: 24 }, (_, hour) => hour * 60) }],
    ['@every 1h30m', { everyMs: 5_400_000 }],
    ['@every 1ms', { everyMs: 1000 }],
  ])('reads %s', (text, want) => {
    expect(parseSchedule(text)).toMatchObject(want);
  });
});

describe('nextTime()', () => {
  it.each([
    ['* * * * *', 'UTC', '2026-01-01T00:00:00Z', '2026-01-01T00:01:00Z'],
    ['0 0 1 1 *', 'UTC', '2026-01-01T00:00:00Z', '2027-01-01T00:00:00Z'],
    ['0 0 29 2 *', 'UTC', '2025-01-01T00:00:00Z', '2028-02-29T00:00:00Z'],
    ['0 0 30 2 *', 'UTC', '2025-01-01T00:00:00Z', undefined],
    ['0 0 13 * 5', 'UTC', '2026-01-01T00:00:00Z', '2026-01-02T00:00:00Z'],
    ['0 9 * * *', 'Asia/Tokyo', '2026-01-01T00:00:00Z', '2026-01-02T00:00:00Z'],
    ['0 9 * * *', 'America/New_York', '2026-07-01T00:00:00Z', '2026-07-01T13:00:00Z'],
    // The clocks go from 2:00 to 3:00: there is no 2:30 on that day.
    ['30 2 * * *', 'Europe/Berlin', '2026-03-28T12:00:00Z', '2026-03-30T00:30:00Z'],
    ['0 * * * *', 'Europe/Berlin', '2026-03-29T00:00:00Z', '2026-03-29T01:00:00Z'],
    // The clocks go from 3:00 back to 2:00: 2:30 comes twice.
    ['30 2 * * *', 'Europe/Berlin', '2026-10-24T12:00:00Z', '2026-10-25T00:30:00Z'],
    ['30 2 * * *', 'Europe/Berlin', '2026-10-25T00:30:00Z', '2026-10-25T01:30:00Z'],
    ['@every 90s', 'UTC', '2026-01-01T00:00:00Z', '2026-01-01T00:01:30Z'],
  ])('%s in %s after %s', (text, zone, after, want) => {
    const next = nextTime(scheduleOf(text), zone, Date.parse(after));
    expect(next === undefined ? undefined : formatZonedTime('UTC', next)).toBe(want);
  });

  it('agrees with looking at every minute', () => {
    const seed = Math.floor(Math.random() * 2 ** 31);
    const random = mulberry(seed);
    const pick = <T>(list: readonly [T, ...T[]]): T => list[Math.floor(random() * list.length)] ?? list[0];
    for (let round = 0; round < 150; round++) {
      const zone = pick([
        'UTC',
        'Europe/Berlin',
        'America/New_York',
        'Australia/Lord_Howe',
        'Asia/Kathmandu',
        'America/Sao_Paulo',
      ]);
      const text = [
        pick(['*', '*/7', '0', '30', '15,45', '59']),
        pick(['*', '*/5', '0', '2', '1-3', '23']),
        pick(['*', '*', '1', '25-31', '*/2', '29']),
        pick(['*', '*', '*', '3', '10', 'mar-apr']),
        pick(['*', '*', '0', 'mon-fri', '6']),
      ].join(' ');
      // Around the days on which clocks change, half of the time.
      const base = pick([
        Date.UTC(2026, 2, 28),
        Date.UTC(2026, 9, 24),
        Date.UTC(2026, 3, 4),
        Date.UTC(2026, 10, 1),
      ]);
      const afterMs = base + Math.floor(random() * (random() < 0.5 ? 3 : 100) * 86_400_000);
      const untilMs = afterMs + 4 * 86_400_000;
      const next = nextTime(scheduleOf(text), zone, afterMs) ?? Infinity;
      const all = everyMatch(text, zone, { afterMs, untilMs });
      const hint = `seed ${seed}: ${text} in ${zone} after ${new Date(afterMs).toISOString()}`;
      expect(next <= untilMs ? next : undefined, hint).toBe(all[0]);
      expect(latestTime(scheduleOf(text), zone, { afterMs, untilMs }), hint).toBe(all.at(-1));
    }
  });
});

describe('latestTime()', () => {
  it('counts @every from the start', () => {
    expect(latestTime(scheduleOf('@every 10s'), 'UTC', { afterMs: 1000, untilMs: 35_500 })).toBe(31_000);
    expect(latestTime(scheduleOf('@every 10s'), 'UTC', { afterMs: 1000, untilMs: 10_999 })).toBeUndefined();
  });
});

describe('time zones', () => {
  it.each([
    ['Europe/Berlin', undefined],
    ['Etc/UTC', undefined],
    ['', 'timeZone must be nil or non-empty string'],
    ['local', 'timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones'],
    ['Mars/Base', 'unknown time zone Mars/Base'],
    ['+01', 'unknown time zone +01'],
    ['../etc', 'unknown time zone ../etc'],
    ['europe/berlin', 'unknown time zone europe/berlin'],
    ['utc', 'unknown time zone utc'],
    ['US/Eastern', undefined],
    ['Etc/GMT+1', undefined],
    ['America/Port-au-Prince', undefined],
  ])('timeZoneError(%j)', (name, want) => {
    expect(timeZoneError(name)).toBe(want);
  });

  it('formats by the clocks of the zone', () => {
    const atMs = Date.UTC(2026, 0, 1);
    expect(formatZonedTime('America/St_Johns', atMs)).toBe('2025-12-31T20:30:00-03:30');
    expect(formatZonedTime('Asia/Kathmandu', atMs)).toBe('2026-01-01T05:45:00+05:45');
  });
});

/** What parseSchedule() does, by other means: minute by minute. */
function everyMatch(
  text: string,
  zone: string,
  { afterMs, untilMs }: { readonly afterMs: number; readonly untilMs: number },
): readonly number[] {
  const parts = text.split(' ');
  const found: number[] = [];
  const startMs = Math.floor(afterMs / 60_000) * 60_000 + 60_000;
  let offset = 0;
  for (let atMs = startMs; atMs <= untilMs; atMs += 60_000) {
    // Clocks change at quarters of an hour only.
    if (atMs === startMs || atMs % 900_000 === 0) offset = offsetMs(zone, atMs);
    const wall = new Date(atMs + offset);
    const [minute, hour] = [wall.getUTCMinutes(), wall.getUTCHours()];
    const [day, month, weekday] = [wall.getUTCDate(), wall.getUTCMonth() + 1, wall.getUTCDay()];
    const isDay = matches(parts[2], day, 1);
    const isWeekday = matches(parts[4], weekday, 0);
    const isDue = parts[2] === '*' || parts[4] === '*' ? isDay && isWeekday : isDay || isWeekday;
    if (isDue && matches(parts[0], minute, 0) && matches(parts[1], hour, 0) && matches(parts[3], month, 1)) {
      found.push(atMs);
    }
  }
  return found;
}

function matches(field = '', value: number, min: number): boolean {
  const names: Readonly<Record<string, string>> = { 'mar-apr': '3-4', 'mon-fri': '1-5' };
  return (names[field] ?? field).split(',').some((part) => {
    if (part === '*') return true;
    if (part.startsWith('*/')) return (value - min) % Number(part.slice(2)) === 0;
    const [low, high = low] = part.split('-').map(Number);
    return low !== undefined && high !== undefined && value >= low && value <= high;
  });
}

function mulberry(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
