import type { DaemonSet, DaemonSetStatus, Node, Pod, PodSpec, Toleration } from '#api/generated/objects.ts';
import { matchesNodeAffinity } from '#api/pod/node-affinity.ts';
import { isActive, isPodAvailable, isPodReady, isTerminal } from '#api/pod/state.ts';
import { findUntoleratedTaint } from '#api/pod/tolerations.ts';
import {
  planReplacement,
  planSurge,
  revisionHashLabel,
  surgeOf,
  surplusOf,
  type Rollout,
} from './plan-update.ts';

export interface DaemonState extends Rollout {
  readonly nodes: readonly Node[];
  /** Owned by it. */
  readonly pods: readonly Pod[];
  /** Deletion was asked for, though the pods do not show it yet: until they do, they are in the way of the next. */
  readonly deletedUids: ReadonlySet<string>;
  /** How long a failed pod of the node stays as it is; without, none does. */
  readonly failedWaitMs?: (node: string) => number;
  /** `placementsOf` the DaemonSet, kept while it stays as it is: neither it nor a node changes then. */
  readonly placement?: (node: Node) => Placement;
  /** Where it is not that of the status: names for a revision that were taken by others. */
  readonly collisionCount?: number | undefined;
}

export interface DaemonPlan {
  readonly createOn: readonly string[]; // node names
  readonly deletePods: readonly Pod[];
  /** When the next failed pod is to be replaced; undefined: none waits. */
  readonly againInMs?: number | undefined;
}

/** One pod on every node that should run one, none elsewhere; failed pods are replaced; updates go node by node, or put new pods beside old ones. */
export function planDaemons(state: DaemonState): DaemonPlan {
  const { daemonSet, nodes, deletedUids } = state;
  if (daemonSet.metadata?.deletionTimestamp !== undefined) return { createOn: [], deletePods: [] };
  const isAsked = ({ metadata }: Pod): boolean => deletedUids.has(metadata?.uid ?? '');
  const placement = state.placement ?? placementsOf(daemonSet);
  const wanted = new Map(nodes.map((node) => [node.metadata?.name ?? '', placement(node)]));
  const podsHere = Map.groupBy(state.pods.filter(isPresent), nodeNameOf);
  const isSurging = surgeOf(daemonSet, wanted.size) > 0;
  const createOn: string[] = [];
  const deletePods: Pod[] = [];
  const waits: number[] = [];
  for (const [name, placement] of wanted) {
    const all = podsHere.get(name) ?? [];
    const here = all.filter((pod) => !isAsked(pod));
    const active = here.filter(isActive).toSorted(byAge);
    const ended = here.filter((pod) => isTerminal(pod) && pod.metadata?.deletionTimestamp === undefined);
    const waitMs = state.failedWaitMs?.(name) ?? 0;
    const isWaiting = (pod: Pod): boolean =>
      placement.shouldContinue && waitMs > 0 && pod.status?.phase === 'Failed';
    if (ended.some(isWaiting)) waits.push(waitMs);
    deletePods.push(...ended.filter((pod) => !isWaiting(pod)));
    if (!placement.shouldContinue) deletePods.push(...active);
    else {
      deletePods.push(...(isSurging ? surplusOf(state, active) : active.slice(1)));
      // The old pod must be gone before the next comes: they may share ports and paths of the node.
      if (all.length === 0 && placement.shouldRun) createOn.push(name);
    }
  }
  const leaving = new Set(deletePods);
  const running = new Set([...wanted].flatMap(([name, { shouldRun }]) => (shouldRun ? [name] : [])));
  const stayingPods = new Map(
    [...wanted.keys()]
      .filter((name) => running.has(name) || podsHere.has(name))
      .map((name) => [name, (podsHere.get(name) ?? []).filter((pod) => !leaving.has(pod) && !isAsked(pod))]),
  );
  const staying = { pods: stayingPods, wanted: running };
  const update = isSurging ? planSurge(state, staying) : planReplacement(state, staying);
  return {
    createOn: [...createOn, ...update.createOn],
    deletePods: [...deletePods, ...update.deletePods],
    againInMs: waits.length === 0 ? undefined : Math.min(...waits),
  };
}

export interface Placement {
  readonly shouldRun: boolean;
  /** A pod that is there may stay though a new one would not come (a NoSchedule taint that came later). */
  readonly shouldContinue: boolean;
}

