import { objectKey } from '#api/meta/object.ts';
import type { Node, Pod } from '#api/generated/objects.ts';
import { claimKeysOfPod } from '#api/volume/claim.ts';
import { countsTheSame, nodeInfo, withNode, withPod, type NodeInfo } from './snapshot.ts';

/**
 * Nodes and the pods on them, as the informers tell, with the pods assumed: those decided but not yet seen bound. An
 * assumed pod counts until the watch shows it bound or gone, or its binding fails. A change costs as much as its node has pods at most,
 * however many nodes there are.
 */
export interface ClusterCache {
  setNode(name: string, node: Node | undefined): void;
  /** The pod as the watch shows it; undefined: gone, finished, or not on a node. */
  setPod(key: string, pod: Pod | undefined): void;
  assume(pod: Pod, nodeName: string): void;
  forget(key: string): void;
  isAssumed(key: string): boolean;
  /** Until the next change only: the list is kept, not made. */
  nodes(): readonly NodeInfo[];
  node(name: string): NodeInfo | undefined;
  /** Those of the nodes that have pods with required anti-affinity. */
  antiAffineNodes(): readonly NodeInfo[];
  /** Those of the nodes that have pods with affinity or anti-affinity of any kind. */
  affineNodes(): readonly NodeInfo[];
  /** How many these are. */
  affineCounts(): { readonly antiAffineCount: number; readonly affineCount: number };
  /** How many of the nodes have the image, by one of its names. */
  nodesWithImage(name: string): number;
  /** Names of the nodes of the pods that use the claim, `namespace/name`. */
  claimUsedOn(key: string): readonly string[];
  /** How many nodes have a pod of lower priority than this; costs as many priorities as there are. */
  nodesBelow(priority: number): number;
}

