import type { FamilyFacts } from '#agent/proxy/table-layout.ts';
import { matchesLabels } from '#api/meta/selector.ts';
import { familyOfIp, formatCidr, networkOf } from '#base/ip.ts';
import type { NftElement, NftExpr, NftLoad, NftRule, NftSet } from '#native/nft/nft.ts';
import { rangesOf } from './address-ranges.ts';
import { portMax, type BlockPeer, type Direction } from './parse-policy.ts';
import type { NodePeer, PodPeer, PolicyPort, PolicyRule, Protocol } from './parse-policy.ts';
import { anyPod, digestOf, peerSetOf, selectorText, type PeerSet } from './peer-set.ts';
import type { PolicyPod } from './policy-pod.ts';
import type { PolicyNode } from './tiers/tier-policy.ts';

export interface SetElement {
  readonly set: NftSet;
  readonly element: NftElement;
}

/** What rules are compared by, as they are compiled for one family. */
export interface MatchDraft {
  readonly facts: FamilyFacts;
  readonly sets: Map<string, NftSet>;
  readonly peers: Map<string, PeerSet>;
  readonly elements: SetElement[];
  readonly subjects: readonly PolicyPod[];
  /** Addresses of nodes that match, of which no other peers are made. */
  readonly nodes?: readonly PolicyNode[];
}

/** What fits a rule's comment (native/nft/encode.ts); label selectors are ASCII. */
const commentMax = 120;

/** The rule of what it matches and what is done then. */
export const noted = ({ exprs, comment }: Match, then: readonly NftExpr[]): NftRule => ({
  exprs: [...exprs, ...then],
  ...(comment !== '' && { comment: comment.slice(0, commentMax) }),
});

export interface Match {
  readonly exprs: readonly NftExpr[];
  readonly comment: string;
}

const everything: Match = { exprs: [], comment: '' };

/** A rule as what the kernel compares: one for each pair of a peer, all blocks being one, and a kind of port. */
export function matchesOf(rule: PolicyRule, direction: Direction, draft: MatchDraft): readonly Match[] {
  const named = (rule.ports ?? []).filter((port) => port.kind === 'name');
  const numbers = numbersOf(rule.ports, draft);
  return peersOf(rule).flatMap((peer) => {
    const from = peerMatch(peer, direction, draft);
    if (from === undefined) return [];
    return [
      ...numbers.map((port) => both(from, port)),
      ...named.map((port) =>
        direction === 'in' ? both(from, ownPort(port, draft)) : peerPort(peer, from, port, draft),
      ),
    ];
  });
}

type Peer =
  | { readonly kind: 'anybody' }
  | PodPeer
  | NodePeer
  | { readonly kind: 'blocks'; readonly blocks: readonly BlockPeer[] };

function peersOf({ peers }: PolicyRule): readonly Peer[] {
  if (peers === undefined) return [{ kind: 'anybody' }];
  const blocks = peers.filter((peer) => peer.kind === 'block');
  const others = peers.filter((peer) => peer.kind !== 'block');
  return blocks.length === 0 ? others : [...others, { kind: 'blocks', blocks }];
}

/** How many rules of the kernel a rule is, at most. */
export function countMatches(rule: PolicyRule): number {
  const named = (rule.ports ?? []).filter((port) => port.kind === 'name').length;
  return peersOf(rule).length * (1 + named);
}

const both = (a: Match, b: Match): Match => ({
  exprs: [...a.exprs, ...b.exprs],
  comment: a.comment === '' ? b.comment : a.comment,
});

/** undefined: nobody, in this family. */
function peerMatch(peer: Peer, direction: Direction, draft: MatchDraft): Match | undefined {
  const { source, target } = draft.facts;
  const address = direction === 'in' ? source : target;
  if (peer.kind === 'anybody') return everything;
  if (peer.kind === 'blocks') return blockMatch(peer.blocks, address, draft);
  if (peer.kind === 'nodes') return nodeMatch(peer, address, draft);
  const { set, text } = addPeers(peerSetOf(peer, draft.facts), draft);
  return { exprs: [{ expr: 'lookup', key: [address], set: set.name }], comment: text };
}

function nodeMatch({ nodes }: NodePeer, address: NftLoad, draft: MatchDraft): Match {
  const text = `nodes {${selectorText(nodes)}}`;
  const set: NftSet = { name: `nodes-${digestOf(text)}`, keyTypes: [draft.facts.addressType] };
  const meant = (draft.nodes ?? []).filter(({ labels }) => matchesLabels(nodes, labels));
  const ips = new Set(
    ofFamily(
      meant.flatMap((node) => node.ips),
      draft.facts,
    ),
  );
  addStatic(
    set,
    [...ips].map((ip) => [ip]),
    draft,
  );
  return { exprs: [{ expr: 'lookup', key: [address], set: set.name }], comment: text };
}

/** Of addresses, those of the family. */
export const ofFamily = (ips: readonly string[], { family }: FamilyFacts): readonly string[] =>
  ips.filter((ip) => familyOfIp(ip) === (family === 'ip' ? 4 : 6));

function addPeers(peers: PeerSet, draft: MatchDraft): PeerSet {
  draft.sets.set(peers.set.name, peers.set);
  draft.peers.set(peers.set.name, peers);
  return peers;
}

