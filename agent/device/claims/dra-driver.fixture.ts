import { loadContract } from '#proto/load.ts';
import { serviceOf, type ServedService } from '#proto/unix-server.ts';
import type { ClaimRef, DriverDevice } from './dra-plugin.ts';

export interface TestDraDriver {
  readonly service: ServedService;
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
  return { service, calls };
}
