import { watch } from 'node:fs';
import { mkdir, readdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { type Clock, systemClock } from '#base/clock.ts';
import { errnoOf, PodwrightError } from '#base/errors.ts';
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

/** The port over a directory of a cgroup2 mount, which must exist; it is never removed itself. */
export function createCgroups(root: string, options: { readonly clock?: Clock } = {}): Cgroups {
  const clock = options.clock ?? systemClock;
  const directory = (path: string): string => join(root, checkedCgroupPath(path));
  return {
    directory,
    available: () => readControllers(root),
    ensure: (path, controllers) => ensureCgroup(root, directory(path), controllers),
    apply: (path, resources) => applyResources(directory(path), resources),
    kill: (path) => killCgroup(directory(path)),
    remove: (path, timeoutMs) => removeCgroup(directory(path), clock, timeoutMs),
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

async function writeCgroupFile(directory: string, file: string, value: string): Promise<void> {
  const path = join(directory, file);
  try {
    // Without O_CREAT: on a cgroup file that is not there it would say EACCES for what is ENOENT.
    await writeFile(path, value, { flag: 'r+' });
  } catch (error) {
    throw fromNodeError(error, `write ${value} to ${path}`, whyRefused(directory, file, errnoOf(error)));
  }
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

async function readControllers(directory: string): Promise<readonly string[]> {
  return parseWords(await readCgroupFile(directory, 'cgroup.controllers'));
}

async function ensureCgroup(
  root: string,
  directory: string,
  wanted: readonly CgroupController[],
): Promise<CgroupReport> {
  let parent = root;
  for (const name of relative(root, directory)
    .split('/')
    .filter((part) => part !== '')) {
    await enableControllers(parent, wanted);
    parent = join(parent, name);
    await makeDirectory(parent);
  }
  return { missing: await missingControllers(directory, wanted) };
}

async function makeDirectory(path: string): Promise<void> {
  try {
    await mkdir(path);
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw fromNodeError(error, `create cgroup ${path}`);
  }
}

async function enableControllers(directory: string, wanted: readonly CgroupController[]): Promise<void> {
  const here = await readControllers(directory);
  const enabled = parseWords(await readCgroupFile(directory, 'cgroup.subtree_control'));
  const lacking = wanted.filter((controller) => here.includes(controller) && !enabled.includes(controller));
  if (lacking.length === 0) return;
  await writeCgroupFile(directory, 'cgroup.subtree_control', lacking.map((name) => `+${name}`).join(' '));
}

async function missingControllers(
  directory: string,
  wanted: readonly CgroupController[],
): Promise<readonly CgroupController[]> {
  const here = await readControllers(directory);
  return [...new Set(wanted)].filter((controller) => !here.includes(controller)).sort();
}

async function applyResources(directory: string, resources: CgroupResources): Promise<CgroupReport> {
  const writes = planCgroupWrites(resources);
  const missing = await missingControllers(
    directory,
    writes.map((write) => write.controller),
  );
  for (const write of writes) {
    if (!missing.includes(write.controller)) await writeCgroupFile(directory, write.file, write.value);
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

async function removeCgroup(directory: string, clock: Clock, timeoutMs: number): Promise<void> {
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
    'pids.current',
  ];
  const [events, cpuStat, memoryCurrent, memoryStat, memoryEvents, pidsCurrent] = await Promise.all(
    files.map((file) => readIfThere(directory, file)),
  );
  if (events === undefined) return undefined;
  return parseStats({ events, cpuStat, memoryCurrent, memoryStat, memoryEvents, pidsCurrent });
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
