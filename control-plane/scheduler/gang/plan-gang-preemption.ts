import type { Pod, PodDisruptionBudget, PodGroup } from '#api/generated/objects.ts';
import { objectKey } from '#api/meta/object.ts';
import { podGroupKeyOf } from '#api/pod/scheduling-group.ts';
import { decide } from '#control-plane/scheduler/decide.ts';
import { fitOf } from '#control-plane/scheduler/fit.ts';
import type { Profile } from '#control-plane/scheduler/plugin.ts';
import { antiAffinityOf, priorityOf, type Snapshot } from '#control-plane/scheduler/snapshot.ts';
import { Budgets } from '#control-plane/scheduler/preempt/budgets.ts';
import { startOf } from '#control-plane/scheduler/preempt/plan-preemption.ts';
import { TrialCluster } from './trial-cluster.ts';

export interface Placed {
  readonly pod: Pod;
  readonly nodeName: string;
}

/** What preemption by a gang is planned on. */
export interface GangPreemptionContext {
  readonly group: PodGroup;
  /** Its pods that wait, in the order in which they are placed. */
  readonly members: readonly Pod[];
  /** How many of them have to find nodes. */
  readonly wanted: number;
  readonly snapshot: Snapshot;
  readonly profile: Profile;
  readonly budgets: readonly PodDisruptionBudget[];
  /** A group by `namespace/name`. */
  readonly groupOf: (key: string) => PodGroup | undefined;
}

/** Who goes, the most important first, and where the gang goes then; or why nobody does, in the words of kube-scheduler. */
export type GangPreemptionPlan =
  | { readonly kind: 'victims'; readonly victims: readonly Pod[]; readonly placed: readonly Placed[] }
  | { readonly kind: 'none'; readonly why: string };

/** Pods that go together, or stay: one, or all of a PodGroup whose disruptionMode says so. */
interface Unit {
  readonly pods: readonly Pod[];
  readonly priority: number;
  /** Of a PodGroup, though it may go by itself: of the same priority it is worth more than who is on its own. */
  readonly isGroup: boolean;
}

/** The group's own; in place of its pods', where it is about groups. */
export function groupPriority({ spec }: PodGroup): number {
  return spec.priority ?? 0;
}

/**
 * Whom to evict for a gang that does not fit: all of lower priority are thought away, the gang is placed, and as many as possible come back, the most
 * important first, those whose budgets forbid that they go before all (workload-aware preemption of kube-scheduler 1.36, KEP-5710). Who is in the
 * way where the gang was placed stays, too, if as many of it find places elsewhere. The whole cluster is one domain. One step for each that may
 * stay and each pod that is placed, so that others may run between.
 */
export function* planGangPreemption(context: GangPreemptionContext): Generator<void, GangPreemptionPlan> {
  const { members, wanted, snapshot, profile } = context;
  const units = unitsBelow(context);
  if (units.length === 0) return { kind: 'none', why: 'No preemption victims found for incoming preemptor' };
  const trial = new TrialCluster(snapshot);
  for (const unit of units) move(trial, unit, 'remove');
  yield;
  let placement = placementOf(yield* placeEach(trial, members, profile), trial, profile);
  if (placement.placed.length < wanted) return { kind: 'none', why: 'pod group is unschedulable' };
  const gone = new Set<Unit>();
  for (const unit of forbiddenFirst(units, context.budgets)) {
    yield;
    move(trial, unit, 'add');
    if (areAllFit(trial, placement, { unit, profile })) continue;
    const elsewhere = yield* placeAnew(trial, placement, context);
    placement = elsewhere ?? placement;
    if (elsewhere !== undefined) continue;
    move(trial, unit, 'remove');
    gone.add(unit);
  }
  // What was thought away need not have been in the way: then it fits as it is.
  const victims = units.filter((unit) => gone.has(unit)).flatMap(({ pods }) => pods);
  return { kind: 'victims', victims, placed: placement.placed };
}

/** Where the gang goes, as it was found last. */
interface Placement {
  readonly placed: readonly Placed[];
  /** Those whose place depends on where others are. */
  readonly wide: ReadonlySet<Placed>;
}

function placementOf(placed: readonly Placed[], trial: TrialCluster, profile: Profile): Placement {
  return { placed, wide: new Set(placed.filter(({ pod }) => asksOfOthers(pod, trial, profile))) };
}

/**
 * Other places for the gang, for as many of its pods as before at least; undefined: there are none, and all are where they were. Who came
 * back has been counted.
 */
