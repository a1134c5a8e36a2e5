import { kernelError } from '#native/sys/errno.ts';
import type { CgroupController, CgroupEvent, Cgroups, CgroupStats, MemoryEvents } from './cgroup.ts';
import { checkedCgroupPath } from './path.ts';
import { planCgroupWrites } from './resources.ts';

export interface FakeCgroups extends Cgroups {
  /** The contents that were written to files of a cgroup. */
  files(path: string): ReadonlyMap<string, string>;
  /** Ends a process, wherever it is. */
  endProcess(pid: number): void;
  /** Lets the memory of a cgroup run into its limit. */
  reportMemory(path: string, events: Partial<MemoryEvents>): void;
  /** Replaces part of the statistics of a cgroup. */
  setStats(path: string, stats: Partial<CgroupStats>): void;
}

interface FakeCgroup {
  readonly processes: Set<number>;
  readonly files: Map<string, string>;
  readonly enabled: Set<string>; // controllers that it hands down
  readonly watchers: Set<(event: CgroupEvent) => void>;
  memoryEvents: MemoryEvents;
  stats: Partial<CgroupStats>;
}

const noEvents: MemoryEvents = { oom: 0, oomKill: 0, max: 0, high: 0 };

const parentOf = (path: string): string => path.slice(0, Math.max(0, path.lastIndexOf('/')));

/** A tree in memory under `/fake`, with the controllers given (default: those that we write for). */
export function createFakeCgroups(
  options: { readonly controllers?: readonly CgroupController[] } = {},
): FakeCgroups {
  const tree = new FakeTree(options.controllers ?? ['cpu', 'hugetlb', 'io', 'memory', 'pids']);
  const kill = (path: string): void =>
    tree.changeProcesses(() => tree.below(path).forEach(([, cgroup]) => cgroup.processes.clear()));
  return {
    directory: (path) => (path === '' ? '/fake' : `/fake/${checkedCgroupPath(path)}`),
    available: async () => tree.available,
    ensure: async (path, wanted) => {
      tree.ensure(path, wanted);
      return { missing: tree.missing(path, wanted) };
    },
    apply: async (path, resources) => {
      const { files } = tree.find(path);
      const writes = planCgroupWrites(resources);
      const missing = tree.missing(
        path,
        writes.map((write) => write.controller),
      );
      for (const write of writes) if (!missing.includes(write.controller)) files.set(write.file, write.value);
      return { missing };
    },
    kill: async (path) => kill(path),
    remove: async (path) => {
      kill(path);
      tree.remove(path);
    },
    addProcess: async (path, pid) => tree.addProcess(path, pid),
    processes: async (path) => [...tree.find(path).processes].sort((a, b) => a - b),
    children: async (path) => tree.children(path),
    stats: async (path) => tree.stats(path),
    watch: async (path, onEvent) => {
      const { watchers, memoryEvents } = tree.find(path);
      watchers.add(onEvent);
      onEvent({ kind: 'populated', isPopulated: tree.isPopulated(path) });
      if (tree.hasController(path, 'memory')) onEvent({ kind: 'memory', events: memoryEvents });
      return { [Symbol.asyncDispose]: async () => void watchers.delete(onEvent) };
    },
    files: (path) => tree.find(path).files,
    endProcess: (pid) => tree.changeProcesses(() => tree.forget(pid)),
    reportMemory: (path, events) => {
      const cgroup = tree.find(path);
      cgroup.memoryEvents = { ...cgroup.memoryEvents, ...events };
      for (const tell of cgroup.watchers) tell({ kind: 'memory', events: cgroup.memoryEvents });
    },
    setStats: (path, stats) => {
      const cgroup = tree.find(path);
      cgroup.stats = { ...cgroup.stats, ...stats };
    },
  };
}

/** The kernel's rules: controllers are handed down level by level, and only by cgroups without processes of their own. */
class FakeTree {
  readonly available: readonly string[];
  readonly #cgroups = new Map<string, FakeCgroup>([['', makeCgroup()]]);

  constructor(available: readonly string[]) {
    this.available = available;
  }

