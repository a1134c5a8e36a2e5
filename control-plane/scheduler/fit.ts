import { objectKey } from '#api/meta/object.ts';
import type { Pod } from '#api/generated/objects.ts';
import type { FilterPlugin, SchedulingContext } from './plugin.ts';
import { defaultProfile } from './profile.ts';
import { nodeInfo, priorityOf, type NodeInfo, type Snapshot } from './snapshot.ts';

/** Why a node does not do. */
export interface Refusal {
  /** Name of the plugin. */
  readonly by: string;
  readonly reasons: readonly string[];
  /** Whether it might do once pods of lower priority are gone. */
  readonly isHelpedByEviction: boolean;
}

/** Says of a node why it refuses the pod; undefined: it does. */
export type Fit = (node: NodeInfo) => Refusal | undefined;

type Test = readonly [plugin: FilterPlugin, refuse: (node: NodeInfo) => readonly string[]];

/**
 * Of nodes as they are. A node that pods of the same or a higher priority are nominated to must do with them, and without, as they may
 * go elsewhere in the end (kube-scheduler RunFilterPluginsWithNominatedPods).
 */
export function fitOf(context: SchedulingContext): Fit {
  const { pod, snapshot, profile = defaultProfile } = context;
  const tests = testsOf(context, profile.filters);
  let changed: Fit | undefined;
  return (node) => {
    const nominated = nominatedBefore(pod, snapshot.nominated?.(node.name));
    if (nominated.length > 0) {
      changed ??= fitOfChanged(context);
      const refusal = changed(withPods(node, nominated));
      if (refusal !== undefined) return refusal;
    }
    return firstRefusal(pod, tests, node);
  };
}

/** Of a node as it would be with other pods: what looks at the pods of all nodes is worked out anew for each. */
export function fitOfChanged(context: SchedulingContext): Fit {
  const { pod, snapshot, profile = defaultProfile } = context;
  const isWide = ({ looksAtPods }: FilterPlugin): boolean => looksAtPods === true;
  const own = testsOf(
    context,
    profile.filters.filter((plugin) => !isWide(plugin)),
  );
  const wide = profile.filters.filter(isWide);
  return (node) =>
    firstRefusal(pod, own, node) ??
    firstRefusal(pod, testsOf({ ...context, snapshot: withChanged(snapshot, node) }, wide), node);
}

const nobody: readonly Pod[] = [];

/** Those of the pods nominated to a node that it must have room for beside this one. */
export function nominatedBefore(pod: Pod, nominated: readonly Pod[] = nobody): readonly Pod[] {
  if (nominated.length === 0) return nominated; // Of nearly every node, and asked of each.
  return nominated.filter(
    (other) => priorityOf(other) >= priorityOf(pod) && other.metadata?.uid !== pod.metadata?.uid,
  );
}

/** The node with more pods. */
export function withPods(info: NodeInfo, more: readonly Pod[]): NodeInfo {
  return nodeInfo(info.node, new Map([...info.pods, ...more.map((pod) => [objectKey(pod), pod] as const)]));
}

function testsOf(context: SchedulingContext, plugins: readonly FilterPlugin[]): readonly Test[] {
  return plugins.flatMap((plugin) => {
    const test = plugin.filter(context);
    return test === undefined ? [] : [[plugin, test] as const];
  });
}

function firstRefusal(pod: Pod, tests: readonly Test[], node: NodeInfo): Refusal | undefined {
  for (const [{ name, evictionHelps }, test] of tests) {
    const reasons = test(node);
    if (reasons.length === 0) continue;
    return { by: name, reasons, isHelpedByEviction: evictionHelps?.(pod, node, reasons) === true };
  }
  return undefined;
}

function withChanged(snapshot: Snapshot, changed: NodeInfo): Snapshot {
  const isOther = ({ name }: NodeInfo): boolean => name !== changed.name;
  const antiAffine =
    snapshot.antiAffineNodes ?? snapshot.nodes.filter(({ antiAffinePods }) => antiAffinePods.size > 0);
  let nodes: readonly NodeInfo[] | undefined;
  return {
    ...snapshot,
    /** Most pods ask nothing of others, and nobody looks at it. */
    get nodes() {
      nodes ??= snapshot.nodes.map((node) => (isOther(node) ? node : changed));
      return nodes;
    },
    antiAffineNodes: [...antiAffine.filter(isOther), ...(changed.antiAffinePods.size > 0 ? [changed] : [])],
  };
}
