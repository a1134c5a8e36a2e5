/** Requests and replies of WireGuard's generic netlink family (linux/wireguard.h) as bytes. Pure. */
import { PodwrightError } from '#base/errors.ts';
import { formatAddress, maskPrefix, parsePrefix } from '#native/netlink/address.ts';
import {
  MessageWriter,
  type NetlinkMessage,
  parseAttributeList,
  parseAttributes,
} from '#native/netlink/codec.ts';
import { NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST } from '#native/netlink/netlink-constants.ts';
import { AF_INET, AF_INET6 } from '#native/sys/constants.ts';
import { encodeSocketAddress } from '#native/sys/inet-socket.ts';
import type { WireGuardChange, WireGuardDevice, WireGuardPeer, WireGuardPeerChange } from './wireguard.ts';
import * as wg from './wireguard-constants.ts';

/** struct genlmsghdr: command, version, two bytes of nothing. */
const genlmsghdrBytes = 4;

/** A list of peers is an attribute, whose length has 16 bits: so many go in one request, with a few networks each. */
export const peersPerRequest = 100;

/** Which number a family has on this kernel. */
export function encodeGetFamily(name: string, sequence: number): Buffer {
  return begin(
    wg.GENL_ID_CTRL,
    { command: wg.CTRL_CMD_GETFAMILY, version: 1, flags: NLM_F_REQUEST },
    sequence,
  )
    .text(wg.CTRL_ATTR_FAMILY_NAME, name)
    .finish()
    .bytes();
}

export function decodeFamily(message: NetlinkMessage): number | undefined {
  const id = parseAttributes(message.payload, genlmsghdrBytes).get(wg.CTRL_ATTR_FAMILY_ID);
  return id === undefined || id.length < 2 ? undefined : id.readUInt16LE(0);
}

export function encodeGetDevice(family: number, name: string, sequence: number): Buffer {
  const flags = NLM_F_REQUEST | NLM_F_DUMP;
  return begin(family, { command: wg.WG_CMD_GET_DEVICE, version: wg.WG_GENL_VERSION, flags }, sequence)
    .text(wg.WGDEVICE_A_IFNAME, name)
    .finish()
    .bytes();
}

/** At most `peersPerRequest` peers. */
export function encodeSetDevice(
  family: number,
  name: string,
  { privateKey, listenPort, peers }: WireGuardChange,
  sequence: number,
): Buffer {
  const flags = NLM_F_REQUEST | NLM_F_ACK;
  const writer = begin(
    family,
    { command: wg.WG_CMD_SET_DEVICE, version: wg.WG_GENL_VERSION, flags },
    sequence,
  );
  writer.text(wg.WGDEVICE_A_IFNAME, name);
  if (privateKey !== undefined) writer.attribute(wg.WGDEVICE_A_PRIVATE_KEY, keyBytes(privateKey));
  if (listenPort !== undefined) writer.attribute(wg.WGDEVICE_A_LISTEN_PORT, uint16(listenPort));
  if (peers.length > 0)
    writer.nested(wg.WGDEVICE_A_PEERS, (list) => {
      for (const peer of peers) list.nested(0, (inside) => writePeer(inside, peer));
    });
  return writer.finish().bytes();
}

function writePeer(
  writer: MessageWriter,
  { publicKey, isRemoved, endpoint, allowedIps }: WireGuardPeerChange,
): void {
  writer.attribute(wg.WGPEER_A_PUBLIC_KEY, keyBytes(publicKey));
  if (isRemoved === true) {
    writer.u32(wg.WGPEER_A_FLAGS, wg.WGPEER_F_REMOVE_ME);
    return;
  }
  if (allowedIps !== undefined) writer.u32(wg.WGPEER_A_FLAGS, wg.WGPEER_F_REPLACE_ALLOWEDIPS);
  if (endpoint !== undefined) writer.attribute(wg.WGPEER_A_ENDPOINT, encodeSocketAddress(endpoint));
  if (allowedIps === undefined || allowedIps.length === 0) return;
  writer.nested(wg.WGPEER_A_ALLOWEDIPS, (list) => {
    for (const text of allowedIps) {
      const { family, bytes, length } = maskPrefix(parsePrefix(text));
      list.nested(0, (inside) =>
        inside
          .attribute(wg.WGALLOWEDIP_A_FAMILY, uint16(family))
          .attribute(wg.WGALLOWEDIP_A_IPADDR, bytes)
          .u8(wg.WGALLOWEDIP_A_CIDR_MASK, length),
      );
    }
  });
}

