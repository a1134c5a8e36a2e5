/** cgroup v2 files as values. Pure. */
import type { MountInfo } from '#native/mount/mountinfo.ts';
import type { CgroupIo, CgroupStats, MemoryEvents, Pressure, StallTimes } from './cgroup.ts';

/** Words separated by white space: cgroup.controllers, cgroup.procs. */
export function parseWords(text: string): readonly string[] {
  return text.split(/\s+/).filter((word) => word !== '');
}

/** A flat keyed file (`populated 1`); lines that are not `key number` are passed over. */
export function parseFlatKeyed(text: string): ReadonlyMap<string, number> {
  const values = new Map<string, number>();
  for (const line of text.split('\n')) {
    const match = /^(\S+) (\d+)$/.exec(line);
    if (match?.[1] !== undefined) values.set(match[1], Number(match[2]));
  }
  return values;
}

/** memory.events */
export function parseMemoryEvents(text: string): MemoryEvents {
  const values = parseFlatKeyed(text);
  return {
    oom: values.get('oom') ?? 0,
    oomKill: values.get('oom_kill') ?? 0,
    max: values.get('max') ?? 0,
    high: values.get('high') ?? 0,
  };
}

/** cgroup.events: whether any process is in it or below. */
export function parseIsPopulated(text: string): boolean {
  return parseFlatKeyed(text).get('populated') === 1;
}

/** The texts that stats are made of; undefined where the file does not exist. */
export interface StatTexts {
  readonly cpuStat: string | undefined;
  readonly memoryCurrent: string | undefined;
  readonly memoryStat: string | undefined;
  readonly memorySwap: string | undefined;
  readonly memoryEvents: string | undefined;
  readonly pidsCurrent: string | undefined;
  readonly ioStat: string | undefined;
  readonly cpuPressure?: string | undefined;
  readonly memoryPressure?: string | undefined;
  readonly ioPressure?: string | undefined;
  readonly events: string;
}

export function parseStats(texts: StatTexts): CgroupStats {
  return {
    cpu: parseCpu(texts.cpuStat),
    memory: parseMemory(texts),
    memoryEvents: texts.memoryEvents === undefined ? undefined : parseMemoryEvents(texts.memoryEvents),
    pidsCurrent: texts.pidsCurrent === undefined ? undefined : Number(texts.pidsCurrent),
    io: parseIo(texts.ioStat ?? ''),
    pressure: parsePressures(texts),
    isPopulated: parseIsPopulated(texts.events),
  };
}

/** cpu.stat is there without the controller; the throttling lines only with it. */
function parseCpu(text: string | undefined): CgroupStats['cpu'] {
  if (text === undefined) return undefined;
  const values = parseFlatKeyed(text);
  return {
    usageUs: values.get('usage_usec') ?? 0,
    userUs: values.get('user_usec') ?? 0,
    systemUs: values.get('system_usec') ?? 0,
    throttledUs: values.get('throttled_usec'),
    throttledCount: values.get('nr_throttled'),
    periodCount: values.get('nr_periods'),
  };
}

function parseMemory({
  memoryCurrent: current,
  memoryStat: stat,
  memorySwap: swap,
}: StatTexts): CgroupStats['memory'] {
  if (current === undefined || stat === undefined) return undefined;
  const currentBytes = Number(current);
  const values = parseFlatKeyed(stat);
  return {
    currentBytes,
    workingSetBytes: Math.max(0, currentBytes - (values.get('inactive_file') ?? 0)),
    anonBytes: values.get('anon') ?? 0,
    fileBytes: values.get('file') ?? 0,
    mappedBytes: values.get('file_mapped') ?? 0,
    swapBytes: Number(swap ?? 0),
    pageFaults: values.get('pgfault') ?? 0,
    majorPageFaults: values.get('pgmajfault') ?? 0,
  };
}

function parsePressures({ cpuPressure, memoryPressure, ioPressure }: StatTexts): CgroupStats['pressure'] {
  const [cpu, memory, io] = [cpuPressure, memoryPressure, ioPressure].map((text) =>
    parsePressure(text ?? ''),
  );
  return {
    ...(cpu === undefined ? {} : { cpu }),
    ...(memory === undefined ? {} : { memory }),
    ...(io === undefined ? {} : { io }),
  };
}

/** `some avg10=0.00 avg60=0.00 avg300=0.00 total=0`, and the same of `full`; undefined for anything else. */
export function parsePressure(text: string): Pressure | undefined {
  const times = (name: string): StallTimes | undefined => {
    const line = text.split('\n').find((each) => each.startsWith(`${name} `));
    if (line === undefined) return undefined;
    const of = (key: string): number => Number(new RegExp(` ${key}=([0-9.]+)`).exec(line)?.[1] ?? 0);
    return { totalUs: of('total'), avg10: of('avg10'), avg60: of('avg60'), avg300: of('avg300') };
  };
  const some = times('some');
  return some === undefined ? undefined : { some, full: times('full') };
}

/** Lines of io.stat: `8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6`. */
function parseIo(text: string): readonly CgroupIo[] {
  return text.split('\n').flatMap((line) => {
    const [device = '', ...pairs] = parseWords(line);
    if (!/^\d+:\d+$/.test(device)) return [];
    const of = (name: string): number =>
      Number(pairs.find((pair) => pair.startsWith(`${name}=`))?.slice(name.length + 1) ?? 0);
    return [
      { device, readBytes: of('rbytes'), writtenBytes: of('wbytes'), reads: of('rios'), writes: of('wios') },
    ];
  });
}

/** Where a cgroup2 hierarchy is mounted, the topmost such mount last in the file; undefined on a v1-only host. */
export function findCgroup2Mount(mounts: readonly MountInfo[]): string | undefined {
  const found = mounts.filter((mount) => mount.type === 'cgroup2');
  // A mount of the whole hierarchy, rather than of a part of it.
  return (found.findLast((mount) => mount.root === '/') ?? found.at(-1))?.target;
}

/** The v2 line of /proc/<pid>/cgroup (`0::/path`), relative to the reader's cgroup namespace. */
export function parseOwnCgroup(text: string): string | undefined {
  return /^0::(.*)$/m.exec(text)?.[1];
}
