import {
  allocatableOf,
  requestsOf,
  scoringRequestsOf,
  type ResourceAmounts,
} from '#control-plane/scheduler/pod-facts.ts';
import type { FilterPlugin, ScorePlugin } from '#control-plane/scheduler/plugin.ts';
import { scoreMax } from '#control-plane/scheduler/plugin.ts';
import type { NodeInfo } from '#control-plane/scheduler/snapshot.ts';

/** Requests fit into what is allocatable and not yet requested. The number of pods is a resource like the others. */
export const nodeResourcesFilter: FilterPlugin = {
  name: 'NodeResourcesFit',
  mayHelp: (pod, event) => {
    if (event.kind === 'podGone' || event.kind === 'podShrunk') return true;
    if (event.kind !== 'node') return false;
    const [before, after] = [event.old && allocatableOf(event.old), allocatableOf(event.current)];
    const fits = [...requestsOf(pod)].every(([name, amount]) => amount <= (after.get(name) ?? 0));
    return fits && [...after].some(([name, amount]) => amount > (before?.get(name) ?? 0));
  },
  filter: ({ pod }) => {
    const requests = requestsOf(pod);
    return (info) => {
      const allocatable = allocatableOf(info.node);
      const reasons = info.pods.size + 1 > (allocatable.get('pods') ?? 0) ? ['Too many pods'] : [];
      for (const [resource, amount] of requests) {
        const free = (allocatable.get(resource) ?? 0) - (info.requested.get(resource) ?? 0);
        if (amount > 0 && amount > free) reasons.push(`Insufficient ${resource}`);
      }
      return reasons;
    };
  },
};

const scoredResources = ['cpu', 'memory'] as const;

/** Prefers the node with the larger share free after the pod. */
export const leastAllocatedScore: ScorePlugin = {
  name: 'NodeResourcesFit',
  weight: 1,
  normalization: 'none',
  score: ({ pod }) => {
    const requests = scoringRequestsOf(pod);
    return (info) => {
      const shares = usedShares(info, info.requestedForScore, requests);
      return (scoreMax * sum(shares.map((used) => 1 - used))) / shares.length;
    };
  },
};

/** Prefers the node where cpu and memory are used in like proportion. */
export const balancedAllocationScore: ScorePlugin = {
  name: 'NodeResourcesBalancedAllocation',
  weight: 1,
  normalization: 'none',
  score: ({ pod }) => {
    const requests = requestsOf(pod);
    if (!scoredResources.some((resource) => (requests.get(resource) ?? 0) > 0)) return undefined;
    return (info) => {
      const shares = usedShares(info, info.requested, requests);
      const mean = sum(shares) / shares.length;
      const deviation = Math.sqrt(sum(shares.map((share) => (share - mean) ** 2)) / shares.length);
      return scoreMax * (1 - deviation);
    };
  },
};

/** The share of each scored resource in use with the pod on the node, 0 to 1. */
function usedShares(
  info: NodeInfo,
  requested: ResourceAmounts,
  requests: ResourceAmounts,
): readonly number[] {
  const allocatable = allocatableOf(info.node);
  return scoredResources.map((resource) => {
    const total = allocatable.get(resource) ?? 0;
    const used = (requested.get(resource) ?? 0) + (requests.get(resource) ?? 0);
    return total === 0 ? 1 : Math.min(1, used / total);
  });
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
