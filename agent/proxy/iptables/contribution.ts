import type { Backend, Frontend, ProxyPort } from '#agent/proxy/service-map.ts';
import type { TableOptions } from '#agent/proxy/table-layout.ts';
import type { XtChain, XtMatch, XtRule, XtTableName, XtTarget } from '#native/xtables/xtables.ts';
import { backendChainName, portChainName, portName, protocolNames, type PortChain } from './chain-names.ts';
import { isForNode, toChain } from './layout.ts';

/** What one Service puts into the tables of a family. */
export interface IptablesContribution {
  /** Chains of its own. */
  readonly chains: readonly XtChain[];
  /** Its rules in chains that all Services share. */
  readonly shared: readonly XtChain[];
}

type Facts = Pick<
  TableOptions,
  'family' | 'clusterCidr' | 'hasLocalhostNodePorts' | 'masqueradesAll' | 'nodePortCidrs'
>;

const markMasq: XtTarget = toChain('KUBE-MARK-MASQ');

/** Pure: the chains and rules of a Service's ports, as kube-proxy names and orders them. */
export function renderIptables(ports: readonly ProxyPort[], facts: Facts): IptablesContribution {
  const rendered = ports.map((port) => renderPort(port, facts));
  return {
    chains: rendered.flatMap(({ chains }) => chains),
    shared: mergeChains(rendered.flatMap(({ shared }) => shared)),
  };
}

function mergeChains(chains: readonly XtChain[]): readonly XtChain[] {
  const merged = new Map<string, XtChain>();
  for (const chain of chains) {
    const key = `${chain.table} ${chain.name}`;
    const known = merged.get(key);
    merged.set(key, known === undefined ? chain : { ...known, rules: [...known.rules, ...chain.rules] });
  }
  return [...merged.values()];
}

function renderPort(port: ProxyPort, facts: Facts): IptablesContribution {
  return {
    chains: [
      ...backendChains(port),
      ...serviceChains(port, facts),
      ...externalChain(port, facts),
      ...sourceChains(port),
    ],
    shared: [...internalRules(port), ...externalRules(port), ...nodePortRules(port, facts)],
  };
}

const hasExternal = ({ externals, nodePort }: ProxyPort): boolean =>
  externals.length > 0 || nodePort !== undefined;

const needsAll = (port: ProxyPort): boolean => !port.isInternalLocal || hasExternal(port);

const needsLocal = (port: ProxyPort): boolean =>
  port.isInternalLocal || (port.isExternalLocal && hasExternal(port));

/** A chain for each backend that is chosen by a chain of the port. */
function backendChains(port: ProxyPort): readonly XtChain[] {
  const used = [...(needsAll(port) ? port.backends : []), ...(needsLocal(port) ? port.localBackends : [])];
  const byName = new Map(used.map((backend) => [backendChainName(port, backend), backend]));
  return [...byName].map(([name, { ip, port: number }]) => ({
    table: 'nat',
    name,
    rules: [
      // It reaches itself by the Service: its own address as source would be answered past the node.
      rule(port, [{ match: 'source', network: hostOf(ip) }], markMasq),
      rule(
        port,
        [
          { match: 'protocol', protocol: protocolNames[port.protocol] },
          ...(port.affinitySeconds === undefined ? [] : [{ match: 'recent-set', list: name } as const]),
        ],
        { target: 'DNAT', address: ip, port: number },
      ),
    ],
  }));
}

/** KUBE-SVC of all backends and KUBE-SVL of those on this node; neither without any. */
function serviceChains(port: ProxyPort, { clusterCidr, masqueradesAll }: Facts): readonly XtChain[] {
  const fromOutside: readonly XtMatch[] =
    masqueradesAll === true ? [] : [{ match: 'source', network: clusterCidr, isNot: true }];
  const chain = (kind: PortChain, backends: readonly Backend[], isNeeded: boolean): readonly XtChain[] =>
    backends.length === 0 || !isNeeded
      ? []
      : [
          {
            table: 'nat',
            name: portChainName(kind, port),
            rules: [
              // The answer must come back through this node, which alone knows of the translation.
              ...port.clusterIps.map((at) => rule(port, [...fromOutside, ...isFor(port, at)], markMasq)),
              ...choiceRules(port, backends),
            ],
          },
        ];
  return [
    ...chain('SVC', port.backends, needsAll(port)),
    ...chain('SVL', port.localBackends, needsLocal(port)),
  ];
}

/** Where a client went in the last seconds; otherwise the first of n with probability 1/n, the second of the rest with 1/(n-1), …. */
function choiceRules(port: ProxyPort, backends: readonly Backend[]): readonly XtRule[] {
  const names = backends.map((backend) => backendChainName(port, backend));
  const seconds = port.affinitySeconds;
  const kept =
    seconds === undefined
      ? []
      : names.map((list) => rule(port, [{ match: 'recent-check', list, seconds }], toChain(list)));
  const drawn = names.map((name, i) => {
    const left = names.length - i;
    const draw: readonly XtMatch[] = left === 1 ? [] : [{ match: 'statistic', probability: 1 / left }];
    return rule(port, draw, toChain(name));
  });
  return [...kept, ...drawn];
}

/** What comes from outside the cluster by an external address or a node port; pods and the node reach all backends. */
function externalChain(port: ProxyPort, { clusterCidr }: Facts): readonly XtChain[] {
  if (!hasExternal(port) || port.backends.length === 0) return [];
  const all = toChain(portChainName('SVC', port));
  const isPod: XtMatch = { match: 'source', network: clusterCidr };
  const isNode: XtMatch = { match: 'addrtype', of: 'src' };
  const rules = port.isExternalLocal
    ? [
        rule(port, [isPod], all),
        rule(port, [isNode], markMasq),
        rule(port, [isNode], all),
        ...(port.localBackends.length === 0 ? [] : [rule(port, [], toChain(portChainName('SVL', port)))]),
      ]
    : [rule(port, [{ ...isPod, isNot: true }], markMasq), rule(port, [], all)];
  return [{ table: 'nat', name: portChainName('EXT', port), rules }];
}

