import type { Clock } from '#base/clock.ts';
import { describeError, PodwrightError } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import { loadContract } from '#proto/load.ts';
import type { NodeGetInfoResponse, NodeServiceCapabilityRPC, Services } from '#proto/csi/csi.ts';
import { callFailure } from '#proto/rpc-error.ts';
import type { VolumeCounts } from '#agent/volume/counts/volume-counts.ts';
import { isBelow, kubeletRoot, type KubeletView } from './kubelet-view.ts';
import { createUnixClient, type UnixClient } from '#proto/unix-client.ts';

export type NodeCapability = NodeServiceCapabilityRPC['type'];
type NodeService = Services['csi.v1.Node'];

/** A driver that registered with this node. Its calls are bounded by `callMsMax` each. */
export interface CsiDriverClient {
  readonly name: string;
  readonly info: NodeGetInfoResponse;
  readonly capabilities: ReadonlySet<NodeCapability>;
  /** A place of the node as the driver sees it. */
  place(path: string): string;
  call<Name extends keyof NodeService>(
    method: Name,
    request: RequestOf<Name>,
    signal?: AbortSignal,
  ): Promise<ResponseOf<Name>>;
}

type RequestOf<Name extends keyof NodeService> = Parameters<NodeService[Name]['requestSerialize']>[0];
type ResponseOf<Name extends keyof NodeService> = ReturnType<NodeService[Name]['responseDeserialize']>;

/** What the plugin watcher found (pluginregistration v1). */
export interface DriverEndpoint {
  readonly name: string;
  /** A path, or `unix:///…`. */
  readonly endpoint: string;
  /** Of its registration: one that restarts comes by another, and what is told of the one before is no news. */
  readonly identity: string;
}

/** The drivers of the node, by name: who registered last under a name is asked. */
export interface CsiDrivers extends Disposable {
  /** Asks the driver who it is, and has the API told. @throws what is said to the driver, which tries again */
  register(driver: DriverEndpoint): Promise<void>;
  /** Its socket is gone. Of another that came under its name nothing changes. */
  remove(driver: Pick<DriverEndpoint, 'name' | 'identity'>): Promise<void>;
  /** @throws {E_NOT_FOUND} in the kubelet's words */
  get(name: string): CsiDriverClient;
  list(): readonly CsiDriverClient[];
}

export interface CsiDriversOptions {
  readonly view: KubeletView;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Undefined: nobody counts. */
  readonly counts?: VolumeCounts | undefined;
  /** Says on the API what drivers say of themselves, and no longer. */
  readonly tell: {
    present(name: string, info: NodeGetInfoResponse): Promise<void>;
    absent(name: string): Promise<void>;
  };
}

/** csiTimeout of kubernetes pkg/volume/csi. */
export const callMsMax = 120_000;
const driversMax = 64;

export function createCsiDrivers({ logger, tell, view, counts }: CsiDriversOptions): CsiDrivers {
  const known = new Map<
    string,
    CsiDriverClient & { readonly identity: string; readonly client: UnixClient }
  >();
  return {
    register: async ({ name, endpoint, identity }) => {
      if (!known.has(name) && known.size >= driversMax)
        throw new PodwrightError(
          'E_LIMIT',
          `register CSI driver ${name}: this node has ${driversMax} drivers already`,
        );
      const { driver, client } = await connect(name, endpoint.replace(/^unix:(?:\/\/)?(?=\/)/, ''), {
        view,
        counts,
      });
      try {
        await tell.present(name, driver.info);
      } catch (error) {
        client[Symbol.dispose]();
        throw error;
      }
      known.get(name)?.client[Symbol.dispose]();
      known.set(name, { ...driver, identity, client });
      logger.info({ driver: name, endpoint, nodeId: driver.info.node_id }, 'CSI driver registered');
    },
    remove: async ({ name, identity }) => {
      const found = known.get(name);
      if (found?.identity !== identity) return;
      found.client[Symbol.dispose]();
      known.delete(name);
      logger.info({ driver: name }, 'CSI driver gone');
      try {
        await tell.absent(name);
      } catch (error) {
        logger.warn({ driver: name, error: describeError(error) }, 'CSINode not written');
      }
    },
    get: (name) => {
      const found = known.get(name);
      if (found !== undefined) return found;
      throw new PodwrightError(
        'E_NOT_FOUND',
        `driver name ${name} not found in the list of registered CSI drivers`,
      );
    },
    list: () => [...known.values()],
    [Symbol.dispose]: () => {
      for (const { client } of known.values()) client[Symbol.dispose]();
      known.clear();
    },
  };
}

async function connect(
  name: string,
  endpoint: string,
  { view, counts }: Pick<CsiDriversOptions, 'view' | 'counts'>,
): Promise<{ readonly driver: CsiDriverClient; readonly client: UnixClient }> {
  const contract = await loadContract('csi-v1');
  const service = contract.services['csi.v1.Node'];
  const client = createUnixClient(contract, { endpoint: view.inside(endpoint), timeoutMs: callMsMax });
  const call: CsiDriverClient['call'] = async (method, request, signal) => {
    try {
      // The table of methods is typed one by one.
      const one = service[method] as never;
      const how = signal === undefined ? {} : { signal };
      const ask = async (): Promise<never> => (await client.call(one, request as never, how)) as never;
      return await (counts?.calling(name, method, ask) ?? ask());
    } catch (error) {
      signal?.throwIfAborted();
      throw callFailure(`${method} of driver ${name}`, error);
    }
  };
  try {
    const info = await call('NodeGetInfo', {});
    const { capabilities } = await call('NodeGetCapabilities', {});
    const types = capabilities.flatMap(({ rpc }) => rpc?.type ?? []);
    const place = (path: string): string => (isBelow(endpoint, kubeletRoot) ? view.outside(path) : path);
    return { driver: { name, info, capabilities: new Set(types), place, call }, client };
  } catch (error) {
    client[Symbol.dispose]();
    throw error;
  }
}
