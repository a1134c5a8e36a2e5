import { PodwrightError } from '#base/errors.ts';
import {
  cidrsOverlap,
  familyOfNetwork,
  formatCidr,
  formatIp,
  knownCidr,
  nthIp,
  nthSubnet,
  type Cidr,
  type IpFamily,
} from '#base/ip.ts';
import type { NetnsRef, NetOp } from '#native/netlink/netlink.ts';
import type { NftChain, NftRule, NftTable, TableRef } from '#native/nft/nft.ts';

/** `--egress=nat`: how the machine knows a cluster. */
export interface NatPlan {
  /** The machine's end of the cable, and its table of each family. */
  readonly link: string;
  readonly tables: readonly TableRef[];
  readonly families: readonly NatFamily[];
}

export interface NatFamily {
  readonly family: IpFamily;
  /** Addresses of the machine's end and of the cluster's, and how long their network is. */
  readonly machine: string;
  readonly cluster: string;
  readonly prefix: number;
}

/** The cluster's end, in the namespace that the nodes leave through. */
export const natLink = 'outside0';

/** What cables have their addresses of, the first that the machine does not know: a network for each cluster of the machine. */
const pools: Readonly<Record<IpFamily, { readonly cidrs: readonly Cidr[]; readonly prefix: number }>> = {
  4: { cidrs: ['172.31.254.0/24', '10.126.254.0/24', '192.168.254.0/24'].map(knownCidr), prefix: 30 },
  6: { cidrs: ['fd00:172:31:254::/64'].map(knownCidr), prefix: 126 },
};

/** Networks of each of these that are tried. */
export const natCablesMax = 64;

const words = {
  4: {
    table: 'ip',
    type: 'ipv4_addr',
    source: 'ip saddr',
    target: 'ip daddr',
    all: '0.0.0.0/0',
    forwarding: 'net.ipv4.ip_forward',
  },
  6: {
    table: 'ip6',
    type: 'ipv6_addr',
    source: 'ip6 saddr',
    target: 'ip6 daddr',
    all: '::/0',
    forwarding: 'net.ipv6.conf.all.forwarding',
  },
} as const;

/** The setting by which a machine passes packets on. */
export const forwardingKey = (family: IpFamily): string => words[family].forwarding;

/** Pure. `taken`: networks that the machine knows. @throws E_CONFLICT where no network is left */
export function planNat(id: string, families: readonly IpFamily[], taken: readonly string[]): NatPlan {
  const known = taken.flatMap((text) => (familyOfNetwork(text) === undefined ? [] : [knownCidr(text)]));
  return {
    link: `pw-${id}`,
    tables: families.map((family) => ({ family: words[family].table, name: `podwright-up-${id}` })),
    families: families.map((family) => {
      const { cidrs, prefix } = pools[family];
      const free = cidrs
        .flatMap((cidr) => Array.from({ length: natCablesMax }, (_, index) => nthSubnet(cidr, prefix, index)))
        .find(
          (subnet) =>
            subnet !== undefined && !known.some((other) => other.prefix > 0 && cidrsOverlap(subnet, other)),
        );
      const [machine, cluster] = free === undefined ? [] : [nthIp(free, 1), nthIp(free, 2)];
      if (machine === undefined || cluster === undefined)
        throw new PodwrightError(
          'E_CONFLICT',
          `start a cluster with --egress=nat: this machine has routes to all of ${cidrs.map(formatCidr).join(', ')}, of which its cable would have a part; take --egress`,
        );
      return { family, machine: formatIp(machine), cluster: formatIp(cluster), prefix };
    }),
  };
}

/** The cable: made in the machine's namespace together with its other end. Pure. */
export function planNatCable(
  { link, families }: NatPlan,
  cluster: NetnsRef,
): { readonly inMachine: readonly NetOp[]; readonly inCluster: readonly NetOp[] } {
  return {
    inMachine: [
      { op: 'addLink', name: link, link: { kind: 'veth', peerName: natLink, peerNetns: cluster } },
      { op: 'setLink', name: link, up: true },
      ...families.map(({ machine, prefix }): NetOp => ({
        op: 'ensureAddress',
        name: link,
        address: `${machine}/${prefix}`,
      })),
    ],
    inCluster: [
      { op: 'setLink', name: natLink, up: true },
      ...families.flatMap(({ family, machine, cluster: own, prefix }): readonly NetOp[] => [
        { op: 'ensureAddress', name: natLink, address: `${own}/${prefix}` },
        { op: 'setSysctl', key: words[family].forwarding, value: '1' },
        { op: 'ensureRoute', destination: words[family].all, gateway: machine, protocol: staticRoute },
      ]),
    ],
  };
}

/** RTPROT_STATIC (linux/rtnetlink.h): no route of the server's to pods, whose others it removes. */
const staticRoute = 4;

type Chain = NftChain & { readonly rules: readonly NftRule[] };

/** The machine's table: what comes by the cable leaves with its own address. Pure. */
export function renderMachineNat({ link, tables }: NatPlan, { family, cluster }: NatFamily): NftTable {
  const { source, table } = words[family];
  return {
    family: table,
    name: tables[0]?.name ?? '',
    sets: [],
    chains: [
      postrouting([
        { expr: 'match', left: { load: source }, op: '==', right: cluster },
        { expr: 'match', left: { load: 'meta oifname' }, op: '!=', right: link },
      ]),
    ],
    elements: {},
  };
}

/**
 * The cluster's: it has one address on the cable, nobody begins anything by it from the other end, and what is for an address of the
 * cluster's own (`ownCidrs`) that nobody has does not leave by it. Pure.
 */
export function renderClusterNat({ family }: NatFamily, ownCidrs: readonly string[]): NftTable {
  const { table, type, target } = words[family];
  const shut: NftRule = {
    exprs: [
      { expr: 'match', left: { load: 'meta iifname' }, op: '==', right: natLink },
      { expr: 'match', left: { load: 'ct state' }, op: '==', right: 'new' },
      { expr: 'verdict', verdict: { kind: 'drop' } },
    ],
  };
  const kept: NftRule = {
    exprs: [
      { expr: 'match', left: { load: 'meta oifname' }, op: '==', right: natLink },
      { expr: 'lookup', key: [{ load: target }], set: 'own' },
      { expr: 'reject' },
    ],
  };
  const filter = (hook: 'input' | 'forward' | 'output', rules: readonly NftRule[]): Chain => ({
    ...{ name: hook, hook: { type: 'filter', hook, priority: 0 }, rules },
  });
  const own = ownCidrs.filter((cidr) => familyOfNetwork(cidr) === family);
  return {
    family: table,
    name: 'podwright-outside',
    sets: [{ name: 'own', keyTypes: [type], interval: true }],
    chains: [
      postrouting([{ expr: 'match', left: { load: 'meta oifname' }, op: '==', right: natLink }]),
      filter('input', [shut]),
      filter('forward', [shut, kept]),
      filter('output', [kept]),
    ],
    elements: { own: own.map((cidr) => ({ key: [cidr] })) },
  };
}

const postrouting = (exprs: NftRule['exprs']): Chain => ({
  name: 'postrouting',
  hook: { type: 'nat', hook: 'postrouting', priority: 100 },
  rules: [{ exprs: [...exprs, { expr: 'masquerade', fullyRandom: true }] }],
});
