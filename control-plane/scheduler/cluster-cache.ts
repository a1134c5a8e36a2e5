import { objectKey } from '#api/meta/object.ts';
import type { Node, Pod } from '#api/generated/objects.ts';
import { nodeInfo, withPod, type NodeInfo } from './snapshot.ts';

/**
 * Nodes and the pods on them, as the informers tell, with the pods assumed: those decided but not yet seen bound. An
 * assumed pod counts until the watch shows it bound or gone, or its binding fails.
 */
export interface ClusterCache {
  setNode(name: string, node: Node | undefined): void;
  /** The pod as the watch shows it; undefined: gone, finished, or not on a node. */
  setPod(key: string, pod: Pod | undefined): void;
  assume(pod: Pod, nodeName: string): void;
  forget(key: string): void;
  isAssumed(key: string): boolean;
  nodes(): readonly NodeInfo[];
}

export function createClusterCache(): ClusterCache {
  const nodes = new Map<string, Node>();
  const podsByNode = new Map<string, Map<string, Pod>>();
  const placed = new Map<string, { readonly nodeName: string; readonly isAssumed: boolean }>();
  const infos = new Map<string, NodeInfo>(); // worked out when asked for
  let listed: readonly NodeInfo[] | undefined;

  const touch = (nodeName: string): void => {
    infos.delete(nodeName);
    listed = undefined;
  };
  const take = (key: string): void => {
    const where = placed.get(key);
    if (where === undefined) return;
    placed.delete(key);
    const pods = podsByNode.get(where.nodeName);
    pods?.delete(key);
    if (pods?.size === 0) podsByNode.delete(where.nodeName);
    touch(where.nodeName);
  };
  const place = (pod: Pod, nodeName: string, isAssumed: boolean): void => {
    const key = objectKey(pod);
    take(key);
    const pods = podsByNode.get(nodeName) ?? new Map<string, Pod>();
    const before = infos.get(nodeName);
    pods.set(key, pod);
    podsByNode.set(nodeName, pods);
    placed.set(key, { nodeName, isAssumed });
    touch(nodeName);
    if (before !== undefined && isAssumed) infos.set(nodeName, withPod(before, pod));
  };
  const infoOf = (name: string, node: Node): NodeInfo => {
    const known = infos.get(name);
    if (known !== undefined) return known;
    const info = nodeInfo(node, new Map(podsByNode.get(name)));
    infos.set(name, info);
    return info;
  };
  return {
    setNode: (name, node) => {
      if (node === undefined) nodes.delete(name);
      else nodes.set(name, node);
      touch(name);
    },
    setPod: (key, pod) => {
      const nodeName = pod?.spec?.nodeName;
      if (pod === undefined || nodeName === undefined) take(key);
      else place(pod, nodeName, false);
    },
    assume: (pod, nodeName) => place(pod, nodeName, true),
    forget: (key) => {
      if (placed.get(key)?.isAssumed === true) take(key);
    },
    isAssumed: (key) => placed.get(key)?.isAssumed === true,
    nodes: () => (listed ??= [...nodes].map(([name, node]) => infoOf(name, node))),
  };
}
