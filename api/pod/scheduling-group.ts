import type { Pod, PodGroup } from '#api/generated/objects.ts';
import { objectKey } from '#api/meta/object.ts';
import { isTerminal } from './state.ts';

/** Holds a PodGroup while pods are of it (pkg/apis/scheduling of Kubernetes 1.36). */
export const podGroupFinalizer = 'scheduling.k8s.io/podgroup-protection';

/** The PodGroup that the pod is of, `namespace/name`; undefined: of none. */
export function podGroupKeyOf({ metadata, spec }: Pod): string | undefined {
  const name = spec?.schedulingGroup?.podGroupName ?? '';
  return name === '' ? undefined : `${metadata?.namespace ?? ''}/${name}`;
}

/** The same, of a pod that has not ended, as a list for an index. */
export function livePodGroupKeys(pod: Pod): readonly string[] {
  const key = podGroupKeyOf(pod);
  return key === undefined || isTerminal(pod) ? [] : [key];
}

/** How many pods of the group must be on nodes for any to be; 1 of a group that is no gang. */
export function minCountOf({ spec }: PodGroup): number {
  return Math.max(1, spec.schedulingPolicy.gang?.minCount ?? 1);
}

/** Whether its pods go to nodes together or not at all. */
export function isGang({ spec }: PodGroup): boolean {
  return spec.schedulingPolicy.gang !== undefined;
}

/** Whether `group` is the one that the pod is of. */
export function isOfGroup(pod: Pod, group: PodGroup): boolean {
  return podGroupKeyOf(pod) === objectKey(group);
}