/**
 * Who may reach the addresses of the load balancer. Whoever may not is left untranslated by the chain of `nat`, and dropped by
 * that of `filter`; whoever may and finds no endpoints is refused there.
 */
function sourceChains(port: ProxyPort): readonly XtChain[] {
  const { sourceLimit } = port;
  if (sourceLimit === undefined) return [];
  const name = portChainName('FW', port);
  const allow = (to: XtTarget): readonly XtRule[] =>
    sourceLimit.sources.map(({ address, prefixLength }) =>
      rule(port, [{ match: 'source', network: `${address}/${prefixLength}` }], to),
    );
  return [
    ...(port.backends.length === 0
      ? []
      : [{ table: 'nat', name, rules: allow(toChain(portChainName('EXT', port))) } as const]),
    { table: 'filter', name, rules: [...allow({ target: 'RETURN' }), rule(port, [], { target: 'DROP' })] },
  ];
}

function internalRules(port: ProxyPort): readonly XtChain[] {
  const [kind, backends] = port.isInternalLocal
    ? (['SVL', port.localBackends] as const)
    : (['SVC', port.backends] as const);
  const to = (table: XtTableName, target: XtTarget): readonly XtChain[] => [
    { table, name: 'KUBE-SERVICES', rules: port.clusterIps.map((at) => rule(port, isFor(port, at), target)) },
  ];
  if (backends.length > 0) return to('nat', toChain(portChainName(kind, port)));
  // Nobody anywhere: refuse. Somebody, but not here as the policy wants: say nothing, as kube-proxy does.
  return to('filter', port.backends.length === 0 ? rejectOf(port) : { target: 'DROP' });
}

const shared = (table: XtTableName, name: string, rules: readonly XtRule[]): readonly XtChain[] =>
  rules.length === 0 ? [] : [{ table, name, rules }];

const rejectOf = (port: ProxyPort): XtTarget =>
  protocolNames[port.protocol] === 'tcp' ? { target: 'REJECT', with: 'tcp-reset' } : { target: 'REJECT' };

/** How packets from outside end that no backend may have; undefined: they do not. */
function fateOfExternal(port: ProxyPort): XtTarget | undefined {
  if (port.backends.length === 0) return rejectOf(port);
  return port.isExternalLocal && port.localBackends.length === 0 ? { target: 'DROP' } : undefined;
}

function externalRules(port: ProxyPort): readonly XtChain[] {
  const limited = port.sourceLimit?.frontends ?? [];
  const isLimited = ({ address }: Frontend): boolean => limited.some((each) => each.address === address);
  const fate = fateOfExternal(port);
  const leading = port.backends.length === 0 ? [] : port.externals;
  return [
    ...shared(
      'nat',
      'KUBE-SERVICES',
      leading.map((at) =>
        rule(port, isFor(port, at), toChain(portChainName(isLimited(at) ? 'FW' : 'EXT', port))),
      ),
    ),
    ...shared(
      'filter',
      'KUBE-EXTERNAL-SERVICES',
      fate === undefined ? [] : port.externals.map((at) => rule(port, isFor(port, at), fate)),
    ),
    ...shared(
      'filter',
      'KUBE-PROXY-FIREWALL',
      limited.map((at) => rule(port, isFor(port, at), toChain(portChainName('FW', port)))),
    ),
  ];
}

/**
 * A pod of another node too: its backend may be beside it, and would answer it directly. Of externalTrafficPolicy Local a backend of this node
 * answers by it, and any other does not (kubernetes#74383).
 */
function podsOfOthers(port: ProxyPort, isPort: XtMatch, { clusterCidr }: Facts): XtRule {
  if (!port.isExternalLocal) return rule(port, [isPort], markMasq);
  const isPod: XtMatch = { match: 'source', network: clusterCidr };
  const target = port.localBackends.length === 0 ? markMasq : toChain(portChainName('SVL', port));
  return rule(port, [isPod, isPort], target);
}

function nodePortRules(port: ProxyPort, facts: Facts): readonly XtChain[] {
  if (port.nodePort === undefined) return [];
  const isPort: XtMatch = {
    match: 'protocol',
    protocol: protocolNames[port.protocol],
    port: port.nodePort,
  };
  const fate = fateOfExternal(port);
  const leading =
    port.backends.length === 0
      ? []
      : [podsOfOthers(port, isPort, facts), rule(port, [isPort], toChain(portChainName('EXT', port)))];
  const ending =
    fate === undefined ? [] : isForNode(facts).map((matches) => rule(port, [isPort, ...matches], fate));
  return [...shared('nat', 'KUBE-NODEPORTS', leading), ...shared('filter', 'KUBE-EXTERNAL-SERVICES', ending)];
}

function isFor(port: ProxyPort, { address, port: number }: Frontend): readonly XtMatch[] {
  return [
    { match: 'destination', network: hostOf(address) },
    { match: 'protocol', protocol: protocolNames[port.protocol], port: number },
  ];
}

const hostOf = (ip: string): string => `${ip}/${ip.includes(':') ? 128 : 32}`;

function rule(port: ProxyPort, matches: readonly XtMatch[], to: XtTarget): XtRule {
  return { comment: portName(port), matches, to };
}
