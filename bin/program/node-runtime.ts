/** The runtime of a node: this process's own, or another that is asked by CRI. */
import { join, relative, resolve } from 'node:path';
import type { Clock } from '#base/clock.ts';
import type { Logger } from '#base/log.ts';
import { parseQuantity, quantityToInteger } from '#api/meta/quantity.ts';
import type { Policies } from '#agent/network/policy/enforce-policies.ts';
import type { PodNetwork } from '#agent/network/pod-network.ts';
import type { IdSpace } from '#agent/runtime/id-ranges.ts';
import type { LogRotation } from '#agent/runtime/logs/rotate-logs.ts';
import type { Runtime } from '#agent/runtime/runtime.ts';
import { parseUlimit } from '#agent/runtime/plan/ulimits.ts';
import type { ConfiguredOptions } from '#bin/kubelet/configured.ts';
import { connectThrough } from '#bin/egress-connect.ts';
import { openCgroups } from '#bin/node/open-cgroups.ts';
import { handlerPrograms } from '#bin/options/handler-option.ts';
import type { AgentPaths } from '#bin/paths.ts';
import { createDeviceFilter } from '#native/bpf/device-filter.linux.ts';
import { createLauncher } from '#native/launch/launcher.linux.ts';
import { createMounts } from '#native/mount/mount.linux.ts';
import type { NetlinkWorker } from '#native/netlink/worker.ts';
import { findCgroupRoot } from './cgroup-root.ts';
import { holdSupervisor } from './hold-supervisor.ts';

export interface NodeRuntimeParts {
  readonly options: ConfiguredOptions & { readonly nodeName: string; readonly idSpace: IdSpace };
  readonly paths: AgentPaths;
  readonly supervisorPath: string;
  readonly network: PodNetwork;
  readonly policies: Policies;
  readonly kernel: NetlinkWorker;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface NodeRuntime extends Runtime {
  /** `containerd://1.6.20`; undefined: it is of this process. */
  readonly version?: string;
}

/** With everything found again that an earlier agent left. Each way loads its own modules. */
export async function openNodeRuntime(
  stack: AsyncDisposableStack,
  parts: NodeRuntimeParts,
): Promise<NodeRuntime> {
  const endpoint = parts.options.containerRuntimeEndpoint;
  return stack.use(await (endpoint === undefined ? openOwn(parts) : openOther(parts, endpoint)));
}

function logsOf({ containerLogMaxSize, containerLogMaxFiles, settings }: ConfiguredOptions): {
  readonly logRotation: LogRotation;
  readonly logMonitorIntervalMs: number;
} {
  const sizeBytesMax = quantityToInteger(parseQuantity(containerLogMaxSize));
  return {
    logRotation: { sizeBytesMax, filesMax: containerLogMaxFiles },
    logMonitorIntervalMs: settings.logMonitorMs,
  };
}

async function openOwn(parts: NodeRuntimeParts): Promise<NodeRuntime> {
  const { options, paths, supervisorPath, network, kernel, clock, logger: log } = parts;
  const { createRuntime } = await import('#agent/runtime/create-runtime.ts');
  return createRuntime(
    {
      runDirectory: paths.run,
      dataDirectory: paths.data,
      launcher: createLauncher({ supervisorPath: await holdSupervisor(supervisorPath, paths.data) }),
      netlink: kernel.netlink,
      network,
      cgroups: await openCgroups(options.cgroup),
      mounts: createMounts(),
      handlers: { programs: handlerPrograms(options.runtimeHandler), cgroupRoot: findCgroupRoot() },
      clock,
      log,
      idSpace: options.idSpace,
      ulimits: (options.defaultUlimit ?? []).map(parseUlimit),
      ...logsOf(options),
      registry: {
        insecureRegistries: options.insecureRegistry,
        hostsDirectory:
          options.registryConfigDir === undefined ? undefined : resolve(options.registryConfigDir),
        ...(options.egressSocket === undefined ? {} : { connect: connectThrough(options.egressSocket) }),
      },
    },
    new AbortController().signal,
  );
}

async function openOther(
  { options, paths, policies, clock, logger: log }: NodeRuntimeParts,
  endpoint: string,
): Promise<NodeRuntime> {
  const { connectRuntime } = await import('#agent/runtime/cri-client/connect-runtime.ts');
  const { createLinuxSystem } = await import('#agent/runtime/system.linux.ts');
  const root = findCgroupRoot();
  return connectRuntime(
    {
      endpoint,
      imageEndpoint: options.imageServiceEndpoint,
      nodeName: options.nodeName,
      system: createLinuxSystem({
        cgroups: await openCgroups(options.cgroup),
        mounts: createMounts(),
        devices: createDeviceFilter(),
      }),
      cgroupParent: (directory) => (directory === undefined ? undefined : `/${relative(root, directory)}`),
      seccompDirectory: join(paths.data, 'seccomp'),
      policies,
      idSpace: options.idSpace,
      clock,
      log,
      ...logsOf(options),
    },
    new AbortController().signal,
  );
}
