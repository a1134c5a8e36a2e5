import type { Pod, StatefulSet, StatefulSetStatus } from '#api/objects.ts';
import { isActive, isPodAvailable, isPodReady, isTerminal, isTerminating } from '#api/pod/state.ts';

export const revisionLabel = 'controller-revision-hash';

export interface StatefulState {
  readonly statefulSet: StatefulSet;
  /** Owned by it. */
  readonly pods: readonly Pod[];
  /** Names of the ControllerRevisions: of the present template, and of the one before the update under way. */
  readonly updateRevision: string;
  readonly currentRevision: string;
  readonly deletedUids: ReadonlySet<string>;
  readonly nowMs: number;
}

export type StatefulAction =
  | { readonly kind: 'create'; readonly ordinal: number; readonly revision: string }
  | { readonly kind: 'delete'; readonly pod: Pod };

/**
 * The next steps: missing pods in order of ordinals, surplus ones in reverse, then updates in reverse. With OrderedReady each
 * step waits for the one before to be ready, or gone; with Parallel only updates do.
 */
export function planStateful(state: StatefulState): readonly StatefulAction[] {
  const { statefulSet, deletedUids, updateRevision, currentRevision, nowMs } = state;
  if (statefulSet.metadata?.deletionTimestamp !== undefined) return [];
  const { podManagementPolicy, minReadySeconds = 0 } = statefulSet.spec ?? {};
  const isOrdered = podManagementPolicy !== 'Parallel';
  const isGoing = (pod: Pod): boolean => isTerminating(pod) || deletedUids.has(pod.metadata?.uid ?? '');
  const isHealthy = (pod: Pod): boolean => !isGoing(pod) && isPodAvailable(pod, minReadySeconds, nowMs);
  const byOrdinal = new Map(state.pods.map((pod) => [ordinalOf(pod), pod]));
  const wanted = ordinalsOf(statefulSet);
  const actions: StatefulAction[] = [];
  for (const ordinal of wanted) {
    const pod = byOrdinal.get(ordinal);
    if (pod === undefined) {
      const revision = isUpdated(statefulSet, ordinal) ? updateRevision : currentRevision;
      actions.push({ kind: 'create', ordinal, revision });
    } else if (isTerminal(pod) && !isGoing(pod)) actions.push({ kind: 'delete', pod });
    else if (isHealthy(pod)) continue;
    if (isOrdered) return actions; // Until this one is ready.
  }
  const surplus = state.pods
    .filter((pod) => !wanted.includes(ordinalOf(pod)))
    .toSorted((a, b) => ordinalOf(b) - ordinalOf(a));
  for (const pod of surplus) {
    if (!isGoing(pod)) actions.push({ kind: 'delete', pod });
    if (isOrdered) return actions; // Until this one is gone.
  }
  if (actions.length > 0 || statefulSet.spec?.updateStrategy?.type === 'OnDelete') return actions;
  for (const ordinal of wanted.toReversed().filter((one) => isUpdated(statefulSet, one))) {
    const pod = byOrdinal.get(ordinal);
    if (pod === undefined || isGoing(pod)) return [];
    if (revisionOfPod(pod) !== updateRevision) return [{ kind: 'delete', pod }];
    if (!isHealthy(pod)) return [];
  }
  return [];
}

/** Whether the update has reached, or may reach, the ordinal: those below the partition stay as they are. */
function isUpdated(statefulSet: StatefulSet, ordinal: number): boolean {
  const { updateStrategy } = statefulSet.spec ?? {};
  return updateStrategy?.type === 'OnDelete' || ordinal >= (updateStrategy?.rollingUpdate?.partition ?? 0);
}

function ordinalsOf({ spec }: StatefulSet): readonly number[] {
  const start = spec?.ordinals?.start ?? 0;
  return Array.from({ length: spec?.replicas ?? 1 }, (_, index) => start + index);
}

/** The number at the end of the pod's name; -1 when it has none. */
export function ordinalOf({ metadata }: Pod): number {
  const digits = /-(\d+)$/.exec(metadata?.name ?? '')?.[1];
  return digits === undefined ? -1 : Number(digits);
}

export function revisionOfPod({ metadata }: Pod): string | undefined {
  return metadata?.labels?.[revisionLabel];
}

export function computeStatefulStatus(state: StatefulState): StatefulSetStatus {
  const { statefulSet, updateRevision, currentRevision, nowMs } = state;
  const pods = state.pods.filter((pod) => isActive(pod));
  const { minReadySeconds = 0, replicas = 1, updateStrategy } = statefulSet.spec ?? {};
  const ofRevision = (revision: string): number =>
    pods.filter((pod) => revisionOfPod(pod) === revision).length;
  const updated = ofRevision(updateRevision);
  const ready = pods.filter(isPodReady).length;
  // Once all are updated and ready, the update is over and its revision the current one.
  const isOver =
    updateStrategy?.type !== 'OnDelete' &&
    updated === replicas &&
    ready === replicas &&
    pods.length === replicas;
  const orNothing = (count: number): number | undefined => (count === 0 ? undefined : count);
  return {
    ...statefulSet.status,
    observedGeneration: statefulSet.metadata?.generation,
    replicas: pods.length,
    readyReplicas: orNothing(ready),
    availableReplicas: pods.filter((pod) => isPodAvailable(pod, minReadySeconds, nowMs)).length,
    updatedReplicas: orNothing(updated),
    currentReplicas: orNothing(ofRevision(isOver ? updateRevision : currentRevision)),
    currentRevision: isOver ? updateRevision : currentRevision,
    updateRevision,
    collisionCount: statefulSet.status?.collisionCount ?? 0,
  };
}
