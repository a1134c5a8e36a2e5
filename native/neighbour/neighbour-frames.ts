/**
 * Who has an address of a link: ARP over Ethernet (RFC 826, announcements of RFC 5227) and Neighbor Discovery (RFC 4861), as whole
 * frames. Pure.
 */
import { bytesOfIp, formatIp, ipOfBytes, parseIp, type IpFamily } from '#base/ip.ts';
import { PodwrightError } from '#base/errors.ts';

/** What a frame says. */
export interface NeighbourMessage {
  readonly family: IpFamily;
  /** Of who says it. */
  readonly mac: string;
  /** The address that it says it has. */
  readonly claims?: string;
  /** The address whose holder it wants to know. */
  readonly asks?: string;
  /** Where the answer goes; absent: it has no address yet. */
  readonly from?: string;
}

/** Who speaks, and as whom. */
export interface OwnLink {
  readonly mac: string;
  /** Absent: asks as one who has no address yet (RFC 5227 2.1.1). */
  readonly ip?: string;
}

export const etherTypes: Readonly<Record<IpFamily, number>> = { 4: 0x0806, 6: 0x86dd };

const broadcast = 'ff:ff:ff:ff:ff:ff';
const [ethernetBytes, arpBytes, ipv6Bytes] = [14, 28, 40];
/** Both messages: type, code, checksum, four bytes of flags, the target. */
const neighbourBytes = 24;
/** An option of one address of Ethernet. */
const optionBytes = 8;
const arpHead = Buffer.from('0001080006040001', 'hex');
const [arpAsk, arpTell] = [1, 2];
const [icmpv6, solicitation, advertisement] = [58, 135, 136];
const [sourceLinkOption, targetLinkOption] = [1, 2];
/** Whoever is further away than the link cannot send it. */
const hopLimit = 255;
const [solicitedFlag, overrideFlag] = [0x40, 0x20];
const allNodes = 'ff02::1';

/** A frame that asks all of the link, or one, who has the address. @throws E_INVALID for what is no address */
export function encodeAsk(address: string, own: OwnLink, toMac?: string): Buffer {
  const target = bytesOf(address);
  if (target.length === 4) {
    const sender = own.ip === undefined ? new Uint8Array(4) : bytesOf(own.ip);
    return arpFrame(arpAsk, { mac: own.mac, ip: sender }, { mac: toMac ?? broadcast, ip: target });
  }
  const group = solicitedNode(target);
  const source = own.ip === undefined ? new Uint8Array(16) : bytesOf(own.ip);
  // RFC 4861 4.3: who has no address says no link address either.
  const option = own.ip === undefined ? undefined : { kind: sourceLinkOption, mac: own.mac };
  return neighbourFrame(
    { type: solicitation, flags: 0, target, option },
    { mac: own.mac, ip: source },
    toMac === undefined ? { mac: groupMac(group), ip: group } : { mac: toMac, ip: target },
  );
}

/** The frame that answers who asked. */
export function encodeAnswer(address: string, mac: string, asker: NeighbourMessage): Buffer {
  const own = { mac, ip: bytesOf(address) };
  if (asker.family === 4) {
    const ip = asker.from === undefined ? new Uint8Array(4) : bytesOf(asker.from);
    return arpFrame(arpTell, own, { mac: asker.mac, ip });
  }
  return asker.from === undefined
    ? advertise(own)
    : advertise(own, { mac: asker.mac, ip: bytesOf(asker.from) });
}

/** Frames by which all of the link hear that the address is here from now on: who keeps it in a table writes it anew. */
export function encodeAnnouncements(address: string, mac: string): readonly Buffer[] {
  const own = { mac, ip: bytesOf(address) };
  if (own.ip.length === 16) return [advertise(own)];
  // Some take the one, some the other (RFC 5227 3).
  return [arpAsk, arpTell].map((kind) => arpFrame(kind, own, { mac: broadcast, ip: own.ip }));
}

/** Undefined: it is neither question nor claim, or it is broken. */
export function decodeNeighbourMessage(frame: Buffer): NeighbourMessage | undefined {
  if (frame.length < ethernetBytes) return undefined;
  const mac = macText(frame, 6);
  const type = frame.readUInt16BE(12);
  if (type === etherTypes[4]) return decodeArp(frame.subarray(ethernetBytes));
  return type === etherTypes[6] ? decodeNeighbour(frame.subarray(ethernetBytes), mac) : undefined;
}

/** The group that whoever asks for an address of IPv6 asks (RFC 4291 2.7.1). */
export function solicitedNode(address: Uint8Array): Uint8Array {
  const group = Buffer.from('ff0200000000000000000001ff000000', 'hex');
  group.set(address.subarray(13), 13);
  return group;
}

interface End {
  readonly mac: string;
  readonly ip: Uint8Array;
}

function arpFrame(kind: number, from: End, to: End): Buffer {
  const frame = ethernet(from.mac, to.mac, 4, arpBytes);
  const arp = frame.subarray(ethernetBytes);
  arp.set(arpHead);
  arp.writeUInt16BE(kind, 6);
  arp.write(hexOf(from.mac), 8, 'hex');
  arp.set(from.ip, 14);
  // Of whom is asked nothing is known.
  if (kind === arpTell) arp.write(hexOf(to.mac), 18, 'hex');
  arp.set(to.ip, 24);
  return frame;
}

