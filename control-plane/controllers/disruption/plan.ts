import { findCondition, withCondition } from '#api/meta/condition.ts';
import { withDisruptionAllowed } from '#api/pod/disruption.ts';
import type {
  OwnerReference,
  Pod,
  PodDisruptionBudget,
  PodDisruptionBudgetStatus,
} from '#api/generated/objects.ts';
import { controllerRef } from '#api/meta/owner.ts';
import { isPodReady, isTerminal, isTerminating } from '#api/pod/state.ts';
import { formatTime } from '#api/meta/time.ts';
import { intOrPercent } from '#control-plane/controllers/deployment/rolling.ts';
import type { Waited } from './first-seen.ts';

/** An eviction that was allowed is forgotten when the pod's deletion has not begun by then (upstream's DeletionTimeout). */
const deletionTimeoutMs = 120_000;
/** DisruptionTarget of a pod that is not deleted after all is taken back after this (stalePodDisruptionTimeout). */
export const staleTargetMs = 120_000;

/** How many pods a controller is to have. Deployments and their ReplicaSets are one controller: `uid` is what counts once. */
export interface ControllerScale {
  readonly uid: string;
  readonly replicas: number;
}

/** The scale of a pod's controller; undefined: there is none. A text says why it cannot be known. */
export type FoundScale = ControllerScale | string | undefined;

/** Those that were asked for, by the uids of owners. */
export type AskedScales = ReadonlyMap<string, FoundScale>;

export interface BudgetState {
  readonly budget: PodDisruptionBudget;
  /** Selected by it. */
  readonly pods: readonly Pod[];
  readonly scaleOf: (owner: OwnerReference, namespace: string | undefined) => FoundScale;
  /** By the names of evicted pods, for how long that is known. */
  readonly waited: Waited;
  readonly nowMs: number;
}

export interface BudgetPlan {
  readonly status: PodDisruptionBudgetStatus;
  /** Why the budget cannot be computed; it allows nothing then. */
  readonly failure: string | undefined;
  /** What there is to say where that is so because a pod's owner is none of known scale. */
  readonly noController: string | undefined;
  /** Without a controller, where the count of pods is that of their controllers. */
  readonly unmanaged: readonly Pod[];
  /** Evicted, and still there. */
  readonly notDeleted: readonly Pod[];
  /** When to look again though nothing happens. */
  readonly againMs: number | undefined;
}

/** The status of a disruption budget (policy/v1): how many of its pods may go now. */
export function planBudget(state: BudgetState): BudgetPlan {
  const { budget, pods, waited, nowMs } = state;
  const expected = expectedPods(state);
  if (typeof expected === 'string' || 'noController' in expected) {
    const noController = typeof expected === 'string' ? undefined : expected.noController;
    const failure = typeof expected === 'string' ? expected : expected.noController;
    const status = failed(budget.status ?? {}, failure, nowMs);
    return { status, failure, noController, unmanaged: [], notDeleted: [], againMs: undefined };
  }
  const asked = pods.flatMap((pod) => {
    const { name = '' } = pod.metadata ?? {};
    const at = budget.status?.disruptedPods?.[name];
    return at === undefined || isTerminating(pod)
      ? []
      : [{ pod, at, leftMs: deletionTimeoutMs - (waited.get(name) ?? 0) }];
  });
  const going = asked.filter(({ leftMs }) => leftMs > 0);
  const goingPods = new Set(going.map(({ pod }) => pod));
  const healthy = pods.filter((pod) => !isTerminating(pod) && !goingPods.has(pod) && isPodReady(pod)).length;
  const desired = desiredHealthy(budget, expected.count);
  // Without expected pods nothing is allowed: the first of them may be there before this is computed anew.
  const allowed = expected.count <= 0 ? 0 : Math.max(0, healthy - desired);
  const disruptedPods = Object.fromEntries(going.map(({ pod, at }) => [pod.metadata?.name ?? '', at]));
  const status = {
    currentHealthy: healthy,
    desiredHealthy: desired,
    expectedPods: expected.count,
    disruptionsAllowed: allowed,
    ...(going.length === 0 ? {} : { disruptedPods }),
    observedGeneration: budget.metadata?.generation,
    conditions: budget.status?.conditions,
  };
  return {
    status: withDisruptionAllowed(status, nowMs),
    failure: undefined,
    noController: undefined,
    unmanaged: expected.unmanaged,
    notDeleted: asked.filter(({ leftMs }) => leftMs <= 0).map(({ pod }) => pod),
    againMs: going.length === 0 ? undefined : Math.min(...going.map(({ leftMs }) => leftMs)),
  };
}

