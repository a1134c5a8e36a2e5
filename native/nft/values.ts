/** Values as nf_tables holds them in registers and set keys: their widths, bytes and text. Pure. */
import { PodwrightError } from '#base/errors.ts';
import { firstOf, lastOf, writeIpText } from '#base/ip.ts';
import { addressBytes, cidrOf } from '#native/netlink/address.ts';
import type { NftType, NftValue } from './nft.ts';

/** The port's types and those that only a load has. */
export type ValueType = Exclude<NftType, 'verdict'> | 'ct_state' | 'ct_status' | 'fib_addrtype' | 'tcp_flag';

interface TypeFacts {
  readonly bytes: number;
  /** nft's number for it (enum datatypes of libnftables), by which `nft list` prints a set. */
  readonly nftId: number;
  /** The name in a set's declaration. */
  readonly nftName: string;
  /** Words for numbers. */
  readonly names?: Readonly<Record<string, number>>;
  /** Several words are or-ed, and a compare asks whether any of the bits is set. */
  readonly isBitmask?: boolean;
  /** Stored in the machine's byte order, which is not that of memcmp: no intervals. */
  readonly isHostOrder?: boolean;
}

/** Protocol names as nft prints them (IANA protocol numbers). */
const protocols = { icmp: 1, tcp: 6, udp: 17, 'ipv6-icmp': 58, sctp: 132 };
/** NF_CT_STATE_BIT of linux/netfilter/nf_conntrack_common.h */
const ctStates = { invalid: 1, established: 2, related: 4, new: 8, untracked: 64 };
/** IPS_* of linux/netfilter/nf_conntrack_common.h */
const ctStatuses = { expected: 1, 'seen-reply': 2, assured: 4, confirmed: 8, snat: 16, dnat: 32, dying: 512 };
/** RFC 9293 section 3.1 */
const tcpFlags = { fin: 1, syn: 2, rst: 4, psh: 8, ack: 16, urg: 32, ecn: 64, cwr: 128 };
/** RTN_* of linux/rtnetlink.h */
const addressTypes = {
  unicast: 1,
  local: 2,
  broadcast: 3,
  anycast: 4,
  multicast: 5,
  blackhole: 6,
  unreachable: 7,
};

export const typeFacts: Readonly<Record<ValueType, TypeFacts>> = {
  ipv4_addr: { bytes: 4, nftId: 7, nftName: 'ipv4_addr' },
  ipv6_addr: { bytes: 16, nftId: 8, nftName: 'ipv6_addr' },
  ether_addr: { bytes: 6, nftId: 9, nftName: 'ether_addr' },
  inet_proto: { bytes: 1, nftId: 12, nftName: 'inet_proto', names: protocols },
  inet_service: { bytes: 2, nftId: 13, nftName: 'inet_service' },
  tcp_flag: { bytes: 1, nftId: 15, nftName: 'tcp_flag', names: tcpFlags, isBitmask: true },
  mark: { bytes: 4, nftId: 19, nftName: 'mark', isHostOrder: true },
  // nft cannot declare a set of a plain integer without naming the expression; mark is the same four bytes.
  integer: { bytes: 4, nftId: 19, nftName: 'mark', isHostOrder: true },
  ifname: { bytes: 16, nftId: 41, nftName: 'ifname', isHostOrder: true },
  ct_state: { bytes: 4, nftId: 26, nftName: 'ct_state', names: ctStates, isBitmask: true, isHostOrder: true },
  ct_status: {
    bytes: 4,
    nftId: 28,
    nftName: 'ct_status',
    names: ctStatuses,
    isBitmask: true,
    isHostOrder: true,
  },
  fib_addrtype: { bytes: 4, nftId: 38, nftName: 'fib_addrtype', names: addressTypes, isHostOrder: true },
};

/** Bytes of a concatenation: each value starts at a four-byte register. */
export function slotBytes(type: ValueType): number {
  return (typeFacts[type].bytes + 3) & ~3;
}

function invalid(type: ValueType, value: NftValue): PodwrightError {
  return new PodwrightError('E_INVALID', `use ${JSON.stringify(value)} as ${type}`);
}

