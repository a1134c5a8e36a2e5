import { cniError, cniErrorCode } from '#api/cni/cni-error.ts';
import type { CniIp } from '#api/cni/result.ts';
import { addToIp, bitsOf, firstOf, formatCidr, formatIp, hostCidr, networkOf, parseCidr } from '#base/ip.ts';
import { ownNetns, type NetOp } from '#native/netlink/netlink.ts';
import { parseIpMasq, parseLinkConfig, type LinkConfig } from '#cni-plugins/skel/link-config.ts';
import {
  containerMacOf,
  hostMacOf,
  hostVethName,
  planIpv6,
  planNoRouters,
  requireIps,
  toRouteOp,
  withGateways,
} from '#cni-plugins/skel/link-plan.ts';
import { createLinkPlugin, type LinkPlan, type PlanInput } from '#cni-plugins/skel/link-plugin.ts';
import { planMasquerade } from '#cni-plugins/skel/masquerade.ts';
import type { CniPlugin } from '#cni-plugins/skel/plugin.ts';

export interface PtpConfig extends LinkConfig {
  readonly ipMasq: boolean;
}

/** A pair of links between container and host, which routes: containers share no layer 2. */
export const ptp: CniPlugin = createLinkPlugin<PtpConfig>({
  name: 'ptp',
  kind: 'veth',
  parse: (config, args) => ({ ...parseLinkConfig(config, args), ipMasq: parseIpMasq(config) }),
  plan: planPtp,
  planDel: (_config, request) => ({
    host: [{ op: 'removeLink', name: hostVethName(request) }],
    container: [{ op: 'removeLink', name: request.ifname }],
  }),
  masquerades: ({ ipMasq, network }, _request, ips) =>
    ipMasq ? planMasquerade(network, undefined, ips) : [],
  compareHost: (_config, request, { links }) =>
    links.some(({ name }) => name === hostVethName(request)) ? [] : [`${hostVethName(request)} is missing`],
});

/** Pure. */
export function planPtp({ config, request, ipam }: Omit<PlanInput<PtpConfig>, 'host'>): LinkPlan {
  requireIps('ptp', ipam);
  const ips = ipam.ips.map(planIp);
  const [veth, { ifname }] = [hostVethName(request), request];
  const [hostMac, mac] = [hostMacOf(request), config.mac ?? containerMacOf(request, ipam.ips)];
  const size = config.mtu === undefined ? {} : { mtu: config.mtu };
  const peer = { peerName: ifname, peerNetns: { kind: 'path', path: request.netns }, peerMac: mac } as const;
  const given = ips.map(({ ip }) => ip);
  return {
    changes: [
      {
        netns: ownNetns,
        ops: [
          { op: 'removeLink', name: veth },
          { op: 'addLink', name: veth, link: { kind: 'veth', ...peer }, ...size, mac: hostMac },
          ...planNoRouters(veth),
          { op: 'setLink', name: veth, up: true },
        ],
      },
      {
        netns: { kind: 'path', path: request.netns },
        ops: [
          ...planNoRouters(ifname),
          ...planIpv6(ifname, given),
          { op: 'setLink', name: ifname, up: true },
          ...ips.flatMap((each) => each.container(ifname)),
          // While the subnet is on the link: a gateway of a route may be any address of it.
          ...withGateways(given, ipam.routes).map((route): NetOp => toRouteOp(route, ifname)),
          ...ips.flatMap((each) => each.subnet(ifname)),
        ],
      },
      { netns: ownNetns, ops: ips.flatMap((each) => each.host(veth)) },
    ],
    result: {
      ...ipam,
      interfaces: [
        { name: veth, mac: hostMac, mtu: config.mtu },
        { name: ifname, mac, mtu: config.mtu, sandbox: request.netns },
      ],
      ips: given.map((ip) => ({ ...ip, interface: 1 })),
    },
  };
}

/** Whatever is not the container is behind the host, its own subnet too. */
function planIp(given: CniIp): {
  readonly ip: CniIp;
  readonly host: (veth: string) => readonly NetOp[];
  readonly container: (ifname: string) => readonly NetOp[];
  readonly subnet: (ifname: string) => readonly NetOp[];
} {
  const cidr = parseCidr(given.address);
  const first = cidr === undefined ? undefined : addToIp(firstOf(cidr), 1);
  const gateway = given.gateway ?? (first === undefined ? undefined : formatIp(first));
  if (cidr === undefined || gateway === undefined)
    throw cniError(cniErrorCode.decodingFailure, `ptp: IPAM gave ${given.address}`);
  const [bits, subnet] = [bitsOf(cidr.ip.family), formatCidr(networkOf(cidr))];
  const isHost = cidr.prefix === bits;
  const forwarding = cidr.ip.family === 4 ? 'net.ipv4.ip_forward' : 'net.ipv6.conf.all.forwarding';
  return {
    ip: { address: given.address, gateway },
    host: (veth) => [
      { op: 'ensureAddress', name: veth, address: `${gateway}/${bits}` },
      { op: 'ensureRoute', destination: formatCidr(hostCidr(cidr.ip)), dev: veth, scope: 'link' },
      { op: 'setSysctl', key: forwarding, value: '1' },
    ],
    container: (ifname) => [
      { op: 'ensureAddress', name: ifname, address: given.address },
      { op: 'ensureRoute', destination: `${gateway}/${bits}`, dev: ifname, scope: 'link' },
    ],
    subnet: (ifname) =>
      isHost
        ? []
        : [
            { op: 'removeRoute', destination: subnet, dev: ifname },
            { op: 'ensureRoute', destination: subnet, gateway, dev: ifname },
          ],
  };
}
