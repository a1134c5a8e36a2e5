/** Formatters by zone; there are some 600 names. */
const formatters = new Map<string, Intl.DateTimeFormat>();

/** What is wrong with the name of a time zone, in kube-apiserver's words; undefined: it is one of the IANA database. */
export function timeZoneError(name: string): string | undefined {
  if (name === '') return 'timeZone must be nil or non-empty string';
  if (name.toLowerCase() === 'local') {
    return 'timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones';
  }
  // Intl takes offsets (`+01`) too.
  const isName =
    /^[A-Za-z]/.test(name) && name.split('/').every((part) => /^(?![-.])[\w.+-]{1,14}$/.test(part));
  return isName && isAsWritten(name) ? undefined : `unknown time zone ${name}`;
}

/** How far the clocks of a zone are ahead of UTC at `atMs` (milliseconds since the epoch), in milliseconds. @throws RangeError for no zone */
export function offsetMs(zone: string, atMs: number): number {
  if (zone === 'UTC') return 0;
  const parts = new Map(
    formatterOf(zone)
      .formatToParts(atMs)
      .map(({ type, value }) => [type, Number(value)]),
  );
  const of = (type: Intl.DateTimeFormatPartTypes): number => parts.get(type) ?? 0;
  const wallMs = Date.UTC(of('year'), of('month') - 1, of('day'), of('hour'), of('minute'), of('second'));
  return wallMs - Math.floor(atMs / 1000) * 1000;
}

/** RFC 3339 by the clocks of a zone: `2026-01-01T09:00:00+09:00`, with `Z` for UTC. */
export function formatZonedTime(zone: string, atMs: number): string {
  const offset = offsetMs(zone, atMs);
  const text = new Date(atMs + offset).toISOString().slice(0, 19);
  if (offset === 0) return `${text}Z`;
  const minutes = Math.abs(Math.round(offset / 60_000));
  const two = (value: number): string => String(value).padStart(2, '0');
  return `${text}${offset < 0 ? '-' : '+'}${two(Math.floor(minutes / 60))}:${two(minutes % 60)}`;
}

function formatterOf(zone: string): Intl.DateTimeFormat {
  const known = formatters.get(zone);
  if (known !== undefined) return known;
  const formatter = new Intl.DateTimeFormat('en-US-u-ca-gregory-nu-latn', {
    timeZone: zone,
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  });
  formatters.set(zone, formatter);
  return formatter;
}

/** Zones are files to Go, whose names have one case; here a name of any case is one, and is told as it is written. */
function isAsWritten(zone: string): boolean {
  try {
    return new Temporal.ZonedDateTime(0n, zone).timeZoneId === zone;
  } catch (error) {
    if (error instanceof RangeError) return false;
    throw error;
  }
}
