import { controllerRef } from '#api/meta/owner.ts';
import { apiVersionOf, replicaSets, replicationControllers, statefulSets } from '#api/schema/kind-ref.ts';
import { controllerUidOf, serviceSelectorOf } from '#control-plane/scheduler/pod-facts.ts';
import type { SchedulingContext } from '#control-plane/scheduler/plugin.ts';
import type { NodeInfo } from '#control-plane/scheduler/snapshot.ts';
import { sumsOver, type Sum } from '#control-plane/scheduler/template-memory.ts';
import type { Node, Pod, TopologySpreadConstraint } from '#api/generated/objects.ts';
import { labelSelectorFromObject, matchesLabels, type LabelMatcher } from '#api/meta/selector.ts';
import { matchesNodeAffinity } from '#api/pod/node-affinity.ts';
import { findUntoleratedTaint } from '#api/pod/tolerations.ts';
import { memberOf } from '#api/wire/json.ts';

/** A constraint, ready to be asked whom it counts. */
export interface Constraint {
  readonly topologyKey: string;
  readonly maxSkew: number;
  readonly minDomains: number;
  readonly isSelfMatch: boolean;
  /** Whether pods of the node count. */
  readonly considers: (node: NodeInfo) => boolean;
  /** How many of the node's pods it counts. */
  readonly countOn: (node: NodeInfo) => number;
  /** What both depend on beside the pod and the node, and which of the pod's constraints it is. */
  readonly name: string;
}

type When = TopologySpreadConstraint['whenUnsatisfiable'];

/**
 * What the pod says itself, or, where it says nothing and belongs to a controller or a Service, what the configuration says for such pods
 * (PodTopologySpreadArgs defaultConstraints).
 */
export function constraintsFor(
  context: SchedulingContext,
  when: When,
  byDefault: readonly TopologySpreadConstraint[] | undefined,
): readonly Constraint[] {
  const { pod } = context;
  const own = pod.spec?.topologySpreadConstraints ?? [];
  if (own.length > 0)
    return own
      .filter(({ whenUnsatisfiable }) => whenUnsatisfiable === when)
      .map((constraint) => ready(constraint, pod, selectedBy(selectorOf(constraint, pod))));
  const theirs = (byDefault ?? []).filter(({ whenUnsatisfiable }) => whenUnsatisfiable === when);
  const isSibling = theirs.length === 0 ? undefined : siblingsOf(context);
  return isSibling === undefined ? [] : theirs.map((constraint) => ready(constraint, pod, isSibling));
}

/** The selector of a constraint, with what it takes of the pod's own labels. */
export function selectorOf(constraint: TopologySpreadConstraint, pod: Pod): LabelMatcher {
  const selector = labelSelectorFromObject(constraint.labelSelector);
  const labels = pod.metadata?.labels ?? {};
  const more = (constraint.matchLabelKeys ?? []).flatMap((key) => {
    const value = memberOf(labels, key);
    return value === undefined ? [] : [{ key, operator: 'In' as const, values: [value] }];
  });
  return { ...selector, requirements: [...selector.requirements, ...more] };
}

/** `isEmpty`: it would select all, and counts none (kube-scheduler countPodsMatchSelector). */
interface Counted {
  readonly counts: (pod: Pod) => boolean;
  /** Whether the node may have any, which costs no look at its pods. */
  readonly mayCount?: (node: NodeInfo) => boolean;
  /** What it depends on beside the pod. */
  readonly by: string;
  readonly isEmpty: boolean;
}

function selectedBy(selector: LabelMatcher): Counted {
  return {
    counts: ({ metadata }) => matchesLabels(selector, metadata?.labels),
    by: '',
    isEmpty: selector.requirements.length === 0 && selector.nothing !== true,
  };
}

/**
 * Those of the same controller that the same Services select; undefined: the pod is on its own. As upstream has it, pods of Jobs, DaemonSets and
 * custom kinds have no controller here (helper.DefaultSelector).
 */
