import { PodwrightError } from '#base/errors.ts';
import { bytesOfIp, formatIp, ipOfBytes, parseIp, type IpFamily } from '#base/ip.ts';
import {
  AF_INET,
  AF_INET6,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  SOCK_STREAM,
  SOL_SOCKET,
  SO_REUSEADDR,
} from './constants.ts';
import { checked } from './errno.ts';
import { OwnedFd } from './fd.ts';
import { bindSocket, connectSocket, getsockopt, setsockopt, socket } from './libc.ts';
import { withNetns } from './namespace.ts';

/** struct sockaddr_in and sockaddr_in6 (netinet/in.h). */
export const sockaddrInLayout = { size: 16, sin_family: 0, sin_port: 2, sin_addr: 4 } as const;
export const sockaddrIn6Layout = { size: 28, sin6_family: 0, sin6_port: 2, sin6_addr: 8 } as const;

/** What of them is where, by family. */
const layouts = {
  4: { domain: AF_INET, size: sockaddrInLayout.size, address: sockaddrInLayout.sin_addr, bytes: 4 },
  6: { domain: AF_INET6, size: sockaddrIn6Layout.size, address: sockaddrIn6Layout.sin6_addr, bytes: 16 },
} as const;
const portAt = sockaddrInLayout.sin_port;

/** SOL_IP and SOL_IPV6 (netinet/in.h): levels of setsockopt(2). */
const levels = { 4: 0, 6: 41 } as const;
/** SO_ORIGINAL_DST (linux/netfilter_ipv4.h); IP6T_SO_ORIGINAL_DST has the same number. */
const originalDestinationOption = 80;

export interface InetAddress {
  readonly ip: string;
  readonly port: number;
}

export interface InetSocketOptions {
  /** Path of the network namespace that the socket belongs to, whoever uses it; absent: the process's own. */
  readonly netns?: string;
  readonly kind: 'stream' | 'datagram';
  readonly family: IpFamily;
  /** Absent: it is not bound. Port 0 is any that is free. */
  readonly bind?: InetAddress;
  /** Datagrams go whole or not at all, whatever is known of the way: IP_PMTUDISC_PROBE of ip(7). */
  readonly isWhole?: boolean;
  /** Datagrams go without UDP's checksum: SO_NO_CHECK of asm/socket.h, UDP_NO_CHECK6_TX of linux/udp.h. */
  readonly hasNoChecksum?: boolean;
}

/** A TCP or UDP socket in another network namespace, for Node to listen on or to connect. @throws E_NOT_FOUND, E_BUSY, E_PERMISSION */
export function inetSocket(options: InetSocketOptions): OwnedFd {
  const { netns, kind, family, bind } = options;
  const type = (kind === 'stream' ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC;
  const open = (): OwnedFd => {
    const opened = new OwnedFd(checked(socket(layouts[family].domain, type, 0), 'open a socket'));
    try {
      setOptions(opened, options);
      if (bind === undefined) return opened;
      if (kind === 'stream') setOption(opened, [SOL_SOCKET, SO_REUSEADDR, 1], 'reuse an address');
      const address = encodeSocketAddress(bind);
      checked(bindSocket(opened.fd, address, address.length), () => `bind to ${bind.ip} port ${bind.port}`);
      return opened;
    } catch (error) {
      opened[Symbol.dispose]();
      throw error;
    }
  };
  return netns === undefined ? open() : withNetns(netns, open);
}

/** IP_MTU_DISCOVER (linux/in.h) and IPV6_MTU_DISCOVER (linux/in6.h); both have a PMTUDISC_PROBE of 3. */
const mtuDiscover = { 4: [levels[4], 10, 3], 6: [levels[6], 23, 3] } as const;
const noChecksum = { 4: [SOL_SOCKET, 11, 1], 6: [17, 101, 1] } as const;

function setOptions(opened: OwnedFd, { family, isWhole, hasNoChecksum }: InetSocketOptions): void {
  if (isWhole === true) setOption(opened, mtuDiscover[family], 'send datagrams whole');
  if (hasNoChecksum === true) setOption(opened, noChecksum[family], 'send datagrams without checksum');
}

function setOption(
  opened: OwnedFd,
  [level, name, number]: readonly [level: number, name: number, value: number],
  what: string,
): void {
  const value = Buffer.alloc(4);
  value.writeInt32LE(number);
  checked(setsockopt(opened.fd, level, name, value, value.length), what);
}

/** Where a connection was going before a rule of nftables turned it to us. */
export function originalDestination(fd: number, family: IpFamily): InetAddress {
  const layout = layouts[family];
  const address = Buffer.alloc(layout.size);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(layout.size);
  checked(
    getsockopt(fd, levels[family], originalDestinationOption, address, length),
    'read where a connection was going',
  );
  const ip = ipOfBytes(address.subarray(layout.address, layout.address + layout.bytes));
  if (ip === undefined)
    throw new PodwrightError('E_INTERNAL', 'read where a connection was going: no address');
  return { ip: formatIp(ip), port: address.readUInt16BE(portAt) };
}

/** connect(2) of a socket of datagrams, which may be connected already: from then on it has another peer. @throws E_KERNEL, E_INVALID */
export function connectDatagrams(fd: number, to: InetAddress): void {
  const address = encodeSocketAddress(to);
  checked(connectSocket(fd, address, address.length), () => `connect to ${to.ip} port ${to.port}`);
}

/** Room for a socket address of either family. */
export const socketAddressBytes: number = sockaddrIn6Layout.size;

/** struct sockaddr_in or sockaddr_in6. @throws E_INVALID */
export function encodeSocketAddress({ ip: text, port }: InetAddress): Buffer {
  const ip = parseIp(text);
  if (ip === undefined) throw new PodwrightError('E_INVALID', `bind to ${text}: no address`);
  const layout = layouts[ip.family];
  const address = Buffer.alloc(layout.size);
  address.writeUInt16LE(layout.domain, 0);
  address.writeUInt16BE(port, portAt);
  address.set(bytesOfIp(ip), layout.address);
  return address;
}
