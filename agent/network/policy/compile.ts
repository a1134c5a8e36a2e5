import type { FamilyFacts } from '#agent/proxy/table-layout.ts';
import { matchesLabels } from '#api/meta/selector.ts';
import { familyOfIp, formatCidr, networkOf } from '#base/ip.ts';
import type { NftElement, NftExpr, NftLoad, NftRule, NftSet } from '#native/nft/nft.ts';
import { rangesOf } from './address-ranges.ts';
import { directions, portMax, type BlockPeer, type Direction, type Policy } from './parse-policy.ts';
import type { PodPeer, PolicyPort, PolicyRule, Protocol } from './parse-policy.ts';
import { anyPod, digestOf, peerSetOf, type PeerSet } from './peer-set.ts';
import type { PolicyPod } from './policy-pod.ts';
import { isolatedSet, podsMap, selfSet } from './policy-layout.ts';

export interface SetElement {
  readonly set: NftSet;
  readonly element: NftElement;
}

/** What policies come to on a node, for one family, but for which pods of the cluster are in which set. */
export interface Compiled {
  /** By name: a chain for each policy and direction, and one for each number of policies that isolate a pod together. */
  readonly chains: ReadonlyMap<string, readonly NftRule[]>;
  readonly counters: ReadonlySet<string>;
  readonly sets: ReadonlyMap<string, NftSet>;
  readonly peers: ReadonlyMap<string, PeerSet>;
  readonly elements: readonly SetElement[];
}

/** Rules of the kernel that a policy is in one direction; each is looked at in its turn. What is more allows nothing. */
export const rulesMax = 2_000;

interface Draft {
  readonly facts: FamilyFacts;
  readonly chains: Map<string, readonly NftRule[]>;
  readonly counters: Set<string>;
  readonly sets: Map<string, NftSet>;
  readonly peers: Map<string, PeerSet>;
  readonly elements: SetElement[];
  readonly subjects: readonly PolicyPod[];
}

/**
 * Pure. `subjects`: pods of this node, with the addresses that they have been given. A policy that isolates none of them comes to
 * nothing here.
 */
export function compilePolicies(
  policies: readonly Policy[],
  subjects: readonly PolicyPod[],
  facts: FamilyFacts,
): Compiled {
  const draft: Draft = {
    facts,
    chains: new Map(),
    counters: new Set(),
    sets: new Map(),
    peers: new Map(),
    elements: [],
    subjects,
  };
  const byNamespace = Map.groupBy(policies, ({ namespace }) => namespace);
  for (const subject of subjects) isolate(subject, byNamespace.get(subject.namespace) ?? [], draft);
  return draft;
}

