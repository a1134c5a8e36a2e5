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
      const sumOf = (node: NodeInfo): number => {
        let sum = 0;
        for (const part of parts) sum += part(node);
        return Math.round(sum);
      };
      return isOfSystem ? sumOf : (node) => (hasAllKeys(node, needed) ? sumOf(node) : Number.NaN);
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
  const { scored, context, needed } = asked;
  if (topologyKey === hostname) {
    const counts = countsByNode(constraint, context);
    const weight = weightOf(scored.length);
    return (node) => (counts.get(node.name)?.amount ?? 0) * weight + (maxSkew - 1);
  }
  const counts = countsOf(constraint, { context, constraints: needed });
  if (counts.size === 0) return () => 0; // Most clusters are in no zones.
  const valueOf = ({ node }: NodeInfo): string | undefined => memberOf(node.metadata?.labels, topologyKey);
  const isOne = counts.size === 1 && scored.every((node) => valueOf(node) !== undefined);
  const values = isOne ? new Set(counts.keys()) : new Set(scored.map(valueOf));
  const weight = weightOf(values.size); // Nodes without the label are a domain, too, in which nobody is counted.
  values.delete(undefined);
  const byValue = new Map<string | undefined, number>();
  for (const value of values)
    byValue.set(value, (counts.get(value ?? '')?.amount ?? 0) * weight + (maxSkew - 1));
  return (node) => byValue.get(valueOf(node)) ?? 0;
}

/** Of what is counted in a domain, where there are so many. */
function weightOf(domains: number): number {
  return Math.log(domains + 2);
}
