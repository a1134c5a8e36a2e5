import type {
  NftChain,
  NftExpr,
  NftLoad,
  NftRule,
  NftSet,
  NftTable,
  NftType,
  TableRef,
} from '#native/nft/nft.ts';
import { servedCidrsOf } from '#agent/network/cluster-network.ts';
import { familyOfNetwork } from '#base/ip.ts';
import { loopbackGuard } from '#native/nft/loopback-guard.ts';

/** What differs between IPv4 and IPv6. */
export interface FamilyFacts {
  readonly family: 'ip' | 'ip6';
  readonly addressType: NftType;
  readonly source: { readonly load: 'ip saddr' | 'ip6 saddr' };
  readonly target: { readonly load: 'ip daddr' | 'ip6 daddr' };
  /** Node ports are not served here: such packets cannot leave through another interface. */
  readonly loopback: string;
}

export const familyFacts: Readonly<Record<'ip' | 'ip6', FamilyFacts>> = {
  ip: {
    family: 'ip',
    addressType: 'ipv4_addr',
    source: { load: 'ip saddr' },
    target: { load: 'ip daddr' },
    loopback: '127.0.0.0/8',
  },
  ip6: {
    family: 'ip6',
    addressType: 'ipv6_addr',
    source: { load: 'ip6 saddr' },
    target: { load: 'ip6 daddr' },
    loopback: '::1',
  },
};

/**
 * Where a packet's backend is looked up. `service`: addresses of Services; `node-port`: ports of this node; the `local-`
 * ones: the same for packets from outside under externalTrafficPolicy Local.
 */
export const places = ['service', 'node-port', 'local-service', 'local-node-port'] as const;

export type Place = (typeof places)[number];

export interface TableOptions {
  readonly family: 'ip' | 'ip6';
  /** Addresses of all pods: a source outside them is outside the cluster. */
  readonly clusterCidr: string;
  /** Addresses of Services: none of them may leave the node untranslated. */
  readonly serviceCidr: string;
  readonly addedServiceCidrs?: readonly string[];
  /** Nor may any of those that this cluster gives to load balancers, if it does. */
  readonly loadBalancerCidr?: string;
  /** Whether backends are sockets of this host, which only what a rule has led there may reach. */
  readonly hasListeners?: boolean;
  /** Whether node ports are served at 127.0.0.1, too: iptables alone, with route_localnet. */
  readonly hasLocalhostNodePorts?: boolean;
  /** Whether whatever is sent to addresses of Services leaves with the node's. */
  readonly masqueradesAll?: boolean;
  /** Networks of the node's addresses at which node ports are served; none of the family, or absent: at all of them. */
  readonly nodePortCidrs?: readonly string[];
}

/** Packet mark: leaves with the node's address. The bit that kube-proxy uses. */
export const masqueradeMark = 0x4000;

const protocol: NftLoad = { load: 'meta l4proto' };
const targetPort: NftLoad = { load: 'th dport' };

export function tableRef(family: 'ip' | 'ip6'): TableRef {
  return { family, name: 'podwright-proxy' };
}

/** What identifies a frontend of a place: address, protocol and port, or only the latter two. */
export function keyLoads(place: Place, facts: FamilyFacts): readonly NftLoad[] {
  return place.endsWith('node-port') ? [protocol, targetPort] : [facts.target, protocol, targetPort];
}

function keyTypes(place: Place, facts: FamilyFacts): readonly NftType[] {
  const port: readonly NftType[] = ['inet_proto', 'inet_service'];
  return place.endsWith('node-port') ? port : [facts.addressType, ...port];
}

/** `service-5`: frontends with 5 backends, each of which is the element of a slot. */
export function slotMap(place: Place, slots: number, facts: FamilyFacts): NftSet {
  return {
    name: `${place}-${slots}`,
    keyTypes: [...keyTypes(place, facts), 'integer'],
    dataTypes: [facts.addressType, 'inet_service'],
  };
}

