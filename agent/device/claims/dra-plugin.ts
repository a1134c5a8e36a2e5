/** Drivers of devices that claims are given (k8s.io/kubelet/pkg/apis/dra): how they come, and what they are asked. */
import { PodwrightError } from '#base/errors.ts';
import { chooseVersion, type Plugin, type PluginHandler } from '#agent/plugin/plugin.ts';
import type { Device as PreparedDevice } from '#proto/dra/api.ts';
import { loadContract, type LoadedContract } from '#proto/load.ts';
import { createUnixClient, type UnixClient } from '#proto/unix-client.ts';

export const draPluginType = 'DRAPlugin';
/** Names of services, best first, as drivers list them for versions. */
const services = ['v1.DRAPlugin', 'v1beta1.DRAPlugin'];
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
}

/** The drivers that serve this node, by name; of several with one name (one that is replaced) the last that came. */
export class DraDrivers {
  readonly #byName = new Map<string, readonly { readonly plugin: Plugin; readonly driver: DraDriver }[]>();
  readonly #connect: (plugin: Plugin) => Promise<DraDriver>;
  readonly #onChange: (name: string, isThere: boolean) => void;

  constructor(
    onChange: (name: string, isThere: boolean) => void,
    connect: (plugin: Plugin) => Promise<DraDriver> = connectDraDriver,
  ) {
    this.#onChange = onChange;
    this.#connect = connect;
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
      const driver = await this.#connect(plugin);
      this.#byName.set(plugin.name, [...(this.#byName.get(plugin.name) ?? []), { plugin, driver }]);
      this.#onChange(plugin.name, true);
    },
    deregister: ({ name, socket, identity }) => {
      const known = this.#byName.get(name) ?? [];
      const isGone = (one: (typeof known)[number]): boolean =>
        one.plugin.socket === socket && one.plugin.identity === identity;
      for (const one of known.filter(isGone)) one.driver[Symbol.dispose]();
      const left = known.filter((one) => !isGone(one));
      if (left.length === known.length) return;
      if (left.length > 0) this.#byName.set(name, left);
      else {
        this.#byName.delete(name);
        this.#onChange(name, false);
      }
    },
  };

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
    for (const known of this.#byName.values()) for (const { driver } of known) driver[Symbol.dispose]();
    this.#byName.clear();
  }
}

type Methods = LoadedContract<'dra-v1'>['services']['k8s.io.kubelet.pkg.apis.dra.v1.DRAPlugin'];

async function connectDraDriver({ endpoint, versions }: Plugin): Promise<DraDriver> {
  const contract = await loadContract('dra-v1');
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
