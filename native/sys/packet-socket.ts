/** Frames of one link as they are, past routes and rules (packet(7)): for who has no address yet. */
import { AF_PACKET, MSG_DONTWAIT, MSG_TRUNC, SOCK_CLOEXEC, SOCK_RAW, SOL_SOCKET } from './constants.ts';
import { checked, kernelError } from './errno.ts';
import { OwnedFd } from './fd.ts';
import { addressOf, bindSocket, lastErrno, recv, send, setsockopt, socket } from './libc.ts';
import { withNetns } from './namespace.ts';

/** struct sockaddr_ll (linux/if_packet.h) */
export const sockaddrLlLayout = { size: 20, sll_family: 0, sll_protocol: 2, sll_ifindex: 4 } as const;

const EAGAIN = 11;
const EINTR = 4;
/** The link went down; frames come again when it is up. */
const ENETDOWN = 100;
/** asm-generic/socket.h */
const SO_ATTACH_FILTER = 26;
/** What is longer is no frame of a link of 9000 bytes. */
const frameBytesMax = 9216;

export interface PacketSocketOptions {
  /** Path of the network namespace that the link is in; absent: the process's own. */
  readonly netns?: string;
  readonly linkIndex: number;
  /** ETH_P_* of linux/if_ether.h: only frames that carry this. */
  readonly etherType: number;
  /** Frames that the kernel passes on: a program of classic BPF (linux/filter.h). Absent: all. */
  readonly filter?: readonly FilterInstruction[];
}

/** struct sock_filter: what is done, how many instructions are left out if so and if not, and an operand. */
export type FilterInstruction = readonly [code: number, ifTrue: number, ifFalse: number, operand: number];

/** Whoever opens it needs CAP_NET_RAW there. */
export class PacketSocket implements Disposable {
  readonly #fd: OwnedFd;

  /** @throws E_NOT_FOUND where namespace or link are gone, E_PERMISSION */
  constructor({ netns, linkIndex, etherType, filter }: PacketSocketOptions) {
    const bindOne = (): OwnedFd => {
      // Of no protocol until it is bound: else it would get frames of all links meanwhile.
      const opened = new OwnedFd(
        checked(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), 'open a packet socket'),
      );
      try {
        if (filter !== undefined) attachFilter(opened, filter);
        const address = Buffer.alloc(sockaddrLlLayout.size);
        address.writeUInt16LE(AF_PACKET, sockaddrLlLayout.sll_family);
        address.writeUInt16BE(etherType, sockaddrLlLayout.sll_protocol);
        address.writeInt32LE(linkIndex, sockaddrLlLayout.sll_ifindex);
        checked(
          bindSocket(opened.fd, address, address.length),
          `bind to link ${linkIndex}${netns === undefined ? '' : ` of ${netns}`}`,
        );
        return opened;
      } catch (error) {
        opened[Symbol.dispose]();
        throw error;
      }
    };
    this.#fd = netns === undefined ? bindOne() : withNetns(netns, bindOne);
  }

  /** For who waits for frames, while this is open. */
  get fd(): number {
    return this.#fd.fd;
  }

  /** A whole frame, with its Ethernet header. */
  send(frame: Uint8Array): void {
    checked(send(this.#fd.fd, frame, frame.length, 0), 'send a frame');
  }

  /** The next frame if one is waiting. */
  receiveNow(): Buffer | undefined {
    return receiveFrame(this.#fd.fd);
  }

  [Symbol.dispose](): void {
    this.#fd[Symbol.dispose]();
  }
}

/** The next frame if one is waiting; none, too, of a link that is down. */
export function receiveFrame(fd: number): Buffer | undefined {
  const buffer = Buffer.alloc(frameBytesMax);
  for (;;) {
    const length = recv(fd, buffer, buffer.length, MSG_DONTWAIT | MSG_TRUNC);
    if (length >= 0) return buffer.subarray(0, Math.min(length, buffer.length));
    const errno = lastErrno();
    if (errno === EAGAIN || errno === ENETDOWN) return undefined;
    if (errno !== EINTR) throw kernelError('receive a frame', errno);
  }
}

/** A frame that cannot go is lost, as on any link. */
export function sendFrame(fd: number, frame: Uint8Array): void {
  send(fd, frame, frame.length, MSG_DONTWAIT);
}

function attachFilter(opened: OwnedFd, filter: readonly FilterInstruction[]): void {
  const instructions = Buffer.alloc(filter.length * 8);
  for (const [index, [code, ifTrue, ifFalse, operand]] of filter.entries()) {
    instructions.writeUInt16LE(code, index * 8);
    instructions.set([ifTrue, ifFalse], index * 8 + 2);
    instructions.writeUInt32LE(operand, index * 8 + 4);
  }
  const program = Buffer.alloc(16); // struct sock_fprog
  program.writeUInt16LE(filter.length, 0);
  program.writeBigUInt64LE(addressOf(instructions), 8);
  checked(
    setsockopt(opened.fd, SOL_SOCKET, SO_ATTACH_FILTER, program, program.length),
    'attach a filter to a packet socket',
  );
}
