/** A device plugin (k8s.io/kubelet/pkg/apis/deviceplugin/v1beta1), asked. */
import type { Clock } from '#base/clock.ts';
import { PodwrightError } from '#base/errors.ts';
import type {
  ContainerAllocateResponse,
  Device as ListedDevice,
  DevicePluginOptions,
} from '#proto/deviceplugin/api.ts';
import { loadContract } from '#proto/load.ts';
import { createUnixClient } from '#proto/unix-client.ts';
import type { Device, DeviceAnswer } from './device.ts';

/** What of a plugin is asked for containers. */
export interface DevicePlugin {
  /** @throws what it says, or E_INVALID for an answer that is none */
  allocate(ids: readonly string[], signal: AbortSignal): Promise<DeviceAnswer>;
  /** Those that it would give of the available ones; none where it has no preference. */
  prefer(wish: Preference, signal: AbortSignal): Promise<readonly string[]>;
  /** Before each start of a container with these devices; nothing where it does not want to know. */
  preStart(ids: readonly string[], signal: AbortSignal): Promise<void>;
}

export interface Preference {
  readonly available: readonly string[];
  readonly certain: readonly string[];
  readonly count: number;
}

/** A connection. Disposing it ends it without `onGone`. */
export interface DevicePluginConnection extends DevicePlugin, AsyncDisposable {}

export interface DevicePluginOptionsOf {
  readonly endpoint: string;
  /** What it said of itself when it registered; undefined: it is asked. */
  readonly options?: DevicePluginOptions | undefined;
  /** Told of each list. */
  readonly onDevices: (devices: ReadonlyMap<string, Device>) => void;
  /** Told once: why it is no longer there. */
  readonly onGone: (error: unknown) => void;
  readonly clock: Clock;
}

export const deviceVersion = 'v1beta1';
/** Of a call. A plugin may set a device up meanwhile; the kubelet itself waits without end. */
export const callTimeoutMs = 60_000;
/** Of the plugin's options, and until its first list. */
export const connectTimeoutMs = 10_000;
/** Devices of a resource; characters of an id; things of one kind in an answer. */
export const devicesMax = 65_536;
export const idLengthMax = 1024;
export const answerMax = 4096;

/** Loads gRPC. Its lists come from now on. */
export async function connectDevicePlugin(of: DevicePluginOptionsOf): Promise<DevicePluginConnection> {
  const contract = await loadContract('deviceplugin-v1beta1');
  const methods = contract.services['v1beta1.DevicePlugin'];
  const client = createUnixClient(contract, { endpoint: of.endpoint, timeoutMs: callTimeoutMs });
  const ended = new AbortController();
  const { signal: isEnded } = ended;
  const options = Promise.withResolvers<DevicePluginOptions>();
  options.promise.catch(() => undefined); // Whoever asks hears of it.
  const follow = async (): Promise<void> => {
    try {
      const call = { timeoutMs: connectTimeoutMs, signal: isEnded };
      options.resolve(of.options ?? (await client.call(methods.GetDevicePluginOptions, {}, call)));
      const late = new AbortController();
      using _late = of.clock.after(connectTimeoutMs, () =>
        late.abort(new PodwrightError('E_TIMEOUT', `no list of devices in ${connectTimeoutMs} ms`)),
      );

      const lists = client.stream(methods.ListAndWatch, {}, AbortSignal.any([isEnded, late.signal]));
      for await (const { devices } of lists) {
        _late[Symbol.dispose]();
        of.onDevices(parseDevices(devices));
      }
      throw new PodwrightError('E_CONNECTION', 'it ended its list of devices');
    } catch (error) {
      options.reject(error);
      if (!isEnded.aborted) of.onGone(error);
    }
  };
  const followed = follow();
  return {
    allocate: async (ids, signal) => {
      const request = { container_requests: [{ devices_ids: ids }] };
      const { container_responses: answers } = await client.call(methods.Allocate, request, { signal });
      const [answer] = answers;
      if (answer !== undefined && answers.length === 1) return parseAnswer(answer);
      throw new PodwrightError('E_INVALID', `${answers.length} answers of Allocate, for one container`);
    },
    prefer: async ({ available, certain, count }, signal) => {
      if (!(await options.promise).get_preferred_allocation_available) return [];
      const wish = {
        available_deviceIDs: available,
        must_include_deviceIDs: certain,
        allocation_size: count,
      };
      const request = { container_requests: [wish] };
      const { container_responses: answers } = await client.call(methods.GetPreferredAllocation, request, {
        signal,
      });
      return answers[0]?.deviceIDs ?? [];
    },
    preStart: async (ids, signal) => {
      if (!(await options.promise).pre_start_required) return;
      await client.call(methods.PreStartContainer, { devices_ids: ids }, { timeoutMs: 30_000, signal });
    },
    [Symbol.asyncDispose]: async () => {
      ended.abort(new DOMException('the plugin is not needed any more', 'AbortError'));
      await followed;
      client[Symbol.dispose]();
    },
  };
}