/** The rule of a slot map: one of its slots at random. */
export function slotRule(place: Place, slots: number, facts: FamilyFacts): NftRule {
  const slot: NftLoad = { load: 'numgen random', modulus: slots };
  return { exprs: [{ expr: 'dnat map', key: [...keyLoads(place, facts), slot], map: `${place}-${slots}` }] };
}

/** Frontends that have a chain: with session affinity one of their own each, with many backends that of their number. */
export function chainMap(place: Place, facts: FamilyFacts): NftSet {
  return { name: `${place}-chains`, keyTypes: keyTypes(place, facts), dataTypes: ['verdict'] };
}

/** Sets of frontends by what happens to packets for them. */
export type FateName = 'reject' | 'drop' | 'masquerade' | 'drop-outside';

export function fateSet(fate: FateName, place: 'service' | 'node-port', facts: FamilyFacts): NftSet {
  return { name: `${fate}-${place}`, keyTypes: keyTypes(place, facts) };
}

/** Load balancer addresses that only some sources may reach. */
export function limitedSet(facts: FamilyFacts): NftSet {
  return { name: 'limited', keyTypes: keyTypes('service', facts) };
}

/**
 * `sources-24`: frontends of `limited` with networks of that prefix length that may reach them. A set for each length rather
 * than one of intervals, which the kernel copies whole at each commit (docs/kernel-notes.md#nft-pipapo).
 */
export function sourcesSet(prefixLength: number, facts: FamilyFacts): NftSet {
  return { name: `sources-${prefixLength}`, keyTypes: [...keyTypes('service', facts), facts.addressType] };
}

/** The rule of a set of sources. */
export function sourcesRule(prefixLength: number, facts: FamilyFacts): NftRule {
  const source: NftLoad = { ...facts.source, prefixLength };
  return {
    exprs: [
      { expr: 'lookup', key: [...keyLoads('service', facts), source], set: `sources-${prefixLength}` },
      { expr: 'verdict', verdict: { kind: 'accept' } },
    ],
  };
}

/** Ports of this host at which the proxy itself accepts what is for Services. */
export const listenersSet: NftSet = { name: 'listeners', keyTypes: ['inet_proto', 'inet_service'] };

/** Source and target after translation of pods of this node that reach themselves through a Service. */
export function hairpinSet(facts: FamilyFacts): NftSet {
  return { name: 'hairpin', keyTypes: [facts.addressType, facts.addressType] };
}

/** The table without any Service: base sets and chains, and one chain per place that slot rules are appended to. */
export function renderLayout(options: TableOptions): Pick<NftTable, 'family' | 'name' | 'sets' | 'chains'> {
  const facts = familyFacts[options.family];
  return {
    ...tableRef(options.family),
    sets: [
      ...places.map((place) => chainMap(place, facts)),
      ...(['reject', 'drop', 'masquerade', 'drop-outside'] as const).flatMap((fate) =>
        (['service', 'node-port'] as const).map((place) => fateSet(fate, place, facts)),
      ),
      hairpinSet(facts),
      limitedSet(facts),
      ...(options.hasListeners === true ? [listenersSet] : []),
    ],
    chains: [
      // Also here, where whatever removes a table is noticed: host ports on loopback (CNI portmap) are safe by it alone.
      ...(facts.family === 'ip' ? [loopbackGuard] : []),
      ...limitChains(facts),
      ...rejectChains(options, facts),
      ...natChains(options, facts),
      ...placeChains(facts),
      ...leftoverChains(options, facts),
      ...(options.hasListeners === true ? [listenersChain] : []),
    ],
  };
}

const isNew: NftExpr = { expr: 'match', left: { load: 'ct state' }, op: '==', right: 'new' };

type Chain = NftChain & { readonly rules: readonly NftRule[] };

/** The chain that rules of sources are appended to. */
export const sourcesChain = 'allowed-sources';

/**
 * First of all, since after translation nobody knows what address was meant: a source that may not is dropped. A base chain
 * of its own, so that `accept` means "go on with the next one".
 */
