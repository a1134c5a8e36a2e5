import type { Clock } from './clock.ts';
import type { Logger } from './log.ts';

type Fields = Readonly<Record<string, unknown>>;
type Level = 'warn' | 'error';

/** Bounds of what is said. */
export interface QuietLogLimits {
  /** What was said is said again no sooner than this, with how often it was meant; twice as long each time, up to the maximum. */
  readonly againMs: number;
  readonly againMaxMs: number;
  /** Different complaints in a burst, and how many more a second. */
  readonly burst: number;
  readonly perSecond: number;
  /** Complaints that are remembered; of the others each is said. */
  readonly knownMax: number;
}

const defaultLimits: QuietLogLimits = {
  againMs: 60_000,
  againMaxMs: 3_600_000,
  burst: 200,
  perSecond: 20,
  knownMax: 1_000,
};

interface Known {
  fields: Fields;
  repeated: number;
  againMs: number;
  timer: Disposable;
}

/**
 * A log on which what fails again and again is said once, and then counted: `repeated` is how often it was meant since the line
 * before. Two complaints are the same whose level, message and fields are, numbers (waits, counts, codes) aside. Of a flood of
 * different ones the rest is counted, too. Info and debug pass.
 */
export function quietLogger(sink: Logger, clock: Clock, limits: QuietLogLimits = defaultLimits): Logger {
  const shared = { clock, limits, known: new Map<string, Known>(), budget: createBudget(clock, limits) };
  return wrap(sink, '', shared);
}

interface Shared {
  readonly clock: Clock;
  readonly limits: QuietLogLimits;
  readonly known: Map<string, Known>;
  readonly budget: Budget;
}

function wrap(sink: Logger, prefix: string, shared: Shared): Logger {
  const complain =
    (level: Level) =>
    (fields: Fields, message: string): void => {
      const key = `${prefix}${level} ${message} ${sameness(fields)}`;
      const entry = shared.known.get(key);
      if (entry !== undefined) {
        entry.repeated += 1;
        entry.fields = fields;
        return;
      }
      if (!shared.budget.take()) return;
      const lost = shared.budget.takeLost();
      if (lost > 0) sink.warn({ lines: lost }, 'complaints left out, too many at once');
      sink[level](fields, message);
      remember(key, fields, (latest) => sink[level](latest, message), shared);
    };
  return {
    error: complain('error'),
    warn: complain('warn'),
    info: (fields, message) => sink.info(fields, message),
    debug: (fields, message) => sink.debug(fields, message),
    child: (fields) => wrap(sink.child(fields), `${prefix}${sameness(fields)} `, shared),
  };
}

function remember(key: string, fields: Fields, say: (fields: Fields) => void, shared: Shared): void {
  const { clock, limits, known } = shared;
  if (known.size >= limits.knownMax) return;
  const look = (): void => {
    if (entry.repeated === 0) {
      known.delete(key);
      return;
    }
    say({ ...entry.fields, repeated: entry.repeated });
    entry.repeated = 0;
    entry.againMs = Math.min(entry.againMs * 2, limits.againMaxMs);
    entry.timer = clock.after(entry.againMs, look);
  };
  const { againMs } = limits;
  const entry: Known = { fields, repeated: 0, againMs, timer: clock.after(againMs, look) };
  known.set(key, entry);
}

function sameness(fields: Fields): string {
  return JSON.stringify(fields, (_key, value: unknown) => {
    if (typeof value === 'number' || typeof value === 'bigint') return undefined;
    return value instanceof Error ? value.message : value;
  });
}

interface Budget {
  take(): boolean;
  /** How many were refused since the last asking. */
  takeLost(): number;
}

function createBudget(clock: Clock, { burst, perSecond }: QuietLogLimits): Budget {
  let tokens = burst;
  let atMs = clock.monotonic();
  let lost = 0;
  return {
    take: () => {
      const nowMs = clock.monotonic();
      tokens = Math.min(burst, tokens + ((nowMs - atMs) / 1000) * perSecond);
      atMs = nowMs;
      if (tokens < 1) {
        lost += 1;
        return false;
      }
      tokens -= 1;
      return true;
    },
    takeLost: () => {
      const count = lost;
      lost = 0;
      return count;
    },
  };
}
