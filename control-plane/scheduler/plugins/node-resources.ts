import { allocatableOf, requestsOf, scoringRequestsOf } from '#control-plane/scheduler/pod-facts.ts';
import { passes, scoreMax, type FilterPlugin, type ScorePlugin } from '#control-plane/scheduler/plugin.ts';

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
  /** Of a node that is too small by itself it does not. */
  evictionHelps: (pod, { allocatable }) =>
    [...requestsOf(pod)].every(([name, amount]) => amount <= (allocatable.get(name) ?? 0)),
  filter: ({ pod }) => {
    const requests = [...requestsOf(pod)];
    return ({ allocatable, pods, requested }) => {
      let reasons = pods.size + 1 > (allocatable.get('pods') ?? 0) ? tooManyPods : passes;
      for (const [resource, amount] of requests) {
        const free = (allocatable.get(resource) ?? 0) - (requested.get(resource) ?? 0);
        if (amount > 0 && amount > free) reasons = [...reasons, `Insufficient ${resource}`];
      }
      return reasons;
    };
  },
};

const tooManyPods: readonly string[] = ['Too many pods'];

/** Prefers the node with the larger share free after the pod. */
export const leastAllocatedScore: ScorePlugin = {
  name: 'NodeResourcesFit',
  weight: 1,
  normalization: 'none',
  score: ({ pod }) => {
    const requests = scoringRequestsOf(pod);
    const [cpuAsked, memoryAsked] = [requests.get('cpu') ?? 0, requests.get('memory') ?? 0];
    return ({ allocatable, requestedForScore: taken }) => {
      const cpu = usedShare(allocatable.get('cpu'), taken.get('cpu'), cpuAsked);
      const memory = usedShare(allocatable.get('memory'), taken.get('memory'), memoryAsked);
      return (scoreMax * (1 - cpu + (1 - memory))) / 2;
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
    const [cpuAsked, memoryAsked] = [requests.get('cpu') ?? 0, requests.get('memory') ?? 0];
    if (cpuAsked <= 0 && memoryAsked <= 0) return undefined;
    return ({ allocatable, requested: taken }) => {
      const cpu = usedShare(allocatable.get('cpu'), taken.get('cpu'), cpuAsked);
      const memory = usedShare(allocatable.get('memory'), taken.get('memory'), memoryAsked);
      return scoreMax * (1 - Math.abs(cpu - memory) / 2); // Of two numbers the standard deviation is half their difference.
    };
  },
};

/** The share of a resource in use with the pod on the node, 0 to 1. */
function usedShare(total: number | undefined = 0, taken: number | undefined = 0, asked: number): number {
  return total === 0 ? 1 : Math.min(1, (taken + asked) / total);
}
