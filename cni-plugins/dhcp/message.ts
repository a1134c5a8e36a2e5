/** Messages of DHCP for IPv4 (RFC 2131, options of RFC 2132, long ones of RFC 3396). Pure. */
import { formatIp, ipOfBytes, parseIp, writeIpText } from '#base/ip.ts';
import { PodwrightError } from '#base/errors.ts';

/** Option 53 (RFC 2132 section 9.6). */
const messageTypes = { DISCOVER: 1, OFFER: 2, REQUEST: 3, DECLINE: 4, ACK: 5, NAK: 6, RELEASE: 7 } as const;

export type DhcpType = keyof typeof messageTypes;

/** Codes of options (RFC 2132; 119: RFC 3397; 121: RFC 3442). */
export const dhcpOption = {
  subnetMask: 1,
  routers: 3,
  nameServers: 6,
  hostName: 12,
  domainName: 15,
  interfaceMtu: 26,
  staticRoutes: 33,
  requestedAddress: 50,
  leaseSeconds: 51,
  overload: 52,
  messageType: 53,
  serverIdentifier: 54,
  parameterList: 55,
  message: 56,
  renewSeconds: 58,
  rebindSeconds: 59,
  vendorClass: 60,
  clientIdentifier: 61,
  userClass: 77,
  classlessRoutes: 121,
} as const;

export interface DhcpMessage {
  readonly from: 'client' | 'server';
  readonly type: DhcpType;
  /** One of a client's questions; the answers have it. */
  readonly transaction: number; // 32 bits
  /** Since the client began. */
  readonly seconds: number; // 16 bits
  /** The answer is to be sent to all: the client has no address yet that it could be reached at. */
  readonly isBroadcast: boolean;
  readonly clientAddress: string; // ciaddr; 0.0.0.0: none
  readonly yourAddress: string; // yiaddr
  readonly mac: string; // chaddr, of Ethernet
  readonly options: ReadonlyMap<number, Uint8Array>;
}

/** Offsets of RFC 2131 figure 1. */
const at = { op: 0, hardwareType: 1, hardwareLength: 2, xid: 4, secs: 8, flags: 10 } as const;
const addresses = { ciaddr: 12, yiaddr: 16 } as const;
const hardwareAddress = { at: 28, bytes: 6 } as const;
const sname = { at: 44, bytes: 64 } as const;
const file = { at: 108, bytes: 128 } as const;
const cookieAt = 236;
const optionsAt = 240;
const magicCookie = 0x6382_5363;
const ethernet = 1;
const broadcastFlag = 0x8000;
const [padOption, endOption] = [0, 255];
/** What relays of BOOTP (RFC 951) take for a whole message. */
const bytesMin = 300;

/** @throws {E_INVALID} for an address that is none */
export function encodeDhcp(message: DhcpMessage): Buffer {
  const header = Buffer.alloc(optionsAt);
  header[at.op] = message.from === 'client' ? 1 : 2;
  header[at.hardwareType] = ethernet;
  header[at.hardwareLength] = hardwareAddress.bytes;
  header.writeUInt32BE(message.transaction >>> 0, at.xid);
  header.writeUInt16BE(Math.min(message.seconds, 0xffff), at.secs);
  header.writeUInt16BE(message.isBroadcast ? broadcastFlag : 0, at.flags);
  header.set(addressBytes(message.clientAddress), addresses.ciaddr);
  header.set(addressBytes(message.yourAddress), addresses.yiaddr);
  header.write(message.mac.replaceAll(':', ''), hardwareAddress.at, 'hex');
  header.writeUInt32BE(magicCookie, cookieAt);
  const options = [
    [dhcpOption.messageType, Buffer.of(messageTypes[message.type])] as const,
    ...message.options,
  ];
  const parts = options.flatMap(([code, value]) => encodeOption(code, value));
  const whole = Buffer.concat([header, ...parts, Buffer.of(endOption)]);
  return whole.length >= bytesMin ? whole : Buffer.concat([whole, Buffer.alloc(bytesMin - whole.length)]);
}

/** More than 255 bytes are several of the same code. */
function encodeOption(code: number, value: Uint8Array): readonly Uint8Array[] {
  const parts: Uint8Array[] = [];
  for (let from = 0; from === 0 || from < value.length; from += 255) {
    const part = value.subarray(from, from + 255);
    parts.push(Buffer.of(code, part.length), part);
  }
  return parts;
}

