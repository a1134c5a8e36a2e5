import type { FamilyFacts } from '#agent/proxy/table-layout.ts';
import type { NftElement } from '#native/nft/nft.ts';
import type { SetElement } from './matches.ts';
import { elementsOf, type PeerSet } from './peer-set.ts';
import type { PolicyPod } from './policy-pod.ts';

/** Which pods are in which set. A pod that changes costs what sets there are; a set that comes or goes, what pods there are. */
export interface PeerBook {
  /** The sets that there are from now on; sets of one name are equal. */
  setSets(sets: ReadonlyMap<string, PeerSet>): void;
  /** undefined: there is no such pod any more. */
  setPod(key: string, pod: PolicyPod | undefined): void;
  /** Labels of the pod's namespace may be others. */
  refresh(key: string): void;
}

export interface PeerBookOptions {
  readonly facts: FamilyFacts;
  readonly namespaceLabels: (namespace: string) => Readonly<Record<string, string>> | undefined;
  readonly claim: (owner: string, item: SetElement) => void;
  readonly release: (owner: string, item: SetElement) => void;
}

export function createPeerBook({ facts, namespaceLabels, claim, release }: PeerBookOptions): PeerBook {
  const pods = new Map<string, PolicyPod>();
  let sets: ReadonlyMap<string, PeerSet> = new Map();
  /** By set: what each pod has in it. */
  const members = new Map<string, Map<string, readonly NftElement[]>>();

  const place = (key: string, pod: PolicyPod | undefined, peers: PeerSet): void => {
    const inSet = members.get(peers.set.name) ?? new Map<string, readonly NftElement[]>();
    members.set(peers.set.name, inSet);
    for (const element of inSet.get(key) ?? []) release(key, { set: peers.set, element });
    const elements = pod === undefined ? [] : elementsOf(peers, pod, namespaceLabels(pod.namespace), facts);
    for (const element of elements) claim(key, { set: peers.set, element });
    if (elements.length === 0) inSet.delete(key);
    else inSet.set(key, elements);
  };
  const placeInAll = (key: string): void => {
    for (const peers of sets.values()) place(key, pods.get(key), peers);
  };
  return {
    setSets(next) {
      for (const [name, peers] of sets) {
        if (next.has(name)) continue;
        for (const [key, elements] of members.get(name) ?? [])
          for (const element of elements) release(key, { set: peers.set, element });
        members.delete(name);
      }
      for (const [name, peers] of next)
        if (!sets.has(name)) for (const [key, pod] of pods) place(key, pod, peers);
      sets = next;
    },
    setPod(key, pod) {
      if (pod === undefined) pods.delete(key);
      else pods.set(key, pod);
      placeInAll(key);
    },
    refresh: placeInAll,
  };
}