  find(path: string): FakeCgroup {
    const found = this.#cgroups.get(checkedCgroupPath(path));
    if (found === undefined) throw kernelError(`find cgroup /fake/${path}`, 'ENOENT');
    return found;
  }

  hasController(path: string, controller: string): boolean {
    return path === ''
      ? this.available.includes(controller)
      : this.find(parentOf(path)).enabled.has(controller);
  }

  below(path: string): readonly (readonly [string, FakeCgroup])[] {
    const isBelow = (other: string): boolean => other === path || path === '' || other.startsWith(`${path}/`);
    return [...this.#cgroups].filter(([other]) => isBelow(other));
  }

  isPopulated(path: string): boolean {
    return this.below(path).some(([, cgroup]) => cgroup.processes.size > 0);
  }

  missing(path: string, wanted: readonly CgroupController[]): readonly CgroupController[] {
    this.find(path);
    return [...new Set(wanted)].filter((controller) => !this.hasController(path, controller)).sort();
  }

  ensure(path: string, wanted: readonly CgroupController[]): void {
    const parts = checkedCgroupPath(path)
      .split('/')
      .filter((part) => part !== '');
    parts.forEach((_, index) => {
      this.#enable(parts.slice(0, index).join('/'), wanted);
      const child = parts.slice(0, index + 1).join('/');
      if (!this.#cgroups.has(child)) this.#cgroups.set(child, makeCgroup());
    });
  }

  remove(path: string): void {
    for (const [other] of this.below(path)) this.#cgroups.delete(other);
  }

  addProcess(path: string, pid: number): void {
    const target = this.find(path);
    if (path !== '' && target.enabled.size > 0) throw kernelError(`move ${pid} to /fake/${path}`, 'EBUSY');
    this.changeProcesses(() => {
      this.forget(pid);
      target.processes.add(pid);
    });
  }

  forget(pid: number): void {
    for (const cgroup of this.#cgroups.values()) cgroup.processes.delete(pid);
  }

  /** Changes who lives where, then tells the watchers of each cgroup whose population changed. */
  changeProcesses(change: () => void): void {
    const before = new Map([...this.#cgroups.keys()].map((path) => [path, this.isPopulated(path)]));
    change();
    for (const [path, cgroup] of this.#cgroups) {
      const isPopulated = this.isPopulated(path);
      if (before.get(path) === isPopulated) continue;
      for (const tell of cgroup.watchers) tell({ kind: 'populated', isPopulated });
    }
  }

  children(path: string): readonly string[] {
    return [...this.#cgroups.keys()]
      .filter((other) => other !== '' && parentOf(other) === path)
      .map((other) => other.slice(other.lastIndexOf('/') + 1))
      .sort();
  }

  stats(path: string): CgroupStats | undefined {
    const cgroup = this.#cgroups.get(path);
    if (cgroup === undefined) return undefined;
    return {
      cpu: {
        ...{ usageUs: 0, userUs: 0, systemUs: 0 },
        ...{ throttledUs: undefined, throttledCount: undefined, periodCount: undefined },
      },
      memory: undefined,
      io: [],
      pressure: {},
      memoryEvents: this.hasController(path, 'memory') ? cgroup.memoryEvents : undefined,
      pidsCurrent: this.hasController(path, 'pids') ? cgroup.processes.size : undefined,
      ...cgroup.stats,
      isPopulated: this.isPopulated(path),
    };
  }

  #enable(path: string, wanted: readonly CgroupController[]): void {
    const cgroup = this.find(path);
    const lacking = wanted.filter((name) => this.hasController(path, name) && !cgroup.enabled.has(name));
    if (lacking.length > 0 && path !== '' && cgroup.processes.size > 0) {
      throw kernelError(`write to /fake/${path}/cgroup.subtree_control`, 'EBUSY');
    }
    for (const controller of lacking) cgroup.enabled.add(controller);
  }
}

function makeCgroup(): FakeCgroup {
  return {
    processes: new Set(),
    files: new Map(),
    enabled: new Set(),
    watchers: new Set(),
    memoryEvents: noEvents,
    stats: {},
  };
}