/** The policies that isolate a pod in a direction, by name. */
export function policiesOf(
  pod: PolicyPod,
  policies: readonly Policy[],
  direction: Direction,
): readonly Policy[] {
  return policies
    .filter(
      (policy) =>
        policy.namespace === pod.namespace &&
        policy.rules[direction] !== undefined &&
        matchesLabels(policy.pods, pod.labels),
    )
    .toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

function isolate(subject: PolicyPod, policies: readonly Policy[], draft: Draft): void {
  const { facts, elements } = draft;
  const ips = subject.ips.filter((ip) => familyOfIp(ip) === (facts.family === 'ip' ? 4 : 6));
  let isIsolated = false;
  for (const direction of directions) {
    const own = policiesOf(subject, policies, direction);
    if (own.length === 0) continue;
    isIsolated = true;
    const chain = groupChain(own, direction, draft);
    for (const ip of ips)
      elements.push({
        set: podsMap(direction, facts),
        element: { key: [ip], data: { kind: 'goto', chain } },
      });
  }
  if (!isIsolated) return;
  for (const ip of ips) {
    elements.push({ set: isolatedSet(facts), element: { key: [ip] } });
    elements.push({ set: selfSet(facts), element: { key: [ip, ip] } });
  }
}

/** Expressions of a rule are at most 128 (NFT_RULE_MAXEXPRS of the kernel's nf_tables_api.c). */
const countersPerRule = 100;

/** The chain of pods that these policies isolate together: what none of them allows is counted on each, and dropped. */
function groupChain(policies: readonly Policy[], direction: Direction, draft: Draft): string {
  const names = policies.map(({ name }) => name);
  const name = `isolate-${direction}/${policies[0]?.namespace}/${digestOf(names.join(','))}`;
  if (draft.chains.has(name)) return name;
  const jumps = policies.flatMap((policy): readonly NftRule[] => {
    const chain = policyChain(policy, direction, draft);
    return chain === undefined ? [] : [{ exprs: [{ expr: 'verdict', verdict: { kind: 'jump', chain } }] }];
  });
  const counters = policies.map((policy) => counterOf('dropped', direction, policy));
  for (const counter of counters) draft.counters.add(counter);
  const counts: NftRule[] = [];
  for (let at = 0; at < counters.length; at += countersPerRule) {
    const some = counters.slice(at, at + countersPerRule);
    counts.push({ exprs: some.map((counter): NftExpr => ({ expr: 'counter', name: counter })) });
  }
  draft.chains.set(name, [...jumps, ...counts, { exprs: [{ expr: 'verdict', verdict: { kind: 'drop' } }] }]);
  return name;
}

/** Names of the kernel's chains and counters have at most 255 bytes. */
const nameBytesMax = 255;

export type Fate = 'allowed' | 'dropped';

export function counterOf(fate: Fate, direction: Direction, { namespace, name }: Policy): string {
  return bounded(`${fate}-${direction}/${namespace}/${name}`);
}

/** What it cuts ends in a digest of the whole. */
function bounded(text: string): string {
  return text.length <= nameBytesMax ? text : `${text.slice(0, nameBytesMax - 13)}-${digestOf(text)}`;
}

/** undefined: it allows nothing. */
function policyChain(policy: Policy, direction: Direction, draft: Draft): string | undefined {
  const name = bounded(`${direction}/${policy.namespace}/${policy.name}`);
  if (draft.chains.has(name)) return name;
  const counter = counterOf('allowed', direction, policy);
  const rules = (policy.rules[direction] ?? []).flatMap((rule) => matchesOf(rule, direction, draft));
  if (rules.length === 0) return undefined;
  draft.counters.add(counter);
  const verdict: readonly NftExpr[] = [
    { expr: 'counter', name: counter },
    { expr: 'verdict', verdict: { kind: 'accept' } },
  ];
  draft.chains.set(
    name,
    rules.slice(0, rulesMax).map(({ exprs, comment }) => ({
      exprs: [...exprs, ...verdict],
      ...(comment !== '' && { comment: comment.slice(0, commentMax) }),
    })),
  );
  return name;
}

/** What fits a rule's comment (native/nft/encode.ts); label selectors are ASCII. */
const commentMax = 120;

interface Match {
  readonly exprs: readonly NftExpr[];
  readonly comment: string;
}

const everything: Match = { exprs: [], comment: '' };

/** A rule as what the kernel compares: one for each pair of a peer, all blocks being one, and a kind of port. */
function matchesOf(rule: PolicyRule, direction: Direction, draft: Draft): readonly Match[] {
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
  | { readonly kind: 'blocks'; readonly blocks: readonly BlockPeer[] };

function peersOf({ peers }: PolicyRule): readonly Peer[] {
  if (peers === undefined) return [{ kind: 'anybody' }];
  const blocks = peers.filter((peer) => peer.kind === 'block');
  const pods = peers.filter((peer) => peer.kind === 'pods');
  return blocks.length === 0 ? pods : [...pods, { kind: 'blocks', blocks }];
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
function peerMatch(peer: Peer, direction: Direction, draft: Draft): Match | undefined {
  const { source, target } = draft.facts;
  const address = direction === 'in' ? source : target;
  if (peer.kind === 'anybody') return everything;
  if (peer.kind === 'blocks') return blockMatch(peer.blocks, address, draft);
  const { set, text } = addPeers(peerSetOf(peer, draft.facts), draft);
  return { exprs: [{ expr: 'lookup', key: [address], set: set.name }], comment: text };
}

function addPeers(peers: PeerSet, draft: Draft): PeerSet {
  draft.sets.set(peers.set.name, peers.set);
  draft.peers.set(peers.set.name, peers);
  return peers;
}

function blockMatch(all: readonly BlockPeer[], address: NftLoad, draft: Draft): Match | undefined {
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

function addStatic(set: NftSet, keys: readonly NftElement['key'][], draft: Draft): void {
  if (draft.sets.has(set.name)) return;
  draft.sets.set(set.name, set);
  for (const key of keys) draft.elements.push({ set, element: { key } });
}

const protocolLoad: NftLoad = { load: 'meta l4proto' };
const portLoad: NftLoad = { load: 'th dport' };

/** Ports by number: all of them in one comparison; none if the rule has only named ones. */
function numbersOf(ports: readonly PolicyPort[] | undefined, draft: Draft): readonly Match[] {
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
function ownPort({ protocol, name }: NamePort, draft: Draft): Match {
  const { facts, subjects } = draft;
  const set: NftSet = {
    name: `port-${name}-${protocol}`,
    keyTypes: [facts.addressType, 'inet_proto', 'inet_service'],
  };
  const keys = subjects.flatMap(({ ips, ports }) => {
    const numbers = new Set(
      ports.flatMap((port) => (port.name === name && port.protocol === protocol ? [port.port] : [])),
    );
    return ips
      .filter((ip) => familyOfIp(ip) === (facts.family === 'ip' ? 4 : 6))
      .flatMap((ip) => [...numbers].map((number) => [ip, protocol, number]));
  });
  addStatic(set, keys, draft);
  return {
    exprs: [{ expr: 'lookup', key: [facts.target, protocolLoad, portLoad], set: set.name }],
    comment: '',
  };
}

/** A port that the pod which is sent to calls so. Of a block: one of its addresses that a pod has. */
function peerPort(peer: Peer, from: Match, { protocol, name }: NamePort, draft: Draft): Match {
  const { facts } = draft;
  const isBlock = peer.kind === 'blocks';
  const pods = peer.kind === 'pods' ? peer : anyPod;
  const { set, text } = addPeers(peerSetOf(pods, facts, { protocol, name }), draft);
  const lookup: NftExpr = { expr: 'lookup', key: [facts.target, protocolLoad, portLoad], set: set.name };
  return { exprs: [...(isBlock ? from.exprs : []), lookup], comment: text };
}
