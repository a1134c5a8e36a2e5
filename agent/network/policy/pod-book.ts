import type { PolicyPod } from './policy-pod.ts';

/** Pods by their addresses. Where several claim one, the node's own knowledge counts, then the later pod. */
export interface PodBook {
  /** Replaces a pod; undefined: it is gone. The keys of pods whose addresses are others by that. */
  put(key: string, pod: BookedPod | undefined): readonly string[];
  /** The pod with the addresses that are really its own. */
  get(key: string): PolicyPod | undefined;
  /** The key of the pod that has the address. */
  keyOf(ip: string): string | undefined;
  /** Keys of the pods of a namespace. */
  inNamespace(namespace: string): readonly string[];
}

export interface BookedPod extends PolicyPod {
  /** This node gave it its addresses. */
  readonly isOwn: boolean;
}

export function createPodBook(): PodBook {
  const pods = new Map<string, BookedPod>();
  const claimants = new Map<string, Set<string>>();
  const byNamespace = new Map<string, Set<string>>();

  const ownerOf = (ip: string): string | undefined => {
    const keys = [...(claimants.get(ip) ?? [])];
    return keys.length < 2 ? keys[0] : keys.reduce((a, b) => (isBefore(pods.get(a), pods.get(b)) ? b : a));
  };
  const get = (key: string): PolicyPod | undefined => {
    const pod = pods.get(key);
    if (pod === undefined || pod.ips.every((ip) => claimants.get(ip)?.size === 1)) return pod;
    return { ...pod, ips: pod.ips.filter((ip) => ownerOf(ip) === key) };
  };
  return {
    put(key, pod) {
      const affected = new Set([key]);
      for (const ip of pods.get(key)?.ips ?? []) {
        const keys = claimants.get(ip);
        keys?.delete(key);
        if (keys?.size === 0) claimants.delete(ip);
        for (const other of keys ?? []) affected.add(other);
      }
      const was = pods.get(key)?.namespace;
      if (was !== undefined) byNamespace.get(was)?.delete(key);
      if (pod === undefined) pods.delete(key);
      else {
        pods.set(key, pod);
        byNamespace.set(pod.namespace, (byNamespace.get(pod.namespace) ?? new Set()).add(key));
      }
      for (const ip of pod?.ips ?? []) {
        const keys = claimants.get(ip) ?? new Set();
        for (const other of keys) affected.add(other);
        claimants.set(ip, keys.add(key));
      }
      return [...affected];
    },
    get,
    keyOf: ownerOf,
    inNamespace: (namespace) => [...(byNamespace.get(namespace) ?? [])],
  };
}

function isBefore(a: BookedPod | undefined, b: BookedPod | undefined): boolean {
  if (a === undefined || b === undefined) return a === undefined;
  return a.isOwn === b.isOwn ? a.since <= b.since : b.isOwn;
}
