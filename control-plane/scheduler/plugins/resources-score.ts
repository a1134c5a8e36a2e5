import type { FitArgs, ResourceWeight, ShapePoint } from '#control-plane/scheduler/config/plugin-args.ts';
import { scoreMax, type ScorePlugin } from '#control-plane/scheduler/plugin.ts';
import { requestsOf, scoringRequestsOf } from '#control-plane/scheduler/pod-facts.ts';
import type { NodeInfo } from '#control-plane/scheduler/snapshot.ts';

/**
 * Prefers nodes by how much of them is in use with the pod: little, much, or as a shape says. Containers that ask for nothing count a little, for cpu
 * and memory. (NodeResourcesFit of kube-scheduler, which rounds shares down to whole percents; these are not rounded, so that equal nodes are told apart.)
 */
export function resourcesScore({ strategy, resources, shape }: FitArgs): ScorePlugin {
  const scoreOfShare = strategyOf(strategy, shape);
  /** A shape says nothing by a score of 0: the other resources decide. */
  const hasSilence = strategy === 'RequestedToCapacityRatio';
  return {
    name: 'NodeResourcesFit',
    isSteady: true,
    weight: 1,
    normalization: 'none',
    score: ({ pod }) => {
      const [own, ownForScore] = [requestsOf(pod), scoringRequestsOf(pod)];
      const asked = resources
        .map(({ name, weight }) => ({
          ...{ name, weight, isBasic: isBasic(name) },
          amount: (isBasic(name) ? ownForScore : own).get(name) ?? 0,
        }))
        .filter(isCounted);
      return (node) => {
        let sum = 0;
        let weights = 0;
        for (const { name, weight, amount, isBasic } of asked) {
          const total = node.allocatable.get(name) ?? 0;
          if (total === 0) continue;
          const taken = (isBasic ? node.requestedForScore : node.requested).get(name) ?? 0;
          const score = scoreOfShare((taken + amount) / total);
          if (hasSilence && score <= 0) continue;
          sum += score * weight;
          weights += weight;
        }
        return weights === 0 ? 0 : sum / weights;
      };
    },
  };
}

/**
 * Prefers the node whose resources come to be used in like proportion by the pod: what counts is how much better, or worse, it is with the pod than
 * without (since 1.36, kubernetes#135573). A pod that asks for none of them does not care.
 */
export function balancedAllocationScore(resources: readonly ResourceWeight[]): ScorePlugin {
  return {
    name: 'NodeResourcesBalancedAllocation',
    isSteady: true,
    weight: 1,
    normalization: 'none',
    score: ({ pod }) => {
      const requests = requestsOf(pod);
      const asked = resources
        .map(({ name }) => ({ name, amount: requests.get(name) ?? 0 }))
        .filter(isCounted);
      if (asked.every(({ amount }) => amount <= 0)) return undefined;
      const none = asked.map(({ name }) => ({ name, amount: 0 }));
      return (node) => scoreMax * (balancedAlready + (deviation(node, none) - deviation(node, asked)) / 2);
    },
  };
}

/** What a node has that is as balanced with the pod as without it; a deviation is half at most. */
const balancedAlready = 0.75;

/** The standard deviation of the shares in use, of the resources that the node has. */
function deviation(
  { allocatable, requested }: NodeInfo,
  asked: readonly { readonly name: string; readonly amount: number }[],
): number {
  let [count, sum, squares] = [0, 0, 0];
  let [least, most] = [1, 0];
  for (const { name, amount } of asked) {
    const total = allocatable.get(name) ?? 0;
    if (total === 0) continue;
    const share = Math.min(1, ((requested.get(name) ?? 0) + amount) / total);
    count++;
    sum += share;
    squares += share * share;
    least = Math.min(least, share);
    most = Math.max(most, share);
  }
  // Of two exactly: nodes that are alike must not be told apart by what roots are rounded to.
  if (count <= 2) return count < 2 ? 0 : (most - least) / 2;
  return Math.sqrt(Math.max(0, squares / count - (sum / count) ** 2));
}

/** Of what most nodes have not only what the pod asks for counts (schedutil.IsScalarResourceName). */
function isCounted({ name, amount }: { readonly name: string; readonly amount: number }): boolean {
  return amount > 0 || !/\/|^hugepages-|^attachable-volumes-/.test(name);
}

function isBasic(name: string): boolean {
  return name === 'cpu' || name === 'memory';
}

function strategyOf(strategy: FitArgs['strategy'], shape: readonly ShapePoint[]): (share: number) => number {
  switch (strategy) {
    case 'LeastAllocated':
      return (share) => (share > 1 ? 0 : scoreMax * (1 - share));
    case 'MostAllocated':
      return (share) => scoreMax * Math.min(1, share);
    case 'RequestedToCapacityRatio':
      return (share) => alongShape(shape, 100 * Math.min(1, share));
  }
}

const shapeScoreMax = 10;

/** Straight from point to point, and level beyond the ends. */
function alongShape(shape: readonly ShapePoint[], utilization: number): number {
  const scaled = (score: number): number => (score * scoreMax) / shapeScoreMax;
  const next = shape.findIndex((point) => utilization <= point.utilization);
  const [before, after] = [shape[next - 1], shape[next]];
  if (after === undefined) return scaled(shape.at(-1)?.score ?? 0);
  if (before === undefined) return scaled(after.score);
  const part = (utilization - before.utilization) / (after.utilization - before.utilization);
  return scaled(before.score + (after.score - before.score) * part);
}
