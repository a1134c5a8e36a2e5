import type { Node, Pod } from '#api/generated/objects.ts';

/**
 * What a module of `--scheduler-plugins` exports as `plugin`. It runs in a thread of its own, with all other plugins of the folder: what it throws, or
 * a question that takes it longer than a second, fails the try of the pod, which is told so and tried again. What goes wrong with a score is logged, and the
 * pod is scheduled without it.
 */
export interface SchedulerPlugin {
  /** Shown in events and logs. */
  readonly name: string;
  /** Of its scores, as in KubeSchedulerConfiguration; default: 1. */
  readonly weight?: number;
  /** Once for each pod, before its nodes: why none of them will do; undefined: one may. */
  readonly preFilter?: (pod: Pod) => string | undefined;
  /** Why the node does not do; undefined: it does. It is asked only of nodes that Kubernetes' own plugins let pass. */
  readonly filter?: (pod: Pod, on: PluginNode) => string | undefined;
  /** 0 to 100; more is better. */
  readonly score?: (pod: Pod, on: PluginNode) => number;
}

/** A node and the pods that run on it, or were just bound. */
export interface PluginNode {
  readonly node: Node;
  readonly pods: readonly Pod[];
}

/** A question to the thread. Nodes that it knows as they are, are named only. */
export interface PluginQuestion {
  readonly id: number;
  readonly kind: 'filter' | 'score';
  readonly pod: Pod;
  readonly names: readonly string[];
  readonly changed: readonly (readonly [name: string, on: PluginNode])[];
}

export interface PluginAnswer {
  readonly id: number;
  readonly error?: string;
  /** Of the nodes asked about, in their order: reasons, of whom the first plugin refuses; or scores with their weights. */
  readonly refused?: readonly (string | undefined)[];
  readonly scores?: readonly number[];
}
