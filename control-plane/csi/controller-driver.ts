import { PodwrightError } from '#base/errors.ts';
import { loadContract } from '#proto/load.ts';
import type { ControllerServiceCapabilityRPC, Services } from '#proto/csi/csi.ts';
import { callFailure } from '#proto/rpc-error.ts';
import { createUnixClient } from '#proto/unix-client.ts';

type ControllerService = Services['csi.v1.Controller'];

/** The controller's part of a driver. */
export interface ControllerDriver extends Disposable {
  readonly name: string;
  readonly capabilities: ReadonlySet<ControllerServiceCapabilityRPC['type']>;
  /** Its volumes are not everywhere. */
  readonly hasTopology: boolean;
  /** @throws in words of a sidecar's events: `rpc error: code = … desc = …`; `detail.status` */
  call<Name extends keyof ControllerService>(
    method: Name,
    request: Parameters<ControllerService[Name]['requestSerialize']>[0],
    signal?: AbortSignal,
  ): Promise<ReturnType<ControllerService[Name]['responseDeserialize']>>;
}

/** As sidecars have it: --timeout. */
const callMsMax = 60_000;

/** @throws {E_UNSUPPORTED} for a driver without a controller's part; what it says otherwise */
export async function connectDriver(endpoint: string): Promise<ControllerDriver> {
  const contract = await loadContract('csi-v1');
  const client = createUnixClient(contract, { endpoint, timeoutMs: callMsMax });
  const identity = contract.services['csi.v1.Identity'];
  const service = contract.services['csi.v1.Controller'];
  const call: ControllerDriver['call'] = async (method, request, signal) => {
    try {
      // The table of methods is typed one by one.
      const one = service[method] as never;
      return (await client.call(one, request as never, signal === undefined ? {} : { signal })) as never;
    } catch (error) {
      signal?.throwIfAborted();
      throw callFailure('', error);
    }
  };
  try {
    const { name } = await client.call(identity.GetPluginInfo, {});
    const plugin = await client.call(identity.GetPluginCapabilities, {});
    const services = plugin.capabilities.flatMap((one) => one.service?.type ?? []);
    if (!services.includes('CONTROLLER_SERVICE'))
      throw new PodwrightError('E_UNSUPPORTED', `CSI driver ${name} has no controller service`);
    const { capabilities } = await call('ControllerGetCapabilities', {});
    return {
      name,
      capabilities: new Set(capabilities.flatMap(({ rpc }) => rpc?.type ?? [])),
      hasTopology: services.includes('VOLUME_ACCESSIBILITY_CONSTRAINTS'),
      call,
      [Symbol.dispose]: () => client[Symbol.dispose](),
    };
  } catch (error) {
    client[Symbol.dispose]();
    throw error;
  }
}