/** Whatever is not said to be healthy is not. @throws {E_INVALID} for a list that is none; E_LIMIT */
export function parseDevices(listed: readonly ListedDevice[]): ReadonlyMap<string, Device> {
  if (listed.length > devicesMax)
    throw new PodwrightError('E_LIMIT', `it lists ${listed.length} devices, at most ${devicesMax}`);
  const devices = new Map<string, Device>();
  for (const { ID: id, health, topology } of listed) {
    if (id === '' || id.length > idLengthMax)
      throw new PodwrightError('E_INVALID', `an id of a device has 1 to ${idLengthMax} characters`);
    if (devices.has(id)) throw new PodwrightError('E_INVALID', `it lists device ${id} twice`);
    const nodes = new Set((topology?.nodes ?? []).map(({ ID }) => ID).filter((node) => node >= 0));
    const numaNodes = [...nodes].toSorted((a, b) => a - b);
    devices.set(id, { id, isHealthy: health === 'Healthy', numaNodes });
  }
  return devices;
}

/** @throws {E_INVALID} for what no container can have */
export function parseAnswer(answer: ContainerAllocateResponse): DeviceAnswer {
  const env = Object.entries(answer.envs).map(([name, value]) => ({ name, value }));
  const mounts = answer.mounts.map((mount) => ({
    containerPath: mount.container_path,
    hostPath: mount.host_path,
    isReadOnly: mount.read_only,
  }));
  const nodes = answer.devices.map((node) => ({
    containerPath: node.container_path === '' ? node.host_path : node.container_path,
    hostPath: node.host_path,
    permissions: node.permissions === '' ? 'rwm' : node.permissions,
  }));
  const cdiDevices = answer.cdi_devices.map(({ name }) => name);
  const problems = [
    ...env.flatMap(({ name, value }) =>
      name === '' || /[=\0]/.test(name) || value.includes('\0') ? [`environment variable "${name}"`] : [],
    ),
    ...[...mounts, ...nodes].flatMap(({ containerPath, hostPath }) =>
      [containerPath, hostPath].filter((path) => !isCleanPath(path)).map((path) => `path "${path}"`),
    ),
    ...nodes.flatMap(({ permissions }) =>
      /^[rwm]{1,3}$/.test(permissions) ? [] : [`permissions "${permissions}"`],
    ),
    ...[env, mounts, nodes, cdiDevices].flatMap((list) =>
      list.length > answerMax ? [`${list.length} things of one kind, at most ${answerMax}`] : [],
    ),
  ];
  if (problems.length > 0)
    throw new PodwrightError('E_INVALID', `it answered with ${problems.slice(0, 3).join(', ')}`);
  return { env, mounts, nodes, annotations: answer.annotations, cdiDevices };
}

function isCleanPath(path: string): boolean {
  return path.startsWith('/') && !path.includes('\0') && !path.split('/').includes('..');
}
