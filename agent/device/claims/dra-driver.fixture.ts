import type { Outgoing } from '#proto/contract.ts';
import type { DeviceHealth } from '#proto/dra-health/api.ts';
import { createTold } from '#agent/device/told.fixture.ts';
import { loadContract } from '#proto/load.ts';
import { serviceOf, type ServedService } from '#proto/unix-server.ts';
import type { ClaimRef, DriverDevice } from './dra-plugin.ts';

export interface TestDraDriver {
  readonly service: ServedService;
  /** Says how its devices are: beside `service`, if it is to. */
  readonly health: ServedService;
  /** Says so now, to whoever listens. */
  tell(devices: readonly Outgoing<DeviceHealth>[]): void;
  /** What it was asked: `prepare UID`, `unprepare UID`. */
  readonly calls: string[];
}

export interface TestDraDriverOptions {
  /** Of a claim, or why it cannot be had. */
  readonly devicesOf: (claim: ClaimRef) => readonly DriverDevice[] | string;
}

/** A driver of devices as its node sees it. */
export async function createTestDraDriver({ devicesOf }: TestDraDriverOptions): Promise<TestDraDriver> {
  const contract = await loadContract('dra-v1');
  const calls: string[] = [];
  const service = serviceOf(contract.services['k8s.io.kubelet.pkg.apis.dra.v1.DRAPlugin'], {
    NodePrepareResources: ({ claims }) => ({
      claims: Object.fromEntries(
        claims.map((claim) => {
          calls.push(`prepare ${claim.uid}`);
          const devices = devicesOf(claim);
          if (typeof devices === 'string') return [claim.uid, { error: devices }];
          return [
            claim.uid,
            {
              devices: devices.map(({ pool, device, requests, cdiIds }) => ({
                pool_name: pool,
                device_name: device,
                request_names: requests,
                cdi_device_ids: cdiIds,
              })),
            },
          ];
        }),
      ),
    }),
    NodeUnprepareResources: ({ claims }) => ({
      claims: Object.fromEntries(
        claims.map(({ uid }) => {
          calls.push(`unprepare ${uid}`);
          return [uid, {}];
        }),
      ),
    }),
  });
  const healths = createTold<readonly Outgoing<DeviceHealth>[]>([]);
  const healthContract = await loadContract('dra-health-v1alpha1');
  const health = serviceOf(healthContract.services['v1alpha1.DRAResourceHealth'], {
    NodeWatchResources: async function* (_request, { signal }) {
      for await (const devices of healths.from(signal)) yield { devices };
    },
  });
  return { service, health, calls, tell: healths.tell };
}
