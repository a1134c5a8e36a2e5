import { isReservedFor } from '#api/device/pod-claims.ts';
import { toleratesDeviceTaint } from '#api/device/device-taints.ts';
import type {
  DeviceRequestAllocationResult,
  DeviceTaint,
  Pod,
  ResourceV1ResourceClaim as ResourceClaim,
} from '#api/generated/objects.ts';
import { isTerminal } from '#api/pod/state.ts';

/** The device whose taint ends a pod, and when: milliseconds, 0 at once. */
export interface DeviceEviction {
  readonly atMs: number;
  readonly claim: string;
  readonly device: string;
}

/**
 * When a pod has to go for the taints of the devices that its claims were given; undefined: it may stay (device-taint-eviction-controller of
 * kube-controller-manager, KEP-5055). Pure. `taintsOf`: what the driver says of a device now.
 */
export function planDeviceEviction(
  pod: Pod,
  claims: readonly ResourceClaim[],
  taintsOf: (result: DeviceRequestAllocationResult) => readonly DeviceTaint[],
): DeviceEviction | undefined {
  const isPlaced = (pod.spec?.nodeName ?? '') !== '';
  if (!isPlaced || isTerminal(pod) || pod.metadata?.deletionTimestamp !== undefined) return undefined;
  const evictions = claims
    .filter((claim) => isReservedFor(claim, pod))
    .flatMap((claim) =>
      (claim.status?.allocation?.devices?.results ?? []).flatMap((result) => {
        const atMs = endOf(result, taintsOf(result));
        const device = `${result.driver}/${result.pool}/${result.device}`;
        return atMs === undefined ? [] : [{ atMs, claim: claim.metadata?.name ?? '', device }];
      }),
    );
  return evictions.toSorted((a, b) => a.atMs - b.atMs)[0];
}

/** The earliest end that a taint sets; a toleration with seconds counts from when the taint came. */
function endOf(
  { tolerations = [] }: DeviceRequestAllocationResult,
  taints: readonly DeviceTaint[],
): number | undefined {
  const ends = taints
    .filter(({ effect }) => effect === 'NoExecute')
    .flatMap((taint) => {
      const matching = tolerations.filter((toleration) => toleratesDeviceTaint(toleration, taint));
      if (matching.length === 0) return [0];
      const seconds = matching.flatMap(({ tolerationSeconds }) =>
        tolerationSeconds === undefined ? [] : [Math.max(0, tolerationSeconds)],
      );
      if (seconds.length === 0) return [];
      const sinceMs = taint.timeAdded === undefined ? 0 : Date.parse(taint.timeAdded);
      return [sinceMs + Math.min(...seconds) * 1000];
    });
  return ends.length === 0 ? undefined : Math.min(...ends);
}
