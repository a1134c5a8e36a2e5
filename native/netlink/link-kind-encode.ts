/** What a kind of link has besides what all links have: IFLA_INFO_DATA (linux/if_link.h, linux/veth.h). Pure. */
import { unreachable } from '#base/unreachable.ts';
import { AF_INET6 } from '#native/sys/constants.ts';
import { parseAddress } from './address.ts';
import type { MessageWriter } from './codec.ts';
import * as nl from './netlink-constants.ts';
import type { IpvlanMode, LinkKind, MacvlanMode, NetnsRef } from './netlink.ts';
import { linkHeader } from './rtnetlink-headers.ts';

interface Settings {
  readonly name: string;
  readonly mtu?: number;
  readonly mac?: string;
}

interface NewLink extends Settings {
  readonly link: LinkKind;
  /** Writes the settings of the other end. */
  readonly writePeer: (writer: MessageWriter, peer: Settings) => void;
}

interface Numbers {
  linkIndex(name: string): number;
  netnsFd(netns: NetnsRef): number;
}

export const macvlanModes: Readonly<Record<MacvlanMode, number>> = {
  private: nl.MACVLAN_MODE_PRIVATE,
  vepa: nl.MACVLAN_MODE_VEPA,
  bridge: nl.MACVLAN_MODE_BRIDGE,
  passthru: nl.MACVLAN_MODE_PASSTHRU,
};

export const ipvlanModes: Readonly<Record<IpvlanMode, number>> = {
  l2: nl.IPVLAN_MODE_L2,
  l3: nl.IPVLAN_MODE_L3,
  l3s: nl.IPVLAN_MODE_L3S,
};

/** The link of which the new one is a part, told by IFLA_LINK. */
export function lowerLinkOf(link: LinkKind): string | undefined {
  return link.kind === 'macvlan' || link.kind === 'ipvlan' || link.kind === 'vlan' ? link.dev : undefined;
}

export function writeKindData(writer: MessageWriter, { link, ...op }: NewLink, numbers: Numbers): void {
  const data = (inside: () => void): void => void writer.nested(nl.IFLA_INFO_DATA, inside);
  switch (link.kind) {
    case 'bridge':
    case 'dummy':
    case 'ifb':
    case 'wireguard':
      return;
    case 'veth':
      data(() =>
        writer.nested(nl.VETH_INFO_PEER, () => {
          writer.raw(linkHeader({}));
          // The kernel gives each end its own default MTU: both get ours.
          op.writePeer(writer, {
            name: link.peerName,
            ...(op.mtu !== undefined && { mtu: op.mtu }),
            ...(link.peerMac !== undefined && { mac: link.peerMac }),
          });
          if (link.peerNetns !== undefined) writer.u32(nl.IFLA_NET_NS_FD, numbers.netnsFd(link.peerNetns));
        }),
      );
      return;
    case 'vxlan':
      data(() => {
        const local = parseAddress(link.local);
        const localType = local.family === AF_INET6 ? nl.IFLA_VXLAN_LOCAL6 : nl.IFLA_VXLAN_LOCAL;
        writer.u32(nl.IFLA_VXLAN_ID, link.vni);
        if (link.dev !== undefined) writer.u32(nl.IFLA_VXLAN_LINK, numbers.linkIndex(link.dev));
        writer.attribute(localType, local.bytes);
        writer.u16Be(nl.IFLA_VXLAN_PORT, link.port);
        if (link.isLearning !== undefined) writer.u8(nl.IFLA_VXLAN_LEARNING, Number(link.isLearning));
        if (link.hasChecksum !== undefined) writer.u8(nl.IFLA_VXLAN_UDP_CSUM, Number(link.hasChecksum));
      });
      return;
    case 'macvlan':
      return data(() => {
        writer.u32(nl.IFLA_MACVLAN_MODE, macvlanModes[link.mode]);
        const { broadcastQueueLength } = link;
        if (broadcastQueueLength !== undefined)
          writer.u32(nl.IFLA_MACVLAN_BC_QUEUE_LEN, broadcastQueueLength);
      });
    case 'ipvlan':
      return data(() => writer.attribute(nl.IFLA_IPVLAN_MODE, uint16(ipvlanModes[link.mode])));
    case 'vlan':
      return data(() => writer.attribute(nl.IFLA_VLAN_ID, uint16(link.id)));
    case 'vrf':
      return data(() => writer.u32(nl.IFLA_VRF_TABLE, link.table));
    default:
      unreachable(link);
  }
}

function uint16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16LE(value);
  return bytes;
}
