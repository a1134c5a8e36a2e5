import type { Pod } from '#api/generated/objects.ts';
import { mayBeOfClass } from '#api/device/extended-resources.ts';
import type { FitArgs } from '#control-plane/scheduler/config/plugin-args.ts';
import { allocatableOf, requestsOf } from '#control-plane/scheduler/pod-facts.ts';
import { passes, type FilterPlugin } from '#control-plane/scheduler/plugin.ts';

/**
 * Requests fit into what is allocatable and not yet requested. The number of pods is a resource like the others. Extended resources may be
 * left out: by the configuration, or as an extender counts them (`ofExtenders`).
 */
export function nodeResourcesFilter(args: FitArgs, ofExtenders: ReadonlySet<string>): FilterPlugin {
  const isIgnored = (name: string): boolean => {
    const slash = name.indexOf('/');
    if (slash < 0 || /(^|\.)kubernetes\.io$/.test(name.slice(0, slash))) return false;
    return (
      ofExtenders.has(name) ||
      args.ignoredResources.has(name) ||
      args.ignoredResourceGroups.has(name.slice(0, slash))
    );
  };
  const isAllCounted = args.ignoredResources.size + args.ignoredResourceGroups.size + ofExtenders.size === 0;
  return fitFilter((pod) => {
    const requests = [...requestsOf(pod)];
    return isAllCounted ? requests : requests.filter(([name]) => !isIgnored(name));
  });
}

const fitFilter = (
  countedOf: (pod: Pod) => readonly (readonly [name: string, amount: number])[],
): FilterPlugin => ({
  name: 'NodeResourcesFit',
  isSteady: true,
  mayHelp: (pod, event) => {
    if (event.kind === 'podGone' || event.kind === 'podShrunk') return true;
    // A class of devices may stand for what no node has.
    if (event.kind === 'devices') return countedOf(pod).some(([name]) => mayBeOfClass(name));
    if (event.kind !== 'node') return false;
    const [before, after] = [event.old && allocatableOf(event.old), allocatableOf(event.current)];
    const fits = countedOf(pod).every(isEnough(after));
    return fits && [...after].some(([name, amount]) => amount > (before?.get(name) ?? 0));
  },
  /** Of a node that is too small by itself it does not. What a class of devices stands for is no reason. */
  evictionHelps: (pod, { allocatable }, reasons) =>
    countedOf(pod).every(
      ([name, amount]) => amount <= (allocatable.get(name) ?? 0) || !reasons.includes(insufficient(name)),
    ),
  filter: ({ pod, snapshot: { devices } }) => {
    const requests = countedOf(pod);
    const isOfClass = (name: string): boolean => devices?.classOf(name) !== undefined;
    return ({ allocatable, pods, requested }) => {
      let reasons = pods.size + 1 > (allocatable.get('pods') ?? 0) ? tooManyPods : passes;
      for (const [resource, amount] of requests) {
        const free = (allocatable.get(resource) ?? 0) - (requested.get(resource) ?? 0);
        if (amount <= 0 || amount <= free) continue;
        // What a node has none of, it may have by devices of a class: that is for DynamicResources to say.
        if ((allocatable.get(resource) ?? 0) > 0 || !isOfClass(resource))
          reasons = [...reasons, insufficient(resource)];
      }
      return reasons;
    };
  },
});

/** What there is none of, a class of devices may stand for. */
function isEnough(
  allocatable: ReadonlyMap<string, number>,
): (request: readonly [name: string, amount: number]) => boolean {
  return ([name, amount]) => {
    const all = allocatable.get(name) ?? 0;
    return amount <= all || (all === 0 && mayBeOfClass(name));
  };
}

const tooManyPods: readonly string[] = ['Too many pods'];
const insufficient = (resource: string): string => `Insufficient ${resource}`;
