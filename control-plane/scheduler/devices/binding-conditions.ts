import type {
  AllocatedDeviceStatus,
  DeviceRequestAllocationResult,
  ResourceV1ResourceClaim as ResourceClaim,
} from '#api/generated/objects.ts';

/** Whether the devices of a claim are ready for its pod (KEP-5007). */
export type Readiness =
  | { readonly kind: 'ready' | 'waits' }
  /** A driver said that one will not be. */
  | { readonly kind: 'failed'; readonly why: string };

/** By what drivers say of devices that make a pod wait. Pure. */
export function readinessOf({ status }: ResourceClaim): Readiness {
  const { allocation, devices = [] } = status ?? {};
  let isReady = true;
  for (const result of allocation?.devices?.results ?? []) {
    const { bindingConditions = [], bindingFailureConditions = [] } = result;
    if (bindingConditions.length === 0) continue;
    const conditions = devices.find((one) => isOf(one, result))?.conditions ?? [];
    const holds = (type: string): boolean =>
      conditions.some((one) => one.type === type && one.status === 'True');
    const failed = bindingFailureConditions.find(holds);
    if (failed !== undefined) {
      const why = `device ${result.driver}/${result.pool}/${result.device} has the condition ${failed}`;
      return { kind: 'failed', why };
    }
    isReady &&= bindingConditions.every(holds);
  }
  return { kind: isReady ? 'ready' : 'waits' };
}

function isOf(told: AllocatedDeviceStatus, given: DeviceRequestAllocationResult): boolean {
  const { driver, pool, device, shareID } = given;
  return told.driver === driver && told.pool === pool && told.device === device && told.shareID === shareID;
}