function limitChains(facts: FamilyFacts): readonly Chain[] {
  const isLimited: readonly NftExpr[] = [
    isNew,
    { expr: 'lookup', key: keyLoads('service', facts), set: 'limited' },
  ];
  const rules: readonly NftRule[] = [
    { exprs: [...isLimited, jump(sourcesChain)] },
    { exprs: [...isLimited, { expr: 'verdict', verdict: { kind: 'drop' } }] },
  ];
  return [
    { name: 'limit-prerouting', hook: { type: 'filter', hook: 'prerouting', priority: -115 }, rules },
    { name: 'limit-output', hook: { type: 'filter', hook: 'output', priority: -115 }, rules },
    { name: sourcesChain, rules: [] },
  ];
}

/** Before translation: what has no backend is refused at once. Only first packets are looked at. */
function rejectChains(options: TableOptions, facts: FamilyFacts): readonly Chain[] {
  const rules: readonly NftRule[] = [{ exprs: [isNew, jump('without-endpoints')] }];
  return [
    { name: 'early-prerouting', hook: { type: 'filter', hook: 'prerouting', priority: -110 }, rules },
    { name: 'early-output', hook: { type: 'filter', hook: 'output', priority: -110 }, rules },
    {
      name: 'without-endpoints',
      rules: [
        { exprs: [isIn('reject', 'service', facts), { expr: 'reject' }] },
        ...forNode(options, facts, [isIn('reject', 'node-port', facts), { expr: 'reject' }]),
      ],
    },
  ];
}

function natChains(options: TableOptions, facts: FamilyFacts): readonly Chain[] {
  const { clusterCidr, serviceCidr, addedServiceCidrs = [], masqueradesAll = false } = options;
  const { source, target } = facts;
  const markIt: NftExpr = { expr: 'mark set', value: masqueradeMark, how: 'or' };
  const drop: NftExpr = { expr: 'verdict', verdict: { kind: 'drop' } };
  const markServices = [serviceCidr, ...addedServiceCidrs].map((right): NftRule => ({
    exprs: [{ expr: 'match', left: target, op: '==', right }, markIt],
  }));
  return [
    {
      name: 'prerouting',
      hook: { type: 'nat', hook: 'prerouting', priority: -100 },
      rules: [
        { exprs: [{ expr: 'match', left: source, op: '!=', right: clusterCidr }, jump('from-outside')] },
        ...forNode(options, facts, [jump('to-node-port')]),
        { exprs: [jump('services')] },
      ],
    },
    {
      name: 'output',
      hook: { type: 'nat', hook: 'output', priority: -100 },
      rules: [{ exprs: [jump('services')] }],
    },
    {
      // A pod of another node too: its backend may be beside it, and would answer it directly. Of externalTrafficPolicy Local a backend of this
      // node answers by it, and any other does not (kubernetes#74383).
      name: 'to-node-port',
      rules: [
        { exprs: [jump('local-node-port')] },
        { exprs: [isIn('masquerade', 'node-port', facts), markIt] },
        { exprs: [isIn('drop-outside', 'node-port', facts), markIt] },
      ],
    },
    {
      name: 'from-outside',
      rules: [
        { exprs: [jump('local-service')] },
        ...forNode(options, facts, [jump('local-node-port')]),
        { exprs: [isIn('drop-outside', 'service', facts), drop] },
        ...forNode(options, facts, [isIn('drop-outside', 'node-port', facts), drop]),
        // The answer must come back through this node, which alone knows of the translation.
        ...markServices,
        { exprs: [isIn('masquerade', 'service', facts), markIt] },
      ],
    },
    {
      name: 'services',
      rules: [
        { exprs: [isIn('drop', 'service', facts), drop] },
        ...(masqueradesAll ? markServices : []),
        { exprs: [jump('service')] },
        ...forNode(options, facts, [jump('node-port')]),
      ],
    },
    postroutingChain(facts),
  ];
}

