import { parseIp } from '#base/ip.ts';
import { unreachable } from '#base/unreachable.ts';
import type { XtMatch, XtRule, XtTarget } from './xtables.ts';

/** A rule without its chain, as iptables-save would write it but for the order of words: `-d 10.0.0.1/32 -j KUBE-SVC-X`. Pure. */
export function renderRule({ comment, matches, to }: XtRule): string {
  return [
    ...(comment === undefined ? [] : [`-m comment --comment "${comment}"`]),
    ...matches.map(renderMatch),
    renderTarget(to),
  ].join(' ');
}

function renderMatch(match: XtMatch): string {
  const not = 'isNot' in match && match.isNot === true ? '! ' : '';
  switch (match.match) {
    case 'source':
    case 'destination':
      return `${not}${match.match === 'source' ? '-s' : '-d'} ${match.network}`;
    case 'in-interface':
      return `${not}-i ${match.name}`;
    case 'protocol':
      return match.port === undefined
        ? `-p ${match.protocol}`
        : `-p ${match.protocol} -m ${match.protocol} --dport ${match.port}`;
    case 'conntrack':
      return `-m conntrack --ctstate ${match.state}`;
    case 'addrtype':
      return `-m addrtype ${not}--${match.of}-type LOCAL`;
    case 'mark':
      return `-m mark ${not}--mark ${hex(match.value)}/${hex(match.value)}`;
    case 'statistic':
      return `-m statistic --mode random --probability ${match.probability.toFixed(10)}`;
    case 'recent-check':
      return `-m recent --name ${match.list} --rcheck --seconds ${match.seconds} --reap`;
    case 'recent-set':
      return `-m recent --name ${match.list} --set`;
    default:
      return unreachable(match);
  }
}

function renderTarget(to: XtTarget): string {
  switch (to.target) {
    case 'chain':
      return `-j ${to.chain}`;
    case 'ACCEPT':
    case 'DROP':
    case 'RETURN':
      return `-j ${to.target}`;
    case 'REJECT':
      return to.with === undefined ? '-j REJECT' : `-j REJECT --reject-with ${to.with}`;
    case 'MASQUERADE':
      return '-j MASQUERADE --random-fully';
    case 'DNAT':
      return `-j DNAT --to-destination ${parseIp(to.address)?.family === 6 ? `[${to.address}]` : to.address}:${to.port}`;
    case 'MARK':
      return `-j MARK --${to.how}-mark ${hex(to.value)}`;
    default:
      return unreachable(to);
  }
}

const hex = (value: number): string => `0x${value.toString(16)}`;

/** What becomes of one table; each part may be empty. */
export interface TableChanges {
  readonly table: string;
  /** Chains that are there afterwards with these rules alone, each as renderRule() writes it. */
  readonly chains: ReadonlyMap<string, readonly string[]>;
  /** Chains that are gone afterwards. */
  readonly removed: readonly string[];
  /** Rules of built-in chains, to be the first ones in this order. */
  readonly inserted: readonly { readonly chain: string; readonly rule: string }[];
  /** Rules of built-in chains, as iptables-save tells them. */
  readonly deleted: readonly { readonly chain: string; readonly rule: string }[];
}

/** The text of iptables-restore; empty when nothing changes. Pure. */
export function renderRestore(changes: readonly TableChanges[]): string {
  return changes
    .filter(
      ({ chains, removed, inserted, deleted }) =>
        chains.size + removed.length + inserted.length + deleted.length > 0,
    )
    .map(renderTable)
    .join('');
}

function renderTable({ table, chains, removed, inserted, deleted }: TableChanges): string {
  const emptied = [...chains.keys(), ...removed].map((name) => `:${name} - [0:0]`);
  // Each is inserted before the one that was inserted before it.
  const jumps = inserted.toReversed().map(({ chain, rule }) => `-I ${chain} ${rule}`);
  const rules = [...chains].flatMap(([name, all]) => all.map((rule) => `-A ${name} ${rule}`));
  const gone = deleted.map(({ chain, rule }) => `-D ${chain} ${rule}`);
  // Last of all: a chain goes when no rule leads to it any more.
  const dropped = removed.map((name) => `-X ${name}`);
  return [`*${table}`, ...emptied, ...gone, ...rules, ...jumps, ...dropped, 'COMMIT', ''].join('\n');
}

/** How many rules such a text appends to chains, by table; tables that it names alone. Pure. */
export function countAppended(text: string): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  let table = '';
  for (const line of text.split('\n')) {
    if (line.startsWith('*')) table = line.slice(1);
    if (line.startsWith('*') || line.startsWith('-A ')) counts.set(table, (counts.get(table) ?? -1) + 1);
  }
  return counts;
}