function advertise(own: End, to?: End): Buffer {
  const group = bytesOf(allNodes);
  return neighbourFrame(
    {
      type: advertisement,
      flags: overrideFlag | (to === undefined ? 0 : solicitedFlag),
      target: own.ip,
      option: { kind: targetLinkOption, mac: own.mac },
    },
    own,
    to ?? { mac: groupMac(group), ip: group },
  );
}

interface Neighbour {
  readonly type: number;
  readonly flags: number;
  readonly target: Uint8Array;
  readonly option: { readonly kind: number; readonly mac: string } | undefined;
}

function neighbourFrame({ type, flags, target, option }: Neighbour, from: End, to: End): Buffer {
  const length = neighbourBytes + (option === undefined ? 0 : optionBytes);
  const frame = ethernet(from.mac, to.mac, 6, ipv6Bytes + length);
  const ip = frame.subarray(ethernetBytes);
  ip[0] = 0x60;
  ip.writeUInt16BE(length, 4);
  ip[6] = icmpv6;
  ip[7] = hopLimit;
  ip.set(from.ip, 8);
  ip.set(to.ip, 24);
  const body = ip.subarray(ipv6Bytes);
  body[0] = type;
  body[4] = flags;
  body.set(target, 8);
  if (option !== undefined) {
    body[neighbourBytes] = option.kind;
    body[neighbourBytes + 1] = 1; // In words of eight bytes.
    body.write(hexOf(option.mac), neighbourBytes + 2, 'hex');
  }
  body.writeUInt16BE(checksumOf(ip), 2);
  return frame;
}

function ethernet(from: string, to: string, family: IpFamily, bytes: number): Buffer {
  const frame = Buffer.alloc(ethernetBytes + bytes);
  frame.write(hexOf(to), 0, 'hex');
  frame.write(hexOf(from), 6, 'hex');
  frame.writeUInt16BE(etherTypes[family], 12);
  return frame;
}

function decodeArp(arp: Buffer): NeighbourMessage | undefined {
  if (arp.length < arpBytes || arp.compare(arpHead, 0, 6, 0, 6) !== 0) return undefined;
  const kind = arp.readUInt16BE(6);
  if (kind !== arpAsk && kind !== arpTell) return undefined;
  const [sender, target] = [textOf(arp.subarray(14, 18)), textOf(arp.subarray(24, 28))];
  const isKnown = sender !== '0.0.0.0';
  const isQuestion = kind === arpAsk && sender !== target;
  return {
    family: 4,
    mac: macText(arp, 8),
    ...(isKnown ? { claims: sender, from: sender } : {}),
    ...(isQuestion ? { asks: target } : {}),
  };
}

function decodeNeighbour(ip: Buffer, mac: string): NeighbourMessage | undefined {
  if (ip.length < ipv6Bytes + neighbourBytes || ip[6] !== icmpv6 || ip[7] !== hopLimit) return undefined;
  const length = ip.readUInt16BE(4);
  if (length < neighbourBytes || ip.length < ipv6Bytes + length) return undefined;
  const whole = ip.subarray(0, ipv6Bytes + length);
  const body = whole.subarray(ipv6Bytes);
  if (body[1] !== 0 || checksumOf(whole) !== body.readUInt16BE(2)) return undefined;
  const [source, target] = [textOf(whole.subarray(8, 24)), textOf(body.subarray(8, 24))];
  if (body[0] === advertisement) return { family: 6, mac, claims: target };
  if (body[0] !== solicitation) return undefined;
  return { family: 6, mac, asks: target, ...(source === '::' ? {} : { from: source }) };
}

/** Of what ICMPv6 says in a packet, whose own field counts as zero (RFC 4443 2.3). */
function checksumOf(ip: Buffer): number {
  const body = ip.subarray(ipv6Bytes);
  let sum = body.length + icmpv6 - (body[2] ?? 0) * 256 - (body[3] ?? 0);
  for (let i = 8; i < ip.length; i += 2) sum += (ip[i] ?? 0) * 256 + (ip[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x1_0000);
  return ~sum & 0xffff;
}

/** @throws E_INVALID */
function bytesOf(text: string): Uint8Array {
  const ip = parseIp(text);
  if (ip === undefined) throw new PodwrightError('E_INVALID', `announce ${text}: not an address`);
  return bytesOfIp(ip);
}

function textOf(bytes: Uint8Array): string {
  const ip = ipOfBytes(bytes);
  return ip === undefined ? '' : formatIp(ip);
}

const groupMac = (group: Uint8Array): string =>
  ['33', '33', ...Array.from(group.subarray(12), (byte) => byte.toString(16).padStart(2, '0'))].join(':');

const hexOf = (mac: string): string => mac.replaceAll(':', '');

const macText = (bytes: Buffer, at: number): string =>
  Array.from(bytes.subarray(at, at + 6), (byte) => byte.toString(16).padStart(2, '0')).join(':');
