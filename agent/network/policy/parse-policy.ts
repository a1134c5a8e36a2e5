import type { NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort } from '#api/generated/objects.ts';
import { labelSelectorFromObject, type LabelMatcher } from '#api/meta/selector.ts';
import { parseLegacyCidr, type Cidr } from '#base/ip.ts';

/** `in`: what reaches a pod; `out`: what it sends. */
export const directions = ['in', 'out'] as const;

export type Direction = (typeof directions)[number];

/** A NetworkPolicy, read: what it says with all that is left out filled in. */
export interface Policy {
  readonly namespace: string;
  readonly name: string;
  /** Of pods of its namespace: whom it isolates. */
  readonly pods: LabelMatcher;
  /** What it allows them; a direction that is absent is not isolated by it, one without rules allows nothing. */
  readonly rules: Readonly<Partial<Record<Direction, readonly PolicyRule[]>>>;
}

export interface PolicyRule {
  /** undefined: whoever and whatever there is. */
  readonly peers: readonly PolicyPeer[] | undefined;
  /** undefined: all protocols and ports. */
  readonly ports: readonly PolicyPort[] | undefined;
}

export type PolicyPeer = PodPeer | BlockPeer | NodePeer;

export interface PodPeer {
  readonly kind: 'pods';
  /** One namespace by its name, or those whose labels match. */
  readonly namespaces: string | LabelMatcher;
  readonly pods: LabelMatcher;
}

export interface BlockPeer {
  readonly kind: 'block';
  readonly cidr: Cidr;
  /** Parts of it that are not meant. */
  readonly except: readonly Cidr[];
}

/** Of policies of the cluster alone (tiers/). */
export interface NodePeer {
  readonly kind: 'nodes';
  readonly nodes: LabelMatcher;
}

export type Protocol = 'tcp' | 'udp' | 'sctp';

export type PolicyPort =
  | { readonly kind: 'numbers'; readonly protocol: Protocol; readonly from: number; readonly to: number }
  /** The port that the pod which is sent to calls so. */
  | { readonly kind: 'name'; readonly protocol: Protocol; readonly name: string };

export const portMax = 65_535;

export const everything: LabelMatcher = { requirements: [] };

/**
 * Without policyTypes a policy is about what reaches pods, and about what they send if it has a rule for that
 * (NetworkPolicySpec.policyTypes). What cannot be read allows nothing: a peer that is no peer, a block that is none, or less something that is none.
 */
export function parsePolicy(policy: NetworkPolicy): Policy {
  const { namespace = '', name = '' } = policy.metadata ?? {};
  const { podSelector, policyTypes, ingress = [], egress = [] } = policy.spec ?? {};
  const types = new Set(policyTypes ?? (egress.length > 0 ? ['Ingress', 'Egress'] : ['Ingress']));
  const read = (peers: readonly NetworkPolicyPeer[] = [], ports: readonly NetworkPolicyPort[] = []) => ({
    peers: peers.length === 0 ? undefined : peers.flatMap((peer) => parsePeer(peer, namespace)),
    ports: ports.length === 0 ? undefined : ports.flatMap(parsePort),
  });
  return {
    namespace,
    name,
    pods: labelSelectorFromObject(podSelector ?? {}),
    rules: {
      ...(types.has('Ingress') && { in: ingress.map(({ from, ports }) => read(from, ports)) }),
      ...(types.has('Egress') && { out: egress.map(({ to, ports }) => read(to, ports)) }),
    },
  };
}

function parsePeer(peer: NetworkPolicyPeer, namespace: string): readonly PolicyPeer[] {
  const { ipBlock, namespaceSelector, podSelector } = peer;
  if (ipBlock !== undefined) {
    const cidr = parseLegacyCidr(ipBlock.cidr);
    const texts = ipBlock.except ?? [];
    const except = texts.flatMap((text) => parseLegacyCidr(text) ?? []);
    return cidr === undefined || except.length < texts.length ? [] : [{ kind: 'block', cidr, except }];
  }
  if (namespaceSelector === undefined && podSelector === undefined) return [];
  return [
    {
      kind: 'pods',
      namespaces: namespaceSelector === undefined ? namespace : labelSelectorFromObject(namespaceSelector),
      pods: podSelector === undefined ? everything : labelSelectorFromObject(podSelector),
    },
  ];
}

const protocols: Readonly<Record<string, Protocol>> = { TCP: 'tcp', UDP: 'udp', SCTP: 'sctp' };

export const parseProtocol = (text: string | undefined): Protocol | undefined => protocols[text ?? 'TCP'];

function parsePort({ protocol: word, port, endPort }: NetworkPolicyPort): readonly PolicyPort[] {
  const protocol = parseProtocol(word);
  if (protocol === undefined) return [];
  if (port === undefined) return [{ kind: 'numbers', protocol, from: 0, to: portMax }];
  if (typeof port === 'string') return [{ kind: 'name', protocol, name: port }];
  return [{ kind: 'numbers', protocol, from: port, to: endPort ?? port }];
}
