import { mkdirSync } from 'node:fs';
import { mkdir, readFile, realpath } from 'node:fs/promises';
import { Socket } from 'node:net';
import { errnoOf, isPodwrightError, PodwrightError } from '#base/errors.ts';
import type { DeviceFilter } from '#native/bpf/device-filter.ts';
import { allDeviceRules } from '#native/bpf/device-rules.ts';
import type { Cgroups } from '#native/cgroup/cgroup.ts';
import type { Mounts } from '#native/mount/mount.ts';
import type { MountInfo } from '#native/mount/mountinfo.ts';
import { AF_INET, AF_INET6, SOCK_CLOEXEC, SOCK_STREAM } from '#native/sys/constants.ts';
import { checked } from '#native/sys/errno.ts';
import { OwnedFd } from '#native/sys/fd.ts';
import { socket } from '#native/sys/libc.ts';
import { withNetns } from '#native/sys/namespace.ts';
import { controllersFor, kernelResources } from './cgroup-resources.ts';
import { listHostDevices } from './host-devices.ts';
import type { CgroupResources } from './runtime.ts';
import type { RuntimeSystem } from './system.ts';
import type { MeasuredUsage } from './runtime.ts';

export interface LinuxSystemPorts {
  /** Undefined: this host has no cgroup v2. Everything runs, nothing is limited. */
  readonly cgroups: Cgroups | undefined;
  readonly mounts: Mounts;
  readonly devices: DeviceFilter;
}

const removeTimeoutMs = 5_000;
const pageBytes = 4096;

/** RuntimeSystem over the kernel ports. */
export function createLinuxSystem({ cgroups, mounts, devices }: LinuxSystemPorts): RuntimeSystem {
  let refusal: Promise<string | undefined> | undefined;
  const deviceRefusal = (): Promise<string | undefined> => (refusal ??= probeDevices(cgroups, devices));
  return {
    deviceRefusal,
    filterDevices: async (path, rules) => {
      if (cgroups === undefined || (await deviceRefusal()) !== undefined) return;
      devices.apply(cgroups.directory(path), rules);
    },
    hostDevices: () => listHostDevices('/dev'),
    ensureCgroup: async (path, resources) => {
      if (cgroups === undefined) return { path: undefined, missing: limitedControllers(resources) };
      await cgroups.ensure(path, controllersFor(resources));
      const { missing } = await cgroups.apply(path, kernelResources(resources));
      return { path: cgroups.directory(path), missing };
    },
    cgroupDirectory: (path) => cgroups?.directory(path),
    killCgroup: async (path) => cgroups?.kill(path),
    removeCgroup: async (path) => cgroups?.remove(path, removeTimeoutMs),
    cgroupUsage: async (path) => (cgroups === undefined ? undefined : usageOf(cgroups, path)),
    oomKills: async (path) => (await cgroups?.stats(path))?.memoryEvents?.oomKill ?? 0,
    mountSharedMemory: async (path, sizeBytes) => {
      const isNew = mkdirSync(path, { recursive: true }) !== undefined; // On a tmpfs.
      // Hundreds of mounts are many to read through for each pod, and a new directory is none of them.
      if (!isNew && mounts.list().some((mount) => mount.target === path)) return;
      mounts.mount(path, { kind: 'tmpfs', sizeBytes, mode: 0o1777 }, ['nosuid', 'nodev', 'noexec']);
    },
    mountImage: async (path, lower) => {
      await mkdir(path, { recursive: true, mode: 0o755 });
      // overlayfs takes two layers at least, where none is written to.
      const below = `${path}.below`;
      await mkdir(below, { recursive: true, mode: 0o755 });
      mounts.mount(path, { kind: 'overlay', lower: [...lower, below] }, ['ro', 'nosuid', 'nodev']);
    },
    unmount: async (path) => void mounts.unmount(path),
    unsharedMount: async (path) => unsharedMountOf(mounts.list(), await realpath(path)),
    connect: connectLoopback,
  };
}

/** A cgroup that no pod has: below the tree's root, as those of pods. */
const probeCgroup = 'device-probe';

