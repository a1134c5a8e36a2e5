import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import type { Clock } from '#base/clock.ts';
import { cpuSamples, encodeProfile, heapSamples, type StackProfile } from './pprof.ts';

/*
 * /debug/pprof, as Go's net/http/pprof serves it, of what a Node process can tell: where time goes, who allocates, and what keeps it
 * running. The inspector is loaded by the first who asks, and nothing is measured but while somebody waits for it.
 */
export interface ProfileAnswer {
  readonly status: number;
  readonly type: string;
  readonly body: Uint8Array;
  /** The name under which a browser saves it. */
  readonly fileName?: string;
}

export const profileRoot = '/debug/pprof';

/** Go's default; more would be cut off by the time that a request may take. */
const cpuSecondsDefault = 30;
const heapSecondsDefault = 5;
export const profileSecondsMax = 120;
/** How often V8 looks at the stack, as Go does. */
const cpuPeriodUs = 10_000;
/** One of so many bytes is looked at: V8's own default. */
const heapPeriodBytes = 32_768;

interface ProfileCall {
  readonly seconds: number;
  readonly clock: Clock;
  /** Aborts when the client has gone. */
  readonly signal: AbortSignal;
}

interface ProfileKind {
  readonly title: string;
  readonly secondsDefault: number;
  readonly take: (call: ProfileCall) => Promise<StackProfile>;
}

const kinds: Readonly<Record<string, ProfileKind>> = {
  profile: {
    title: 'CPU of the main thread during ?seconds=',
    secondsDefault: cpuSecondsDefault,
    take: takeCpu,
  },
  heap: {
    title: 'what was allocated during ?seconds= and is still there, by who did',
    secondsDefault: heapSecondsDefault,
    take: takeHeap,
  },
  goroutine: {
    title: 'what keeps the event loop running: sockets, timers, requests to the system',
    secondsDefault: 0,
    take: ({ clock }) => Promise.resolve(activeResources(process.getActiveResourcesInfo(), clock.now())),
  },
};

/** Undefined for a path that is none of these. */
export async function answerProfile(
  path: string,
  query: URLSearchParams,
  { clock, signal }: { readonly clock: Clock; readonly signal: AbortSignal },
): Promise<ProfileAnswer | undefined> {
  if (path === profileRoot || path === `${profileRoot}/`) return html(renderIndex());
  const name = path.startsWith(`${profileRoot}/`) ? path.slice(profileRoot.length + 1) : '';
  // Names are in the profile: there is nothing to look up.
  if (name === 'symbol') return plain(200, 'num_symbols: 0\n');
  const kind = Object.hasOwn(kinds, name) ? kinds[name] : undefined;
  if (kind === undefined) return undefined;
  const asked = query.get('seconds');
  const seconds = asked === null ? kind.secondsDefault : Number(asked);
  if (!(seconds >= 0 && seconds <= profileSecondsMax)) {
    return plain(400, `seconds: must be a number from 0 to ${profileSecondsMax}\n`);
  }
  if (isTaking) return plain(500, 'a profile is being taken already: try again when it is done\n');
  isTaking = true;
  try {
    const profile = await kind.take({ seconds, clock, signal });
    if (query.get('debug') === '1' && name === 'goroutine') return plain(200, renderCounts(profile));
    const body = await promisify(gzip)(encodeProfile(profile));
    return { status: 200, type: 'application/octet-stream', body, fileName: name };
  } finally {
    isTaking = false;
  }
}

/** V8 takes one of a kind at a time, and two of two kinds would measure each other. */
let isTaking = false;

async function takeCpu({ seconds, clock, signal }: ProfileCall): Promise<StackProfile> {
  const { Session } = await import('node:inspector/promises');
  const session = new Session();
  session.connect();
  try {
    await session.post('Profiler.enable');
    await session.post('Profiler.setSamplingInterval', { interval: cpuPeriodUs });
    await session.post('Profiler.start');
    const startMs = clock.now();
    await clock.sleep(seconds * 1000, signal);
    const { profile } = await session.post('Profiler.stop');
    return {
      units: [
        ['samples', 'count'],
        ['cpu', 'nanoseconds'],
      ],
      period: { unit: ['cpu', 'nanoseconds'], value: cpuPeriodUs * 1000 },
      startMs,
      durationMs: clock.now() - startMs,
      samples: cpuSamples(profile),
    };
  } finally {
    session.disconnect();
  }
}

async function takeHeap({ seconds, clock, signal }: ProfileCall): Promise<StackProfile> {
  const { Session } = await import('node:inspector/promises');
  const session = new Session();
  session.connect();
  try {
    await session.post('HeapProfiler.enable');
    await session.post('HeapProfiler.startSampling', { samplingInterval: heapPeriodBytes });
    const startMs = clock.now();
    await clock.sleep(seconds * 1000, signal);
    const { profile } = await session.post('HeapProfiler.stopSampling');
    return {
      units: [['inuse_space', 'bytes']],
      period: { unit: ['space', 'bytes'], value: heapPeriodBytes },
      startMs,
      durationMs: clock.now() - startMs,
      samples: heapSamples(profile),
    };
  } finally {
    session.disconnect();
  }
}

/** One frame for each kind of thing, as often as there are. Pure. */
export function activeResources(names: readonly string[], nowMs: number): StackProfile {
  const samples = [...Map.groupBy(names, (name) => name)].map(([name, same]) => ({
    stack: [{ functionName: name, url: '', lineNumber: -1 }],
    values: [same.length],
  }));
  return {
    units: [['goroutine', 'count']],
    period: { unit: ['goroutine', 'count'], value: 1 },
    startMs: nowMs,
    durationMs: 0,
    samples,
  };
}

/** Of a profile of counts, the most frequent first. */
function renderCounts({ samples }: StackProfile): string {
  const total = samples.reduce((sum, { values: [count = 0] }) => sum + count, 0);
  const lines = samples
    .toSorted(({ values: [a = 0] }, { values: [b = 0] }) => b - a)
    .map(({ stack, values: [count = 0] }) => `${count} @ ${stack[0]?.functionName ?? ''}\n`);
  return `goroutine profile: total ${total}\n${lines.join('')}`;
}

function renderIndex(): string {
  const rows = Object.entries(kinds).map(
    ([name, { title }]) => `<tr><td><a href="${name}?debug=1">${name}</a></td><td>${title}</td></tr>\n`,
  );
  return `<html><head><title>${profileRoot}/</title></head><body>\n${profileRoot}/<br>\nRead them by <code>go tool pprof</code>.\n<table>\n${rows.join('')}</table></body></html>\n`;
}

function html(text: string): ProfileAnswer {
  return { status: 200, type: 'text/html; charset=utf-8', body: Buffer.from(text) };
}

function plain(status: number, text: string): ProfileAnswer {
  return { status, type: 'text/plain; charset=utf-8', body: Buffer.from(text) };
}
