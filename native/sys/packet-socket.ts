/** Frames of one link as they are, past routes and rules (packet(7)): for who has no address yet. */
import { AF_PACKET, MSG_DONTWAIT, MSG_TRUNC, SOCK_CLOEXEC, SOCK_RAW } from './constants.ts';
import { checked, kernelError } from './errno.ts';
import { OwnedFd } from './fd.ts';
import { bindSocket, lastErrno, recv, send, socket } from './libc.ts';
import { withNetns } from './namespace.ts';

/** struct sockaddr_ll (linux/if_packet.h) */
export const sockaddrLlLayout = { size: 20, sll_family: 0, sll_protocol: 2, sll_ifindex: 4 } as const;

const EAGAIN = 11;
const EINTR = 4;
/** What is longer is no frame of a link of 9000 bytes. */
const frameBytesMax = 9216;

export interface PacketSocketOptions {
  /** Path of the network namespace that the link is in. */
  readonly netns: string;
  readonly linkIndex: number;
  /** ETH_P_* of linux/if_ether.h: only frames that carry this. */
  readonly etherType: number;
}

/** Whoever opens it needs CAP_NET_RAW there. */
export class PacketSocket implements Disposable {
  readonly #fd: OwnedFd;

  /** @throws E_NOT_FOUND where namespace or link are gone, E_PERMISSION */
  constructor({ netns, linkIndex, etherType }: PacketSocketOptions) {
    this.#fd = withNetns(netns, () => {
      // Of no protocol until it is bound: else it would get frames of all links meanwhile.
      const opened = new OwnedFd(
        checked(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), 'open a packet socket'),
      );
      try {
        const address = Buffer.alloc(sockaddrLlLayout.size);
        address.writeUInt16LE(AF_PACKET, sockaddrLlLayout.sll_family);
        address.writeUInt16BE(etherType, sockaddrLlLayout.sll_protocol);
        address.writeInt32LE(linkIndex, sockaddrLlLayout.sll_ifindex);
        checked(bindSocket(opened.fd, address, address.length), `bind to link ${linkIndex} of ${netns}`);
        return opened;
      } catch (error) {
        opened[Symbol.dispose]();
        throw error;
      }
    });
  }

  /** A whole frame, with its Ethernet header. */
  send(frame: Uint8Array): void {
    checked(send(this.#fd.fd, frame, frame.length, 0), 'send a frame');
  }

  /** The next frame if one is waiting. */
  receiveNow(): Buffer | undefined {
    const buffer = Buffer.alloc(frameBytesMax);
    for (;;) {
      const length = recv(this.#fd.fd, buffer, buffer.length, MSG_DONTWAIT | MSG_TRUNC);
      if (length >= 0) return buffer.subarray(0, Math.min(length, buffer.length));
      const errno = lastErrno();
      if (errno === EAGAIN) return undefined;
      if (errno !== EINTR) throw kernelError('receive a frame', errno);
    }
  }

  [Symbol.dispose](): void {
    this.#fd[Symbol.dispose]();
  }
}
