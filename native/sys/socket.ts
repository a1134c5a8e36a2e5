import {
  AF_NETLINK,
  MSG_DONTWAIT,
  MSG_TRUNC,
  SO_RCVBUFFORCE,
  SO_RCVTIMEO,
  SO_SNDBUFFORCE,
  SOCK_CLOEXEC,
  SOCK_RAW,
  SOL_NETLINK,
  SOL_SOCKET,
} from './constants.ts';
import { checked, kernelError } from './errno.ts';
import { OwnedFd } from './fd.ts';
import { bindSocket, lastErrno, recv, send, setsockopt, socket } from './libc.ts';

const EAGAIN = 11;
const EINTR = 4;

/** struct sockaddr_nl (linux/netlink.h): family, pad, port id, multicast groups. */
export const sockaddrNlLayout = { size: 12, nl_family: 0, nl_pid: 4, nl_groups: 8 } as const;

/** linux/netlink.h: options of SOL_NETLINK. */
const NETLINK_CAP_ACK = 10;
const NETLINK_EXT_ACK = 11;

/** Longest wait of a blocking receive: the kernel answers within send(2), so only a lost reply ever waits. */
const receiveTimeoutMs = 5_000;

/** Largest datagram taken: the kernel makes dump replies of at most 32 KiB, and an ACK echoes no request (CAP_ACK). */
const receiveBytesMax = 65_536;

/** One per thread: a datagram is only good until the next receive anyway. */
const buffer = Buffer.allocUnsafeSlow(receiveBytesMax);

/**
 * A netlink socket, blocking with a deadline, in the network namespace that the calling thread is in when it is made.
 * Acknowledgements carry the kernel's own words (NETLINK_EXT_ACK).
 */
export class NetlinkSocket implements Disposable {
  readonly #fd: OwnedFd;

  constructor(protocol: number, groups = 0) {
    this.#fd = new OwnedFd(
      checked(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol), 'open netlink socket'),
    );
    try {
      this.#option(SOL_NETLINK, NETLINK_CAP_ACK, 1);
      this.#option(SOL_NETLINK, NETLINK_EXT_ACK, 1);
      const timeout = Buffer.alloc(16); // struct timeval
      timeout.writeBigInt64LE(BigInt(receiveTimeoutMs / 1000), 0);
      checked(
        setsockopt(this.#fd.fd, SOL_SOCKET, SO_RCVTIMEO, timeout, timeout.length),
        'set receive timeout',
      );
      if (groups !== 0) this.#join(groups); // Else the first send(2) gives it an address.
    } catch (error) {
      this.#fd[Symbol.dispose]();
      throw error;
    }
  }

  #join(groups: number): void {
    const address = Buffer.alloc(sockaddrNlLayout.size);
    address.writeUInt16LE(AF_NETLINK, sockaddrNlLayout.nl_family);
    address.writeUInt32LE(groups, sockaddrNlLayout.nl_groups);
    checked(bindSocket(this.#fd.fd, address, address.length), 'bind netlink socket');
  }

  /** Makes room for one send or a burst of that many bytes, beyond net.core.wmem_max and rmem_max (needs CAP_NET_ADMIN). */
  reserve(room: { readonly sendBytes?: number; readonly receiveBytes?: number }): void {
    if (room.sendBytes !== undefined) this.#option(SOL_SOCKET, SO_SNDBUFFORCE, room.sendBytes);
    if (room.receiveBytes !== undefined) this.#option(SOL_SOCKET, SO_RCVBUFFORCE, room.receiveBytes);
  }

  send(data: Uint8Array): void {
    const sent = checked(send(this.#fd.fd, data, data.length, 0), 'send to netlink');
    if (sent !== data.length)
      throw kernelError(`send to netlink: ${sent} of ${data.length} bytes`, 'EMSGSIZE');
  }

  /** The next datagram, good until the next receive. @throws E_TIMEOUT */
  receive(): Buffer {
    const data = this.#receive(0);
    if (data === undefined) throw kernelError('receive from netlink', 'ETIMEDOUT');
    return data;
  }

  /** The next datagram if one is waiting. */
  receiveNow(): Buffer | undefined {
    return this.#receive(MSG_DONTWAIT);
  }

  #receive(flags: number): Buffer | undefined {
    for (;;) {
      // With MSG_TRUNC the result is the length of the datagram, so that a cut one is seen.
      const length = recv(this.#fd.fd, buffer, buffer.length, flags | MSG_TRUNC);
      if (length > buffer.length) throw kernelError(`receive ${length} bytes from netlink`, 'EMSGSIZE');
      if (length >= 0) return buffer.subarray(0, length);
      const errno = lastErrno();
      if (errno === EAGAIN) return undefined;
      if (errno !== EINTR) throw kernelError('receive from netlink', errno);
    }
  }

  #option(level: number, name: number, value: number): void {
    const bytes = Buffer.alloc(4);
    bytes.writeInt32LE(value);
    checked(
      setsockopt(this.#fd.fd, level, name, bytes, bytes.length),
      () => `set socket option ${level}/${name}`,
    );
  }

  [Symbol.dispose](): void {
    this.#fd[Symbol.dispose]();
  }
}