function postroutingChain({ source, target }: FamilyFacts): Chain {
  const masquerade: NftExpr = { expr: 'masquerade', fullyRandom: true };
  return {
    name: 'postrouting',
    hook: { type: 'nat', hook: 'postrouting', priority: 100 },
    rules: [
      { exprs: [{ expr: 'lookup', key: [source, target], set: 'hairpin' }, masquerade] },
      {
        exprs: [
          { expr: 'match', left: { load: 'meta mark' }, op: '!=', right: 0, mask: masqueradeMark },
          // A tunnel's packets have the mark of those within, and would be translated, too (kubernetes#92035).
          { expr: 'mark set', value: masqueradeMark, how: 'xor' },
          masquerade,
        ],
      },
    ],
  };
}

function placeChains(facts: FamilyFacts): readonly Chain[] {
  return places.map((place) => ({
    name: place,
    rules: [{ exprs: [{ expr: 'vmap', key: keyLoads(place, facts), map: `${place}-chains` }] }],
  }));
}

/** After translation: a Service address that is still there leads nowhere (a port that no Service has). */
function leftoverChains(options: TableOptions, facts: FamilyFacts): readonly Chain[] {
  const rules = servedCidrsOf(options).map((cidr): NftRule => ({
    exprs: [
      { expr: 'match', left: facts.target, op: '==', right: cidr },
      { expr: 'match', left: { load: 'fib daddr type' }, op: '!=', right: 'local' },
      { expr: 'reject' },
    ],
  }));
  return [
    { name: 'leftover-forward', hook: { type: 'filter', hook: 'forward', priority: 0 }, rules },
    { name: 'leftover-output', hook: { type: 'filter', hook: 'output', priority: 0 }, rules },
  ];
}

/** Whoever came there by another way would pass by source ranges and policies. Answers to what this host began may have any port. */
const listenersChain: Chain = {
  name: 'listeners-input',
  hook: { type: 'filter', hook: 'input', priority: 0 },
  rules: [
    {
      exprs: [
        { expr: 'match', left: { load: 'ct status' }, op: '==', right: 'dnat' },
        { expr: 'verdict', verdict: { kind: 'accept' } },
      ],
    },
    {
      exprs: [
        isNew,
        { expr: 'lookup', key: [protocol, targetPort], set: listenersSet.name },
        { expr: 'verdict', verdict: { kind: 'drop' } },
      ],
    },
  ],
};

/** What is for an address of the node at which node ports are: a rule for each network of such. */
function forNode(options: TableOptions, facts: FamilyFacts, then: readonly NftExpr[]): readonly NftRule[] {
  const isLocal: NftExpr = { expr: 'match', left: { load: 'fib daddr type' }, op: '==', right: 'local' };
  const isOther: NftExpr = { expr: 'match', left: facts.target, op: '!=', right: facts.loopback };
  return nodePortCidrsOf(options).map((right) => ({
    exprs: [
      isLocal,
      isOther,
      ...(right === undefined ? [] : [{ expr: 'match', left: facts.target, op: '==', right } as const]),
      ...then,
    ],
  }));
}

/** Of the family; undefined: whatever the address. */
export function nodePortCidrsOf({
  family,
  nodePortCidrs = [],
}: Pick<TableOptions, 'family' | 'nodePortCidrs'>): readonly (string | undefined)[] {
  const own = nodePortCidrs.filter((cidr) => familyOfNetwork(cidr) === (family === 'ip' ? 4 : 6));
  // One that holds all of the others' addresses says nothing.
  return own.length === 0 || own.some((cidr) => cidr.endsWith('/0')) ? [undefined] : own;
}

function isIn(fate: FateName, place: 'service' | 'node-port', facts: FamilyFacts): NftExpr {
  return { expr: 'lookup', key: keyLoads(place, facts), set: `${fate}-${place}` };
}

function jump(chain: string): NftExpr {
  return { expr: 'verdict', verdict: { kind: 'jump', chain } };
}