/** Writes one plain value (no prefix, no range) at `offset` of a zeroed buffer. @throws E_INVALID */
export function writeValue(type: ValueType, value: NftValue, target: Buffer, offset: number): void {
  switch (type) {
    case 'ipv4_addr':
      if (typeof value !== 'string' || !writeIpText(4, value, target, offset)) throw invalid(type, value);
      return;
    case 'ipv6_addr':
      if (typeof value !== 'string' || !writeIpText(6, value, target, offset)) throw invalid(type, value);
      return;
    case 'ether_addr':
      if (typeof value !== 'string' || !/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/.test(value))
        throw invalid(type, value);
      target.write(value.replaceAll(':', ''), offset, 'hex');
      return;
    case 'ifname':
      if (typeof value !== 'string' || !/^[^\s/]{1,15}$/.test(value)) throw invalid(type, value);
      target.write(value, offset, 'latin1');
      return;
    case 'inet_service':
      target.writeUInt16BE(numberOf(type, value), offset);
      return;
    case 'inet_proto':
    case 'tcp_flag':
      target[offset] = numberOf(type, value);
      return;
    default:
      target.writeUInt32LE(numberOf(type, value), offset);
  }
}

/** One value in a buffer of its type's width. @throws E_INVALID */
export function valueBytes(type: ValueType, value: NftValue): Buffer {
  const bytes = Buffer.alloc(typeFacts[type].bytes);
  writeValue(type, value, bytes, 0);
  return bytes;
}

function numberOf(type: ValueType, value: NftValue): number {
  const { bytes, names, isBitmask } = typeFacts[type];
  const number = typeof value === 'number' ? value : namedNumber(value, names ?? {}, isBitmask ?? false);
  if (number === undefined || !Number.isInteger(number) || number < 0 || number >= 2 ** (bytes * 8)) {
    throw invalid(type, value);
  }
  return number;
}

function namedNumber(
  text: string,
  names: Readonly<Record<string, number>>,
  isBitmask: boolean,
): number | undefined {
  if (/^(0x[0-9a-f]+|\d+)$/i.test(text)) return Number(text);
  const words = isBitmask ? text.split(',') : [text];
  const numbers = words.map((word) => (Object.hasOwn(names, word) ? names[word] : undefined));
  if (numbers.includes(undefined)) return undefined;
  return numbers.reduce<number>((bits, number) => bits | (number ?? 0), 0);
}

/** First and last value of a prefix (`10.0.0.0/24`), a range (`80-90`) or a single value. @throws E_INVALID */
export function valueRange(type: ValueType, value: NftValue): readonly [Buffer, Buffer] {
  const isAddress = type === 'ipv4_addr' || type === 'ipv6_addr';
  if (typeof value === 'string' && isAddress && value.includes('/')) {
    const cidr = cidrOf(value);
    if (cidr.ip.family !== (type === 'ipv4_addr' ? 4 : 6)) throw invalid(type, value);
    return [addressBytes(firstOf(cidr)).bytes, addressBytes(lastOf(cidr)).bytes];
  }
  const range = type === 'ifname' ? null : /^([^-]+)-([^-]+)$/.exec(String(value));
  if (typeof value !== 'string' || range === null || namesOf(type).includes(value)) {
    const bytes = valueBytes(type, value);
    return [bytes, bytes];
  }
  const [from, to] = [valueBytes(type, range[1] ?? ''), valueBytes(type, range[2] ?? '')];
  if (Buffer.compare(from, to) > 0) throw invalid(type, value);
  return [from, to];
}

const namesOf = (type: ValueType): readonly string[] => Object.keys(typeFacts[type].names ?? {});

/** The value after, or undefined after the last: the exclusive end of an interval. */
export function successor(bytes: Buffer): Buffer | undefined {
  const next = Buffer.from(bytes);
  for (let index = next.length - 1; index >= 0; index--) {
    const byte = next[index] ?? 0;
    next[index] = (byte + 1) & 0xff;
    if (byte !== 0xff) return next;
  }
  return undefined;
}

/** As `nft list` prints it: names where it has them, marks as eight hex digits, interface names quoted. */
export function renderValue(type: ValueType, value: NftValue): string {
  const { names, isBitmask } = typeFacts[type];
  if (type === 'ifname') return `"${value}"`;
  if (type === 'mark' || type === 'integer') {
    return `0x${numberOf(type, value).toString(16).padStart(8, '0')}`;
  }
  if (
    names === undefined ||
    (typeof value === 'string' && value.includes('-') && !Object.hasOwn(names, value))
  ) {
    return String(value);
  }
  const number = numberOf(type, value);
  const entries = Object.entries(names);
  if (isBitmask === true) {
    return entries
      .filter(([, bit]) => (number & bit) !== 0)
      .map(([name]) => name)
      .join(',');
  }
  return entries.find(([, known]) => known === number)?.[0] ?? String(number);
}
