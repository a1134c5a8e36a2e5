import { objectKey } from '#api/meta/object.ts';
import type { Pod } from '#api/generated/objects.ts';
import type { FilterPlugin, SchedulingContext } from './plugin.ts';
import { defaultProfile } from './profile.ts';
import { nodeInfo, priorityOf, type NodeInfo, type Snapshot } from './snapshot.ts';
import type { Refusal } from './template-memory.ts';

/** Says of a node why it refuses the pod; undefined: it does. `place`: where it is in the list of all nodes, if it is there. */
export type Fit = (node: NodeInfo, place?: number) => Refusal | undefined;

type Test = readonly [plugin: FilterPlugin, refuse: (node: NodeInfo) => readonly string[]];

/**
 * Of nodes as they are. A node that pods of the same or a higher priority are nominated to must do with them, and without, as they may
 * go elsewhere in the end (kube-scheduler RunFilterPluginsWithNominatedPods).
 */
export function fitOf(context: SchedulingContext): Fit {
  const { pod, snapshot, profile = defaultProfile, memory } = context;
  const steady = steadyCount(profile.filters);
  let steadyTests: readonly Test[] | undefined; // Of most pods all is known already.
  const ask = (node: NodeInfo): Refusal | undefined => {
    steadyTests ??= testsOf(context, profile.filters.slice(0, steady));
    return firstRefusal(pod, steadyTests, node);
  };
  const tests = testsOf(context, profile.filters.slice(steady));
  let changed: Fit | undefined;
  return (node, place) => {
    const nominated = nominatedBefore(pod, snapshot.nominated?.(node.name));
    if (nominated.length > 0) {
      changed ??= fitOfChanged(context);
      const refusal = changed(withPods(node, nominated));
      if (refusal !== undefined) return refusal;
    }
    const refusal =
      memory === undefined || place === undefined ? ask(node) : memory.answers.refusal(node, place, ask);
    return refusal ?? (tests.length === 0 ? undefined : firstRefusal(pod, tests, node));
  };
}

/** How many filters come before the first that is not steady: the first that refuses gives the reason. */
function steadyCount(filters: readonly FilterPlugin[]): number {
  const first = filters.findIndex(({ isSteady }) => isSteady !== true);
  return first < 0 ? filters.length : first;
}

/** Of a node as it would be with other pods: what looks at the pods of all nodes is worked out anew for each, and not kept. */
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
    firstRefusal(
      pod,
      testsOf({ ...context, memory: undefined, snapshot: withChanged(snapshot, node) }, wide),
      node,
    );
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
  const { antiAffineCount: _antiAffineCount, affineCount: _affineCount, ...others } = snapshot;
  let nodes: readonly NodeInfo[] | undefined;
  return {
    ...others,
    /** Most pods ask nothing of others, and nobody looks at it. */
    get nodes() {
      nodes ??= snapshot.nodes.map((node) => (isOther(node) ? node : changed));
      return nodes;
    },
    antiAffineNodes: [...antiAffine.filter(isOther), ...(changed.antiAffinePods.size > 0 ? [changed] : [])],
  };
}
