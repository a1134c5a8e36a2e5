const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;
const year = 365 * day;

/** A duration as kubectl shows it: the two largest units while that matters (apimachinery duration.HumanDuration). */
export function formatAge(ms: number): string {
  if (ms < -second) return '<invalid>';
  if (ms < 0) return '0s';
  const parts = (unitMs: number, unit: string, restMs?: number, restUnit?: string): string => {
    const whole = `${Math.floor(ms / unitMs)}${unit}`;
    const rest = restMs === undefined ? 0 : Math.floor((ms % unitMs) / restMs);
    return rest === 0 ? whole : `${whole}${rest}${restUnit}`;
  };
  if (ms < 2 * minute) return parts(second, 's');
  if (ms < 10 * minute) return parts(minute, 'm', second, 's');
  if (ms < 3 * hour) return parts(minute, 'm');
  if (ms < 8 * hour) return parts(hour, 'h', minute, 'm');
  if (ms < 2 * day) return parts(hour, 'h');
  if (ms < 8 * day) return parts(day, 'd', hour, 'h');
  if (ms < 2 * year) return parts(day, 'd');
  if (ms < 8 * year) return parts(year, 'y', day, 'd');
  return parts(year, 'y');
}

/** The age of a timestamp at `nowMs`, or `<unknown>` when there is none. */
export function ageOf(timestamp: unknown, nowMs: number): string {
  const since = typeof timestamp === 'string' ? Date.parse(timestamp) : Number.NaN;
  return Number.isNaN(since) ? '<unknown>' : formatAge(nowMs - since);
}
