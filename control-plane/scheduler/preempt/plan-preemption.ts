import type { Pod, PodDisruptionBudget } from '#api/generated/objects.ts';
import { fitOfChanged, nominatedBefore, withPods, type Fit } from '#control-plane/scheduler/fit.ts';
import type { Refusal } from '#control-plane/scheduler/template-memory.ts';
import type { Profile, SchedulingContext } from '#control-plane/scheduler/plugin.ts';
import { defaultProfile } from '#control-plane/scheduler/profile.ts';
import type { VictimsOn } from '#control-plane/scheduler/outside/outsider.ts';
import { nodeInfo, priorityOf, type NodeInfo } from '#control-plane/scheduler/snapshot.ts';
import { Budgets } from './budgets.ts';

/** What preemption is planned on. */
export interface PreemptionContext extends SchedulingContext {
  /** Nodes that refuse the pod and might not without pods of lower priority, in the order in which they are tried. */
  readonly nodes: readonly NodeInfo[];
  readonly budgets: readonly PodDisruptionBudget[];
  /** Which of the nodes is tried first (0: the first); the others follow around. */
  readonly start?: number;
}

/** The node, and who must go from it, the most important first; or why no node is better for it, with how many nodes each reason is of. */
export type PreemptionPlan =
  | { readonly kind: 'victims'; readonly nodeName: string; readonly victims: readonly Pod[] }
  | { readonly kind: 'none'; readonly reasons: ReadonlyMap<string, number> };

type Candidate = VictimsOn;

/** Nodes from which pods might go, and why others are no better. */
export interface Candidates {
  /** In the order of the nodes. */
  readonly candidates: readonly VictimsOn[];
  /** How many nodes were tried. */
  readonly tried: number;
  readonly reasons: ReadonlyMap<string, number>;
}

const noVictims = 'No preemption victims found for incoming pod';

/**
 * Whom to evict for a pod that no node does for: on each node as few as possible of those with lower priority, then the node where that
 * costs least (kube-scheduler DefaultPreemption). One step for each node, so that others may run between.
 */
export function* planPreemption(context: PreemptionContext): Generator<void, PreemptionPlan> {
  return pickPlan(yield* findCandidates(context));
}

/** The first half of a plan: who might go from where. */
export function* findCandidates(context: PreemptionContext): Generator<void, Candidates> {
  const { nodes, start = 0, profile = defaultProfile } = context;
  const wanted = candidatesWanted(nodes.length, profile);
  const fit = fitOfChanged(context);
  const found = new Map<number, Candidate>();
  const reasons = new Map<string, number>();
  let hasHarmless = false;
  let tried = 0;
  // Without a violation enough is enough; with them, a better one may follow.
  for (; tried < nodes.length && !(hasHarmless && found.size >= wanted); tried++) {
    if (tried > 0) yield;
    const place = (start + tried) % nodes.length;
    const node = nodes[place];
    if (node === undefined) continue;
    const one = selectVictims(context, node, fit);
    if ('victims' in one) {
      found.set(place, one);
      hasHarmless ||= one.violations === 0;
    } else for (const reason of one.reasons) reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
  }
  // Of those that cost as much the same is taken wherever the search began.
  const candidates = [...found].toSorted(([a], [b]) => a - b).map(([, one]) => one);
  return { candidates, reasons, tried };
}

/** The second half: the node where it costs least. */
export function pickPlan({ candidates, reasons }: Omit<Candidates, 'tried'>): PreemptionPlan {
  const best = pickCheapest(candidates);
  return best === undefined
    ? { kind: 'none', reasons }
    : { kind: 'victims', nodeName: best.node.name, victims: best.victims };
}

/** How many nodes are enough, one at least. Source: kube-scheduler calculateNumCandidates. */
function candidatesWanted(nodeCount: number, { preemption }: Profile): number {
  if (preemption === undefined) return 0;
  const { minCandidateNodesAbsolute, minCandidateNodesPercentage } = preemption;
  return Math.max(1, minCandidateNodesAbsolute, Math.floor((nodeCount * minCandidateNodesPercentage) / 100));
}

/** Without all pods of lower priority the pod must fit; then as many as possible stay, the most important first. */
function selectVictims(
  { pod, snapshot, budgets }: PreemptionContext,
  node: NodeInfo,
  fit: Fit,
): Candidate | Pick<Refusal, 'reasons'> {
  const priority = priorityOf(pod);
  const lower = [...node.pods.values()].filter((other) => priorityOf(other) < priority);
  if (lower.length === 0) return { reasons: [noVictims] };
  lower.sort(byImportance);
  const nominated = nominatedBefore(pod, snapshot.nominated?.(node.name));
  const refuses = (without: ReadonlySet<Pod>): Refusal | undefined => {
    const left = nodeInfo(node.node, new Map([...node.pods].filter(([, other]) => !without.has(other))));
    return (nominated.length > 0 ? fit(withPods(left, nominated)) : undefined) ?? fit(left);
  };
  const gone = new Set(lower);
  const refusal = refuses(gone);
  if (refusal !== undefined) return refusal;
  const allowed = new Budgets(budgets);
  const forbidden = new Set(lower.filter((other) => !allowed.allow(other)));
  for (const other of [...forbidden, ...lower.filter((each) => !forbidden.has(each))]) {
    gone.delete(other);
    if (refuses(gone) !== undefined) gone.add(other);
  }
  const victims = lower.filter((other) => gone.has(other));
  return { node, victims, violations: victims.filter((victim) => forbidden.has(victim)).length };
}

function byImportance(a: Pod, b: Pod): number {
  return priorityOf(b) - priorityOf(a) || startOf(a) - startOf(b) || 0;
}

/** One that has not started counts as the newest. */
export function startOf({ status }: Pod): number {
  return status?.startTime === undefined ? Number.MAX_SAFE_INTEGER : Date.parse(status.startTime);
}

/** Of priorities, which may be negative: each victim counts (kube-scheduler pickOneNodeForPreemption). */
const priorityOffset = 2 ** 31;

/** In the order in which they decide; less is better. */
const costs: readonly ((candidate: Candidate) => number)[] = [
  ({ violations }) => violations,
  ({ victims }) => Math.max(-Infinity, ...victims.map(priorityOf)),
  ({ victims }) => victims.reduce((sum, victim) => sum + priorityOf(victim) + priorityOffset, 0),
  ({ victims }) => victims.length,
  ({ victims }) => {
    const [first] = victims;
    const highest = victims.filter(
      (victim) => first !== undefined && priorityOf(victim) === priorityOf(first),
    );
    return -Math.min(Infinity, ...highest.map(startOf));
  },
];

function pickCheapest(candidates: readonly Candidate[]): Candidate | undefined {
  let best = [...candidates];
  for (const costOf of costs) {
    if (best.length <= 1) break;
    const least = Math.min(...best.map(costOf));
    best = best.filter((candidate) => costOf(candidate) === least);
  }
  return best[0];
}
