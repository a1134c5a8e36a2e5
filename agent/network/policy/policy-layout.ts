import type { FamilyFacts } from '#agent/proxy/table-layout.ts';
import type { NftChain, NftExpr, NftRule, NftSet, TableRef } from '#native/nft/nft.ts';
import { directions, type Direction } from './parse-policy.ts';

export function policyTable(family: 'ip' | 'ip6'): TableRef {
  return { family, name: 'podwright-policy' };
}

/** Isolated pods of this node: their address leads to the chain of the policies that isolate them. */
export function podsMap(direction: Direction, facts: FamilyFacts): NftSet {
  return { name: `pods-${direction}`, keyTypes: [facts.addressType], dataTypes: ['verdict'] };
}

/** Pods of this node that are isolated in any direction. */
export function isolatedSet(facts: FamilyFacts): NftSet {
  return { name: 'isolated', keyTypes: [facts.addressType] };
}

/** Source and target of what an isolated pod sends to itself, by way of a Service. */
export function selfSet(facts: FamilyFacts): NftSet {
  return { name: 'self', keyTypes: [facts.addressType, facts.addressType] };
}

/** Pods of this node that policies of the cluster are about, and by which of them what they send to the node is decided. */
export function toNodeMap(facts: FamilyFacts): NftSet {
  return { name: 'pods-to-node', keyTypes: [facts.addressType], dataTypes: ['verdict'] };
}

/** Addresses at which the node itself answers for the cluster's DNS. */
export function dnsSet(facts: FamilyFacts): NftSet {
  return { name: 'dns', keyTypes: [facts.addressType] };
}

type Chain = NftChain & { readonly rules: readonly NftRule[] };

/** Two hooks, as what one accepts must still pass the other. Before the filter tables of others (0). */
const priorities: Readonly<Record<Direction, number>> = { out: -12, in: -11 };

/**
 * The table without any policy. Only what is forwarded passes it: what the node itself sends to its pods, probes among it, and what
 * they send to the node is always allowed (documentation of NetworkPolicy, "The two sorts of pod isolation"). Addresses are those after
 * translation: of pods, not of Services.
 */
export function renderLayout(facts: FamilyFacts, hasTiers: boolean): Layout {
  const sets = [
    ...directions.map((direction) => podsMap(direction, facts)),
    isolatedSet(facts),
    selfSet(facts),
  ];
  const chains = directions.map((direction): Chain => ({
    name: `forward-${direction}`,
    hook: { type: 'filter', hook: 'forward', priority: priorities[direction] },
    rules: rulesOf(direction, facts),
  }));
  if (!hasTiers) return { sets, chains };
  return { sets: [...sets, toNodeMap(facts), dnsSet(facts)], chains: [...chains, ...nodeChains(facts)] };
}

interface Layout {
  readonly sets: readonly NftSet[];
  readonly chains: readonly Chain[];
}

/**
 * Policies of the cluster may forbid pods their node, and what runs in its network. Not its DNS, which stands for the pods that a rule
 * would name elsewhere. What the node sends itself is no pod's; only of a connection that was cut it may not begin another.
 */
function nodeChains(facts: FamilyFacts): readonly Chain[] {
  const { source, target } = facts;
  return [
    {
      name: 'input-out',
      hook: { type: 'filter', hook: 'input', priority: priorities.out },
      rules: [
        establishedRule,
        { exprs: [{ expr: 'lookup', key: [target], set: 'dns' }, accept] },
        midStreamRule(source),
        { exprs: [{ expr: 'vmap', key: [source], map: 'pods-to-node' }] },
      ],
    },
    {
      name: 'output-in',
      hook: { type: 'filter', hook: 'output', priority: priorities.in },
      rules: [midStreamRule(target)],
    },
  ];
}

const accept: NftExpr = { expr: 'verdict', verdict: { kind: 'accept' } };
const drop: NftExpr = { expr: 'verdict', verdict: { kind: 'drop' } };

const establishedRule: NftRule = {
  exprs: [{ expr: 'match', left: { load: 'ct state' }, op: '==', right: 'established,related' }, accept],
};

function rulesOf(direction: Direction, facts: FamilyFacts): readonly NftRule[] {
  const { source, target } = facts;
  const subject = direction === 'in' ? target : source;
  return [
    establishedRule,
    { exprs: [{ expr: 'lookup', key: [source, target], set: 'self' }, accept] },
    ...(direction === 'out' ? [source, target].map((load) => midStreamRule(load)) : []),
    { exprs: [{ expr: 'vmap', key: [subject], map: `pods-${direction}` }] },
  ];
}

/**
 * A connection that was cut when a policy changed: the kernel would take its next segment, of either side, for the begin of another,
 * and an answer of who was spoken to might be allowed as such (nf_conntrack_tcp_loose). FIN, SYN, RST and ACK: only SYN begins one.
 */
function midStreamRule(address: FamilyFacts['source'] | FamilyFacts['target']): NftRule {
  return {
    exprs: [
      { expr: 'match', left: { load: 'ct state' }, op: '==', right: 'new' },
      { expr: 'match', left: { load: 'meta l4proto' }, op: '==', right: 'tcp' },
      { expr: 'match', left: { load: 'tcp flags' }, op: '!=', right: 2, mask: 0x17 },
      { expr: 'lookup', key: [address], set: 'isolated' },
      drop,
    ],
  };
}
