import { cidrContains, parseCidr, parseIp } from '#base/ip.ts';
import { unreachable } from '#base/unreachable.ts';
import type { Packet, Walked, WalkOptions } from '#agent/proxy/packet-walk.ts';
import type { XtChain, XtMatch, XtRule, XtTableName } from '#native/xtables/xtables.ts';
import { protocolNames } from './chain-names.ts';
import type { IptablesContribution } from './contribution.ts';
import type { IptablesLayout } from './layout.ts';

/** A rule's verdict; `next`: the following rule; `done`: translated. */
type Step = 'next' | 'return' | 'done' | 'reject' | 'drop' | 'accept';

interface State {
  readonly chains: ReadonlyMap<string, XtChain>;
  readonly packet: Packet;
  readonly options: WalkOptions;
  target: string;
  port: number;
  mark: number;
  targets: readonly string[];
  isMasqueraded: boolean;
}

/** All chains of a family as the kernel has them: each Service's rules before those of the layout. */
export function chainsOf(
  layout: IptablesLayout,
  contributions: readonly IptablesContribution[],
): readonly XtChain[] {
  const shared = contributions.flatMap((each) => each.shared);
  const isChain = (a: XtChain, b: XtChain): boolean => a.table === b.table && a.name === b.name;
  return [
    ...layout.chains.map((chain) => ({
      ...chain,
      rules: [...shared.filter((part) => isChain(part, chain)).flatMap(({ rules }) => rules), ...chain.rules],
    })),
    ...contributions.flatMap(({ chains }) => chains),
  ];
}

/**
 * Walks the first packet of a connection through the tables as the kernel would, for tests that speak of packets instead of
 * rules. Random choices are not made: all that could be chosen is in `targets`.
 */
export function walkIptables(
  layout: IptablesLayout,
  contributions: readonly IptablesContribution[],
  { packet, options }: { readonly packet: Packet; readonly options: WalkOptions },
): Walked {
  const chains = chainsOf(layout, contributions);
  const state: State = {
    chains: new Map(chains.map((chain) => [`${chain.table} ${chain.name}`, chain])),
    packet,
    options,
    target: packet.target,
    port: packet.port,
    mark: 0,
    targets: [],
    isMasqueraded: false,
  };
  const isLocal = (address: string): boolean => options.nodeIps.includes(address);
  const hooks: readonly (() => string)[] =
    options.from === 'node'
      ? [() => 'OUTPUT', () => 'POSTROUTING']
      : [() => 'PREROUTING', () => (isLocal(state.target) ? 'INPUT' : 'FORWARD'), () => 'POSTROUTING'];
  for (const hookOf of hooks) {
    const hook = hookOf();
    // Of one hook in the kernel's order of priorities.
    for (const table of ['raw', 'nat', 'filter'] as const) {
      const rules = layout.jumps
        .filter((jump) => jump.table === table && jump.builtin === hook)
        .map(({ rule }) => rule);
      const step = walkRules(rules, table, state);
      if (step === 'drop' || step === 'reject') return { fate: step, targets: [], isMasqueraded: false };
    }
  }
  const targets = state.targets.length === 0 ? [`${packet.target}:${packet.port}`] : state.targets;
  // A packet of the node has its address already.
  return { fate: 'accept', targets, isMasqueraded: state.isMasqueraded && options.from !== 'node' };
}

function walkRules(rules: readonly XtRule[], table: XtTableName, state: State): Step {
  for (const rule of rules) {
    if (!rule.matches.every((match) => holds(match, state))) continue;
    const step = walkTarget(rule, table, state);
    // A choice by chance: go on, and collect what else could be chosen.
    if (step === 'done' && rule.matches.some(({ match }) => match === 'statistic')) continue;
    if (step !== 'next') return step;
  }
  return 'next';
}

function walkTarget({ to }: XtRule, table: XtTableName, state: State): Step {
  switch (to.target) {
    case 'chain': {
      const chain = state.chains.get(`${table} ${to.chain}`);
      if (chain === undefined) throw new Error(`no chain ${to.chain} of ${table}`);
      const step = walkRules(chain.rules, table, state);
      return step === 'return' ? 'next' : step;
    }
    case 'ACCEPT':
      return 'accept';
    case 'DROP':
      return 'drop';
    case 'REJECT':
      return 'reject';
    case 'RETURN':
      return 'return';
    case 'MASQUERADE':
      state.isMasqueraded = true;
      return 'done';
    case 'MARK':
      state.mark = to.how === 'or' ? state.mark | to.value : state.mark ^ to.value;
      return 'next';
    case 'DNAT':
      state.targets = [...new Set([...state.targets, `${to.address}:${to.port}`])].toSorted();
      [state.target, state.port] = [to.address, to.port];
      return 'done';
    default:
      return unreachable(to);
  }
}

function holds(match: XtMatch, state: State): boolean {
  const { packet, options } = state;
  const isNot = 'isNot' in match && match.isNot === true;
  const isLocal = (address: string): boolean => options.nodeIps.includes(address);
  switch (match.match) {
    case 'source':
      return isWithin(packet.source, match.network) !== isNot;
    case 'destination':
      return isWithin(state.target, match.network) !== isNot;
    case 'in-interface':
      return (options.from === 'node') !== isNot;
    case 'protocol':
      return (
        protocolNames[packet.protocol] === match.protocol &&
        (match.port === undefined || match.port === state.port)
      );
    case 'conntrack':
      return match.state === 'NEW';
    case 'addrtype':
      return isLocal(match.of === 'src' ? packet.source : state.target) !== isNot;
    case 'mark':
      return ((state.mark & match.value) === match.value) !== isNot;
    case 'statistic':
    case 'recent-set':
      return true;
    case 'recent-check':
      return false; // A client that was never here.
    default:
      return unreachable(match);
  }
}

function isWithin(address: string, network: string): boolean {
  const [ip, cidr] = [parseIp(address), parseCidr(network)];
  return ip !== undefined && cidr !== undefined && cidrContains(cidr, ip);
}
