import { basename, dirname, join } from 'node:path';
import { systemClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { startTestDriver, type TestDriver } from '#agent/plugin/driver.fixture.ts';
import type { Outgoing } from '#proto/contract.ts';
import type { ContainerAllocateResponse, Device, DevicePluginOptions } from '#proto/deviceplugin/api.ts';
import { loadContract } from '#proto/load.ts';
import { createUnixClient } from '#proto/unix-client.ts';
import { createTold } from './told.fixture.ts';
import { serveUnix, serviceOf, type ServedService } from '#proto/unix-server.ts';

export interface DriverBehaviour {
  readonly devices: readonly Outgoing<Device>[];
  readonly options?: Partial<DevicePluginOptions>;
  /** What containers get; may throw, or be late. */
  readonly allocate?: (ids: readonly string[]) => Promise<Outgoing<ContainerAllocateResponse>>;
  readonly prefer?: (available: readonly string[], count: number) => readonly string[];
  readonly preStart?: (ids: readonly string[]) => void;
}

export interface DeviceDriver extends AsyncDisposable {
  /** Ids of each Allocate, in order. */
  readonly allocated: readonly (readonly string[])[];
  /** Sends another list. */
  list(devices: readonly Outgoing<Device>[]): void;
  /** Asks the kubelet.sock beside its socket to take it. @throws what that says */
  register(resource: string, version?: string): Promise<void>;
}

const healthy = (id: string): Outgoing<Device> => ({ ID: id, health: 'Healthy' });

/** `a`, `b`: healthy devices. */
export const healthyDevices = (...ids: readonly string[]): readonly Outgoing<Device>[] => ids.map(healthy);

/** A device plugin at a socket of its own, in this process. */
export async function startDeviceDriver(path: string, behaviour: DriverBehaviour): Promise<DeviceDriver> {
  const contract = await loadContract('deviceplugin-v1beta1');
  const { service, allocated, list } = await createDriverService(behaviour);
  const options = { path, services: [service], clock: systemClock, log: silentLogger };
  const server = await serveUnix(contract, options);
  return {
    allocated,
    list,
    register: async (resource, version = 'v1beta1') => {
      const endpoint = `unix://${join(dirname(path), 'kubelet.sock')}`;
      using client = createUnixClient(contract, { endpoint, timeoutMs: 30_000 });

      await client.call(contract.services['v1beta1.Registration'].Register, {
        version,
        endpoint: basename(path),
        resource_name: resource,
        options: behaviour.options ?? {},
      });
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

/** The same by the directory of plugins: both services at one socket. */
export async function startRegisteredDriver(
  path: string,
  name: string,
  behaviour: DriverBehaviour,
): Promise<TestDriver> {
  const { service } = await createDriverService(behaviour);
  const info = { type: 'DevicePlugin', name, supported_versions: ['v1beta1'] };
  return startTestDriver(path, { info, services: [service] });
}

async function createDriverService(
  behaviour: DriverBehaviour,
): Promise<Pick<DeviceDriver, 'allocated' | 'list'> & { readonly service: ServedService }> {
  const contract = await loadContract('deviceplugin-v1beta1');
  const allocated: (readonly string[])[] = [];
  const lists = createTold(behaviour.devices);
  const service = serviceOf(contract.services['v1beta1.DevicePlugin'], {
    GetDevicePluginOptions: () => behaviour.options ?? {},
    ListAndWatch: async function* (_request, { signal }) {
      for await (const devices of lists.from(signal)) yield { devices };
    },
    GetPreferredAllocation: ({ container_requests: [wish] }) => ({
      container_responses: [
        { deviceIDs: behaviour.prefer?.(wish?.available_deviceIDs ?? [], wish?.allocation_size ?? 0) ?? [] },
      ],
    }),
    Allocate: async ({ container_requests: [wish] }) => {
      const ids = wish?.devices_ids ?? [];
      allocated.push(ids);
      return { container_responses: [(await behaviour.allocate?.(ids)) ?? {}] };
    },
    PreStartContainer: ({ devices_ids: ids }) => {
      behaviour.preStart?.(ids);
      return {};
    },
  });
  return { service, allocated, list: lists.tell };
}