/** What there is to say of a pod that several budgets cover: none of them lets it be evicted. Undefined: it has one at most. */
export function severalText(pod: Pod, covering: readonly PodDisruptionBudget[]): string | undefined {
  if (covering.length < 2) return undefined;
  const { namespace = '', name = '' } = pod.metadata ?? {};
  const [first = ''] = covering.map(({ metadata }) => metadata?.name ?? '').toSorted();
  return (
    `Pod ${JSON.stringify(namespace)}/${JSON.stringify(name)} matches multiple PodDisruptionBudgets.  ` +
    `Chose ${JSON.stringify(first)} arbitrarily.`
  );
}

/** Of the pod's DisruptionTarget, that its deletion is waited for, and which one that is; undefined: it never will be stale. */
export function awaitedTarget(pod: Pod): string | undefined {
  const target = findCondition(pod.status?.conditions, 'DisruptionTarget');
  // What the kubelet announces may take any time.
  if (target?.status !== 'True' || target.reason === 'TerminationByKubelet') return undefined;
  if (isTerminating(pod) || isTerminal(pod)) return undefined;
  return `${pod.metadata?.uid ?? ''} ${target.lastTransitionTime ?? ''}`;
}

interface Expected {
  readonly count: number;
  readonly unmanaged: readonly Pod[];
}

/** Whether it matters how many pods there should be, which only those know that control them. */
export function goesByScales({ spec }: PodDisruptionBudget): boolean {
  return spec?.maxUnavailable !== undefined || typeof spec?.minAvailable === 'string';
}

/** By number the pods that are there count; by share of them, or of those that may miss, those that there should be. */
function expectedPods(state: BudgetState): Expected | string | { readonly noController: string } {
  const { minAvailable } = state.budget.spec ?? {};
  if (!goesByScales(state.budget)) {
    return { count: minAvailable === undefined ? 0 : state.pods.length, unmanaged: [] };
  }
  const scales = new Map<string, number>(); // by uid
  const unmanaged: Pod[] = [];
  for (const pod of state.pods) {
    const owner = controllerRef(pod);
    if (owner === undefined) {
      unmanaged.push(pod);
      continue;
    }
    if (scales.has(owner.uid)) continue;
    const scale = state.scaleOf(owner, pod.metadata?.namespace);
    if (typeof scale === 'string') return scale;
    if (scale === undefined)
      return { noController: `found no controllers for pod ${JSON.stringify(pod.metadata?.name ?? '')}` };
    scales.set(scale.uid, scale.replicas);
  }
  return { count: [...scales.values()].reduce((sum, one) => sum + one, 0), unmanaged };
}

/** Percentages are rounded up. */
function desiredHealthy({ spec }: PodDisruptionBudget, expected: number): number {
  const { minAvailable = 0, maxUnavailable } = spec ?? {};
  return maxUnavailable === undefined
    ? intOrPercent(minAvailable, expected, Math.ceil)
    : Math.max(0, expected - intOrPercent(maxUnavailable, expected, Math.ceil));
}

/** The rest of the status stays as it was computed last. */
function failed(
  before: PodDisruptionBudgetStatus,
  message: string,
  nowMs: number,
): PodDisruptionBudgetStatus {
  const condition = {
    type: 'DisruptionAllowed',
    status: 'False',
    reason: 'SyncFailed',
    message,
    observedGeneration: before.observedGeneration,
    lastTransitionTime: formatTime(nowMs),
  };
  const { currentHealthy = 0, desiredHealthy: desired = 0, expectedPods: expected = 0 } = before;
  return {
    ...before,
    currentHealthy,
    desiredHealthy: desired,
    expectedPods: expected,
    disruptionsAllowed: 0,
    conditions: withCondition(before.conditions, condition, nowMs),
  };
}
