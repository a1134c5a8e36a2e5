/** Devices of a node, as its kubelet uses them. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '#base/clock.ts';
import { describeError, PodwrightError } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import type { ContainerStatus, Pod } from '#api/generated/objects.ts';
import type { PluginHandler } from '#agent/plugin/plugin.ts';
import type { DeviceCounts } from './device-counts.ts';
import { readContainerDevices, type ContainerDevices } from './container-devices.ts';
import { healthOf, type DeviceAmount } from './device.ts';
import {
  createDeviceManager,
  type DeviceManager,
  type DeviceVerdict,
  type IsActive,
} from './device-manager.ts';
import { devicePluginHandler, serveDeviceRegistration } from './device-registration.ts';

type AllocatedHealth = NonNullable<ContainerStatus['allocatedResourcesStatus']>;

/** What pods are given of devices. */
export interface PodDevices {
  /** What it lacks of the devices that the pod asks for: `plugins` of such that are not back yet; undefined: nothing. */
  lacks(pod: Pod): 'devices' | 'plugins' | undefined;
  /** Whether the pod has, or gets now, what its containers ask for. Safe to repeat. */
  admit(pod: Pod, signal: AbortSignal): Promise<DeviceVerdict>;
  /**
   * What a container of the pod starts with; its plugins are told. `cdiIds`: devices of CDI that it has otherwise, by its claims.
   * @throws what they say, or why it has nothing
   */
  start(
    pod: Pod,
    container: string,
    signal: AbortSignal,
    cdiIds?: readonly string[],
  ): Promise<ContainerDevices>;
  /** How the devices of a pod's containers are, by name of container. */
  healthOf(podUid: string): ReadonlyMap<string, AllocatedHealth>;
}

export interface NodeDevices extends PodDevices, AsyncDisposable {
  readonly manager: DeviceManager;
  /** Of plugins of type DevicePlugin. */
  readonly handler: PluginHandler;
  amounts(): ReadonlyMap<string, DeviceAmount>;
  /** From now on what others had is given away. */
  collectBy(isActive: IsActive): void;
  /** Told when amounts or healths changed, with the pods that have devices. */
  onChange(listener: (podUids: readonly string[]) => void): Disposable;
}

export interface NodeDevicesOptions {
  /** Where plugins have their sockets: `device-plugins` is made in it. */
  readonly directory: string;
  /** The node's own: what containers have is kept in it. */
  readonly stateDirectory: string;
  /** Undefined: the runtime follows CDI itself. */
  readonly cdiDirectories: readonly string[] | undefined;
  readonly counts?: DeviceCounts;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Where no socket can be, devices registered otherwise are there nevertheless, and the log says so. */
export async function startNodeDevices(options: NodeDevicesOptions): Promise<NodeDevices> {
  const { directory, stateDirectory, cdiDirectories, counts, clock, logger } = options;
  await using undo = new AsyncDisposableStack();

  const listeners = new Set<(podUids: readonly string[]) => void>();
  const onChange = (): void => {
    const uids = [...new Set(manager.allocations().map(({ podUid }) => podUid))];
    for (const listener of listeners) listener(uids);
  };
  await mkdir(stateDirectory, { recursive: true, mode: 0o700 });
  const checkpoint = join(stateDirectory, 'devices.json');
  const manager = undo.use(await createDeviceManager({ checkpoint, clock, logger, onChange, counts }));
  try {
    const place = join(directory, 'device-plugins');
    undo.use(await serveDeviceRegistration({ directory: place, devices: manager, clock, logger }));
  } catch (error) {
    logger.warn({ directory, error: describeError(error) }, 'device plugins cannot register');
  }
  const owned = undo.move();
  return {
    manager,
    handler: devicePluginHandler(manager),
    amounts: () => manager.amounts(),
    collectBy: (isActive) => manager.collectBy(isActive),
    onChange: (listener) => {
      listeners.add(listener);
      return { [Symbol.dispose]: () => void listeners.delete(listener) };
    },
    lacks: (pod) => manager.lacks(pod),
    admit: (pod, signal) => manager.admit(pod, signal),
    start: async (pod, container, signal, cdiIds = []) => {
      const verdict = await manager.admit(pod, signal);
      if (verdict.kind === 'notYet') throw new PodwrightError('E_BUSY', 'its device plugin is not back yet');
      if (verdict.kind === 'refused') throw new PodwrightError('E_BUSY', verdict.message);
      const uid = pod.metadata?.uid ?? '';
      await manager.preStart(uid, container, signal);
      const answers = manager.ofContainer(uid, container).map(({ answer }) => answer);
      const ofClaims = { env: [], mounts: [], nodes: [], annotations: {}, cdiDevices: cdiIds };
      return readContainerDevices([...answers, ofClaims], cdiDirectories);
    },
    healthOf: (podUid) => healthsOf(manager, podUid),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

function healthsOf(
  manager: Pick<DeviceManager, 'allocations' | 'resources'>,
  podUid: string,
): ReadonlyMap<string, AllocatedHealth> {
  const healths = new Map<string, AllocatedHealth>();
  for (const { container, resource, ids, podUid: uid } of manager.allocations()) {
    if (uid !== podUid) continue;
    const known = manager.resources().get(resource);
    const resources = ids
      .toSorted()
      .map((resourceID) => ({ resourceID, health: healthOf(known, resourceID) }));
    healths.set(container, [...(healths.get(container) ?? []), { name: resource, resources }]);
  }
  return healths;
}
