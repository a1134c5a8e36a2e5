import type { Pod } from '#api/generated/objects.ts';
import { objectKey } from '#api/meta/object.ts';
import { nodeInfo, type NodeInfo, type Snapshot } from '#control-plane/scheduler/snapshot.ts';

/** A snapshot whose pods are moved about, to see what would be. The snapshot itself stays as it is. */
export class TrialCluster {
  readonly #base: Snapshot;
  readonly #changed = new Map<string, NodeInfo>();
  #nodes: readonly NodeInfo[] | undefined;

  constructor(base: Snapshot) {
    this.#base = base;
  }

  node(name: string): NodeInfo | undefined {
    const changed = this.#changed.get(name);
    if (changed !== undefined) return changed;
    return this.#base.nodeNamed === undefined
      ? this.#base.nodes.find((node) => node.name === name)
      : this.#base.nodeNamed(name);
  }

  add(pod: Pod, nodeName: string): void {
    this.#change(nodeName, (pods) => pods.set(objectKey(pod), onNode(pod, nodeName)));
  }

  remove(pod: Pod, nodeName: string): void {
    this.#change(nodeName, (pods) => pods.delete(objectKey(pod)));
  }

  /** What is so now; good until the next change. Most pods ask nothing of others, and nobody looks at the lists. */
  snapshot(): Snapshot {
    const { affineNodes: _affine, nodesBelow: _below, antiAffineNodes, ...others } = this.#base;
    const { affineCount: _affineCount, antiAffineCount: _antiAffineCount, ...base } = others;
    const all = (): readonly NodeInfo[] =>
      (this.#nodes ??= base.nodes.map((node) => this.#changed.get(node.name) ?? node));
    const antiAffine = (): readonly NodeInfo[] =>
      [
        ...(antiAffineNodes ?? []).filter(({ name }) => !this.#changed.has(name)),
        ...this.#changed.values(),
      ].filter(({ antiAffinePods }) => antiAffinePods.size > 0);
    return {
      ...base,
      get nodes() {
        return all();
      },
      ...(antiAffineNodes === undefined ? {} : { antiAffineNodes: antiAffine() }),
      nodeNamed: (name) => this.node(name),
    };
  }

  #change(nodeName: string, change: (pods: Map<string, Pod>) => void): void {
    const info = this.node(nodeName);
    if (info === undefined) return;
    const pods = new Map(info.pods);
    change(pods);
    this.#changed.set(nodeName, nodeInfo(info.node, pods));
    this.#nodes = undefined;
  }
}

/** The pod as it is once it is there. */
export function onNode(pod: Pod, nodeName: string): Pod {
  return { ...pod, spec: { containers: [], ...pod.spec, nodeName } };
}
