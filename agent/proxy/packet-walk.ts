import { cidrContains, compareIps, firstOf, formatIp, parseCidr, parseIp } from '#base/ip.ts';
import { unreachable } from '#base/unreachable.ts';
import type { NftChain, NftExpr, NftLoad, NftTable, NftValue } from '#native/nft/nft.ts';

/** The first packet of a connection. */
export interface Packet {
  readonly source: string;
  readonly target: string;
  readonly protocol: 6 | 17 | 132;
  readonly port: number;
}

export interface WalkOptions {
  /** Whether the packet comes from a process of the node or from an interface. */
  readonly from: 'node' | 'interface';
  /** The node's own addresses (`fib daddr type local`). */
  readonly nodeIps: readonly string[];
}

/** What becomes of it: where it goes, and whether with the node's address. Several targets: one of them at random. */
export interface Walked {
  readonly fate: 'accept' | 'reject' | 'drop';
  readonly targets: readonly string[];
  readonly isMasqueraded: boolean;
}

type Hook = NonNullable<NftChain['hook']>['hook'];

interface State {
  readonly table: NftTable;
  readonly options: WalkOptions;
  source: string;
  target: string;
  port: number;
  mark: number;
  targets: readonly string[];
  isMasqueraded: boolean;
}

/** A rule's verdict; `next`: the following rule; `done`: translated, so the chain is over. */
type Step = 'next' | 'miss' | 'return' | 'done' | 'reject' | 'drop' | 'accept';

const protocols = { 6: 'tcp', 17: 'udp', 132: 'sctp' } as const;

/**
 * Walks a packet through a table as the kernel would, for tests that speak of packets instead of rules. Knows the rule
 * forms that we render and throws on any other. Random choices are not made: all that could be chosen is in `targets`.
 */
export function walkPacket(table: NftTable, packet: Packet, options: WalkOptions): Walked {
  const { source, target, port } = packet;
  const state: State = { table, options, source, target, port, mark: 0, targets: [], isMasqueraded: false };
  const hooks: readonly (() => Hook)[] =
    options.from === 'node'
      ? [() => 'output', () => 'postrouting']
      : [() => 'prerouting', () => pathOf(state), () => 'postrouting'];
  for (const hookOf of hooks) {
    const hook = hookOf();
    const chains = table.chains
      .filter((chain) => chain.hook?.hook === hook)
      .toSorted((a, b) => (a.hook?.priority ?? 0) - (b.hook?.priority ?? 0));
    for (const chain of chains) {
      const step = walkChain(chain.name, state, packet.protocol);
      if (step === 'drop' || step === 'reject') return { fate: step, targets: [], isMasqueraded: false };
    }
  }
  const targets = state.targets.length === 0 ? [`${target}:${port}`] : state.targets;
  return { fate: 'accept', targets, isMasqueraded: state.isMasqueraded };
}

/** In words: `one of 10.0.0.1:80, 10.0.0.2:80`, `10.0.0.1:80 with the node's address`, `reject`. */
export function describeWalk(walked: Walked): string {
  if (walked.fate !== 'accept') return walked.fate;
  const where = walked.targets.length === 1 ? walked.targets.join('') : `one of ${walked.targets.join(', ')}`;
  return walked.isMasqueraded ? `${where} with the node's address` : where;
}

/** Whither the packet goes after translation. */
function pathOf(state: State): Hook {
  return state.options.nodeIps.includes(state.target) ? 'input' : 'forward';
}

function walkChain(name: string, state: State, protocol: Packet['protocol']): Step {
  const chain = state.table.chains.find((item) => item.name === name);
  if (chain === undefined) throw new Error(`no chain ${name}`);
  for (const rule of chain.rules) {
    const step = walkRule(rule.exprs, state, protocol);
    if (step !== 'next' && step !== 'miss') return step;
  }
  return 'next';
}

function walkRule(exprs: readonly NftExpr[], state: State, protocol: Packet['protocol']): Step {
  for (const expr of exprs) {
    const step = walkExpr(expr, state, protocol);
    if (step !== 'next') return step;
  }
  return 'next';
}

function walkExpr(expr: NftExpr, state: State, protocol: Packet['protocol']): Step {
  const hit = (isHit: boolean): Step => (isHit ? 'next' : 'miss');
  switch (expr.expr) {
    case 'match':
      return hit(matches(expr, state, protocol));
    case 'lookup':
      return hit(find(expr.set, expr.key, state, protocol).length > 0 !== (expr.negate === true));
    case 'vmap': {
      const data = find(expr.map, expr.key, state, protocol)[0];
      if (data === undefined) return 'next';
      if (!('kind' in data) || !('chain' in data)) throw new Error(`walk vmap @${expr.map}: not a chain`);
      return walkChain(data.chain, state, protocol);
    }
    case 'dnat map': {
      const found = find(expr.map, expr.key, state, protocol);
      return found.length === 0
        ? 'miss'
        : translate(
            found.map((data) => addressOf(data)),
            state,
          );
    }
    case 'dnat':
      return chooseAmong(`${expr.address}:${expr.port}`, state);
    case 'mark set':
      state.mark = markedBy(expr, state.mark);
      return 'next';
    case 'masquerade':
      state.isMasqueraded = true;
      return 'done';
    case 'update':
    case 'counter':
      return 'next';
    case 'reject':
      return 'reject';
    case 'verdict':
      return verdict(expr.verdict, state, protocol);
    case 'snat':
    case 'redirect':
    case 'notrack':
      throw new Error(`walk ${expr.expr}: not a rule of the proxy`);
    default:
      return unreachable(expr);
  }
}

