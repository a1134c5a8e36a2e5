import type { Pod } from '#api/generated/objects.ts';
import { renderReasons, type Decision } from '#control-plane/scheduler/decide.ts';
import { dynamicResourcesFilter } from '#control-plane/scheduler/plugins/dynamic-resources.ts';

type Unschedulable = Extract<Decision, { kind: 'unschedulable' }>;

const notHelpful = 'Preemption is not helpful for scheduling';

/** Why a pod does not evict others at all; '' if it may. `isAwaited`: pods that it evicted are about to go from its node. */
export function ineligibility(pod: Pod, isAwaited: boolean): string {
  if (pod.spec?.preemptionPolicy === 'Never') return 'not eligible due to preemptionPolicy=Never.';
  return isAwaited ? 'not eligible due to a terminating pod on the nominated node.' : '';
}

/**
 * What is said of preemption behind why no node does, as kube-scheduler 1.36 says it: of claims of devices first. `why`: that the pod is not eligible, or
 * with how many of the nodes that eviction might have helped each reason is of; undefined: its profile evicts nobody.
 */
export function preemptionNote(
  pod: Pod,
  { nodeCount, helpedByEviction, refusedBefore }: Unschedulable,
  why: string | ReadonlyMap<string, number> | undefined,
): string {
  if (nodeCount === 0) return '';
  // What asks for claims of devices has not been asked yet, and finds nothing of its own.
  if (refusedBefore !== undefined && refusedBefore !== dynamicResourcesFilter.name) return ' not found';
  const hasClaims = (pod.spec?.resourceClaims ?? []).length > 0 && refusedBefore === undefined;
  const claims = hasClaims ? 'still not schedulable' : 'no new claims to deallocate';
  if (why === undefined) return ` ${claims}`;
  if (typeof why === 'string') return ` ${claims}, preemption: ${why}`;
  const others = nodeCount - helpedByEviction.length;
  const reasons = new Map([...why, ...(others > 0 ? [[notHelpful, others] as const] : [])]);
  return ` ${claims}, preemption: ${renderReasons(nodeCount, reasons)}`;
}
