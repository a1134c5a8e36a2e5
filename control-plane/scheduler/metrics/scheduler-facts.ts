import { pods } from '#api/schema/kind-ref.ts';
import { isGated } from '#control-plane/scheduler/pod-changes.ts';
import { schedulerNameOf, type Parts } from '#control-plane/scheduler/scheduler-parts.ts';
import type { SchedulerFacts } from './scheduler-metrics.ts';

/** What a scheduler is asked when somebody reads its metrics: worked out then. */
export function schedulerFacts(parts: () => Parts): SchedulerFacts {
  return {
    pending: () => ({ ...parts().pending.counts(), gated: gatedCount(parts()) }),
    refused: () => {
      const counts = new Map<string, { profile: string; plugin: string; count: number }>();
      for (const { pod, refusedBy } of parts().pending.refused())
        for (const plugin of refusedBy) {
          const profile = schedulerNameOf(pod);
          const key = `${profile} ${plugin}`;
          const known = counts.get(key) ?? { profile, plugin, count: 0 };
          known.count++;
          counts.set(key, known);
        }
      return [...counts.values()];
    },
    cached: () => {
      const { cache } = parts();
      const nodes = cache.nodes();
      const keys = nodes.flatMap(({ pods: there }) => [...there.keys()]);
      return {
        nodes: nodes.length,
        pods: keys.length,
        assumed_pods: keys.filter((key) => cache.isAssumed(key)).length,
      };
    },
  };
}

/** Of those with gates, and those whose group is not complete. */
function gatedCount({ informers, profiles, groups }: Parts): number {
  return informers
    .for(pods)
    .list()
    .filter(
      (pod) =>
        (pod.spec?.nodeName ?? '') === '' &&
        profiles.has(schedulerNameOf(pod)) &&
        (isGated(pod) || groups.isHeld(pod)),
    ).length;
}
