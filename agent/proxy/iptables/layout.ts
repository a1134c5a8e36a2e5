import { servedCidrsOf } from '#agent/network/cluster-network.ts';
import { masqueradeMark, nodePortCidrsOf, type TableOptions } from '#agent/proxy/table-layout.ts';
import { loopbackNetwork } from '#native/nft/loopback-guard.ts';
import type { XtChain, XtMatch, XtRule, XtTableName, XtTarget } from '#native/xtables/xtables.ts';
import { renderRule } from '#native/xtables/render.ts';
import { markerChain } from './chain-names.ts';

/** A rule of a chain that the kernel has by itself. */
export interface Jump {
  readonly table: XtTableName;
  readonly builtin: string;
  readonly chain: string;
  readonly rule: XtRule;
}

/** What is there without any Service. Services add to the beginning of the shared chains. */
export interface IptablesLayout {
  readonly tables: readonly XtTableName[];
  readonly chains: readonly XtChain[];
  /** Of each built-in chain in this order, before the rules of others. */
  readonly jumps: readonly Jump[];
}

export function toChain(chain: string): XtTarget {
  return { target: 'chain', chain };
}

export const isNew: XtMatch = { match: 'conntrack', state: 'NEW' };

/**
 * Node ports are served on loopback only where such packets may leave by another interface, which there is for IPv4 alone
 * (route_localnet).
 */
export function isForNode({
  family,
  hasLocalhostNodePorts,
  ...options
}: Pick<
  TableOptions,
  'family' | 'hasLocalhostNodePorts' | 'nodePortCidrs'
>): readonly (readonly XtMatch[])[] {
  const loopback = family === 'ip' ? loopbackNetwork : '::1/128';
  const isLocal: XtMatch = { match: 'addrtype', of: 'dst' };
  const isOther: readonly XtMatch[] =
    hasLocalhostNodePorts === true && family === 'ip'
      ? []
      : [{ match: 'destination', network: loopback, isNot: true }];
  return nodePortCidrsOf({ family, ...options }).map((network) =>
    // A rule of iptables has one destination.
    network === undefined ? [...isOther, isLocal] : [{ match: 'destination', network }, isLocal],
  );
}

/** Pure. */
export function renderIptablesLayout({ family, ...options }: TableOptions): IptablesLayout {
  const chain = (table: XtTableName, name: string, rules: readonly XtRule[]): XtChain => ({
    table,
    name,
    rules,
  });
  const tables: readonly XtTableName[] = family === 'ip' ? ['raw', 'nat', 'filter'] : ['nat', 'filter'];
  return {
    tables,
    chains: [
      ...tables.map((table) => chain(table, markerChain, [])),
      ...(family === 'ip' ? [chain('raw', 'KUBE-PROXY-LOOPBACK', loopbackRules)] : []),
      chain('nat', 'KUBE-SERVICES', [
        ...isForNode({ family, ...options }).map((matches): XtRule => ({
          comment: 'node ports',
          matches,
          to: toChain('KUBE-NODEPORTS'),
        })),
      ]),
      chain('nat', 'KUBE-NODEPORTS', []),
      chain('nat', 'KUBE-POSTROUTING', postroutingRules),
      chain('nat', 'KUBE-MARK-MASQ', [
        { matches: [], to: { target: 'MARK', how: 'or', value: masqueradeMark } },
      ]),
      // A Service address that is still there leads nowhere: a port that no Service has.
      chain(
        'filter',
        'KUBE-SERVICES',
        servedCidrsOf(options).flatMap((network): readonly XtRule[] => {
          const comment = 'no such port';
          const matches: readonly XtMatch[] = [
            { match: 'destination', network },
            { match: 'addrtype', of: 'dst', isNot: true },
          ];
          const isTcp: XtMatch = { match: 'protocol', protocol: 'tcp' };
          return [
            { comment, matches: [...matches, isTcp], to: { target: 'REJECT', with: 'tcp-reset' } },
            { comment, matches, to: { target: 'REJECT' } },
          ];
        }),
      ),
      chain('filter', 'KUBE-EXTERNAL-SERVICES', []),
      chain('filter', 'KUBE-PROXY-FIREWALL', []),
      chain('filter', 'KUBE-FORWARD', forwardRules),
    ],
    jumps: jumps.filter(({ table }) => tables.includes(table)),
  };
}

