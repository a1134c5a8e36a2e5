/**
 * What the runtime does to the machine besides launching and networking: cgroups, the pod's shared memory, sockets in a
 * pod's network namespace. Small, so that tests can fail each step.
 */
import type { Socket } from 'node:net';
import type { DeviceRule } from '#native/bpf/device-rules.ts';
import type { ContainerLaunch } from '#native/launch/launch.ts';
import type { CgroupResources, MeasuredUsage } from './runtime.ts';

export interface RuntimeSystem {
  /**
   * Makes a cgroup below the node's root (`kubepods/burstable/podX/c`) and sets its limits. Gives its absolute path, or
   * undefined where this host has no cgroup v2; limits whose controller is missing are named, not fatal.
   */
  ensureCgroup(
    path: string,
    resources: CgroupResources,
  ): Promise<{ readonly path: string | undefined; readonly missing: readonly string[] }>;
  /** Why devices cannot be filtered on this host, in words; undefined where they can. Asked of the kernel once. */
  deviceRefusal(): Promise<string | undefined>;
  /**
   * From now on processes of the cgroup, which is there, open only these devices. Safe to repeat; nothing where there is a refusal.
   * @throws E_NOT_FOUND, E_UNSUPPORTED
   */
  filterDevices(path: string, rules: readonly DeviceRule[]): Promise<void>;
  /** The devices of the host's /dev, but those of terminals and those that every container has of its own. */
  hostDevices(): Promise<ContainerLaunch['devices']>;
  /** Where a cgroup is in the file system, made or not. */
  cgroupDirectory(path: string): string | undefined;
  /** cgroup.kill: SIGKILL to everything in it and below. Succeeds if it is gone. */
  killCgroup(path: string): Promise<void>;
  /** Removes it and what is below, once empty. Succeeds if it is gone. @throws E_BUSY */
  removeCgroup(path: string): Promise<void>;
  cgroupUsage(path: string): Promise<MeasuredUsage | undefined>;
  /** oom_kill of memory.events; 0 where there is no memory controller. */
  oomKills(path: string): Promise<number>;

  /** A tmpfs at `path` (made if missing) for /dev/shm. Safe to repeat. */
  mountSharedMemory(path: string, sizeBytes: number): Promise<void>;
  /** The files of an image at `path` (made if missing), by its layers' directories, topmost first; read-only. */
  mountImage(path: string, lower: readonly string[]): Promise<void>;
  unmount(path: string): Promise<void>;
  /** The mount that a path is in, where what is mounted below the path in a container would not reach the node: it is not shared. */
  unsharedMount(path: string): Promise<string | undefined>;

  /** A TCP connection to 127.0.0.1:port inside the network namespace (undefined: the agent's own). @throws E_CONNECTION */
  connect(netnsPath: string | undefined, port: number): Promise<Socket>;
}