/** A device of several messages: a peer whose networks did not go into one is begun again in the next. */
export function decodeDevice(messages: readonly NetlinkMessage[]): WireGuardDevice {
  let publicKey: string | undefined;
  let listenPort = 0;
  const peers = new Map<string, WireGuardPeer>();
  for (const { payload } of messages) {
    const attributes = parseAttributes(payload, genlmsghdrBytes);
    const key = attributes.get(wg.WGDEVICE_A_PUBLIC_KEY);
    const port = attributes.get(wg.WGDEVICE_A_LISTEN_PORT);
    if (key !== undefined && key.some((byte) => byte !== 0)) publicKey = key.toString('base64');
    if (port !== undefined && port.length >= 2) listenPort = port.readUInt16LE(0);
    for (const [, data] of parseAttributeList(attributes.get(wg.WGDEVICE_A_PEERS) ?? Buffer.alloc(0))) {
      const peer = decodePeer(data);
      const begun = peers.get(peer.publicKey);
      const allowedIps = [...(begun?.allowedIps ?? []), ...peer.allowedIps];
      peers.set(peer.publicKey, { ...peer, endpoint: peer.endpoint ?? begun?.endpoint, allowedIps });
    }
  }
  return { publicKey, listenPort, peers: [...peers.values()] };
}

function decodePeer(data: Buffer): WireGuardPeer {
  const attributes = parseAttributes(data);
  const key = attributes.get(wg.WGPEER_A_PUBLIC_KEY);
  if (key?.length !== wg.WG_KEY_LEN) throw new PodwrightError('E_INVALID', 'parse WireGuard peer: no key');
  return {
    publicKey: key.toString('base64'),
    endpoint: decodeEndpoint(attributes.get(wg.WGPEER_A_ENDPOINT)),
    allowedIps: parseAttributeList(attributes.get(wg.WGPEER_A_ALLOWEDIPS) ?? Buffer.alloc(0)).flatMap(
      ([, item]) => {
        const network = parseAttributes(item);
        const address = network.get(wg.WGALLOWEDIP_A_IPADDR);
        const mask = network.get(wg.WGALLOWEDIP_A_CIDR_MASK)?.[0];
        return address === undefined || mask === undefined ? [] : [`${formatAddress(address)}/${mask}`];
      },
    ),
  };
}

/** struct sockaddr_in or sockaddr_in6; a family of 0 is none. */
function decodeEndpoint(data: Buffer | undefined): WireGuardPeer['endpoint'] {
  if (data === undefined || data.length < 16) return undefined;
  const family = data.readUInt16LE(0);
  const port = data.readUInt16BE(2);
  if (family === AF_INET) return { ip: formatAddress(data.subarray(4, 8)), port };
  return family === AF_INET6 && data.length >= 24
    ? { ip: formatAddress(data.subarray(8, 24)), port }
    : undefined;
}

interface Begin {
  readonly command: number;
  readonly version: number;
  readonly flags: number;
}

function begin(type: number, { command, version, flags }: Begin, sequence: number): MessageWriter {
  return new MessageWriter(512).message(type, flags, sequence).raw(Buffer.from([command, version, 0, 0]));
}

/** @throws E_INVALID */
function keyBytes(text: string): Buffer {
  const bytes = Buffer.from(text, 'base64');
  if (bytes.length === wg.WG_KEY_LEN) return bytes;
  throw new PodwrightError(
    'E_INVALID',
    `use a WireGuard key of ${bytes.length} bytes: it has ${wg.WG_KEY_LEN}`,
  );
}

function uint16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16LE(value);
  return bytes;
}