/** Where its pods are to be; whether there is room is the scheduler's to say, to whom it is told. What the DaemonSet asks of nodes is worked out once, and asked once of each. */
export function placementsOf(daemonSet: DaemonSet): (node: Node) => Placement {
  const spec = podSpecOf(daemonSet);
  const pod: Pod = { spec };
  const place = (node: Node): Placement => {
    const isFitting =
      (spec.nodeName === undefined || spec.nodeName === '' || spec.nodeName === node.metadata?.name) &&
      matchesNodeAffinity(pod, node);
    const untolerated = (effects: readonly string[]): boolean =>
      findUntoleratedTaint(spec.tolerations, node.spec?.taints, effects) !== undefined;
    if (!isFitting) return { shouldRun: false, shouldContinue: false };
    return {
      shouldRun: !untolerated(['NoSchedule', 'NoExecute']),
      shouldContinue: !untolerated(['NoExecute']),
    };
  };
  const known = new WeakMap<Node, Placement>();
  return (node) => {
    const found = known.get(node) ?? place(node);
    known.set(node, found);
    return found;
  };
}

// What every daemon pod tolerates (util.AddOrUpdateDaemonPodTolerations).
const exists = (key: string, effect: 'NoSchedule' | 'NoExecute'): Toleration => ({
  key: `node.kubernetes.io/${key}`,
  operator: 'Exists',
  effect,
});
const daemonTolerations: readonly Toleration[] = [
  exists('not-ready', 'NoExecute'),
  exists('unreachable', 'NoExecute'),
  exists('disk-pressure', 'NoSchedule'),
  exists('memory-pressure', 'NoSchedule'),
  exists('pid-pressure', 'NoSchedule'),
  exists('unschedulable', 'NoSchedule'),
];

/** The template's pod with the tolerations of a daemon; with `nodeName`, bound to that node by affinity, for the scheduler. */
export function podSpecOf(daemonSet: DaemonSet, nodeName?: string): PodSpec {
  const spec: PodSpec = daemonSet.spec?.template.spec ?? { containers: [] };
  const network = spec.hostNetwork === true ? [exists('network-unavailable', 'NoSchedule')] : [];
  const tolerations = [...(spec.tolerations ?? []), ...daemonTolerations, ...network];
  if (nodeName === undefined) return { ...spec, tolerations };
  const term = { matchFields: [{ key: 'metadata.name', operator: 'In' as const, values: [nodeName] }] };
  return {
    ...spec,
    tolerations,
    affinity: {
      ...spec.affinity,
      nodeAffinity: {
        ...spec.affinity?.nodeAffinity,
        // What the template requires of nodes was asked when the node was chosen.
        requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [term] },
      },
    },
  };
}

/** The node that a pod is on, or is meant for while it waits for the scheduler. */
export function nodeNameOf({ spec }: Pod): string {
  if (spec?.nodeName !== undefined && spec.nodeName !== '') return spec.nodeName;
  const terms =
    spec?.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms ?? [];
  const field = terms
    .flatMap(({ matchFields = [] }) => matchFields)
    .find(({ key }) => key === 'metadata.name');
  return field?.values?.[0] ?? '';
}

export function computeDaemonStatus(state: DaemonState): DaemonSetStatus {
  const { daemonSet, nodes, pods, hash, nowMs } = state;
  const { minReadySeconds = 0 } = daemonSet.spec ?? {};
  const byNode = Map.groupBy(pods.filter(isPresent), nodeNameOf);
  const onNode = (node: Node): readonly Pod[] => byNode.get(node.metadata?.name ?? '') ?? [];
  const placement = state.placement ?? placementsOf(daemonSet);
  const wanted = new Set(nodes.filter((node) => placement(node).shouldRun));
  const first = [...wanted].flatMap((node) => onNode(node).toSorted(byAge).slice(0, 1));
  const misscheduled = nodes.filter((node) => !wanted.has(node) && onNode(node).length > 0);
  const available = first.filter((pod) => isPodAvailable(pod, minReadySeconds, nowMs)).length;
  const updated = first.filter(({ metadata }) => metadata?.labels?.[revisionHashLabel] === hash).length;
  const orNothing = (count: number): number | undefined => (count === 0 ? undefined : count);
  return {
    ...daemonSet.status,
    currentNumberScheduled: first.length,
    desiredNumberScheduled: wanted.size,
    numberMisscheduled: misscheduled.length,
    numberReady: first.filter(isPodReady).length,
    numberAvailable: orNothing(available),
    numberUnavailable: orNothing(wanted.size - available),
    updatedNumberScheduled: orNothing(updated),
    observedGeneration: daemonSet.metadata?.generation,
    ...(state.collisionCount === undefined ? {} : { collisionCount: state.collisionCount }),
  };
}

/** As upstream's: one that goes, or that failed and is not replaced yet, is on its node. Of one that ended and goes only its finalizers are left. */
function isPresent(pod: Pod): boolean {
  return !isTerminal(pod) || pod.metadata?.deletionTimestamp === undefined;
}

/** Those that have a node before those that wait for it, then the oldest. */
function byAge(a: Pod, b: Pod): number {
  const key = ({ metadata, spec }: Pod): string =>
    `${(spec?.nodeName ?? '') === '' ? 1 : 0} ${metadata?.creationTimestamp ?? ''} ${metadata?.name ?? ''}`;
  return key(a) < key(b) ? -1 : 1;
}
