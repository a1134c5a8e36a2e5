/** Ethernet, IPv4 and UDP around a message of DHCP (RFC 791, RFC 768): who has no address cannot use the kernel's. Pure. */
import { addressBytes, addressesOf, macText } from './message.ts';

export const serverPort = 67;
export const clientPort = 68;
export const broadcastMac = 'ff:ff:ff:ff:ff:ff';
export const broadcastAddress = '255.255.255.255';

export interface Datagram {
  readonly sourceMac: string;
  readonly targetMac: string;
  readonly source: string; // dotted
  readonly target: string;
  readonly sourcePort: number;
  readonly targetPort: number;
  readonly payload: Uint8Array;
}

/** ETH_P_IP of linux/if_ether.h */
const etherTypeIpv4 = 0x0800;
const [ethernetBytes, ipBytes, udpBytes] = [14, 20, 8];
const protocolUdp = 17;
const timeToLive = 64;
/** Bits of the fragment field: more follow, and where this one belongs. */
const fragmentMask = 0x3fff;

export function encodeFrame(datagram: Datagram): Buffer {
  const { payload } = datagram;
  const frame = Buffer.alloc(ethernetBytes + ipBytes + udpBytes + payload.length);
  frame.write(datagram.targetMac.replaceAll(':', ''), 0, 'hex');
  frame.write(datagram.sourceMac.replaceAll(':', ''), 6, 'hex');
  frame.writeUInt16BE(etherTypeIpv4, 12);
  const ip = frame.subarray(ethernetBytes, ethernetBytes + ipBytes);
  ip[0] = 0x45; // Version 4, five words.
  ip.writeUInt16BE(ipBytes + udpBytes + payload.length, 2);
  ip[8] = timeToLive;
  ip[9] = protocolUdp;
  ip.set(addressBytes(datagram.source), 12);
  ip.set(addressBytes(datagram.target), 16);
  ip.writeUInt16BE(checksum([ip]), 10);
  const udp = frame.subarray(ethernetBytes + ipBytes);
  udp.writeUInt16BE(datagram.sourcePort, 0);
  udp.writeUInt16BE(datagram.targetPort, 2);
  udp.writeUInt16BE(udp.length, 4);
  udp.set(payload, udpBytes);
  const pseudo = Buffer.concat([ip.subarray(12, 20), Buffer.of(0, protocolUdp), udp.subarray(4, 6)]);
  udp.writeUInt16BE(checksum([pseudo, udp]) || 0xffff, 6); // Zero would mean that there is none.
  return frame;
}

/**
 * Undefined: it is no whole datagram of UDP. Its checksum is not looked at: what another link of this machine sends has none yet,
 * as that is left to hardware which it never meets.
 */
export function decodeFrame(frame: Uint8Array): Datagram | undefined {
  const buffer = Buffer.from(frame.buffer, frame.byteOffset, frame.length);
  if (buffer.length < ethernetBytes + ipBytes + udpBytes) return undefined;
  if (buffer.readUInt16BE(12) !== etherTypeIpv4) return undefined;
  const ip = buffer.subarray(ethernetBytes);
  const version = ip[0] ?? 0;
  const headerBytes = (version & 0x0f) * 4;
  const totalBytes = ip.readUInt16BE(2);
  const isFragment = (ip.readUInt16BE(6) & fragmentMask) !== 0;
  if (version >>> 4 !== 4 || headerBytes < ipBytes || isFragment || ip[9] !== protocolUdp) return undefined;
  if (totalBytes > ip.length || totalBytes < headerBytes + udpBytes) return undefined;
  const udp = ip.subarray(headerBytes, totalBytes);
  const length = udp.readUInt16BE(4);
  if (length < udpBytes || length > udp.length) return undefined;
  const [source = '', target = ''] = addressesOf(ip.subarray(12, 20));
  return {
    sourceMac: macText(buffer.subarray(6, 12)),
    targetMac: macText(buffer.subarray(0, 6)),
    source,
    target,
    sourcePort: udp.readUInt16BE(0),
    targetPort: udp.readUInt16BE(2),
    payload: udp.subarray(udpBytes, length),
  };
}

/** RFC 1071. An odd last byte is the high half of a word. */
function checksum(parts: readonly Uint8Array[]): number {
  let sum = 0;
  for (const part of parts) {
    for (let i = 0; i < part.length; i += 2) sum += ((part[i] ?? 0) << 8) | (part[i + 1] ?? 0);
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x1_0000);
  return ~sum & 0xffff;
}
