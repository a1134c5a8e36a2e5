import { PodwrightError } from '#base/errors.ts';
import type { Netlink } from '#native/netlink/netlink.ts';
import { PacketSocket } from '#native/sys/packet-socket.ts';
import type { DhcpLink } from './client.ts';

/** ETH_P_IP of linux/if_ether.h */
const etherTypeIpv4 = 0x0800;

/** A container's link, for the frames of DHCP. @throws E_NOT_FOUND where namespace or link are gone, E_UNSUPPORTED for one without Ethernet */
export async function openDhcpLink(
  netlink: Pick<Netlink, 'state'>,
  netns: string,
  ifname: string,
): Promise<DhcpLink> {
  const { links } = await netlink.state({ kind: 'path', path: netns });
  const link = links.find(({ name }) => name === ifname);
  if (link === undefined) throw new PodwrightError('E_NOT_FOUND', `find link ${ifname} of ${netns}`);
  const { mac } = link;
  if (mac === undefined || mac.length !== '00:00:00:00:00:00'.length)
    throw new PodwrightError('E_UNSUPPORTED', `ask for a lease on ${ifname}: it is no Ethernet`);
  const socket = new PacketSocket({ netns, linkIndex: link.index, etherType: etherTypeIpv4 });
  return {
    mac,
    send: (frame) => socket.send(frame),
    receiveNow: () => socket.receiveNow(),
    [Symbol.dispose]: () => socket[Symbol.dispose](),
  };
}
