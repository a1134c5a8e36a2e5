/** CHECK: what a container's namespace has against what ADD said. Pure. */
import type { CniResult } from '#api/cni/result.ts';
import type { LinkInfo, NetworkState } from '#native/netlink/netlink.ts';

/** Differences, in words; none if all is as it was made. */
export function compareContainer(ifname: string, wanted: CniResult, state: NetworkState): readonly string[] {
  const link = state.links.find((item) => item.name === ifname);
  if (link === undefined) return [`${ifname} is missing`];
  const own = wanted.interfaces.findIndex((item) => item.name === ifname && item.sandbox !== undefined);
  const addresses = new Set(
    state.addresses.filter((item) => item.linkIndex === link.index).map((item) => item.address),
  );
  const ips = wanted.ips.filter((ip) => ip.interface === own || ip.interface === undefined);
  const destinations = new Set(state.routes.map((route) => route.destination));
  return [
    ...(link.isUp ? [] : [`${ifname} is down`]),
    ...compareMac(link, wanted.interfaces[own]?.mac),
    ...ips.filter((ip) => !addresses.has(ip.address)).map((ip) => `${ip.address} is missing`),
    ...wanted.routes
      .filter(({ table }) => table === undefined)
      .map((route) => (route.dst === '0.0.0.0/0' || route.dst === '::/0' ? 'default' : route.dst))
      .filter((destination) => !destinations.has(destination))
      .map((destination) => `route to ${destination} is missing`),
  ];
}

/** Of a link of another kind nothing else can be said. */
export function compareKind({ name, kind }: LinkInfo, wanted: string | undefined): readonly string[] {
  if (wanted === undefined || kind === wanted) return [];
  return [`${name} is a ${kind ?? 'physical link'}, not a ${wanted}`];
}

function compareMac(link: LinkInfo, wanted: string | undefined): readonly string[] {
  if (wanted === undefined || wanted === '' || link.mac === wanted.toLowerCase()) return [];
  return [`${link.name} has the hardware address ${link.mac ?? 'none'}, not ${wanted}`];
}
