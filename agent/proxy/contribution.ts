import { createHash } from 'node:crypto';
import type { NftElement, NftExpr, NftRule, NftSet, NftValue } from '#native/nft/nft.ts';
import type { Backend, Frontend, ProxyPort } from './service-map.ts';
import {
  chainMap,
  fateSet,
  hairpinSet,
  limitedSet,
  slotMap,
  slotRule,
  sourcesChain,
  sourcesRule,
  sourcesSet,
  type FamilyFacts,
  type FateName,
  type Place,
} from './table-layout.ts';

/** What one Service puts into the table. */
export interface Contribution {
  readonly elements: readonly { readonly set: NftSet; readonly element: NftElement }[];
  /** Sets that the elements are in and that the table has only when one needs them. */
  readonly shared: readonly SharedSet[];
  /** Chains of frontends with session affinity. */
  readonly chains: readonly AffinityChain[];
}

/** A set of any number of Services, and the one rule that looks into it. */
export interface SharedSet {
  readonly set: NftSet;
  /** Where the rule is: at the end of a chain of the layout, or alone in one of its own, which elements lead to. */
  readonly chain: string;
  readonly isChainOwn?: boolean;
  readonly rule: NftRule;
}

export interface AffinityChain {
  readonly name: string;
  /** One set per backend: the clients that it keeps. */
  readonly sets: readonly NftSet[];
  readonly rules: readonly NftRule[];
}

/** Numbers of backends whose maps each connection goes along; beyond, the frontend itself leads to the map (decision 0152). */
const inTurnMax = 32;

/** Clients that a backend keeps: what the kernel has room for in a set that says no size. */
export const keptClientsMax = 65_535;

/** Pure: the elements, rules and chains of a Service's ports. */
export function renderContribution(ports: readonly ProxyPort[], facts: FamilyFacts): Contribution {
  const collected: Collected = { elements: [], shared: new Map(), chains: new Map() };
  for (const port of ports) renderPort(port, { facts, out: collected });
  return {
    elements: collected.elements,
    shared: [...collected.shared.values()],
    chains: [...collected.chains.values()],
  };
}

interface Collected {
  readonly elements: { readonly set: NftSet; readonly element: NftElement }[];
  readonly shared: Map<string, SharedSet>;
  readonly chains: Map<string, AffinityChain>;
}

interface Target {
  readonly facts: FamilyFacts;
  readonly out: Collected;
}

type BackendChoice = 'all' | 'local';

function renderPort(port: ProxyPort, target: Target): void {
  const internal = port.isInternalLocal ? 'local' : 'all';
  for (const frontend of port.clusterIps) {
    const key = serviceKey(port, frontend);
    if (!renderBackends(port, { place: 'service', choice: internal, key }, target)) {
      // Nobody anywhere: refuse. Somebody, but not here as the policy wants: say nothing, as kube-proxy does.
      addFate(port.backends.length === 0 ? 'reject' : 'drop', 'service', key, target);
    }
  }
  for (const frontend of port.externals) renderExternal(port, 'service', serviceKey(port, frontend), target);
  renderSourceLimit(port, target);
  if (port.nodePort !== undefined) renderExternal(port, 'node-port', [port.protocol, port.nodePort], target);
  for (const { ip, isLocal } of port.backends) {
    if (isLocal) target.out.elements.push({ set: hairpinSet(target.facts), element: { key: [ip, ip] } });
  }
}

function renderSourceLimit(port: ProxyPort, { facts, out }: Target): void {
  for (const frontend of port.sourceLimit?.frontends ?? []) {
    const key = serviceKey(port, frontend);
    out.elements.push({ set: limitedSet(facts), element: { key } });
    for (const { address, prefixLength } of port.sourceLimit?.sources ?? []) {
      const set = sourcesSet(prefixLength, facts);
      out.shared.set(set.name, { set, chain: sourcesChain, rule: sourcesRule(prefixLength, facts) });
      out.elements.push({ set, element: { key: [...key, address] } });
    }
  }
}

/** From within the cluster all backends serve, whatever the policy for packets from outside. */
function renderExternal(
  port: ProxyPort,
  place: 'service' | 'node-port',
  key: readonly NftValue[],
  target: Target,
): void {
  if (!renderBackends(port, { place, choice: 'all', key }, target)) {
    addFate('reject', place, key, target);
    return;
  }
  if (!port.isExternalLocal) addFate('masquerade', place, key, target);
  else if (!renderBackends(port, { place: `local-${place}`, choice: 'local', key }, target)) {
    addFate('drop-outside', place, key, target);
  }
}

