import type { Node, Pod, TopologySpreadConstraint } from '#api/generated/objects.ts';
import { matchesLabels } from '#api/meta/selector.ts';
import type { Sum } from '#control-plane/scheduler/template-memory.ts';
import { memberOf } from '#api/wire/json.ts';
import { changesOf } from '#control-plane/scheduler/cluster-event.ts';
import { passes, type FilterPlugin, type SchedulingContext } from '#control-plane/scheduler/plugin.ts';
import { constraintsFor, countsOf, isConsidered, selectorOf, type Constraint } from './spread-constraints.ts';

const mismatch = "node(s) didn't match pod topology spread constraints";
const missingLabel = `${mismatch} (missing required label)`;

/** The pods that a constraint counts, by the value of its topology label, over the nodes that it considers. */
interface Domains extends Constraint {
  readonly counts: ReadonlyMap<string, Sum>;
  /** Of the emptiest of them. */
  readonly lowest: number;
}

/** DoNotSchedule: the domain must not get more than maxSkew ahead of the emptiest one. */
export function topologySpreadFilter(
  byDefault: readonly TopologySpreadConstraint[] | undefined,
): FilterPlugin {
  const isHard = ({ whenUnsatisfiable }: TopologySpreadConstraint): boolean =>
    whenUnsatisfiable === 'DoNotSchedule';
  return {
    name: 'PodTopologySpread',
    looksAtPods: true,
    evictionHelps: (_pod, _node, reasons) => reasons.includes(mismatch),
    mayHelp: (pod, event) => {
      if (event.kind === 'nodeGone') return true; // It may have been the emptiest domain.
      const own = pod.spec?.topologySpreadConstraints ?? [];
      const constraints = (own.length > 0 ? own : (byDefault ?? [])).filter(isHard);
      if (event.kind === 'node')
        return (
          changesOf(event, (node) => constraints.map((one) => domainOf(one, pod, node))) &&
          [event.current, event.old].some((node) => isCounted(constraints, node))
        );
      if (event.kind !== 'podPlaced' && event.kind !== 'podGone' && event.kind !== 'podEnding') return false;
      if (event.pod.metadata?.namespace !== pod.metadata?.namespace) return false;
      const { labels } = event.pod.metadata ?? {};
      return (
        own.length === 0 ||
        constraints.some((constraint) => matchesLabels(selectorOf(constraint, pod), labels))
      );
    },
    filter: (context) => {
      const all = domainsOf(context, byDefault);
      if (all.length === 0) return undefined;
      return ({ node }) => {
        for (const { topologyKey, counts, isSelfMatch, lowest, maxSkew } of all) {
          const value = memberOf(node.metadata?.labels, topologyKey);
          if (value === undefined) return [missingLabel];
          const skew = (counts.get(value)?.amount ?? 0) + (isSelfMatch ? 1 : 0) - lowest;
          if (skew > maxSkew) return [mismatch];
        }
        return passes;
      };
    },
  };
}

/** Whether the node is of a domain of each: otherwise its pods count for none. */
function isCounted(constraints: readonly TopologySpreadConstraint[], node: Node | undefined): boolean {
  return constraints.every(({ topologyKey }) => memberOf(node?.metadata?.labels, topologyKey) !== undefined);
}

/** Of which domain a node is for a constraint, and whether its pods count. */
function domainOf(constraint: TopologySpreadConstraint, pod: Pod, node: Node): unknown {
  const value = memberOf(node.metadata?.labels, constraint.topologyKey);
  return value === undefined ? [] : [value, isConsidered(constraint, pod, node)];
}

function domainsOf(
  context: SchedulingContext,
  byDefault: readonly TopologySpreadConstraint[] | undefined,
): readonly Domains[] {
  const constraints = constraintsFor(context, 'DoNotSchedule', byDefault);
  if (constraints.length === 0) return [];
  return constraints.map((constraint) => {
    const counts = countsOf(constraint, { context, constraints });
    let lowest = Infinity;
    for (const { amount } of counts.values()) lowest = Math.min(lowest, amount);
    // With fewer domains than minDomains the emptiest counts as 0.
    const isShort = counts.size === 0 || counts.size < constraint.minDomains;
    return { ...constraint, counts, lowest: isShort ? 0 : lowest };
  });
}
