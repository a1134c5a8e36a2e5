/** Drivers of devices that claims are given (k8s.io/kubelet/pkg/apis/dra): how they come, and what they are asked. */
import { systemClock, type Clock } from '#base/clock.ts';
import { PodwrightError } from '#base/errors.ts';
import { timed, type DeviceCounts } from '#agent/device/device-counts.ts';
import { chooseVersion, type Plugin, type PluginHandler } from '#agent/plugin/plugin.ts';
import type { DeviceHealth } from '#proto/dra-health/api.ts';
import type { Device as PreparedDevice } from '#proto/dra/api.ts';
import { statusNameOf, type StatusName } from '#proto/status.ts';
import { loadContract, type LoadedContract } from '#proto/load.ts';
import { createUnixClient, type UnixClient } from '#proto/unix-client.ts';

export const draPluginType = 'DRAPlugin';
/** Names of services, best first, as drivers list them for versions. */
const services = ['v1.DRAPlugin', 'v1beta1.DRAPlugin'];
const healthServices = ['v1beta1.DRAResourceHealth', 'v1alpha1.DRAResourceHealth'];
/** The kubelet's (PluginClientTimeout). */
const callMs = 45_000;

/** A claim, as drivers are told of it. */
export interface ClaimRef {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
}

/** What a driver made ready of a claim: for which of its requests (none: all), and which CDI devices that is. */
export interface DriverDevice {
  readonly pool: string;
  readonly device: string;
  readonly requests: readonly string[];
  readonly cdiIds: readonly string[];
  readonly shareId?: string;
}

export interface DraDriver extends Disposable {
  /** @throws what the driver says, E_CONNECTION when it does not answer */
  prepare(claim: ClaimRef, signal: AbortSignal): Promise<readonly DriverDevice[]>;
  unprepare(claim: ClaimRef, signal: AbortSignal): Promise<void>;
  /** How all of its devices are, each time that changes. @throws E_UNSUPPORTED where it does not say */
  watchHealths(signal: AbortSignal): AsyncIterable<readonly DeviceHealth[]>;
}

export interface DraDriversOptions {
  /** Told when the first of a name came, or the last of it went. */
  readonly onChange: (name: string, isThere: boolean) => void;
  /** What goes on as long as a driver serves the node: until the signal. */
  readonly follow?: (name: string, driver: DraDriver, signal: AbortSignal) => void;
  readonly connect?: (plugin: Plugin) => Promise<DraDriver>;
  readonly counts?: DeviceCounts | undefined;
  readonly clock?: Pick<Clock, 'monotonic'>;
}

interface Served {
  readonly plugin: Plugin;
  readonly driver: DraDriver;
  readonly ended: AbortController;
}

/** The drivers that serve this node, by name; of several with one name (one that is replaced) the last that came. */
export class DraDrivers {
  readonly #byName = new Map<string, readonly Served[]>();
  readonly #options: DraDriversOptions;

  constructor(options: DraDriversOptions) {
    this.#options = options;
  }

  readonly handler: PluginHandler = {
    validate: ({ versions }) => {
      if (chooseVersion(services, versions) !== undefined) return;
      throw new PodwrightError(
        'E_UNSUPPORTED',
        `none of the services ${services.join(', ')} is among ${versions.join(', ')}`,
      );
    },
    register: async (plugin) => {
      const { connect = connectDraDriver, onChange, follow } = this.#options;
      const driver = this.#counted(plugin.name, await connect(plugin));
      const ended = new AbortController();
      this.#byName.set(plugin.name, [...(this.#byName.get(plugin.name) ?? []), { plugin, driver, ended }]);
      onChange(plugin.name, true);
      follow?.(plugin.name, driver, ended.signal);
    },
    deregister: ({ name, socket, identity }) => {
      const known = this.#byName.get(name) ?? [];
      const isGone = (one: (typeof known)[number]): boolean =>
        one.plugin.socket === socket && one.plugin.identity === identity;
      for (const one of known.filter(isGone)) end(one);
      const left = known.filter((one) => !isGone(one));
      if (left.length === known.length) return;
      if (left.length > 0) this.#byName.set(name, left);
      else {
        this.#byName.delete(name);
        this.#options.onChange(name, false);
      }
    },
  };