/** False if there is no backend to choose from. */
function renderBackends(
  port: ProxyPort,
  where: { readonly place: Place; readonly choice: BackendChoice; readonly key: readonly NftValue[] },
  { facts, out }: Target,
): boolean {
  const { place, choice, key } = where;
  const backends = choice === 'all' ? port.backends : port.localBackends;
  if (backends.length === 0) return false;
  if (port.affinitySeconds !== undefined) {
    const chain = affinityChain(port, choice, backends, facts);
    out.chains.set(chain.name, chain);
    addChainOf(key, chain.name, place, { facts, out });
    return true;
  }
  // A slot for each backend, so that all have the same share.
  const slots = backends.length;
  const set = slotMap(place, slots, facts);
  const isChainOwn = slots > inTurnMax;
  const chain = isChainOwn ? set.name : place;
  out.shared.set(set.name, { set, chain, isChainOwn, rule: slotRule(place, slots, facts) });
  if (isChainOwn) addChainOf(key, chain, place, { facts, out });
  for (const [slot, { ip, port: number }] of backends.entries())
    out.elements.push({ set, element: { key: [...key, slot], data: [ip, number] } });
  return true;
}

/** The frontend has a chain: all that is for it goes there. */
function addChainOf(key: readonly NftValue[], chain: string, place: Place, { facts, out }: Target): void {
  const data = { kind: 'goto', chain } as const;
  out.elements.push({ set: chainMap(place, facts), element: { key, data } });
}

/**
 * A client goes where it went before, as long as that backend is there and the client comes again within the timeout;
 * otherwise to one at random. One set per backend, so that a backend that goes takes its clients' entries with it. Of more clients than
 * `keptClientsMax` the others are not kept.
 */
function affinityChain(
  port: ProxyPort,
  choice: BackendChoice,
  backends: readonly Backend[],
  facts: FamilyFacts,
): AffinityChain {
  const id = createHash('sha256').update(port.id).digest('hex').slice(0, 12);
  const timeoutMs = (port.affinitySeconds ?? 0) * 1000;
  const sets = backends.map(({ ip, port: number }): NftSet => ({
    // The timeout is part of the name because the kernel does not change that of a set.
    name: `clients-${id}-${ip.replaceAll(':', '_')}-${number}-${port.affinitySeconds}s`,
    keyTypes: [facts.addressType],
    dynamic: { timeoutMs },
  }));
  const key = [facts.source];
  const send = ({ ip, port: number }: Backend): NftExpr => ({ expr: 'dnat', address: ip, port: number });
  const keep = (set: NftSet): NftExpr => ({ expr: 'update', set: set.name, key });
  const pairs = backends.flatMap((backend, i) => {
    const set = sets[i];
    return set === undefined ? [] : [{ backend, set }];
  });
  // The first of n with probability 1/n, the second of the rest with 1/(n-1), …: all alike.
  const draw = (i: number): readonly NftExpr[] => {
    const modulus = pairs.length - i;
    const left = { load: 'numgen random', modulus } as const;
    return modulus === 1 ? [] : [{ expr: 'match', left, op: '==', right: 0 }];
  };
  return {
    name: `affinity-${choice}-${id}`,
    sets,
    rules: [
      ...pairs.map(({ backend, set }): NftRule => ({
        exprs: [{ expr: 'lookup', key, set: set.name }, keep(set), send(backend)],
      })),
      ...pairs.map(({ backend, set }, i): NftRule => ({ exprs: [...draw(i), keep(set), send(backend)] })),
      // A rule whose set is full ends there (docs/kernel-notes.md#nft-full-set): who cannot be kept is served all the same.
      ...pairs.map(({ backend }, i): NftRule => ({ exprs: [...draw(i), send(backend)] })),
    ],
  };
}

function addFate(
  fate: FateName,
  place: 'service' | 'node-port',
  key: readonly NftValue[],
  { facts, out }: Target,
): void {
  out.elements.push({ set: fateSet(fate, place, facts), element: { key } });
}

function serviceKey(port: ProxyPort, frontend: Frontend): readonly NftValue[] {
  return [frontend.address, port.protocol, frontend.port];
}