function* placeAnew(
  trial: TrialCluster,
  { placed: before }: Placement,
  { members, profile }: GangPreemptionContext,
): Generator<void, Placement | undefined> {
  for (const { pod, nodeName } of before) trial.remove(pod, nodeName);
  const placed = yield* placeEach(trial, members, profile);
  if (placed.length >= before.length) return placementOf(placed, trial, profile);
  for (const { pod, nodeName } of placed) trial.remove(pod, nodeName);
  for (const { pod, nodeName } of before) trial.add(pod, nodeName);
  return undefined;
}

function move(trial: TrialCluster, { pods }: Unit, how: 'add' | 'remove'): void {
  for (const pod of pods) trial[how](pod, pod.spec?.nodeName ?? '');
}

/** Each of the pods that finds a node counts for those that follow. */
export function placeAll(trial: TrialCluster, pods: readonly Pod[], profile: Profile): readonly Placed[] {
  const placing = placeEach(trial, pods, profile);
  let step = placing.next();
  while (step.done !== true) step = placing.next();
  return step.value;
}

/** The same, a step for each pod. */
function* placeEach(
  trial: TrialCluster,
  pods: readonly Pod[],
  profile: Profile,
): Generator<void, readonly Placed[]> {
  const placed: Placed[] = [];
  for (const pod of pods) {
    yield;
    const decision = decide({ pod, snapshot: trial.snapshot(), profile });
    if (decision.kind !== 'node') continue;
    trial.add(pod, decision.nodeName);
    placed.push({ pod, nodeName: decision.nodeName });
  }
  return placed;
}

/**
 * Whether each of the gang still fits where it was placed, with the others of it where they were, though the unit is back. Only those on its
 * nodes are asked, unless it or they look at pods of other nodes.
 */
function areAllFit(
  trial: TrialCluster,
  { placed, wide }: Placement,
  { unit, profile }: { readonly unit: Unit; readonly profile: Profile },
): boolean {
  const nodes = new Set(unit.pods.map(({ spec }) => spec?.nodeName));
  const isWide = unit.pods.some((pod) => antiAffinityOf(pod).length > 0);
  return placed.every((one) => {
    const { pod, nodeName } = one;
    if (!isWide && !nodes.has(nodeName) && !wide.has(one)) return true;
    trial.remove(pod, nodeName);
    const node = trial.node(nodeName);
    const fit = fitOf({ pod, snapshot: trial.snapshot(), profile });
    const isFit = node !== undefined && fit(node) === undefined;
    trial.add(pod, nodeName);
    return isFit;
  });
}

/** Whether where it may go depends on where others are. */
function asksOfOthers(pod: Pod, trial: TrialCluster, profile: Profile): boolean {
  const context = { pod, snapshot: trial.snapshot(), profile };
  return profile.filters.some(
    (plugin) => plugin.looksAtPods === true && plugin.filter(context) !== undefined,
  );
}

/** Of lower priority than the gang, the most important first. */
function unitsBelow({ group, snapshot, groupOf }: GangPreemptionContext): readonly Unit[] {
  const priority = groupPriority(group);
  const together = new Map<string, Pod[]>();
  const units: Unit[] = [];
  for (const node of snapshot.nodes)
    for (const pod of node.pods.values()) {
      const key = podGroupKeyOf(pod);
      const of = key === undefined ? undefined : groupOf(key);
      if (key === objectKey(group)) continue;
      if (of?.spec.disruptionMode === 'PodGroup' && key !== undefined)
        together.set(key, [...(together.get(key) ?? []), pod]);
      else
        units.push({
          pods: [pod],
          priority: of === undefined ? priorityOf(pod) : groupPriority(of),
          isGroup: key !== undefined,
        });
    }
  for (const [key, pods] of together) {
    const of = groupOf(key);
    if (of !== undefined) units.push({ pods, priority: groupPriority(of), isGroup: true });
  }
  return units.filter((unit) => unit.priority < priority).toSorted(byImportance);
}

function byImportance(a: Unit, b: Unit): number {
  return (
    b.priority - a.priority ||
    Number(b.isGroup) - Number(a.isGroup) ||
    b.pods.length - a.pods.length ||
    firstStart(a) - firstStart(b) ||
    0
  );
}

function firstStart({ pods }: Unit): number {
  return Math.min(...pods.map(startOf));
}

function forbiddenFirst(units: readonly Unit[], budgets: readonly PodDisruptionBudget[]): readonly Unit[] {
  const allowed = new Budgets(budgets);
  const isForbidden = new Map(
    units.map((unit) => [unit, unit.pods.map((pod) => allowed.allow(pod)).includes(false)] as const),
  );
  return [
    ...units.filter((unit) => isForbidden.get(unit) === true),
    ...units.filter((unit) => isForbidden.get(unit) !== true),
  ];
}
