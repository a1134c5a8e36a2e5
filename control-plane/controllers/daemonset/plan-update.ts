import { isActive, isPodAvailable, isPodReady } from '#api/pod/state.ts';
import type { DaemonSet, Pod } from '#api/generated/objects.ts';
import { intOrPercent } from '#control-plane/controllers/deployment/rolling.ts';

export const revisionHashLabel = 'controller-revision-hash';

/** Pods of a DaemonSet, and what of them is of the present template and may be counted on. */
export interface Rollout {
  readonly daemonSet: DaemonSet;
  /** Of the present template. */
  readonly hash: string;
  readonly nowMs: number;
}

export interface Staying {
  /** Those that stay, by node: of each where a pod is to be, and of others that have one. */
  readonly pods: ReadonlyMap<string, readonly Pod[]>;
  /** The nodes where one is to be. A pod that is elsewhere, as a taint came later, is updated by going. */
  readonly wanted: ReadonlySet<string>;
}

export interface UpdatePlan {
  readonly createOn: readonly string[]; // node names
  readonly deletePods: readonly Pod[];
}

/** How many pods may be there beside those that they replace; 0: the old one goes first (util.SurgeCount). */
export function surgeOf({ spec }: DaemonSet, nodeCount: number): number {
  const { type, rollingUpdate } = spec?.updateStrategy ?? {};
  if (type === 'OnDelete') return 0;
  return intOrPercent(rollingUpdate?.maxSurge ?? 0, nodeCount, Math.ceil);
}

/** RollingUpdate by maxUnavailable: old pods go, those not available first, as long as no more than so many nodes are without. */
export function planReplacement({ daemonSet, hash, nowMs }: Rollout, { pods, wanted }: Staying): UpdatePlan {
  const { updateStrategy, minReadySeconds = 0 } = daemonSet.spec ?? {};
  if (updateStrategy?.type === 'OnDelete') return { createOn: [], deletePods: [] };
  const limit = Math.max(
    1,
    intOrPercent(updateStrategy?.rollingUpdate?.maxUnavailable ?? 1, wanted.size, Math.ceil),
  );
  const isAvailable = (pod: Pod): boolean => isPodAvailable(pod, minReadySeconds, nowMs);
  const active = [...pods.values()].flat().filter(isActive);
  const old = active.filter((pod) => !isOfTemplate(pod, hash));
  const availableCount = [...pods.values()].filter((here) =>
    here.some((pod) => isActive(pod) && isAvailable(pod)),
  ).length;
  const room = Math.max(0, limit - (pods.size - availableCount));
  const deletePods = [...old.filter((pod) => !isAvailable(pod)), ...old.filter(isAvailable).slice(0, room)];
  return { createOn: [], deletePods };
}

/**
 * RollingUpdate by maxSurge: a node gets the new pod beside the old one, at once where the old one is not available, else on so many nodes at
 * a time (KEP-1591; DaemonSetsController.rollingUpdate). Of a node there is at most one of the present template and one of another.
 */
export function planSurge({ daemonSet, hash, nowMs }: Rollout, { pods, wanted }: Staying): UpdatePlan {
  const { minReadySeconds = 0 } = daemonSet.spec ?? {};
  const atOnce: string[] = [];
  const inTurn: string[] = [];
  const gone: Pod[] = [];
  const leavable: Pod[] = [];
  let surged = 0;
  let available = 0;
  for (const [node, here] of pods) {
    const old = here.find((pod) => isActive(pod) && !isOfTemplate(pod, hash));
    const current = here.find((pod) => isOfTemplate(pod, hash));
    const first = old ?? current;
    const isAvailable = first !== undefined && isPodAvailable(first, minReadySeconds, nowMs);
    if (isAvailable) available++;
    if (old === undefined) continue;
    // One that failed counts, too: a template that cannot run gets no further than its surge.
    if (current !== undefined) surged++;
    else if (!wanted.has(node)) (isAvailable ? leavable : gone).push(old);
    else (isAvailable ? inTurn : atOnce).push(node);
  }
  const room = Math.max(0, surgeOf(daemonSet, wanted.size) - surged);
  // Who surges wants to lose none: elsewhere one goes when there are enough without it.
  const spare = Math.max(0, available - wanted.size);
  return {
    createOn: [...atOnce, ...inTurn.slice(0, room)],
    deletePods: [...gone, ...leavable.slice(0, spare)],
  };
}

/** Of the active pods of a node, oldest first: those that are too many where a new one may be beside an old one. */
export function surplusOf({ daemonSet, hash, nowMs }: Rollout, active: readonly Pod[]): readonly Pod[] {
  const { minReadySeconds = 0 } = daemonSet.spec ?? {};
  const current = active.find((pod) => isOfTemplate(pod, hash));
  const old = active.find((pod) => !isOfTemplate(pod, hash));
  const more = active.filter((pod) => pod !== current && pod !== old);
  if (current === undefined || old === undefined) return more;
  const isDone = !isPodReady(old) || isPodAvailable(current, minReadySeconds, nowMs);
  return isDone ? [...more, old] : more;
}

function isOfTemplate({ metadata }: Pod, hash: string): boolean {
  return metadata?.labels?.[revisionHashLabel] === hash;
}