export function createClusterCache(): ClusterCache {
  const podsByNode = new Map<string, Map<string, Pod>>();
  const placed = new Map<string, { readonly nodeName: string; readonly isAssumed: boolean }>();
  const infos = createInfoList();
  const claimUsers = createClaimUsers();

  const podsOf = (name: string): Map<string, Pod> => {
    const known = podsByNode.get(name) ?? new Map<string, Pod>();
    podsByNode.set(name, known);
    return known;
  };
  const recount = (name: string, node: Node | undefined): void => {
    if (node !== undefined) infos.set(name, nodeInfo(node, podsOf(name)));
  };
  const take = (key: string): void => {
    const where = placed.get(key);
    if (where === undefined) return;
    placed.delete(key);
    const pods = podsOf(where.nodeName);
    const pod = pods.get(key);
    if (pod !== undefined) claimUsers.remove(pod, where.nodeName);
    pods.delete(key);
    const info = infos.get(where.nodeName);
    if (info === undefined && pods.size === 0) podsByNode.delete(where.nodeName);
    recount(where.nodeName, info?.node);
  };
  const place = (pod: Pod, nodeName: string, isAssumed: boolean): void => {
    const key = objectKey(pod);
    const before = placed.get(key)?.nodeName === nodeName ? podsOf(nodeName).get(key) : undefined;
    if (before === undefined) {
      take(key);
      claimUsers.add(pod, nodeName);
    }
    podsOf(nodeName).set(key, pod);
    placed.set(key, { nodeName, isAssumed });
    const info = infos.get(nodeName);
    if (info === undefined) return;
    if (before === undefined) infos.set(nodeName, withPod(info, pod));
    else if (!countsTheSame(before, pod)) recount(nodeName, info.node);
  };
  return {
    setNode: (name, node) => {
      const info = infos.get(name);
      if (node === undefined) {
        infos.remove(name);
        if (podsByNode.get(name)?.size === 0) podsByNode.delete(name);
      } else if (info !== undefined) infos.set(name, withNode(info, node));
      else recount(name, node);
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
    nodes: () => infos.all,
    node: infos.get,
    antiAffineNodes: () => infos.antiAffine(),
    affineNodes: () => infos.affine(),
    affineCounts: infos.affineCounts,
    nodesWithImage: infos.withImage,
    claimUsedOn: claimUsers.nodeNames,
    nodesBelow: infos.below,
  };
}

/** Where pods use each claim. */
function createClaimUsers(): {
  add(pod: Pod, nodeName: string): void;
  remove(pod: Pod, nodeName: string): void;
  nodeNames(key: string): readonly string[];
} {
  const users = new Map<string, readonly string[]>(); // The name of a node once for each pod.
  return {
    add: (pod, nodeName) => {
      for (const key of claimKeysOfPod(pod)) users.set(key, [...(users.get(key) ?? []), nodeName]);
    },
    remove: (pod, nodeName) => {
      for (const key of claimKeysOfPod(pod)) {
        const names = users.get(key) ?? [];
        const left = names.toSpliced(names.indexOf(nodeName), names.includes(nodeName) ? 1 : 0);
        if (left.length === 0) users.delete(key);
        else users.set(key, left);
      }
    },
    nodeNames: (key) => users.get(key) ?? noNames,
  };
}

const noNames: readonly string[] = [];

/** How many of the nodes have each image. */
function createCounts(): {
  replace(
    before: ReadonlyMap<string, number> | undefined,
    after: ReadonlyMap<string, number> | undefined,
  ): void;
  of(name: string): number;
} {
  const counts = new Map<string, number>();
  const add = (name: string, change: number): void => {
    const left = (counts.get(name) ?? 0) + change;
    if (left === 0) counts.delete(name);
    else counts.set(name, left);
  };
  return {
    replace: (before, after) => {
      if (before === after) return;
      for (const name of before?.keys() ?? []) add(name, -1);
      for (const name of after?.keys() ?? []) add(name, 1);
    },
    of: (name) => counts.get(name) ?? 0,
  };
}

/** States of nodes by name, and as a list that is changed in one place at a time. */
interface InfoList {
  readonly all: readonly NodeInfo[];
  get(name: string): NodeInfo | undefined;
  set(name: string, info: NodeInfo): void;
  remove(name: string): void;
  antiAffine(): readonly NodeInfo[];
  affine(): readonly NodeInfo[];
  affineCounts(): { readonly antiAffineCount: number; readonly affineCount: number };
  withImage(name: string): number;
  below(priority: number): number;
}

function createInfoList(): InfoList {
  const all: NodeInfo[] = [];
  const slots = new Map<string, number>(); // places in the list, by name
  const antiAffine = new Set<string>();
  const affine = new Set<string>();
  const images = createCounts();
  const byLowest = new Map<number, number>(); // how many nodes have it, by the lowest priority of their pods
  const count = (info: NodeInfo | undefined, change: 1 | -1): void => {
    if (info === undefined) return;
    const left = (byLowest.get(info.lowestPriority) ?? 0) + change;
    if (left === 0) byLowest.delete(info.lowestPriority);
    else byLowest.set(info.lowestPriority, left);
  };
  const get = (name: string): NodeInfo | undefined => all[slots.get(name) ?? -1];
  return {
    all,
    get,
    set: (name, info) => {
      const slot = slots.get(name) ?? all.length;
      slots.set(name, slot);
      const before = all[slot];
      count(before, -1);
      count(info, 1);
      images.replace(before?.imageSizes, info.imageSizes);
      all[slot] = info;
      if (info.antiAffinePods.size > 0) antiAffine.add(name);
      else antiAffine.delete(name);
      if (info.affinePods.size > 0) affine.add(name);
      else affine.delete(name);
    },
    remove: (name) => {
      const slot = slots.get(name);
      const last = all.at(-1);
      if (slot === undefined || last === undefined) return;
      count(all[slot], -1);
      images.replace(all[slot]?.imageSizes, undefined);
      all[slot] = last;
      slots.set(last.name, slot);
      all.pop();
      slots.delete(name);
      antiAffine.delete(name);
      affine.delete(name);
    },
    antiAffine: () => [...antiAffine].flatMap((name) => get(name) ?? []),
    affine: () => [...affine].flatMap((name) => get(name) ?? []),
    affineCounts: () => ({ antiAffineCount: antiAffine.size, affineCount: affine.size }),
    withImage: images.of,
    below: (priority) => {
      let nodes = 0;
      for (const [lowest, number] of byLowest) if (lowest < priority) nodes += number;
      return nodes;
    },
  };
}
