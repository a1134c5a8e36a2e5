import { createHash } from 'node:crypto';
import type { FamilyFacts } from '#agent/proxy/table-layout.ts';
import { formatLabelSelector, matchesLabels, type LabelMatcher } from '#api/meta/selector.ts';
import { familyOfIp } from '#base/ip.ts';
import type { NftElement, NftSet } from '#native/nft/nft.ts';
import type { PodPeer, Protocol } from './parse-policy.ts';
import type { PolicyPod } from './policy-pod.ts';

/** Pods that some rule names, as a set of the kernel: their addresses, or the ports that they call by one name. */
export interface PeerSet {
  readonly set: NftSet;
  readonly peer: PodPeer;
  readonly port: { readonly protocol: Protocol; readonly name: string } | undefined;
  /** In words, for the rule's comment. */
  readonly text: string;
}

/** All pods of all namespaces. */
export const anyPod: PodPeer = { kind: 'pods', namespaces: { requirements: [] }, pods: { requirements: [] } };

export function peerSetOf(peer: PodPeer, facts: FamilyFacts, port?: PeerSet['port']): PeerSet {
  const namespaces =
    typeof peer.namespaces === 'string' ? peer.namespaces : `{${selectorText(peer.namespaces)}}`;
  const ofPort = port === undefined ? '' : ` port ${port.name}/${port.protocol}`;
  const text = `pods ${namespaces}/{${selectorText(peer.pods)}}${ofPort}`;
  const keyTypes = [
    facts.addressType,
    ...(port === undefined ? [] : (['inet_proto', 'inet_service'] as const)),
  ];
  return { set: { name: `pods-${digestOf(text)}`, keyTypes }, peer, port, text };
}

export const selectorText = (selector: LabelMatcher): string =>
  selector.nothing === true ? 'none' : formatLabelSelector(selector);

/** Twelve hex digits: names of sets and chains that are the same after a restart. */
export const digestOf = (text: string): string =>
  createHash('sha256').update(text).digest('hex').slice(0, 12);

/** The elements that a pod is in the set; none if it is not meant. `namespaceLabels`: undefined: not known yet. */
export function elementsOf(
  { peer, port }: PeerSet,
  pod: PolicyPod,
  namespaceLabels: Readonly<Record<string, string>> | undefined,
  facts: FamilyFacts,
): readonly NftElement[] {
  if (!isPeer(peer, pod, namespaceLabels)) return [];
  const ips = pod.ips.filter((ip) => familyOfIp(ip) === (facts.family === 'ip' ? 4 : 6));
  if (port === undefined) return ips.map((ip) => ({ key: [ip] }));
  const numbers = new Set(
    pod.ports.flatMap((each) =>
      each.name === port.name && each.protocol === port.protocol ? [each.port] : [],
    ),
  );
  return ips.flatMap((ip) => [...numbers].map((number) => ({ key: [ip, port.protocol, number] })));
}

/** Whether a pod is one of those that a peer means. */
export function isPeer(
  { namespaces, pods }: PodPeer,
  pod: PolicyPod,
  namespaceLabels: Readonly<Record<string, string>> | undefined,
): boolean {
  const isInNamespace =
    typeof namespaces === 'string'
      ? namespaces === pod.namespace
      : namespaceLabels !== undefined && matchesLabels(namespaces, namespaceLabels);
  return isInNamespace && matchesLabels(pods, pod.labels);
}
