/** Rules of the firewall plugin, by the chains that the CNI project's has: either may remove what the other made. Pure. */
import { cniError, cniErrorCode } from '#api/cni/cni-error.ts';
import { field } from '#api/cni/json-field.ts';
import type { PluginConfig } from '#api/cni/network-config.ts';
import type { CniResult } from '#api/cni/result.ts';
import { bitsOf, formatIp, parseCidr } from '#base/ip.ts';
import type { IptablesFamily } from './iptables.ts';

const ingressPolicies = ['open', 'same-bridge', 'isolated'] as const;
type IngressPolicy = (typeof ingressPolicies)[number];

export interface FirewallConfig {
  /** undefined: firewalld where that runs, else iptables. */
  readonly backend: 'iptables' | 'firewalld' | undefined;
  /** Of firewalld: what is of it gets through. */
  readonly zone: string;
  readonly adminChain: string;
  /** `isolated` is `same-bridge` without that bridge's own containers. */
  readonly ingressPolicy: IngressPolicy;
}

/** Of the table filter. `first` is where jumps have to be. */
export interface FirewallRule {
  readonly family: IptablesFamily;
  readonly chain: string;
  readonly rule: readonly string[];
  readonly first?: boolean;
  /** Stays when a container goes: it is of all. */
  readonly shared?: boolean;
}

const forwardChain = 'CNI-FORWARD';
const isolationChains = ['CNI-ISOLATION-STAGE-1', 'CNI-ISOLATION-STAGE-2'] as const;

export interface FirewallPlan {
  readonly chains: readonly { readonly family: IptablesFamily; readonly name: string }[];
  readonly rules: readonly FirewallRule[];
}

/** Shared rules first; what a container sends and what answers it gets is let through. */
export function planFirewall(config: FirewallConfig, previous: CniResult): FirewallPlan {
  const sources = previous.ips.flatMap(({ address }) => {
    const ip = parseCidr(address)?.ip;
    return ip === undefined ? [] : [{ family: ip.family, text: `${formatIp(ip)}/${bitsOf(ip.family)}` }];
  });
  const families = [...new Set(sources.map(({ family }) => family))];
  const ingress = planIngress(config, previous);
  const comment = (text: string): readonly string[] => ['-m', 'comment', '--comment', text];
  const jumps = families.flatMap((family): readonly FirewallRule[] => [
    {
      family,
      chain: 'FORWARD',
      rule: [...comment('CNI firewall plugin rules'), '-j', forwardChain],
      first: true,
      shared: true,
    },
    {
      family,
      chain: forwardChain,
      rule: [...comment('CNI firewall plugin admin overrides'), '-j', config.adminChain],
      first: true,
      shared: true,
    },
  ]);
  const own = sources.flatMap(({ family, text }): readonly FirewallRule[] => [
    {
      family,
      chain: forwardChain,
      rule: ['-d', text, '-m', 'conntrack', '--ctstate', 'RELATED,ESTABLISHED', '-j', 'ACCEPT'],
    },
    { family, chain: forwardChain, rule: ['-s', text, '-j', 'ACCEPT'] },
  ]);
  return {
    chains: [
      ...families.flatMap((family) => [forwardChain, config.adminChain].map((name) => ({ family, name }))),
      ...ingress.chains,
    ],
    rules: [...jumps, ...own, ...ingress.rules],
  };
}

/** What keeps packets of other bridges away, or those of other containers. Pure. */
export function planIngress(config: FirewallConfig, previous: CniResult): FirewallPlan {
  if (config.ingressPolicy === 'open') return { chains: [], rules: [] };
  const families = [...new Set(previous.ips.flatMap(({ address }) => parseCidr(address)?.ip.family ?? []))];
  return {
    chains: families.flatMap((family) => isolationChains.map((name) => ({ family, name }))),
    rules: [
      ...planIsolation(families, bridgeOf(previous)),
      ...(config.ingressPolicy === 'isolated' ? planOwnIsolation(families, bridgeOf(previous)) : []),
    ],
  };
}

/** From one bridge to another nothing goes: what comes from a bridge and leaves by another is dropped in the second stage. */
function planIsolation(families: readonly IptablesFamily[], bridge: string): readonly FirewallRule[] {
  const [first, second] = isolationChains;
  const said = ['-m', 'comment', '--comment', 'CNI firewall plugin rules (ingressPolicy: same-bridge)'];
  return families.flatMap((family): readonly FirewallRule[] => [
    { family, chain: 'FORWARD', rule: ['-j', first, ...said], first: true, shared: true },
    {
      family,
      chain: first,
      rule: ['-i', bridge, '!', '-o', bridge, '-j', second, ...said],
      first: true,
      shared: true,
    },
    { family, chain: first, rule: ['-j', 'RETURN', ...said], shared: true },
    { family, chain: second, rule: ['-o', bridge, '-j', 'DROP', ...said], first: true, shared: true },
    { family, chain: second, rule: ['-j', 'RETURN', ...said], shared: true },
  ]);
}

/** Nor from one container of the bridge to another: what stays on the bridge gets here where br_netfilter shows it to iptables. */
function planOwnIsolation(families: readonly IptablesFamily[], bridge: string): readonly FirewallRule[] {
  const said = ['-m', 'comment', '--comment', 'CNI firewall plugin rules (ingressPolicy: isolated)'];
  return families.map((family): FirewallRule => ({
    family,
    chain: isolationChains[0],
    rule: ['-i', bridge, '-o', bridge, '-j', 'DROP', ...said],
    first: true,
    shared: true,
  }));
}

function bridgeOf({ interfaces }: CniResult): string {
  const name = interfaces.find(({ sandbox }) => sandbox === undefined || sandbox === '')?.name;
  if (name !== undefined && /^[\w.-]+$/.test(name)) return name;
  throw cniError(
    cniErrorCode.invalidNetworkConfig,
    'firewall: an ingressPolicy needs a prevResult whose first interface is the bridge',
  );
}

/** @throws {E_INVALID, E_UNSUPPORTED} */
export function parseFirewall(config: PluginConfig): FirewallConfig {
  const backend = field.string(config, 'backend') || undefined;
  if (backend !== undefined && backend !== 'iptables' && backend !== 'firewalld')
    throw cniError(cniErrorCode.unsupportedField, `firewall: backend ${backend} is not supported`);
  const zone = field.string(config, 'firewalldZone') || 'trusted';
  const policyText = field.string(config, 'ingressPolicy') || 'open';
  const ingressPolicy = ingressPolicies.find((known) => known === policyText);
  if (ingressPolicy === undefined)
    throw cniError(
      cniErrorCode.unsupportedField,
      `firewall: ingressPolicy ${policyText} is not one of ${ingressPolicies.join(', ')}`,
    );
  const adminChain = field.string(config, 'iptablesAdminChainName') || 'CNI-ADMIN';
  if (/^[\w-]{1,28}$/.test(adminChain)) return { adminChain, ingressPolicy, backend, zone };
  throw cniError(
    cniErrorCode.invalidNetworkConfig,
    `firewall: iptablesAdminChainName ${JSON.stringify(adminChain)} is not the name of a chain`,
  );
}
