/** What plugins of a node bring: drivers of volumes, device plugins, drivers of claims. */
import path from 'node:path';

import type { Clock } from '#base/clock.ts';
import { describeError } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import { claimEntriesOf } from '#api/device/pod-claims.ts';
import type { Informers } from '#client/informers.ts';
import type { Mounts } from '#native/mount/mount.ts';
import type { Proc } from '#native/proc/proc.ts';
import { cdiDirectories } from '#agent/device/cdi/cdi-files.ts';
import { VolumeCounts } from '#agent/volume/counts/volume-counts.ts';
import { DeviceCounts } from '#agent/device/device-counts.ts';
import { startNodeDevices, type NodeDevices } from '#agent/device/node-devices.ts';
import { servePodResources, type PodResourcesInput } from '#agent/device/pod-resources.ts';
import type { NodeAgent } from '#agent/node/node-agent.ts';
import { startPluginWatcher } from '#agent/plugin/plugin-watcher.ts';
import type { PluginHandlers } from '#agent/plugin/plugin.ts';
import { createCsi, type Csi } from '#agent/volume/csi/start-csi.ts';
import { createMounter } from '#agent/volume/mounter.ts';
import type { NodeAssignments } from './assign/node-assignments.ts';
import { openNodeClaims } from './node-claims.ts';
import type { HintProvider } from './assign/assignment.ts';
import type { PodWorkers } from './sync/pod-workers.ts';
import type { PodWorkersOptions } from './sync/sync-ports.ts';
import type { KubeletDirectories } from './pod-paths.ts';

export interface PluginOptions {
  /** The node's own. */
  readonly stateDirectory: string;
  /** Undefined: the runtime follows CDI itself. */
  readonly cdiDirectories?: readonly string[] | undefined;
  /** By type, beside DevicePlugin. */
  readonly handlers?: PluginHandlers;
}

interface NodePluginsOptions {
  readonly informers: Informers;
  readonly nodeName: string;
  readonly directories: KubeletDirectories;
  readonly mounts: Mounts;
  readonly proc: Pick<Proc, 'bootId'>;
  /** Undefined: no plugin of devices comes to the node. */
  readonly plugins?: PluginOptions;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface NodePlugins {
  readonly csi: Csi;
  readonly devices: NodeDevices | undefined;
  readonly workers: Pick<PodWorkersOptions, 'devices' | 'claims' | 'claimHealths'>;
  readonly counts: DeviceCounts;
  readonly volumeCounts: VolumeCounts;
  /** Who has what lies near some memory. */
  readonly providers: readonly HintProvider[];
  /** They register once the Node is there: what they say of it is written on it. */
  start(agent: NodeAgent, workers: PodWorkers, assignments: NodeAssignments | undefined): void;
}

/** Devices and what claims have stand before the first pod is looked at; plugins are asked in the background. All of it ends with the stack. */
export async function openNodePlugins(
  stack: AsyncDisposableStack,
  options: NodePluginsOptions,
): Promise<NodePlugins> {
  const { informers, nodeName, directories, plugins, clock, logger } = options;
  const { kubelet: directory } = directories;
  const counts = new DeviceCounts();
  const volumeCounts = new VolumeCounts(clock);
  const shared = { nodeName, clock, logger };
  let onReleased = (): void => undefined;
  let onDriver = (): void => undefined;
  const csi = createCsi({
    ...{ ...shared, informers, kubeletDirectory: directory, podsDirectory: directories.pods },
    onReleased: () => onReleased(),
    mounter: createMounter(options.mounts),
    bootId: options.proc.bootId(),
    counts: volumeCounts,
  });
  stack.use(csi);
  const devices =
    plugins &&
    stack.use(await startNodeDevices({ cdiDirectories, ...plugins, directory, counts, clock, logger }));
  const record = path.join(directory, 'dra-claims.json');
  const nodeClaims = stack.use(
    await openNodeClaims({
      ...{ ...shared, counts, client: informers.client, path: record },
      onDriver: () => onDriver(),
    }),
  );
  return {
    ...{ csi, devices, counts, volumeCounts },
    workers: { devices, claims: nodeClaims.claims, claimHealths: nodeClaims.healths },
    providers: devices === undefined ? [] : [devices.manager],
    start: (agent, workers, assignments) => {
      onDriver = () => retryClaims(workers);
      onReleased = () => agent.refresh();
      if (devices !== undefined) stack.use(devices.onChange(() => agent.refresh()));
      stack.use(csi.startWhen(agent.registered));
      const handlers = {
        ...plugins?.handlers,
        ...(devices === undefined ? {} : { DevicePlugin: devices.handler }),
        ...nodeClaims.plugins,
        CSIPlugin: csi.plugins,
      };
      stack.use(watchPlugins(options, agent, handlers));
      if (devices !== undefined) {
        const read = (): PodResourcesInput => ({
          ...{ pods: workers.pods(), assignments, claims: nodeClaims.claims },
          allocations: devices.manager.allocations(),
          resources: devices.manager.resources(),
        });
        stack.use(tellResources(options, counts, read));
      }
    },
  };
}

/** Pods that waited for a driver need not wait longer. */
function retryClaims(workers: Pick<PodWorkers, 'pods' | 'refreshVolumes'>): void {
  for (const pod of workers.pods())
    if (claimEntriesOf(pod).length > 0) workers.refreshVolumes(pod.metadata?.uid ?? '');
}

function watchPlugins(
  { directories, clock, logger }: NodePluginsOptions,
  { registered }: Pick<NodeAgent, 'registered'>,
  handlers: PluginHandlers,
): AsyncDisposable {
  const directory = path.join(directories.kubelet, 'plugins_registry');
  const stack = new AsyncDisposableStack();
  const start = async (): Promise<void> => {
    await registered;
    if (stack.disposed) return;
    const watcher = await startPluginWatcher({ directory, handlers, clock, logger });
    if (stack.disposed) await watcher[Symbol.asyncDispose]();
    else stack.use(watcher);
  };
  start().catch((error: unknown) => {
    if (!stack.disposed) logger.warn({ directory, error: describeError(error) }, 'plugins not looked for');
  });
  return stack;
}

/** Who has what devices. Where no socket can be, the node goes without, and the log says so. */
function tellResources(
  { directories, clock, logger }: NodePluginsOptions,
  counts: DeviceCounts,
  read: () => PodResourcesInput,
): AsyncDisposable {
  const directory = path.join(directories.kubelet, 'pod-resources');
  const served = servePodResources({ directory, read, counts, clock, logger }).catch((error: unknown) => {
    logger.warn({ directory, error: describeError(error) }, 'pod resources are not served');
    return undefined;
  });
  return {
    [Symbol.asyncDispose]: async () => (await served)?.[Symbol.asyncDispose](),
  };
}
