import { existsSync, mkdirSync, readFileSync, watch, writeFileSync } from 'node:fs';
import { readdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { type Clock, systemClock } from '#base/clock.ts';
import { errnoOf, isPodwrightError, PodwrightError } from '#base/errors.ts';
import { fromNodeError } from '#native/sys/errno.ts';
import { checkedCgroupPath } from './path.ts';
import type {
  CgroupController,
  CgroupEvent,
  CgroupReport,
  CgroupResources,
  Cgroups,
  CgroupStats,
} from './cgroup.ts';
import { parseIsPopulated, parseMemoryEvents, parseStats, parseWords } from './parse.ts';
import { planCgroupWrites } from './resources.ts';

/** Between looks at a cgroup that is to become empty. The kernel also notifies, but a rmdir can be refused a little longer. */
const emptyPollMs = 5;

/**
 * The port over a directory of a cgroup2 mount, which must exist; it is never removed itself.
 *
 * Making a cgroup is on the way of every pod and container, and synchronous: its files are the kernel's memory, a call takes
 * ten to fifty microseconds, and the eighty that a pod took through libuv's pool took milliseconds. What may wait for
 * processes or for memory to be reclaimed is asynchronous.
 */
export function createCgroups(root: string, options: { readonly clock?: Clock } = {}): Cgroups {
  const clock = options.clock ?? systemClock;
  const directory = (path: string): string => join(root, checkedCgroupPath(path));
  const tree: Tree = { root, handedDown: new Map(), fresh: new Map() };
  return {
    directory,
    available: async () => readControllers(root),
    ensure: async (path, controllers) => ensureCgroup(tree, directory(path), controllers),
    apply: (path, resources) => applyResources(tree, directory(path), resources),
    kill: (path) => killCgroup(directory(path)),
    remove: (path, timeoutMs) => {
      forget(tree, directory(path));
      return removeCgroup(directory(path), clock, timeoutMs);
    },
    addProcess: (path, pid) => writeCgroupFile(directory(path), 'cgroup.procs', String(pid)),
    processes: async (path) => {
      const text = await readCgroupFile(directory(path), 'cgroup.procs');
      return parseWords(text).map(Number);
    },
    children: (path) => listChildren(directory(path)),
    stats: (path) => readStats(directory(path)),
    watch: (path, onEvent) => watchCgroup(directory(path), onEvent),
  };
}

async function readCgroupFile(directory: string, file: string): Promise<string> {
  const path = join(directory, file);
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw fromNodeError(error, `read ${path}`);
  }
}

/** undefined when the file is not there: no such controller, or the cgroup is gone (ENODEV while it goes). */
async function readIfThere(directory: string, file: string): Promise<string | undefined> {
  try {
    return await readFile(join(directory, file), 'utf8');
  } catch (error) {
    if (['ENOENT', 'ENODEV', 'EOPNOTSUPP'].includes(errnoOf(error) ?? '')) return undefined;
    throw fromNodeError(error, `read ${join(directory, file)}`);
  }
}

// Without O_CREAT: on a cgroup file that is not there it would say EACCES for what is ENOENT.
const writing = { flag: 'r+' } as const;

async function writeCgroupFile(directory: string, file: string, value: string): Promise<void> {
  try {
    await writeFile(join(directory, file), value, writing);
  } catch (error) {
    throw writeError(error, { directory, file, value });
  }
}

function writeNow(directory: string, file: string, value: string): void {
  try {
    writeFileSync(join(directory, file), value, writing);
  } catch (error) {
    throw writeError(error, { directory, file, value });
  }
}

function writeError(
  error: unknown,
  { directory, file, value }: { readonly directory: string; readonly file: string; readonly value: string },
): unknown {
  const why = whyRefused(directory, file, errnoOf(error));
  return fromNodeError(error, `write ${value} to ${join(directory, file)}`, why);
}

function whyRefused(directory: string, file: string, errno: string | undefined): string | undefined {
  const [controller] = file.split('.');
  if (errno === 'ENOENT' && controller !== 'cgroup') {
    return `controller ${controller} not enabled in ${dirname(directory)}/cgroup.subtree_control`;
  }
  if (errno === 'EBUSY' && file === 'cgroup.subtree_control') {
    return `processes live in ${directory}; only a cgroup without any can hand controllers down`;
  }
  if (errno === 'EBUSY' && file === 'cgroup.procs')
    return 'it hands controllers down, so it can hold no process';
  return undefined;
}

function readControllers(directory: string, file = 'cgroup.controllers'): readonly string[] {
  const path = join(directory, file);
  try {
    return parseWords(readFileSync(path, 'utf8'));
  } catch (error) {
    throw fromNodeError(error, `read ${path}`);
  }
}