/** As native/nft/loopback-guard.ts: what comes with such an address over another interface than lo. */
const loopbackRules: readonly XtRule[] = (['destination', 'source'] as const).map((match) => ({
  matches: [
    { match: 'in-interface', name: 'lo', isNot: true },
    { match, network: loopbackNetwork },
  ],
  to: { target: 'DROP' },
}));

/** The mark goes, so that a packet that comes by again (through a tunnel) is not translated twice. */
const postroutingRules: readonly XtRule[] = [
  { matches: [{ match: 'mark', value: masqueradeMark, isNot: true }], to: { target: 'RETURN' } },
  { matches: [], to: { target: 'MARK', how: 'xor', value: masqueradeMark } },
  { comment: 'with the address of the node', matches: [], to: { target: 'MASQUERADE' } },
];

/**
 * A segment that connection tracking does not know would reach its end untranslated, which answers a stranger with a reset
 * (kubernetes#74839). The others pass whatever a firewall says of FORWARD, as kube-proxy has it.
 */
const forwardRules: readonly XtRule[] = [
  { matches: [{ match: 'conntrack', state: 'INVALID' }], to: { target: 'DROP' } },
  { matches: [{ match: 'mark', value: masqueradeMark }], to: { target: 'ACCEPT' } },
  { matches: [{ match: 'conntrack', state: 'RELATED,ESTABLISHED' }], to: { target: 'ACCEPT' } },
];

/**
 * Text that changes nothing and needs all that rules may need of the kernel: one that it lacks would have it refuse the whole table,
 * the rules of all Services, once somebody's Service asks for it. Pure.
 */
export function renderProbe(): string {
  const chain = 'PODWRIGHT-PROBE';
  const match = (...matches: readonly XtMatch[]): string =>
    `-A ${chain} ${renderRule({ comment: 'probe', matches, to: { target: 'RETURN' } })}`;
  const protocols = (['tcp', 'udp', 'sctp'] as const).map((protocol) =>
    match({ match: 'protocol', protocol, port: 1 }),
  );
  const wrapped = (table: XtTableName, rules: readonly string[]): readonly string[] => [
    `*${table}`,
    `:${chain} - [0:0]`,
    ...rules,
    `-F ${chain}`,
    `-X ${chain}`,
    'COMMIT',
  ];
  return [
    ...wrapped('nat', [
      ...protocols,
      match({ match: 'addrtype', of: 'dst' }, { match: 'mark', value: masqueradeMark }),
      match({ match: 'statistic', probability: 0.5 }),
      match({ match: 'recent-check', list: chain, seconds: 1 }),
      match({ match: 'recent-set', list: chain }),
      `-A ${chain} -j MASQUERADE --random-fully`,
    ]),
    ...wrapped('filter', [
      match(isNew),
      `-A ${chain} -p tcp -j REJECT --reject-with tcp-reset`,
      `-A ${chain} -j REJECT`,
    ]),
    '',
  ].join('\n');
}

const jump = (
  table: XtTableName,
  builtin: string,
  chain: string,
  matches: readonly XtMatch[] = [],
): Jump => ({
  table,
  builtin,
  chain,
  rule: { comment: 'podwright Services', matches, to: toChain(chain) },
});

/** Sources that may not before what has no endpoints: they are told nothing. */
const jumps: readonly Jump[] = [
  jump('raw', 'PREROUTING', 'KUBE-PROXY-LOOPBACK'),
  jump('nat', 'PREROUTING', 'KUBE-SERVICES'),
  jump('nat', 'OUTPUT', 'KUBE-SERVICES'),
  jump('nat', 'POSTROUTING', 'KUBE-POSTROUTING'),
  jump('filter', 'INPUT', 'KUBE-PROXY-FIREWALL', [isNew]),
  jump('filter', 'INPUT', 'KUBE-EXTERNAL-SERVICES', [isNew]),
  jump('filter', 'FORWARD', 'KUBE-PROXY-FIREWALL', [isNew]),
  jump('filter', 'FORWARD', 'KUBE-SERVICES', [isNew]),
  jump('filter', 'FORWARD', 'KUBE-EXTERNAL-SERVICES', [isNew]),
  jump('filter', 'FORWARD', 'KUBE-FORWARD'),
  jump('filter', 'OUTPUT', 'KUBE-PROXY-FIREWALL', [isNew]),
  jump('filter', 'OUTPUT', 'KUBE-SERVICES', [isNew]),
  jump('filter', 'OUTPUT', 'KUBE-EXTERNAL-SERVICES', [isNew]),
];
