import type { Pod, StatefulSet, StatefulSetStatus } from '#api/generated/objects.ts';
import type { KubeObject } from '#api/meta/object.ts';
import { isPodAvailable, isPodReady, isTerminal, isTerminating } from '#api/pod/state.ts';
import { intOrPercent } from '#control-plane/controllers/deployment/rolling.ts';

export const revisionLabel = 'controller-revision-hash';

export interface StatefulState {
  readonly statefulSet: StatefulSet;
  /** Owned by it. */
  readonly pods: readonly Pod[];
  /** Names of the ControllerRevisions: of the present template, and of the one before the update under way. */
  readonly updateRevision: string;
  readonly currentRevision: string;
  /** Where it is not that of the status: names for a revision that were taken by others. */
  readonly collisionCount?: number | undefined;
  readonly deletedUids: ReadonlySet<string>;
  readonly nowMs: number;
}

export type StatefulAction =
  | { readonly kind: 'create'; readonly ordinal: number; readonly revision: string }
  | { readonly kind: 'delete'; readonly pod: Pod };

/**
 * The next steps: missing pods in order of ordinals, surplus ones in reverse, then updates in reverse. With OrderedReady each
 * step waits for the one before to be ready, or gone, and for a surplus pod that is unhealthy unless all below it are healthy;
 * with Parallel only updates do.
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
  const ordinals = new Set(wanted);
  const surplus = state.pods
    .filter((pod) => ordinalOf(pod) >= 0 && !ordinals.has(ordinalOf(pod)))
    .toSorted((a, b) => ordinalOf(b) - ordinalOf(a));
  // An ordered set loses no pod while another, below it, is unhealthy as well: two would be away at once.
  const firstUnhealthy = surplus.findLast((pod) => !isHealthy(pod));
  for (const pod of surplus) {
    const mayGo = !isOrdered || isHealthy(pod) || pod === firstUnhealthy;
    if (!isGoing(pod) && mayGo) actions.push({ kind: 'delete', pod });
    if (isOrdered) return actions; // Until this one is healthy, and then gone.
  }
  if (actions.length > 0 || statefulSet.spec?.updateStrategy?.type === 'OnDelete') return actions;
  const present = wanted.toReversed().map((ordinal) => byOrdinal.get(ordinal));
  return planUpdate(statefulSet, { pods: present, updateRevision, isGoing, isHealthy });
}

interface Update {
  /** By ordinal, the highest first; undefined where there is none. */
  readonly pods: readonly (Pod | undefined)[];
  readonly updateRevision: string;
  readonly isGoing: (pod: Pod) => boolean;
  readonly isHealthy: (pod: Pod) => boolean;
}

/**
 * Deletes pods of old revisions, highest ordinals first. Each waits for those above it to be healthy, unless maxUnavailable
 * says how many may be away at once; then a pod that is unhealthy anyway costs nothing.
 */
function planUpdate(
  statefulSet: StatefulSet,
  { pods, updateRevision, ...is }: Update,
): readonly StatefulAction[] {
  const { replicas = 1, updateStrategy } = statefulSet.spec ?? {};
  const { maxUnavailable } = updateStrategy?.rollingUpdate ?? {};
  const reached = pods.flatMap((pod) =>
    pod !== undefined && isUpdated(statefulSet, ordinalOf(pod)) ? [pod] : [],
  );
  const isOld = (pod: Pod): boolean => !is.isGoing(pod) && revisionOfPod(pod) !== updateRevision;
  if (maxUnavailable === undefined) {
    const next = reached.find((pod) => isOld(pod) || !is.isHealthy(pod));
    return next !== undefined && isOld(next) ? [{ kind: 'delete', pod: next }] : [];
  }
  const unavailable = pods.filter((pod) => pod === undefined || !is.isHealthy(pod)).length;
  const mayGo = Math.max(0, Math.max(1, intOrPercent(maxUnavailable, replicas, Math.floor)) - unavailable);
  const healthy = new Set(reached.filter((pod) => isOld(pod) && is.isHealthy(pod)).slice(0, mayGo));
  return reached
    .filter((pod) => isOld(pod) && (!is.isHealthy(pod) || healthy.has(pod)))
    .map((pod) => ({ kind: 'delete', pod }));
}

/** Whether the update has reached, or may reach, the ordinal: those below the partition stay as they are. */
function isUpdated(statefulSet: StatefulSet, ordinal: number): boolean {
  const { updateStrategy, ordinals } = statefulSet.spec ?? {};
  const partition = (ordinals?.start ?? 0) + (updateStrategy?.rollingUpdate?.partition ?? 0);
  return updateStrategy?.type === 'OnDelete' || ordinal >= partition;
}

/** The ordinals of the pods that there should be. */
export function ordinalsOf({ spec }: StatefulSet): readonly number[] {
  const start = spec?.ordinals?.start ?? 0;
  return Array.from({ length: spec?.replicas ?? 1 }, (_, index) => start + index);
}

/** The number at the end of the pod's name; -1 when it has none. */
export function ordinalOf({ metadata }: Pod): number {
  const name = metadata?.name ?? '';
  const digits = name.slice(name.lastIndexOf('-') + 1);
  return name.includes('-') && /^\d+$/.test(digits) ? Number(digits) : -1;
}

/** Whether the pod's name is one of the set's: of others, whatever their labels, no ordinal is known. */
export function isPodOf({ metadata }: KubeObject, pod: Pod): boolean {
  const prefix = `${metadata?.name ?? ''}-`;
  const name = pod.metadata?.name ?? '';
  return name.startsWith(prefix) && /^\d+$/.test(name.slice(prefix.length));
}

export function revisionOfPod({ metadata }: Pod): string | undefined {
  return metadata?.labels?.[revisionLabel];
}

/** One that goes is a replica until it is gone, and ready as long as it says so; it is of no revision. */
export function computeStatefulStatus(state: StatefulState): StatefulSetStatus {
  const { statefulSet, pods, updateRevision, currentRevision, nowMs } = state;
  const { minReadySeconds = 0, replicas = 1, updateStrategy } = statefulSet.spec ?? {};
  const ofRevision = (revision: string): number =>
    pods.filter((pod) => !isTerminating(pod) && revisionOfPod(pod) === revision).length;
  const updated = ofRevision(updateRevision);
  const running = pods.filter(({ status }) => status?.phase === 'Running');
  const ready = running.filter(isPodReady).length;
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
    availableReplicas: running.filter((pod) => isPodAvailable(pod, minReadySeconds, nowMs)).length,
    updatedReplicas: orNothing(updated),
    currentReplicas: orNothing(ofRevision(isOver ? updateRevision : currentRevision)),
    currentRevision: isOver ? updateRevision : currentRevision,
    updateRevision,
    collisionCount: state.collisionCount ?? statefulSet.status?.collisionCount ?? 0,
  };
}