interface Tree {
  readonly root: string;
  /** By directory that `ensure` made children in: what they were asked to have, and what they got. */
  readonly handedDown: Map<string, HandedDown>;
  /** What those were given that `ensure` made itself and that hand nothing down yet: nothing has to be read of them. */
  readonly fresh: Map<string, ReadonlySet<string>>;
}

interface HandedDown {
  readonly wanted: ReadonlySet<CgroupController>;
  readonly given: ReadonlySet<string>;
}

function forget({ handedDown, fresh }: Tree, directory: string): void {
  for (const known of [handedDown, fresh]) {
    known.delete(directory);
    for (const path of known.keys()) if (path.startsWith(`${directory}/`)) known.delete(path);
  }
}

function ensureCgroup(tree: Tree, directory: string, wanted: readonly CgroupController[]): CgroupReport {
  const known = directory === tree.root ? undefined : knownAbove(tree, directory, wanted);
  if (known !== undefined) {
    // Remembered of the parent, which may be gone meanwhile.
    if (makeDirectory(tree, directory, known)) return reportOf(wanted, known);
    forget(tree, tree.root);
  }
  let here = tree.root;
  let given: ReadonlySet<string> = new Set(directory === here ? readControllers(here) : []);
  for (const name of relative(tree.root, directory).split('/')) {
    if (name === '') continue;
    given = handDown(tree, here, wanted);
    here = join(here, name);
    if (makeDirectory(tree, here, given)) continue;
    throw new PodwrightError('E_NOT_FOUND', `create cgroup ${here}: its parent is gone`);
  }
  return reportOf(wanted, given);
}

/** What a child of the parent is given, without a look at those above it. */
function knownAbove(
  tree: Tree,
  directory: string,
  wanted: readonly CgroupController[],
): ReadonlySet<string> | undefined {
  const parent = dirname(directory);
  const known = tree.handedDown.get(parent);
  if (known !== undefined && wanted.every((controller) => known.wanted.has(controller))) return known.given;
  const own = tree.fresh.get(parent);
  if (own === undefined) return undefined;
  const lacking = wanted.filter((controller) => own.has(controller));
  try {
    return enable(tree, { directory: parent, enabled: [], lacking, wanted });
  } catch (error) {
    if (isPodwrightError(error, 'E_NOT_FOUND')) return undefined; // It is gone: made anew from above.
    throw error;
  }
}

function reportOf(wanted: readonly CgroupController[], given: ReadonlySet<string>): CgroupReport {
  return { missing: [...new Set(wanted)].filter((controller) => !given.has(controller)).sort() };
}

/** False when there is no parent. */
function makeDirectory(tree: Tree, path: string, given: ReadonlySet<string>): boolean {
  try {
    mkdirSync(path);
    tree.handedDown.delete(path); // An earlier one of this name handed down what this one does not yet.
    tree.fresh.set(path, given);
    return true;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false;
    if (errnoOf(error) !== 'EEXIST') throw fromNodeError(error, `create cgroup ${path}`);
    return true;
  }
}

/** Enables what children are to have and is there to be had; gives what they then have. */
function handDown(tree: Tree, directory: string, wanted: readonly CgroupController[]): ReadonlySet<string> {
  const here = readControllers(directory);
  const enabled = readControllers(directory, 'cgroup.subtree_control');
  const lacking = wanted.filter((controller) => here.includes(controller) && !enabled.includes(controller));
  return enable(tree, { directory, enabled, lacking, wanted });
}

function enable(
  tree: Tree,
  what: {
    readonly directory: string;
    readonly enabled: readonly string[];
    readonly lacking: readonly CgroupController[];
    readonly wanted: readonly CgroupController[];
  },
): ReadonlySet<string> {
  const { directory, enabled, lacking, wanted } = what;
  if (lacking.length > 0) {
    writeNow(directory, 'cgroup.subtree_control', lacking.map((name) => `+${name}`).join(' '));
  }
  const given = new Set([...enabled, ...lacking]);
  tree.fresh.delete(directory);
  tree.handedDown.set(directory, { wanted: new Set(wanted), given });
  return given;
}

async function applyResources(
  tree: Tree,
  directory: string,
  resources: CgroupResources,
): Promise<CgroupReport> {
  const writes = planCgroupWrites(resources);
  if (writes.length === 0) return { missing: [] };
  const controllers = writes.map((write) => write.controller);
  const given = tree.fresh.get(directory) ?? new Set(readControllers(directory));
  const { missing } = reportOf(controllers, given);
  for (const { controller, file, value, isOptional } of writes) {
    if (missing.includes(controller)) continue;
    if (isOptional === true && !existsSync(join(directory, file))) continue;
    // A limit below what is in use makes the writer reclaim, however long that takes.
    if (controller === 'memory') await writeCgroupFile(directory, file, value);
    else writeNow(directory, file, value);
  }
  return { missing };
}