function markedBy({ how, value }: Extract<NftExpr, { readonly expr: 'mark set' }>, mark: number): number {
  switch (how) {
    case undefined:
      return value;
    case 'or':
      return mark | value;
    case 'xor':
      return mark ^ value;
    default:
      return unreachable(how);
  }
}

function verdict(
  value: Extract<NftExpr, { readonly expr: 'verdict' }>['verdict'],
  state: State,
  protocol: Packet['protocol'],
): Step {
  if ('chain' in value) {
    const step = walkChain(value.chain, state, protocol);
    return step === 'return' ? 'next' : step;
  }
  return value.kind === 'continue' ? 'next' : value.kind;
}

function translate(targets: readonly string[], state: State): Step {
  const unique = [...new Set(targets)].toSorted();
  state.targets = unique;
  const [first = ''] = unique;
  const end = first.lastIndexOf(':');
  [state.target, state.port] = [first.slice(0, end), Number(first.slice(end + 1))];
  return 'done';
}

/** A chain of `dnat` rules, each taken with some probability: go on, and collect them. */
function chooseAmong(target: string, state: State): Step {
  translate([...state.targets, target], state);
  return 'next';
}

function matches(
  expr: Extract<NftExpr, { readonly expr: 'match' }>,
  state: State,
  protocol: Packet['protocol'],
): boolean {
  const value = load(expr.left, state, protocol);
  const isEqual =
    expr.mask === undefined
      ? isWithin(value, expr.right)
      : (Number(value) & expr.mask) === Number(expr.right);
  return isEqual === (expr.op === '==');
}

/** Whether a value is what a comparison or an element says: the same, one of a network or range, or a protocol by its name. */
function isWithin(value: NftValue, right: NftValue): boolean {
  if (String(value) === String(right)) return true;
  if (typeof right !== 'string') return false;
  if (typeof value === 'number' && Object.hasOwn(protocols, value))
    return protocols[value as keyof typeof protocols] === right;
  const ip = parseIp(String(value));
  const cidr = parseCidr(right);
  if (cidr !== undefined) return ip !== undefined && cidrContains(cidr, ip);
  const [from, to] = right.split('-');
  if (from === undefined || to === undefined) return false;
  const [first, last] = [parseIp(from), parseIp(to)];
  if (ip === undefined || first === undefined || last === undefined)
    return Number(from) <= Number(value) && Number(value) <= Number(to);
  return compareIps(first, ip) <= 0 && compareIps(ip, last) <= 0;
}

/** Data of the elements that the key finds; with `numgen` in the key, of every number it could draw. */
function find(
  name: string,
  key: readonly NftLoad[],
  state: State,
  protocol: Packet['protocol'],
): readonly NonNullable<NftTable['elements'][string][number]['data'] | readonly []>[] {
  const wanted = key.map((item) => ('modulus' in item ? undefined : load(item, state, protocol)));
  const elements = state.table.elements[name] ?? [];
  const found = elements.filter((element) =>
    element.key.every((part, i) => wanted[i] === undefined || isWithin(wanted[i], part)),
  );
  return found.map((element) => element.data ?? []);
}

function addressOf(data: object): string {
  if (!Array.isArray(data)) throw new Error('walk dnat map: no address');
  return data.join(':');
}

function load(what: NftLoad, state: State, protocol: Packet['protocol']): NftValue {
  switch (what.load) {
    case 'ip saddr':
    case 'ip6 saddr':
      return firstBits(state.source, what.prefixLength);
    case 'ip daddr':
    case 'ip6 daddr':
      return firstBits(state.target, what.prefixLength);
    case 'meta l4proto':
      return protocol;
    case 'th dport':
      return state.port;
    case 'meta mark':
      return state.mark;
    case 'meta iifname':
      return 'eth0'; // What comes from the node itself passes no hook that asks.
    case 'ct state':
      return 'new';
    case 'ct status':
      return state.targets.length > 0 ? 'dnat' : '';
    case 'tcp flags':
      return 0x02; // SYN
    case 'fib daddr type':
      return state.options.nodeIps.includes(state.target) ? 'local' : 'unicast';
    case 'numgen random':
      return 0; // Every draw is followed; see `chooseAmong`.
    default:
      throw new Error(`walk ${what.load} of ${protocols[protocol]}: not a load of the proxy`);
  }
}

function firstBits(address: string, prefixLength: number | undefined): string {
  const ip = parseIp(address);
  if (prefixLength === undefined || ip === undefined) return address;
  return formatIp(firstOf({ ip, prefix: prefixLength }));
}
