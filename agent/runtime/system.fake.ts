import { cp, mkdir } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { PodwrightError } from '#base/errors.ts';
import type { DeviceRule } from '#native/bpf/device-rules.ts';
import type { ContainerLaunch } from '#native/launch/launch.ts';
import type { CgroupResources } from './runtime.ts';
import type { RuntimeSystem } from './system.ts';
import type { CgroupUsage } from './runtime.ts';

/** Cgroups, mounts and sockets as sets of names; `left()` says what was not given back. */
export class FakeSystem implements RuntimeSystem {
  readonly cgroups: Map<string, CgroupResources> = new Map();
  readonly mounts: Set<string> = new Set();
  readonly killed: string[] = [];
  /** oom_kill counters, by cgroup. */
  readonly ooms: Map<string, number> = new Map();
  /** What cgroups' processes may open. */
  readonly devices: Map<string, readonly DeviceRule[]> = new Map();
  /** Why this host filters no devices. */
  refusal: string | undefined;
  /** The mount of every path, where it is not shared. */
  unshared: string | undefined;
  /** The next call of this name fails. */
  failNext: string | undefined;
  /** Called before each call that acts; what it throws is that call's failure. */
  onStep: ((name: string) => void) | undefined;
  onKill: ((path: string) => void) | undefined;

  left(): readonly string[] {
    return [...this.cgroups.keys(), ...this.mounts];
  }

  async ensureCgroup(
    path: string,
    resources: CgroupResources,
  ): Promise<{ readonly path: string; readonly missing: readonly string[] }> {
    this.#step('ensureCgroup');
    this.cgroups.set(path, resources);
    return { path: this.cgroupDirectory(path), missing: [] };
  }

  async deviceRefusal(): Promise<string | undefined> {
    return this.refusal;
  }

  async filterDevices(path: string, rules: readonly DeviceRule[]): Promise<void> {
    this.#step('filterDevices');
    if (!this.cgroups.has(path)) throw new PodwrightError('E_NOT_FOUND', `open ${path}: ENOENT`);
    if (this.refusal === undefined) this.devices.set(path, rules);
  }

  async hostDevices(): Promise<ContainerLaunch['devices']> {
    return [{ path: '/dev/fuse', type: 'c', major: 10, minor: 229, mode: 0o666 }];
  }

  cgroupDirectory(path: string): string {
    return `/sys/fs/cgroup/${path}`;
  }

  async killCgroup(path: string): Promise<void> {
    this.#step('killCgroup');
    this.killed.push(path);
    this.onKill?.(path);
  }

  async removeCgroup(path: string): Promise<void> {
    this.#step('removeCgroup');
    for (const each of this.cgroups.keys()) {
      if (each === path || each.startsWith(`${path}/`)) this.cgroups.delete(each);
    }
  }

  async cgroupUsage(path: string): Promise<CgroupUsage | undefined> {
    if (!this.cgroups.has(path)) return undefined;
    const memory = { memoryBytes: 4096, workingSetBytes: 4096, rssBytes: 1024 };
    return { cpuUsageNanoseconds: 1_000_000, ...memory, pageFaults: 3, majorPageFaults: 1, processes: 1 };
  }

  async oomKills(path: string): Promise<number> {
    return this.ooms.get(path) ?? 0;
  }

  async mountSharedMemory(path: string, _sizeBytes: number): Promise<void> {
    this.#step('mountSharedMemory');
    await mkdir(path, { recursive: true });
    this.mounts.add(path);
  }

  /** A copy, so that its files can be looked at. */
  async mountImage(path: string, lower: readonly string[]): Promise<void> {
    this.#step('mountImage');
    await mkdir(path, { recursive: true });
    for (const layer of lower.toReversed())
      await cp(layer, path, { recursive: true, verbatimSymlinks: true });
    this.mounts.add(path);
  }

  async unmount(path: string): Promise<void> {
    this.#step('unmount');
    this.mounts.delete(path);
  }

  async unsharedMount(_path: string): Promise<string | undefined> {
    return this.unshared;
  }

  async connect(_netnsPath: string | undefined, port: number): Promise<Socket> {
    throw new PodwrightError('E_CONNECTION', `connect to port ${port}: ECONNREFUSED`);
  }

  #step(name: string): void {
    this.onStep?.(name);
    if (this.failNext !== name) return;
    this.failNext = undefined;
    throw new PodwrightError('E_KERNEL', `${name}: EIO`, { detail: { errno: 'EIO' } });
  }
}
