import type { IpFamily } from '#base/ip.ts';
import type { NetOp } from '#native/netlink/netlink.ts';
import type { NftRule, NftTable } from '#native/nft/nft.ts';

export interface WayOut {
  readonly family: IpFamily;
  /** The link by which the nodes come. */
  readonly link: string;
  /** Networks that are the cluster's own: what goes there goes as it is. */
  readonly ownCidrs: readonly string[];
  /** Where the launcher takes connections over, on this link; undefined: the machine has no way itself, and they are refused. */
  readonly port: number | undefined;
  /** Else they are refused at once, so that who tries them first, as QUIC does, takes TCP. */
  readonly carriesDatagrams: boolean;
}

/** What differs between the families; `others`: what no router passes on. */
const facts = {
  4: { table: 'ip', load: 'ip daddr', type: 'ipv4_addr', others: ['224.0.0.0/4'], all: '0.0.0.0/0' },
  6: { table: 'ip6', load: 'ip6 daddr', type: 'ipv6_addr', others: ['fe80::/10', 'ff00::/8'], all: '::/0' },
} as const;

/** Nobody listens there (tcpmux): a datagram that is sent there is refused at once. */
const refusedPort = 1;

/** TCP that would leave the cluster comes to the launcher. Pure. */
export function renderWayOut({ family, link, ownCidrs, port, carriesDatagrams }: WayOut): NftTable {
  const { table, load, type, others } = facts[family];
  const leaves = (protocol: number, to: number): NftRule => ({
    exprs: [
      { expr: 'match', left: { load: 'meta iifname' }, op: '==', right: link },
      { expr: 'lookup', key: [{ load }], set: 'own', negate: true },
      { expr: 'match', left: { load: 'meta l4proto' }, op: '==', right: protocol },
      { expr: 'redirect', port: to },
    ],
  });
  return {
    family: table,
    name: 'podwright-outside',
    sets: [{ name: 'own', keyTypes: [type], interval: true }],
    chains: [
      {
        name: 'prerouting',
        hook: { type: 'nat', hook: 'prerouting', priority: -100 },
        rules: [leaves(6, port ?? refusedPort), ...(carriesDatagrams ? [] : [leaves(17, refusedPort)])],
      },
    ],
    elements: { own: [...ownCidrs, ...others].map((cidr) => ({ key: [cidr] })) },
  };
}

/** The device that all goes to that is neither TCP nor the cluster's own. */
export const datagramDevice = 'podwright-out';

/** RTPROT_STATIC (linux/rtnetlink.h): no route of the server's to pods, whose others it removes. */
const staticRoute = 4;
/** A packet is put together before it goes there, and may be as long as one can be. */
const mtu = 65_535;

/** What the device needs in its namespace, once it is there. Pure. */
export function planDatagramDevice(families: readonly IpFamily[]): readonly NetOp[] {
  const forwarding = { 4: 'net.ipv4.ip_forward', 6: 'net.ipv6.conf.all.forwarding' } as const;
  return [
    { op: 'setLink', name: datagramDevice, mtu, up: true },
    ...families.flatMap((family): readonly NetOp[] => [
      { op: 'setSysctl', key: forwarding[family], value: '1' },
      { op: 'ensureRoute', destination: facts[family].all, dev: datagramDevice, protocol: staticRoute },
    ]),
  ];
}

/** RTF_REJECT of linux/route.h: what goes there goes nowhere. The kernel itself has one such. */
const rejectFlag = 0x200;

/** Of /proc/net/ipv6_route, whose columns are network, prefix, two of the source, gateway, metric, two counts, flags, link. Pure. */
export function hasDefaultRoute(ipv6Routes: string): boolean {
  return ipv6Routes.split('\n').some((line) => {
    const [network = '', prefix, , , , , , , flags = ''] = line.trim().split(/\s+/);
    return /^0{32}$/.test(network) && prefix === '00' && (Number.parseInt(flags, 16) & rejectFlag) === 0;
  });
}
