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
  /** By name, all that would end the pod, not the first alone. */
  readonly rules: readonly string[];
}

/** A taint by its driver's word, or by a rule. */
export interface KnownTaint {
  readonly taint: DeviceTaint;
  readonly rule?: string;
}

/**
 * When a pod has to go for the taints of the devices that its claims were given; undefined: it may stay (device-taint-eviction-controller of
 * kube-controller-manager, KEP-5055). Pure. `taintsOf`: what is said of a device now.
 */
export function planDeviceEviction(
  pod: Pod,
  claims: readonly ResourceClaim[],
  taintsOf: (result: DeviceRequestAllocationResult) => readonly KnownTaint[],
): DeviceEviction | undefined {
  const isPlaced = (pod.spec?.nodeName ?? '') !== '';
  if (!isPlaced || isTerminal(pod) || pod.metadata?.deletionTimestamp !== undefined) return undefined;
  const evictions = claims
    .filter((claim) => isReservedFor(claim, pod))
    .flatMap((claim) =>
      (claim.status?.allocation?.devices?.results ?? []).flatMap((result) => {
        const device = `${result.driver}/${result.pool}/${result.device}`;
        const about = { claim: claim.metadata?.name ?? '', device };
        return endsOf(result, taintsOf(result)).map((end) => ({ ...about, ...end }));
      }),
    )
    .toSorted((a, b) => a.atMs - b.atMs);
  const [first] = evictions;
  if (first === undefined) return undefined;
  const rules = new Set(evictions.flatMap(({ rule }) => rule ?? []));
  return { atMs: first.atMs, claim: first.claim, device: first.device, rules: [...rules] };
}

/** The ends that taints set; a toleration with seconds counts from when the taint came. */
function endsOf(
  { tolerations = [] }: DeviceRequestAllocationResult,
  taints: readonly KnownTaint[],
): readonly { readonly atMs: number; readonly rule: string | undefined }[] {
  return taints
    .filter(({ taint: { effect } }) => effect === 'NoExecute')
    .flatMap(({ taint, rule }) => {
      const matching = tolerations.filter((toleration) => toleratesDeviceTaint(toleration, taint));
      if (matching.length === 0) return [{ atMs: 0, rule }];
      const seconds = matching.flatMap(({ tolerationSeconds }) =>
        tolerationSeconds === undefined ? [] : [Math.max(0, tolerationSeconds)],
      );
      if (seconds.length < matching.length) return [];
      const sinceMs = taint.timeAdded === undefined ? 0 : Date.parse(taint.timeAdded);
      return [{ atMs: sinceMs + Math.min(...seconds) * 1000, rule }];
    });
}
