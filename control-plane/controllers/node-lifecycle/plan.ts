import { equalJson } from '#api/wire/json.ts';
import { findCondition, withCondition } from '#api/meta/condition.ts';
import type { Node, NodeCondition, Pod, Taint } from '#api/generated/objects.ts';
import { toleratesTaint } from '#api/pod/tolerations.ts';
import { formatTime } from '#api/meta/time.ts';

/** kube-controller-manager's node-monitor-grace-period where nobody said it, since 1.32. */
export const gracePeriodMs = 50_000;
/** Its node-startup-grace-period. */
export const startupGracePeriodMs = 60_000;

const notReady = 'node.kubernetes.io/not-ready';
const unreachable = 'node.kubernetes.io/unreachable';

/** Conditions that put a taint on the node, by the status at which they do. */
const taintsOfConditions: readonly {
  readonly type: string;
  readonly status: string;
  readonly key: string;
}[] = [
  { type: 'Ready', status: 'False', key: notReady },
  { type: 'Ready', status: 'Unknown', key: unreachable },
  { type: 'MemoryPressure', status: 'True', key: 'node.kubernetes.io/memory-pressure' },
  { type: 'DiskPressure', status: 'True', key: 'node.kubernetes.io/disk-pressure' },
  { type: 'PIDPressure', status: 'True', key: 'node.kubernetes.io/pid-pressure' },
  { type: 'NetworkUnavailable', status: 'True', key: 'node.kubernetes.io/network-unavailable' },
];
const unschedulableKey = 'node.kubernetes.io/unschedulable';

/** Labels of nodes that say what an older one said, too, by which pods may still choose (labelReconcileInfo). */
const olderNames: readonly (readonly [label: string, older: string])[] = [
  ['kubernetes.io/os', 'beta.kubernetes.io/os'],
  ['kubernetes.io/arch', 'beta.kubernetes.io/arch'],
];

/** The older labels that a node lacks, or that say otherwise; undefined: none. Pure. */
export function planOlderLabels({ metadata }: Node): Readonly<Record<string, string>> | undefined {
  const { labels = {} } = metadata ?? {};
  const wanted = olderNames.flatMap(([label, older]) => {
    const value = labels[label];
    return value === undefined || labels[older] === value ? [] : [[older, value] as const];
  });
  return wanted.length === 0 ? undefined : Object.fromEntries(wanted);
}

/** Keys whose taints are set and removed here; all others are somebody else's. */
const ownKeys: ReadonlySet<string> = new Set([unschedulableKey, ...taintsOfConditions.map(({ key }) => key)]);
const ownNoExecuteKeys: ReadonlySet<string> = new Set([notReady, unreachable]);

/**
 * How long a node has been silent: since its last sign of life, but not longer than we could hear it. Times are monotonic.
 */
export function silenceMs(
  times: { readonly lastSignMs: number; readonly presentSinceMs: number },
  nowMs: number,
): number {
  return nowMs - Math.max(times.lastSignMs, times.presentSinceMs);
}

/** Whether a node's own taints come to take its pods away, which its zone may have to wait for. One that has such a taint goes on. */
export function startsEvicting(before: Node, taints: readonly Taint[]): boolean {
  return taints.some(isOwnEviction) && before.spec?.taints?.some(isOwnEviction) !== true;
}

/**
 * How long after a node became unready its pods may be told to go: whoever fell silent with it is counted by then, so that
 * it is known what became of its zone. As kube-controller-manager looks at all nodes (node-monitor-period) before it taints any.
 */
const countingMs = 5_000;

/** For how many ms a node's taints by which pods go have to wait for that; 0: they need not. */
export function countingLeftMs({ metadata, status }: Node, nowMs: number): number {
  const since = findCondition(status?.conditions, 'Ready')?.lastTransitionTime;
  const sinceMs = Date.parse(since ?? metadata?.creationTimestamp ?? '');
  return Number.isNaN(sinceMs) ? 0 : Math.max(0, Math.min(countingMs, sinceMs + countingMs - nowMs));
}

/** The taints without those by which pods are taken away. */
export function withoutOwnEviction(taints: readonly Taint[]): readonly Taint[] {
  return taints.filter((taint) => !isOwnEviction(taint));
}

/** Whether a taint was put on a node here, for being silent or not ready. */
export function isOwnEviction({ key, effect }: Taint): boolean {
  return effect === 'NoExecute' && ownNoExecuteKeys.has(key);
}

/** How long a node may be silent: longer before it has said for the first time whether it is ready. */
export function graceOf(
  { status }: Node,
  { graceMs, startupGraceMs }: { readonly graceMs: number; readonly startupGraceMs: number },
): number {
  return findCondition(status?.conditions, 'Ready') === undefined ? startupGraceMs : graceMs;
}