async function probeDevices(
  cgroups: Cgroups | undefined,
  devices: DeviceFilter,
): Promise<string | undefined> {
  if (cgroups === undefined) return 'no cgroup v2';
  await cgroups.ensure(probeCgroup, []);
  try {
    devices.apply(cgroups.directory(probeCgroup), allDeviceRules);
    return undefined;
  } catch (error) {
    if (isPodwrightError(error, 'E_UNSUPPORTED')) return error.message;
    throw error;
  } finally {
    await cgroups.remove(probeCgroup, removeTimeoutMs);
  }
}

/** The last one of the longest prefix: it covers those before it. Pure. */
export function unsharedMountOf(list: readonly MountInfo[], path: string): string | undefined {
  let found: MountInfo | undefined;
  for (const mount of list) {
    const isAbove = mount.target === '/' || path === mount.target || path.startsWith(`${mount.target}/`);
    if (isAbove && mount.target.length >= (found?.target.length ?? 0)) found = mount;
  }
  const isShared = found?.propagation.some((word) => word.startsWith('shared:')) ?? false;
  return isShared ? undefined : (found?.target ?? '/');
}

function limitedControllers(resources: CgroupResources): readonly string[] {
  const { cpuWeight, cpuQuotaUs, memoryMaxBytes, pidsMax, unified = {} } = resources;
  return [
    ...(cpuWeight === undefined && cpuQuotaUs === undefined ? [] : ['cpu']),
    ...(memoryMaxBytes === undefined ? [] : ['memory']),
    ...(pidsMax === undefined ? [] : ['pids']),
    ...Object.keys(unified).map((file) => file.split('.', 1)[0] ?? file),
  ];
}

async function usageOf(cgroups: Cgroups, path: string): Promise<MeasuredUsage | undefined> {
  const stats = await cgroups.stats(path);
  if (stats === undefined) return undefined;
  const pids = await cgroups.processes(path).catch(() => []);
  // Without the memory controller, what the processes hold: shared pages count for each of them.
  const memoryBytes = stats.memory?.currentBytes ?? (await residentBytes(pids));
  return {
    cpuUsageNanoseconds: (stats.cpu?.usageUs ?? 0) * 1000,
    memoryBytes,
    workingSetBytes: stats.memory?.workingSetBytes ?? memoryBytes,
    rssBytes: stats.memory?.anonBytes ?? memoryBytes,
    pageFaults: stats.memory?.pageFaults ?? 0,
    majorPageFaults: stats.memory?.majorPageFaults ?? 0,
    processes: pids.length,
    stats,
  };
}

async function residentBytes(pids: readonly number[]): Promise<number> {
  let pages = 0;
  for (const pid of pids) {
    // size resident shared … (proc_pid_statm(5)); a process that has just ended counts nothing.
    const statm = await readFile(`/proc/${pid}/statm`, 'utf8').catch(() => '0 0');
    pages += Number(statm.split(' ')[1] ?? 0);
  }
  return pages * pageBytes;
}

/** 127.0.0.1, or ::1 where nobody listens there: a server may be of one family only. */
async function connectLoopback(netnsPath: string | undefined, port: number): Promise<Socket> {
  try {
    return await connectInside(netnsPath, { family: AF_INET, host: '127.0.0.1', port });
  } catch (refused) {
    const other = { family: AF_INET6, host: '::1', port };
    return await connectInside(netnsPath, other).catch(() => Promise.reject(refused));
  }
}

/** A socket belongs to the namespace that it was made in, wherever it is connected from. Each direction of it ends by itself. */
async function connectInside(
  netnsPath: string | undefined,
  { family, host, port }: { readonly family: number; readonly host: string; readonly port: number },
): Promise<Socket> {
  const attempt = `connect to ${host}:${port} in ${netnsPath ?? "the host's network"}`;
  const make = (): OwnedFd => new OwnedFd(checked(socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0), attempt));
  const fd = netnsPath === undefined ? make() : withNetns(netnsPath, make);
  const { promise, resolve, reject } = Promise.withResolvers<Socket>();
  const connection = new Socket({ fd: fd.takeFd(), readable: true, writable: true, allowHalfOpen: true });
  connection.once('connect', () => resolve(connection));
  connection.once('error', (cause) => {
    reject(new PodwrightError('E_CONNECTION', `${attempt}: ${errnoOf(cause) ?? cause.message}`, { cause }));
  });
  connection.connect({ host, port });
  return promise;
}