/** Undefined: it is no whole message of DHCP over Ethernet. */
export function decodeDhcp(bytes: Uint8Array): DhcpMessage | undefined {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  if (buffer.length < optionsAt || buffer.readUInt32BE(cookieAt) !== magicCookie) return undefined;
  const op = buffer[at.op];
  if (op !== 1 && op !== 2) return undefined;
  if (buffer[at.hardwareType] !== ethernet || buffer[at.hardwareLength] !== hardwareAddress.bytes)
    return undefined;
  const options = decodeOptions(buffer);
  const [code] = options?.get(dhcpOption.messageType) ?? [];
  const type = typeOf(code);
  if (options === undefined || type === undefined) return undefined;
  options.delete(dhcpOption.messageType);
  return {
    from: op === 1 ? 'client' : 'server',
    type,
    transaction: buffer.readUInt32BE(at.xid),
    seconds: buffer.readUInt16BE(at.secs),
    isBroadcast: (buffer.readUInt16BE(at.flags) & broadcastFlag) !== 0,
    clientAddress: addressOf(buffer, addresses.ciaddr),
    yourAddress: addressOf(buffer, addresses.yiaddr),
    mac: macText(buffer.subarray(hardwareAddress.at, hardwareAddress.at + hardwareAddress.bytes)),
    options,
  };
}

/** Also those in the fields for the names of server and file, where option 52 says so (RFC 2131 section 4.1). */
function decodeOptions(buffer: Buffer): Map<number, Uint8Array> | undefined {
  const found = new Map<number, Uint8Array>();
  if (!readOptions(buffer.subarray(optionsAt), found)) return undefined;
  const overload = found.get(dhcpOption.overload)?.[0] ?? 0;
  found.delete(dhcpOption.overload);
  for (const [bit, place] of [[1, file] as const, [2, sname] as const]) {
    if ((overload & bit) === 0) continue;
    if (!readOptions(buffer.subarray(place.at, place.at + place.bytes), found)) return undefined;
  }
  return found;
}

/** Whether each option is whole. */
function readOptions(bytes: Buffer, into: Map<number, Uint8Array>): boolean {
  let offset = 0;
  while (offset < bytes.length) {
    const code = bytes[offset] ?? endOption;
    if (code === endOption) return true;
    offset++;
    if (code === padOption) continue;
    const length = bytes[offset];
    if (length === undefined || offset + 1 + length > bytes.length) return false;
    const value = bytes.subarray(offset + 1, offset + 1 + length);
    const earlier = into.get(code);
    into.set(code, earlier === undefined ? value : Buffer.concat([earlier, value]));
    offset += 1 + length;
  }
  return true; // Some servers leave the end out.
}

function typeOf(code: number | undefined): DhcpType | undefined {
  for (const [name, number] of Object.entries(messageTypes)) {
    if (number === code) return name as DhcpType; // A key of the table.
  }
  return undefined;
}

export function macText(bytes: Uint8Array): string {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join(':');
}

/** The 4 bytes of an address. @throws {E_INVALID} */
export function addressBytes(text: string): Buffer {
  const bytes = Buffer.alloc(4);
  if (writeIpText(4, text, bytes, 0)) return bytes;
  throw new PodwrightError('E_INVALID', `encode DHCP message: ${JSON.stringify(text)} is no IPv4 address`);
}

function addressOf(buffer: Buffer, offset: number): string {
  return addressesOf(buffer.subarray(offset, offset + 4))[0] ?? '0.0.0.0';
}

/** As many as are whole. */
export function addressesOf(value: Uint8Array): readonly string[] {
  return Array.from({ length: Math.floor(value.length / 4) }, (_, i) =>
    ipOfBytes(value.subarray(i * 4, i * 4 + 4)),
  ).flatMap((ip) => (ip === undefined ? [] : [formatIp(ip)]));
}

/** 32 bits of an option; undefined where it is not there or has another length. */
export function uint32Of(value: Uint8Array | undefined): number | undefined {
  if (value?.length !== 4) return undefined;
  return new DataView(value.buffer, value.byteOffset, 4).getUint32(0);
}

export function uint32Bytes(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
}

export const isAddress = (text: string): boolean => parseIp(text)?.family === 4 && text !== '0.0.0.0';
