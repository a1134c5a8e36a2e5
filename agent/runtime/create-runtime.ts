import { readFile } from 'node:fs/promises';
import type { PodNetwork } from '#agent/network/pod-network.ts';
import type { Clock } from '#base/clock.ts';
import { errnoOf, PodwrightError } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import { createDeviceFilter } from '#native/bpf/device-filter.linux.ts';
import type { Cgroups } from '#native/cgroup/cgroup.ts';
import type { Launcher, LaunchRlimit, ProcessExit } from '#native/launch/launch.ts';
import { decodeExits } from '#native/launch/protocol.ts';
import type { Mounts } from '#native/mount/mount.ts';
import type { Netlink } from '#native/netlink/netlink.ts';
import { openImageStore } from './images/image-store.ts';
import { createRegistryClient, type RegistryOptions } from './images/registry/registry.ts';
import type { TransportOptions } from './images/registry/registry-transport.ts';
import type { Handler } from './handlers/handler.ts';
import { createHandlerHost } from './handlers/handler-host.linux.ts';
import { openHandlers, type HandlerProgram } from './handlers/open-handlers.ts';
import type { IdSpace } from './id-ranges.ts';
import { LocalRuntime } from './local-runtime.ts';
import type { LogRotation } from './logs/rotate-logs.ts';
import type { RuntimeSystem } from './system.ts';
import { createLinuxSystem } from './system.linux.ts';

export interface RuntimeOptions {
  /** Pods' state, on a tmpfs; at most 40 bytes, as a supervisor's socket lies below. */
  readonly runDirectory: string;
  /** Images, layers, containers' writable directories. On a file system that overlayfs takes (not itself an overlay). */
  readonly dataDirectory: string;
  readonly launcher: Launcher;
  readonly netlink: Pick<Netlink, 'createNetns' | 'removeNetns'>;
  readonly network: PodNetwork;
  /** Undefined: no cgroup v2 on this host. */
  readonly cgroups: Cgroups | undefined;
  readonly mounts: Mounts;
  readonly clock: Clock;
  readonly log: Logger;
  /** How image pulls connect, and to which registries in plain HTTP. */
  readonly registry?: TransportOptions & Pick<RegistryOptions, 'hostsDirectory'>;
  readonly logRotation?: LogRotation;
  readonly logMonitorIntervalMs?: number;
  /** For pods with user namespaces of their own; undefined: the kubelet's. */
  readonly idSpace?: IdSpace;
  /** Programs that make containers of RuntimeClasses; with `cgroupRoot`, where cgroup v2 is mounted. */
  /** Of every container's processes; undefined: as the agent's. */
  readonly ulimits?: readonly LaunchRlimit[];
  readonly handlers?: { readonly programs: readonly HandlerProgram[]; readonly cgroupRoot: string };
}

/**
 * The node's runtime, with everything found again that an earlier agent left. Disposing it leaves the pods running.
 * @throws E_PERMISSION, E_NO_SPACE, E_UNSUPPORTED (state of a newer version)
 */
export async function createRuntime(options: RuntimeOptions, signal: AbortSignal): Promise<LocalRuntime> {
  const { runDirectory, dataDirectory, launcher, netlink, network, clock, log } = options;
  const images = await openImageStore({
    directory: dataDirectory,
    registry: createRegistryClient({ ...options.registry, clock }),
    tell: (text) => log.error({}, text),
  });
  const system = createLinuxSystem({
    cgroups: options.cgroups,
    mounts: options.mounts,
    devices: createDeviceFilter(),
  });
  const runtime = new LocalRuntime({
    paths: { runDirectory, dataDirectory },
    images,
    launcher,
    netlink,
    network,
    system,
    handlers: await handlersOf(options, system),
    clock,
    log,
    readExits: readExitsFile,
    ...(options.logMonitorIntervalMs === undefined
      ? {}
      : { logMonitorIntervalMs: options.logMonitorIntervalMs }),
    ...(options.idSpace === undefined ? {} : { idSpace: options.idSpace }),
    ...(options.ulimits === undefined ? {} : { ulimits: options.ulimits }),
    ...(options.logRotation === undefined ? {} : { logRotation: options.logRotation }),
  });
  await using opening = new AsyncDisposableStack();
  opening.use(runtime); // Connections to supervisors would keep a process that failed to start alive.

  await runtime.open(signal);
  opening.move();
  return runtime;
}

async function handlersOf(
  { handlers, mounts, cgroups, log }: RuntimeOptions,
  system: RuntimeSystem,
): Promise<ReadonlyMap<string, Handler>> {
  if (handlers === undefined || handlers.programs.length === 0) return new Map();
  if (cgroups === undefined)
    throw new PodwrightError(
      'E_UNSUPPORTED',
      'runtime handlers: this host has no cgroup v2 for their containers',
    );
  const host = createHandlerHost({ cgroupRoot: handlers.cgroupRoot, mounts });
  return openHandlers(handlers.programs, { host, system, log });
}

/** What a supervisor wrote down before it ended. */
async function readExitsFile(supervisorDirectory: string): Promise<readonly ProcessExit[]> {
  try {
    return decodeExits(await readFile(`${supervisorDirectory}/exits`));
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw error;
  }
}
