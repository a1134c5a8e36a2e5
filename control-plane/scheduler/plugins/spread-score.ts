import type { TopologySpreadConstraint } from '#api/generated/objects.ts';
import { memberOf } from '#api/wire/json.ts';
import type { ScorePlugin, SchedulingContext } from '#control-plane/scheduler/plugin.ts';
import type { NodeInfo } from '#control-plane/scheduler/snapshot.ts';
import { constraintsFor, countsOf, hasAllKeys, type Constraint } from './spread-constraints.ts';

const hostname = 'kubernetes.io/hostname';

/**
 * ScheduleAnyway: fewer matching pods in the domain are better. Domains of which there are few weigh less, so that they do not drown those of which
 * there are many; a node without one of the labels is the last choice. Source: kube-scheduler podtopologyspread scoring.
 */
export function topologySpreadScore(byDefault: readonly TopologySpreadConstraint[] | undefined): ScorePlugin {
  return {
    name: 'PodTopologySpread',
    weight: 2,
    normalization: 'spread',
    score: (context, feasible) => {
      const constraints = constraintsFor(context, 'ScheduleAnyway', byDefault);
      if (constraints.length === 0) return undefined;
      const scored = feasible.filter((node) => hasAllKeys(node, constraints));
      const parts = constraints.map((constraint) => partOf(constraint, { context, scored, constraints }));
      return (node) => {
        if (!hasAllKeys(node, constraints)) return Number.NaN;
        let sum = 0;
        for (const part of parts) sum += part(node);
        return Math.round(sum);
      };
    },
  };
}

function partOf(
  constraint: Constraint,
  asked: {
    readonly context: SchedulingContext;
    readonly scored: readonly NodeInfo[];
    readonly constraints: readonly Constraint[];
  },
): (node: NodeInfo) => number {
  const { topologyKey, maxSkew, countOn } = constraint;
  const { scored } = asked;
  const valueOf = ({ node }: NodeInfo): string => memberOf(node.metadata?.labels, topologyKey) ?? '';
  const weighed = (count: number, domains: number): number => count * Math.log(domains + 2) + (maxSkew - 1);
  if (topologyKey === hostname) return (node) => weighed(countOn(node), scored.length);
  const domains = new Set(scored.map(valueOf)).size;
  const counts = countsOf(constraint, asked);
  return (node) => weighed(counts.get(valueOf(node))?.amount ?? 0, domains);
}