async function killCgroup(directory: string): Promise<void> {
  try {
    await writeCgroupFile(directory, 'cgroup.kill', '1'); // Since 5.14.
  } catch (error) {
    if (!['ENOENT', 'ENODEV'].includes(errnoOf(error) ?? '')) throw error;
  }
}

/** Nearly all are empty by then, and go at the first try; what lives in one, or below it, is killed. */
async function removeCgroup(directory: string, clock: Clock, timeoutMs: number): Promise<void> {
  if (!existsSync(directory) || (await removeEmpty(directory))) return;
  const deadline = clock.monotonic() + timeoutMs;
  await killCgroup(directory);
  for (;;) {
    if (await removeTree(directory)) return;
    if (clock.monotonic() >= deadline) {
      const left = await readIfThere(directory, 'cgroup.procs');
      throw new PodwrightError(
        'E_TIMEOUT',
        `remove cgroup ${directory}: still in use after ${timeoutMs} ms`,
        {
          detail: { pids: parseWords(left ?? '').map(Number) },
        },
      );
    }
    await clock.sleep(emptyPollMs);
  }
}

/** Removes from the leaves up; false when something still lives in it. */
async function removeTree(directory: string): Promise<boolean> {
  for (const child of await listChildren(directory)) {
    if (!(await removeTree(join(directory, child)))) return false;
  }
  return removeEmpty(directory);
}

/** False when there is something in it. */
async function removeEmpty(directory: string): Promise<boolean> {
  try {
    await rmdir(directory);
    return true;
  } catch (error) {
    const errno = errnoOf(error) ?? '';
    if (errno === 'ENOENT') return true;
    if (errno === 'EBUSY' || errno === 'ENOTEMPTY') return false;
    throw fromNodeError(error, `remove cgroup ${directory}`);
  }
}

async function listChildren(directory: string): Promise<readonly string[]> {
  try {
    const entries = await readdir(directory, { withFileTypes: true });
    return entries
      .filter((entry) => entry.isDirectory())
      .map((entry) => entry.name)
      .sort();
  } catch (error) {
    if (['ENOENT', 'ENODEV'].includes(errnoOf(error) ?? '')) return [];
    throw fromNodeError(error, `list cgroup ${directory}`);
  }
}

async function readStats(directory: string): Promise<CgroupStats | undefined> {
  const files = [
    'cgroup.events',
    'cpu.stat',
    'memory.current',
    'memory.stat',
    'memory.events',
    'memory.swap.current',
    'pids.current',
    'io.stat',
    ...['cpu.pressure', 'memory.pressure', 'io.pressure'],
  ];
  const texts = await Promise.all(files.map((file) => readIfThere(directory, file)));
  const [
    events,
    cpuStat,
    memoryCurrent,
    memoryStat,
    memoryEvents,
    memorySwap,
    pidsCurrent,
    ioStat,
    ...stalls
  ] = texts;
  const [cpuPressure, memoryPressure, ioPressure] = stalls;
  if (events === undefined) return undefined;
  const memory = { memoryCurrent, memoryStat, memoryEvents, memorySwap };
  const pressure = { cpuPressure, memoryPressure, ioPressure };
  return parseStats({ events, cpuStat, ...memory, pidsCurrent, ioStat, ...pressure });
}

const eventFiles = [
  {
    file: 'cgroup.events',
    toEvent: (text: string): CgroupEvent => ({ kind: 'populated', isPopulated: parseIsPopulated(text) }),
  },
  {
    file: 'memory.events',
    toEvent: (text: string): CgroupEvent => ({ kind: 'memory', events: parseMemoryEvents(text) }),
  },
] as const;

/** The kernel marks both files modified when a value in them changes, which inotify reports. */
async function watchCgroup(
  directory: string,
  onEvent: (event: CgroupEvent) => void,
): Promise<AsyncDisposable> {
  await readCgroupFile(directory, 'cgroup.events');
  let isOpen = true;
  const watchers: Disposable[] = [];
  for (const { file, toEvent } of eventFiles) {
    let last: string | undefined;
    const look = async (): Promise<void> => {
      const text = await readIfThere(directory, file);
      if (!isOpen || text === undefined || text === last) return;
      last = text;
      onEvent(toEvent(text));
    };
    if ((await readIfThere(directory, file)) === undefined) continue;
    // Watching comes before the first look, so that nothing falls between the two.
    const watcher = watch(join(directory, file), { persistent: false }, () => void look());
    watcher.on('error', () => {}); // The cgroup was removed under the watch: nothing more will come.
    watchers.push({ [Symbol.dispose]: () => watcher.close() });
    await look();
  }
  return {
    [Symbol.asyncDispose]: async () => {
      isOpen = false;
      for (const watcher of watchers) watcher[Symbol.dispose]();
    },
  };
}