  #counted(name: string, driver: DraDriver): DraDriver {
    const { counts, clock = systemClock } = this.#options;
    if (counts === undefined) return driver;
    const call = <T>(method: string, work: () => Promise<T>): Promise<T> =>
      timed(
        work,
        () => clock.monotonic(),
        (seconds, error) => {
          const status = error === undefined ? 'OK' : goNameOf(statusNameOf(error));
          counts.observe(counts.driverCalls, `${name} ${method} ${status}`, seconds);
        },
      );
    return {
      ...driver,
      prepare: (claim, signal) => call('NodePrepareResources', () => driver.prepare(claim, signal)),
      unprepare: (claim, signal) => call('NodeUnprepareResources', () => driver.unprepare(claim, signal)),
    };
  }

  has(name: string): boolean {
    return this.#byName.has(name);
  }

  /** @throws {E_NOT_FOUND} as the kubelet words it */
  find(name: string): DraDriver {
    const found = this.#byName.get(name)?.at(-1)?.driver;
    if (found !== undefined) return found;
    throw new PodwrightError('E_NOT_FOUND', `DRA driver ${name} is not registered`);
  }

  [Symbol.dispose](): void {
    for (const known of this.#byName.values()) for (const one of known) end(one);
    this.#byName.clear();
  }
}

/** `DEADLINE_EXCEEDED` → `DeadlineExceeded`, `CANCELLED` → `Canceled` (google.golang.org/grpc/codes). */
function goNameOf(status: StatusName): string {
  if (status === 'OK') return status;
  if (status === 'CANCELLED') return 'Canceled';
  return status.toLowerCase().replace(/(?:^|_)(.)/g, (_all, first: string) => first.toUpperCase());
}

function end({ driver, ended }: Served): void {
  ended.abort(new DOMException('the driver is gone', 'AbortError'));
  driver[Symbol.dispose]();
}

type Methods = LoadedContract<'dra-v1'>['services']['k8s.io.kubelet.pkg.apis.dra.v1.DRAPlugin'];

async function connectDraDriver({ endpoint, versions }: Plugin): Promise<DraDriver> {
  const [contract, health] = await Promise.all([loadContract('dra-v1'), loadContract('dra-health-v1alpha1')]);
  const isOld = chooseVersion(services, versions) === 'v1beta1.DRAPlugin';
  const methods = methodsOf(contract.services['k8s.io.kubelet.pkg.apis.dra.v1.DRAPlugin'], isOld);
  const client: UnixClient = createUnixClient(contract, { endpoint, timeoutMs: callMs });
  return {
    prepare: async (claim, signal) => {
      const { claims } = await client.call(methods.NodePrepareResources, { claims: [claim] }, { signal });
      const answer = answerFor(claim, claims, 'NodePrepareResources');
      return answer.devices.map(deviceOf);
    },
    unprepare: async (claim, signal) => {
      const { claims } = await client.call(methods.NodeUnprepareResources, { claims: [claim] }, { signal });
      answerFor(claim, claims, 'NodeUnprepareResources');
    },
    watchHealths: async function* (signal) {
      const { NodeWatchResources: method } = health.services['v1alpha1.DRAResourceHealth'];
      // One that names none of them may serve the oldest, as kubelets ask it.
      const version = chooseVersion(healthServices, versions) ?? 'v1alpha1.DRAResourceHealth';
      const path = method.path.replace('v1alpha1.DRAResourceHealth', version);
      for await (const { devices } of client.stream({ ...method, path }, {}, signal)) yield devices;
    },
    [Symbol.dispose]: () => client[Symbol.dispose](),
  };
}

function methodsOf(methods: Methods, isOld: boolean): Methods {
  if (!isOld) return methods;
  const older = <T extends { readonly path: string }>(method: T): T => ({
    ...method,
    path: method.path.replace('.dra.v1.', '.dra.v1beta1.'),
  });
  return {
    ...methods,
    NodePrepareResources: older(methods.NodePrepareResources),
    NodeUnprepareResources: older(methods.NodeUnprepareResources),
  };
}

function answerFor<T extends { readonly error: string }>(
  { uid, name }: ClaimRef,
  answers: Readonly<Record<string, T>>,
  call: string,
): T {
  const answer = Object.hasOwn(answers, uid) ? answers[uid] : undefined;
  if (answer === undefined) throw new PodwrightError('E_INVALID', `${call} left out 1 ResourceClaims`);
  if (answer.error === '') return answer;
  throw new PodwrightError('E_CONNECTION', `${call} failed for ResourceClaim ${name}: ${answer.error}`);
}

function deviceOf(device: PreparedDevice): DriverDevice {
  const { pool_name, device_name, request_names, cdi_device_ids, share_id } = device;
  return {
    pool: pool_name,
    device: device_name,
    requests: request_names,
    cdiIds: cdi_device_ids,
    ...(share_id === '' ? {} : { shareId: share_id }),
  };
}