/** The conditions of a node that was silent for the grace period; undefined when they say so already. */
export function silentConditions(node: Node, nowMs: number): readonly NodeCondition[] | undefined {
  const before = node.status?.conditions ?? [];
  const next = ['Ready', 'MemoryPressure', 'DiskPressure', 'PIDPressure'].reduce<readonly NodeCondition[]>(
    (conditions, type) => {
      const known = findCondition(conditions, type);
      if (known?.status === 'Unknown') return conditions;
      const why =
        known === undefined
          ? { reason: 'NodeStatusNeverUpdated', message: 'Kubelet never posted node status.' }
          : { reason: 'NodeStatusUnknown', message: 'Kubelet stopped posting node status.' };
      const { lastHeartbeatTime = node.metadata?.creationTimestamp } = known ?? {};
      return withCondition(conditions, { type, status: 'Unknown', ...why, lastHeartbeatTime }, nowMs);
    },
    before,
  );
  return next === before ? undefined : next;
}

/** The taints that the node's conditions and cordon call for; undefined when it has them. Other taints are kept. */
export function planTaints(node: Node, nowMs: number): readonly Taint[] | undefined {
  const before = node.spec?.taints ?? [];
  const keys = taintsOfConditions
    .filter(({ type, status }) => findCondition(node.status?.conditions, type)?.status === status)
    .map(({ key }) => key);
  const wanted: readonly Taint[] = [
    ...keys.map((key): Taint => ({ key, effect: 'NoSchedule' })),
    ...(node.spec?.unschedulable === true ? [{ key: unschedulableKey, effect: 'NoSchedule' } as const] : []),
    ...keys.filter((key) => ownNoExecuteKeys.has(key)).map((key): Taint => ({ key, effect: 'NoExecute' })),
  ];
  const isOwn = ({ key, effect }: Taint): boolean =>
    effect === 'NoExecute' ? ownNoExecuteKeys.has(key) : effect === 'NoSchedule' && ownKeys.has(key);
  const isSame = (a: Taint) => (b: Taint) => a.key === b.key && a.effect === b.effect;
  const kept = before.filter((taint) => !isOwn(taint) || wanted.some(isSame(taint)));
  const timeAdded = formatTime(nowMs);
  const added = wanted
    .filter((taint) => !before.some(isSame(taint)))
    .map((taint) => ({ ...taint, timeAdded }));
  const next = [...kept, ...added];
  return equalJson(next, before) ? undefined : next;
}

export type Eviction =
  | { readonly kind: 'stay' }
  | { readonly kind: 'evict' }
  | { readonly kind: 'evictLater'; readonly afterMs: number };

/** Since when a pod tolerates what its node has, as unix ms: who taints by hand does not say when. */
export interface Tolerating {
  readonly seenMs: number;
  readonly nowMs: number;
}

/**
 * What NoExecute taints of its node mean for a pod: it goes at once unless it tolerates all, for as long as it tolerates, from when
 * both are there: a pod that comes to a node of an old taint has its whole time. Of several tolerations of a taint the first counts
 * (v1helper.GetMatchingTolerations).
 */
export function planEviction(pod: Pod, node: Node, { seenMs, nowMs }: Tolerating): Eviction {
  const scheduled = findCondition(pod.status?.conditions, 'PodScheduled');
  const boundMs = scheduled?.status === 'True' ? Date.parse(scheduled.lastTransitionTime ?? '') || 0 : 0;
  let earliestMs = Number.POSITIVE_INFINITY;
  for (const taint of node.spec?.taints ?? []) {
    if (taint.effect !== 'NoExecute') continue;
    const toleration = pod.spec?.tolerations?.find((one) => toleratesTaint(one, taint));
    if (toleration === undefined) return { kind: 'evict' };
    const { tolerationSeconds: seconds = Number.POSITIVE_INFINITY } = toleration;
    const addedMs = taint.timeAdded === undefined ? seenMs : Date.parse(taint.timeAdded);
    const sinceMs = Math.max(addedMs, boundMs);
    earliestMs = Math.min(earliestMs, sinceMs + Math.max(0, seconds) * 1000);
  }
  if (earliestMs === Number.POSITIVE_INFINITY) return { kind: 'stay' };
  return earliestMs <= nowMs ? { kind: 'evict' } : { kind: 'evictLater', afterMs: earliestMs - nowMs };
}

/** The end of a pod: since when it was planned, and when it is due (unix ms). */
export interface PlannedEnd {
  readonly uid: string | undefined;
  readonly sinceMs: number;
  readonly dueMs: number;
  /** Whether the pod tolerated for a time, so that it was not to go at once. */
  readonly isTimed: boolean;
}

/**
 * A time that runs goes on, whatever taints and tolerations come meanwhile, as long as each is tolerated and not all are for ever
 * (tainteviction processPodOnNode): a node that is silent after it was not ready is no new beginning.
 */
export function keepDue(eviction: Eviction, known: PlannedEnd | undefined, nowMs: number): Eviction {
  if (eviction.kind !== 'evictLater' || known?.isTimed !== true) return eviction;
  const afterMs = known.dueMs - nowMs;
  return afterMs <= 0 ? { kind: 'evict' } : { kind: 'evictLater', afterMs };
}