function siblingsOf({ pod, snapshot }: SchedulingContext): Counted | undefined {
  const labels = pod.metadata?.labels;
  const owner = controllerRef(pod);
  const isReplicated = replicating.includes(`${owner?.apiVersion} ${owner?.kind}`);
  const controller = isReplicated ? owner?.uid : undefined;
  const selectors = snapshot
    .services(pod.metadata?.namespace ?? '')
    .map(serviceSelectorOf)
    .filter((selector) => matchesLabels(selector, labels));
  if (controller === undefined && selectors.length === 0) return undefined;
  const counts = (other: Pod): boolean =>
    (controller === undefined || controllerUidOf(other) === controller) &&
    selectors.every((selector) => matchesLabels(selector, other.metadata?.labels));
  const mayCount = ({ podCountByController }: NodeInfo): boolean =>
    controller === undefined || podCountByController.has(controller);
  return { counts, mayCount, by: JSON.stringify([controller, selectors]), isEmpty: false };
}

const replicating: readonly string[] = [replicaSets, statefulSets, replicationControllers].map(
  (kind) => `${apiVersionOf(kind)} ${kind.kind}`,
);

function ready(
  constraint: TopologySpreadConstraint,
  pod: Pod,
  { counts, mayCount, by, isEmpty }: Counted,
): Constraint {
  const { topologyKey, maxSkew, minDomains = 1 } = constraint;
  const namespace = pod.metadata?.namespace;
  return {
    ...{ topologyKey, maxSkew, minDomains, isSelfMatch: counts(pod) },
    name: `${JSON.stringify(constraint)} ${by}`,
    considers: ({ node }) => isConsidered(constraint, pod, node),
    countOn: (node) => {
      if (isEmpty || mayCount?.(node) === false) return 0;
      let count = 0;
      for (const other of node.pods.values())
        if (
          other.metadata?.namespace === namespace &&
          other.metadata?.deletionTimestamp === undefined &&
          counts(other)
        )
          count++;
      return count;
    },
  };
}

/** The pods that it counts, by the value of its topology label, over the nodes that it considers and that have the labels of all `constraints`. */
export function countsOf(
  constraint: Constraint,
  {
    context,
    constraints,
  }: { readonly context: SchedulingContext; readonly constraints: readonly Constraint[] },
): ReadonlyMap<string, Sum> {
  const { topologyKey, considers, countOn, name } = constraint;
  const keys = constraints.map((one) => one.topologyKey).join();
  return sumsOver(context, `spread ${keys} ${name}`, (node) => {
    const value = memberOf(node.node.metadata?.labels, topologyKey);
    return value !== undefined && hasAllKeys(node, constraints) && considers(node)
      ? [[value, countOn(node)]]
      : [];
  });
}

/** The pods that it counts on each node where there are any, by the node's name, whatever else is said of nodes. */
export function countsByNode(
  { countOn, name }: Constraint,
  context: SchedulingContext,
): ReadonlyMap<string, Sum> {
  return sumsOver(context, `spread nodes ${name}`, (node) => {
    const count = countOn(node);
    return count === 0 ? [] : [[node.name, count]];
  });
}

/** nodeAffinityPolicy honours by default, nodeTaintsPolicy ignores by default. */
export function isConsidered(constraint: TopologySpreadConstraint, pod: Pod, node: Node): boolean {
  if (constraint.nodeAffinityPolicy !== 'Ignore' && !matchesNodeAffinity(pod, node)) return false;
  if (constraint.nodeTaintsPolicy !== 'Honor') return true;
  const effects = ['NoSchedule', 'NoExecute'];
  return findUntoleratedTaint(pod.spec?.tolerations, node.spec?.taints, effects) === undefined;
}

/** Whether the node has the labels of all constraints: otherwise its pods count for none. */
export function hasAllKeys({ node }: NodeInfo, constraints: readonly Constraint[]): boolean {
  return constraints.every(({ topologyKey }) => memberOf(node.metadata?.labels, topologyKey) !== undefined);
}