function blockMatch(all: readonly BlockPeer[], address: NftLoad, draft: MatchDraft): Match | undefined {
  const { facts } = draft;
  const blocks = all.filter(({ cidr }) => cidr.ip.family === (facts.family === 'ip' ? 4 : 6));
  const whole = blocks.filter(({ except }) => except.length === 0);
  if (whole.some(({ cidr }) => cidr.prefix === 0)) return everything;
  const [only] = whole;
  if (only !== undefined && blocks.length === 1) {
    const right = formatCidr(networkOf(only.cidr));
    return { exprs: [{ expr: 'match', left: address, op: '==', right }], comment: '' };
  }
  const ranges = rangesOf(blocks);
  if (ranges.length === 0) return undefined;
  const name = `block-${digestOf(ranges.join(','))}`;
  const set: NftSet = { name, keyTypes: [facts.addressType], interval: true };
  const keys = ranges.map((range) => [range]);
  addStatic(set, keys, draft);
  return { exprs: [{ expr: 'lookup', key: [address], set: set.name }], comment: '' };
}

function addStatic(set: NftSet, keys: readonly NftElement['key'][], draft: MatchDraft): void {
  if (draft.sets.has(set.name)) return;
  draft.sets.set(set.name, set);
  for (const key of keys) draft.elements.push({ set, element: { key } });
}

const protocolLoad: NftLoad = { load: 'meta l4proto' };
const portLoad: NftLoad = { load: 'th dport' };

/** Ports by number: all of them in one comparison; none if the rule has only named ones. */
function numbersOf(ports: readonly PolicyPort[] | undefined, draft: MatchDraft): readonly Match[] {
  if (ports === undefined) return [everything];
  const ranges = mergeRanges(ports);
  const [only] = ranges;
  if (only === undefined) return [];
  if (ranges.length === 1) return [{ exprs: oneRange(only), comment: '' }];
  const keys = ranges.map(({ protocol, from, to }) => [protocol, from === to ? from : `${from}-${to}`]);
  const hasRange = ranges.some(({ from, to }) => from !== to);
  const set: NftSet = {
    name: `ports-${digestOf(keys.join(';'))}`,
    keyTypes: ['inet_proto', 'inet_service'],
    ...(hasRange && { interval: true }),
  };
  addStatic(set, keys, draft);
  return [{ exprs: [{ expr: 'lookup', key: [protocolLoad, portLoad], set: set.name }], comment: '' }];
}

interface PortRange {
  readonly protocol: Protocol;
  readonly from: number;
  readonly to: number;
}

function oneRange({ protocol, from, to }: PortRange): readonly NftExpr[] {
  const isProtocol: NftExpr = { expr: 'match', left: protocolLoad, op: '==', right: protocol };
  if (from === 0 && to === portMax) return [isProtocol];
  const right = from === to ? from : `${from}-${to}`;
  return [isProtocol, { expr: 'match', left: portLoad, op: '==', right }];
}

/** Ranges that meet become one: the kernel takes no elements that overlap. */
function mergeRanges(ports: readonly PolicyPort[]): readonly PortRange[] {
  const merged: PortRange[] = [];
  const sorted = ports
    .filter((port) => port.kind === 'numbers')
    .toSorted((a, b) => (a.protocol < b.protocol ? -1 : a.protocol > b.protocol ? 1 : a.from - b.from));
  for (const { protocol, from, to } of sorted) {
    const last = merged.at(-1);
    if (last !== undefined && last.protocol === protocol && from <= last.to)
      merged[merged.length - 1] = { ...last, to: Math.max(last.to, to) };
    else merged.push({ protocol, from, to });
  }
  return merged;
}

type NamePort = Extract<PolicyPort, { readonly kind: 'name' }>;

/** A port that the isolated pod itself calls so: another number in each pod. */
function ownPort({ protocol, name }: NamePort, draft: MatchDraft): Match {
  const { facts, subjects } = draft;
  const set: NftSet = {
    name: `port-${name}-${protocol}`,
    keyTypes: [facts.addressType, 'inet_proto', 'inet_service'],
  };
  const keys = subjects.flatMap(({ ips, ports }) => {
    const numbers = new Set(
      ports.flatMap((port) => (port.name === name && port.protocol === protocol ? [port.port] : [])),
    );
    return ofFamily(ips, facts).flatMap((ip) => [...numbers].map((number) => [ip, protocol, number]));
  });
  addStatic(set, keys, draft);
  return {
    exprs: [{ expr: 'lookup', key: [facts.target, protocolLoad, portLoad], set: set.name }],
    comment: '',
  };
}

/** A port that the pod which is sent to calls so. Of a block or a node: one of its addresses that a pod has. */
function peerPort(peer: Peer, from: Match, { protocol, name }: NamePort, draft: MatchDraft): Match {
  const { facts } = draft;
  const isOther = peer.kind === 'blocks' || peer.kind === 'nodes';
  const pods = peer.kind === 'pods' ? peer : anyPod;
  const { set, text } = addPeers(peerSetOf(pods, facts, { protocol, name }), draft);
  const lookup: NftExpr = { expr: 'lookup', key: [facts.target, protocolLoad, portLoad], set: set.name };
  return { exprs: [...(isOther ? from.exprs : []), lookup], comment: text };
}
