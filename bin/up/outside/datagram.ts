/** Datagrams of UDP in packets of IPv4 and IPv6, and what is said of those that go nowhere (RFC 768, 792, 1071, 4443). Pure. */
import { bytesOfIp, formatIp, ipOfBytes, parseIp, type IpFamily } from '#base/ip.ts';

export interface Datagram {
  readonly family: IpFamily;
  readonly source: string;
  readonly sourcePort: number;
  readonly target: string;
  readonly targetPort: number;
  readonly payload: Buffer;
}

/** What a packet is to whoever carries datagrams. */
export type Packet =
  | { readonly kind: 'datagram'; readonly datagram: Datagram }
  /** To be refused. */
  | { readonly kind: 'other'; readonly family: IpFamily }
  /** Broken, or what nobody is told about: an error, a part, a packet for a group. */
  | { readonly kind: 'none' };

const none: Packet = { kind: 'none' };
const [udp, icmp, icmpv6] = [17, 1, 58];
const [ipv4Bytes, ipv6Bytes, udpBytes, icmpBytes] = [20, 40, 8, 8];
const timeToLive = 64;
/** Of a packet that is refused so much is said again: RFC 1812 4.3.2.3, RFC 4443 2.4. */
const quotedMax: Readonly<Record<IpFamily, number>> = { 4: 548, 6: 1232 };
/** Longer ones of IPv6 no router takes apart. */
export const payloadMax: Readonly<Record<IpFamily, number>> = { 4: 65_507, 6: 1452 };

export function decodePacket(packet: Buffer): Packet {
  const version = (packet[0] ?? 0) >> 4;
  if (version === 4) return decodeIpv4(packet);
  return version === 6 ? decodeIpv6(packet) : none;
}

function decodeIpv4(packet: Buffer): Packet {
  const header = ((packet[0] ?? 0) & 0xf) * 4;
  if (packet.length < ipv4Bytes || header < ipv4Bytes || packet.length < header) return none;
  const length = packet.readUInt16BE(2);
  const isPart = (packet.readUInt16BE(6) & 0x3fff) !== 0;
  if (length < header || length > packet.length || isPart) return none;
  const body = packet.subarray(header, length);
  const protocol = packet[9];
  if ((packet[16] ?? 0) >= 224) return none;
  if (protocol === icmp && body[0] !== 8) return none; // Of an error none is told.
  return protocol === udp ? datagramOf(4, packet.subarray(12, 20), body) : { kind: 'other', family: 4 };
}

function decodeIpv6(packet: Buffer): Packet {
  if (packet.length < ipv6Bytes) return none;
  const length = packet.readUInt16BE(4);
  if (packet.length < ipv6Bytes + length || packet[24] === 0xff) return none;
  const body = packet.subarray(ipv6Bytes, ipv6Bytes + length);
  const protocol = packet[6];
  if (protocol === icmpv6 && body[0] !== 128) return none;
  return protocol === udp ? datagramOf(6, packet.subarray(8, 40), body) : { kind: 'other', family: 6 };
}

function datagramOf(family: IpFamily, addresses: Buffer, body: Buffer): Packet {
  if (body.length < udpBytes) return none;
  const length = body.readUInt16BE(4);
  if (length < udpBytes || length > body.length) return none;
  const half = addresses.length / 2;
  const datagram: Datagram = {
    family,
    source: textOf(addresses.subarray(0, half)),
    sourcePort: body.readUInt16BE(0),
    target: textOf(addresses.subarray(half)),
    targetPort: body.readUInt16BE(2),
    payload: body.subarray(udpBytes, length),
  };
  // Port 0 is nobody's: no answer can come to it, and nobody can be asked at it.
  return datagram.sourcePort === 0 || datagram.targetPort === 0 ? none : { kind: 'datagram', datagram };
}

export function encodeDatagram({
  family,
  source,
  sourcePort,
  target,
  targetPort,
  payload,
}: Datagram): Buffer {
  const ends = { source: bytesOf(source), target: bytesOf(target) };
  const body = Buffer.alloc(udpBytes + payload.length);
  body.writeUInt16BE(sourcePort, 0);
  body.writeUInt16BE(targetPort, 2);
  body.writeUInt16BE(body.length, 4);
  payload.copy(body, udpBytes);
  body.writeUInt16BE(checksum([pseudoHeader(ends, udp, body.length), body]) || 0xffff, 6);
  return wrap(family, { ...ends, protocol: udp, body });
}

/** `port`: nobody is there. `prohibited`: this way carries no such packets. */
export type Refusal = 'port' | 'prohibited';

const refusals = {
  4: { port: [3, 3], prohibited: [3, 13] },
  6: { port: [1, 4], prohibited: [1, 1] },
} as const;

/** What the sender of a packet is told, by whom it was for. */
export function encodeRefusal(packet: Buffer, family: IpFamily, why: Refusal): Buffer {
  const [from, to] =
    family === 4
      ? [packet.subarray(16, 20), packet.subarray(12, 16)]
      : [packet.subarray(24, 40), packet.subarray(8, 24)];
  const quoted = packet.subarray(0, quotedMax[family]);
  const body = Buffer.alloc(icmpBytes + quoted.length);
  body.set(refusals[family][why], 0);
  quoted.copy(body, icmpBytes);
  const ends = { source: from, target: to };
  const protocol = family === 4 ? icmp : icmpv6;
  const pseudo = family === 4 ? [] : [pseudoHeader(ends, protocol, body.length)];
  body.writeUInt16BE(checksum([...pseudo, body]), 2);
  return wrap(family, { ...ends, protocol, body });
}

interface Ends {
  readonly source: Uint8Array;
  readonly target: Uint8Array;
}

function wrap(
  family: IpFamily,
  { source, target, protocol, body }: Ends & { readonly protocol: number; readonly body: Buffer },
): Buffer {
  if (family === 6) {
    const header = Buffer.alloc(ipv6Bytes);
    header[0] = 0x60;
    header.writeUInt16BE(body.length, 4);
    header.set([protocol, timeToLive], 6);
    header.set(source, 8);
    header.set(target, 24);
    return Buffer.concat([header, body]);
  }
  const header = Buffer.alloc(ipv4Bytes);
  header[0] = 0x45;
  header.writeUInt16BE(ipv4Bytes + body.length, 2);
  header.set([timeToLive, protocol], 8);
  header.set(source, 12);
  header.set(target, 16);
  header.writeUInt16BE(checksum([header]), 10);
  return Buffer.concat([header, body]);
}

function pseudoHeader({ source, target }: Ends, protocol: number, length: number): Buffer {
  const tail = Buffer.alloc(8);
  tail.writeUInt32BE(length, 0);
  tail[7] = protocol;
  return Buffer.concat([source, target, tail]);
}

/** Each part but the last of an even length (RFC 1071). */
function checksum(parts: readonly Buffer[]): number {
  let sum = 0;
  for (const part of parts)
    for (let i = 0; i < part.length; i += 2) sum += (part[i] ?? 0) * 256 + (part[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x1_0000);
  return ~sum & 0xffff;
}

function bytesOf(text: string): Uint8Array {
  const ip = parseIp(text);
  return ip === undefined ? new Uint8Array(4) : bytesOfIp(ip);
}

function textOf(bytes: Uint8Array): string {
  const ip = ipOfBytes(bytes);
  return ip === undefined ? '' : formatIp(ip);
}
