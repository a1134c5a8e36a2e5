import { memberOf } from '#api/wire/json.ts';
import { labelSelectorFromObject, matchesLabels, type LabelMatcher } from '#api/meta/selector.ts';
import type { Pod, TopologySpreadConstraint } from '#api/generated/objects.ts';
import { matchesNodeAffinity } from '#api/pod/node-affinity.ts';
import { findUntoleratedTaint } from '#api/pod/tolerations.ts';
import type { FilterPlugin, SchedulingContext, ScorePlugin } from '#control-plane/scheduler/plugin.ts';
import type { NodeInfo } from '#control-plane/scheduler/snapshot.ts';

const mismatch = "node(s) didn't match pod topology spread constraints";
const missingLabel = `${mismatch} (missing required label)`;

/** The pods that a constraint counts, by the value of its topology label, over the nodes that it considers. */
interface Domains {
  readonly constraint: TopologySpreadConstraint;
  readonly counts: ReadonlyMap<string, number>;
  readonly isSelfMatch: boolean;
}

/** DoNotSchedule: the domain must not get more than maxSkew ahead of the emptiest one. */
export const topologySpreadFilter: FilterPlugin = {
  name: 'PodTopologySpread',
  looksAtPods: true,
  evictionHelps: (_pod, _node, reasons) => reasons.includes(mismatch),
  mayHelp: (pod, event) => {
    if (event.kind === 'nodeGone') return true; // It may have been the emptiest domain.
    const constraints = constraintsOf(pod, 'DoNotSchedule');
    if (event.kind === 'node')
      return constraints.some(({ topologyKey }) =>
        [event.current, event.old].some(
          (node) => memberOf(node?.metadata?.labels, topologyKey) !== undefined,
        ),
      );
    if (event.kind !== 'podPlaced' && event.kind !== 'podGone') return false;
    if (event.pod.metadata?.namespace !== pod.metadata?.namespace) return false;
    const { labels } = event.pod.metadata ?? {};
    return constraints.some((constraint) => matchesLabels(selectorOf(constraint, pod), labels));
  },
  filter: (context) => {
    const all = domainsOf(context, 'DoNotSchedule');
    if (all.length === 0) return undefined;
    return ({ node }) => {
      for (const { constraint, counts, isSelfMatch } of all) {
        const value = memberOf(node.metadata?.labels, constraint.topologyKey);
        if (value === undefined) return [missingLabel];
        // With fewer domains than minDomains the emptiest counts as 0.
        const isShort = counts.size < (constraint.minDomains ?? 1);
        const lowest = isShort || counts.size === 0 ? 0 : Math.min(...counts.values());
        const skew = (counts.get(value) ?? 0) + (isSelfMatch ? 1 : 0) - lowest;
        if (skew > constraint.maxSkew) return [mismatch];
      }
      return [];
    };
  },
};

/** ScheduleAnyway: fewer matching pods in the domain are better. */
export const topologySpreadScore: ScorePlugin = {
  name: 'PodTopologySpread',
  weight: 2,
  normalization: 'reversed',
  score: (context) => {
    const all = domainsOf(context, 'ScheduleAnyway');
    if (all.length === 0) return undefined;
    return ({ node }) =>
      all.reduce((sum, { constraint, counts }) => {
        const value = memberOf(node.metadata?.labels, constraint.topologyKey);
        const worst = Math.max(0, ...counts.values()) + 1;
        return sum + (value === undefined ? worst : (counts.get(value) ?? 0));
      }, 0);
  },
};

function constraintsOf(
  pod: Pod,
  when: TopologySpreadConstraint['whenUnsatisfiable'],
): readonly TopologySpreadConstraint[] {
  return (pod.spec?.topologySpreadConstraints ?? []).filter(
    ({ whenUnsatisfiable }) => whenUnsatisfiable === when,
  );
}

function domainsOf(
  { pod, snapshot }: SchedulingContext,
  when: TopologySpreadConstraint['whenUnsatisfiable'],
): readonly Domains[] {
  return constraintsOf(pod, when).map((constraint) => {
    const selector = selectorOf(constraint, pod);
    const counts = new Map<string, number>();
    for (const info of snapshot.nodes) {
      const value = memberOf(info.node.metadata?.labels, constraint.topologyKey);
      if (value === undefined || !isConsidered(constraint, pod, info)) continue;
      counts.set(value, (counts.get(value) ?? 0) + countMatching(info, pod, selector));
    }
    return { constraint, counts, isSelfMatch: matchesLabels(selector, pod.metadata?.labels) };
  });
}

/** nodeAffinityPolicy honours by default, nodeTaintsPolicy ignores by default. */
function isConsidered(constraint: TopologySpreadConstraint, pod: Pod, { node }: NodeInfo): boolean {
  if (constraint.nodeAffinityPolicy !== 'Ignore' && !matchesNodeAffinity(pod, node)) return false;
  if (constraint.nodeTaintsPolicy !== 'Honor') return true;
  const effects = ['NoSchedule', 'NoExecute'];
  return findUntoleratedTaint(pod.spec?.tolerations, node.spec?.taints, effects) === undefined;
}

function countMatching(info: NodeInfo, pod: Pod, selector: LabelMatcher): number {
  return [...info.pods.values()].filter(
    (other) =>
      other.metadata?.namespace === pod.metadata?.namespace &&
      other.metadata?.deletionTimestamp === undefined &&
      matchesLabels(selector, other.metadata?.labels),
  ).length;
}

function selectorOf(constraint: TopologySpreadConstraint, pod: Pod): LabelMatcher {
  const selector = labelSelectorFromObject(constraint.labelSelector);
  const labels = pod.metadata?.labels ?? {};
  const more = (constraint.matchLabelKeys ?? []).flatMap((key) => {
    const value = memberOf(labels, key);
    return value === undefined ? [] : [{ key, operator: 'In' as const, values: [value] }];
  });
  return { ...selector, requirements: [...selector.requirements, ...more] };
}
