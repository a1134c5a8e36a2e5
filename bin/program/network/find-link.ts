import { PodwrightError } from '#base/errors.ts';
import { familyOfIp, type IpFamily } from '#base/ip.ts';
import { ofFamily } from '#agent/network/cluster-network.ts';
import type { AnnouncerLink } from '#native/neighbour/announcer.ts';
import { ownNetns, type Netlink } from '#native/netlink/netlink.ts';

/** That which has the host's own address. @throws E_NOT_FOUND; E_UNSUPPORTED for one without Ethernet */
export async function findLink(
  netlink: Pick<Netlink, 'state'>,
  nodeIps: readonly string[],
): Promise<AnnouncerLink> {
  const { links, addresses } = await netlink.state(ownNetns);
  const at = addresses.find(({ address }) => nodeIps.includes(address.split('/')[0] ?? ''));
  const link = links.find(({ index }) => index === at?.linkIndex);
  if (link === undefined) throw new PodwrightError('E_NOT_FOUND', `find the link of ${nodeIps.join(', ')}`);
  const { index, mac, name } = link;
  if (mac === undefined || mac.length !== '00:00:00:00:00:00'.length)
    throw new PodwrightError('E_UNSUPPORTED', `announce addresses on ${name}: it is no Ethernet`);
  const ipOf = (family: IpFamily): object => {
    const [ip] = ofFamily(nodeIps, family);
    return ip === undefined || familyOfIp(ip) === undefined ? {} : { [family]: ip };
  };
  return { index, mac, ips: { ...ipOf(4), ...ipOf(6) } };
}
