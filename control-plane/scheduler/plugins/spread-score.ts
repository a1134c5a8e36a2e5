import type { TopologySpreadConstraint } from '#api/generated/objects.ts';
import { memberOf } from '#api/wire/json.ts';
import type { ScorePlugin, SchedulingContext } from '#control-plane/scheduler/plugin.ts';
import type { NodeInfo } from '#control-plane/scheduler/snapshot.ts';
import { constraintsFor, countsByNode, countsOf, hasAllKeys, type Constraint } from './spread-constraints.ts';

const hostname = 'kubernetes.io/hostname';

/** What is so of pods of a controller or a Service that say nothing themselves, where the configuration does not either. */
const ofSystem: readonly TopologySpreadConstraint[] = [
  { maxSkew: 3, topologyKey: hostname, whenUnsatisfiable: 'ScheduleAnyway' },
  { maxSkew: 5, topologyKey: 'topology.kubernetes.io/zone', whenUnsatisfiable: 'ScheduleAnyway' },
];

/**
 * ScheduleAnyway: fewer matching pods in the domain are better. Domains of which there are few weigh less, so that they do not drown those of which
 * there are many; a node without one of the labels is the last choice, but for those of the system, which do without. Source: kube-scheduler
 * podtopologyspread scoring.
 */
export function topologySpreadScore(byDefault: readonly TopologySpreadConstraint[] | undefined): ScorePlugin {
  return {
    name: 'PodTopologySpread',
    weight: 2,
    normalization: 'spread',
    score: (context, feasible) => {
      const constraints = constraintsFor(context, 'ScheduleAnyway', byDefault ?? ofSystem);
      if (constraints.length === 0) return undefined;
      const isOfSystem =
        byDefault === undefined && (context.pod.spec?.topologySpreadConstraints ?? []).length === 0;
      const needed = isOfSystem ? [] : constraints;
      const scored = isOfSystem ? feasible : feasible.filter((node) => hasAllKeys(node, needed));
      const parts = constraints.map((constraint) => partOf(constraint, { context, scored, needed }));
      return (node) => {
        if (!hasAllKeys(node, needed)) return Number.NaN;
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
    readonly needed: readonly Constraint[];
  },
): (node: NodeInfo) => number {
  const { topologyKey, maxSkew } = constraint;
  const { scored, context } = asked;
  const valueOf = ({ node }: NodeInfo): string | undefined => memberOf(node.metadata?.labels, topologyKey);
  const weighed = (count: number, domains: number): number => count * Math.log(domains + 2) + (maxSkew - 1);
  if (topologyKey === hostname) {
    const counts = countsByNode(constraint, context);
    return (node) =>
      valueOf(node) === undefined ? 0 : weighed(counts.get(node.name)?.amount ?? 0, scored.length);
  }
  const values = new Set(scored.map(valueOf));
  values.delete(undefined);
  if (values.size === 0) return () => 0;
  const counts = countsOf(constraint, { context, constraints: asked.needed });
  return (node) => {
    const value = valueOf(node);
    return value === undefined ? 0 : weighed(counts.get(value)?.amount ?? 0, values.size);
  };
}
