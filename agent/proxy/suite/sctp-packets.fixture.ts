/**
 * Packets of SCTP, written and read by raw sockets: a kernel without sockets of SCTP still knows its connections and translates them
 * (nf_conntrack_proto_sctp). Headers and chunks: RFC 9260, sections 3.1, 3.3.2 and 3.3.3.
 */
import { formatIp, ipOfBytes } from '#base/ip.ts';
import type { TestFamily } from '#agent/proxy/packet-net.fixture.ts';
import { expect } from 'vitest';
import { AF_INET, AF_INET6, MSG_DONTWAIT, SOCK_CLOEXEC, SOCK_RAW } from '#native/sys/constants.ts';
import { checked } from '#native/sys/errno.ts';
import { OwnedFd } from '#native/sys/fd.ts';
import { encodeSocketAddress } from '#native/sys/inet-socket.ts';
import { recvfrom, sendto, socket } from '#native/sys/libc.ts';
import { withNetns } from '#native/sys/namespace.ts';

/** IPPROTO_SCTP */
const protocol = 132;
const chunkTypes = { init: 1, 'init-ack': 2 } as const;
type Chunk = keyof typeof chunkTypes;

export interface SctpPacket {
  readonly chunk: Chunk;
  /** Of the association: what its first packet says of itself, and its answer repeats. */
  readonly tag: number;
  readonly sourcePort: number;
  readonly port: number;
}

export interface HeardPacket extends SctpPacket {
  readonly from: string;
}

export interface SctpPeer extends Disposable {
  send(packet: SctpPacket & { readonly to: string }): void;
  /** Waits for it. */
  heard(chunk: Chunk, tag: number): Promise<HeardPacket>;
  all(): readonly HeardPacket[];
}

const headerBytes = 12;
const tagAt = 4;
const checksumAt = 8;
const chunkBytes = 20;
const initiateTagAt = headerBytes + 4;

/** `netns` undefined: the calling thread's. */
export function openSctp(netns: string | undefined, family: TestFamily): SctpPeer {
  const domain = family === 'ip' ? AF_INET : AF_INET6;
  const open = (): OwnedFd =>
    new OwnedFd(checked(socket(domain, SOCK_RAW | SOCK_CLOEXEC, protocol), 'open a raw socket'));
  const opened = netns === undefined ? open() : withNetns(netns, open);
  const packets: HeardPacket[] = [];
  const all = (): readonly HeardPacket[] => {
    for (let found = receive(opened, family); found !== 'nothing'; found = receive(opened, family))
      if (found !== undefined) packets.push(found);
    return packets;
  };
  return {
    send: ({ to, ...packet }) => {
      const bytes = encode(packet);
      const address = encodeSocketAddress({ ip: to, port: 0 });
      checked(sendto(opened.fd, bytes, bytes.length, 0, address, address.length), () => `send to ${to}`);
    },
    heard: async (chunk, tag) => {
      const find = (): HeardPacket | undefined => all().find((one) => one.chunk === chunk && one.tag === tag);
      await expect.poll(find).toBeDefined();
      const found = find();
      if (found === undefined) throw new Error('it was there');
      return found;
    },
    all,
    [Symbol.dispose]: () => opened[Symbol.dispose](),
  };
}

function encode({ chunk, tag, sourcePort, port }: SctpPacket): Buffer {
  const bytes = Buffer.alloc(headerBytes + chunkBytes);
  bytes.writeUInt16BE(sourcePort, 0);
  bytes.writeUInt16BE(port, 2);
  // Of the first packet there is none yet.
  bytes.writeUInt32BE(chunk === 'init' ? 0 : tag, tagAt);
  bytes[headerBytes] = chunkTypes[chunk];
  bytes.writeUInt16BE(chunkBytes, headerBytes + 2);
  bytes.writeUInt32BE(tag, initiateTagAt);
  bytes.writeUInt32BE(65_536, initiateTagAt + 4); // a_rwnd
  bytes.writeUInt16BE(1, initiateTagAt + 8); // streams, out and in
  bytes.writeUInt16BE(1, initiateTagAt + 10);
  bytes.writeUInt32BE(1, initiateTagAt + 12); // the first sequence number
  bytes.writeUInt32LE(crc32c(bytes), checksumAt);
  return bytes;
}

/** undefined: something else. */
function receive(opened: OwnedFd, family: TestFamily): HeardPacket | undefined | 'nothing' {
  const bytes = Buffer.alloc(2_048);
  const address = Buffer.alloc(28);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(address.length);
  const received = recvfrom(opened.fd, bytes, bytes.length, MSG_DONTWAIT, address, length);
  if (received < 0) return 'nothing';
  // A raw socket of IPv4 has the header of IP, too (raw(7)).
  const packet = bytes.subarray(family === 'ip' ? ((bytes[0] ?? 0) & 0xf) * 4 : 0, received);
  const source = ipOfBytes(family === 'ip' ? address.subarray(4, 8) : address.subarray(8, 24));
  const type = packet[headerBytes];
  const [chunk] = (Object.keys(chunkTypes) as readonly Chunk[]).filter((each) => chunkTypes[each] === type);
  if (source === undefined || chunk === undefined) return undefined;
  const ports = { sourcePort: packet.readUInt16BE(0), port: packet.readUInt16BE(2) };
  return { chunk, tag: packet.readUInt32BE(initiateTagAt), ...ports, from: formatIp(source) };
}

/** RFC 9260, appendix A: of the whole packet with a checksum of 0. */
function crc32c(bytes: Uint8Array): number {
  let crc = 0xffff_ffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ ((crc & 1) === 0 ? 0 : 0x82f6_3b78);
  }
  return (crc ^ 0xffff_ffff) >>> 0;
}
