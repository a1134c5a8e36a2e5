/** The WireGuard port over generic netlink, in blocking calls: for the Worker. */
import { PodwrightError } from '#base/errors.ts';
import { type NetlinkMessage, parseAcknowledgement, parseMessages } from '#native/netlink/codec.ts';
import { NLMSG_DONE } from '#native/netlink/netlink-constants.ts';
import type { NetnsRef } from '#native/netlink/netlink.ts';
import { errnoName, kernelError } from '#native/sys/errno.ts';
import { withNetns } from '#native/sys/namespace.ts';
import { NetlinkSocket } from '#native/sys/socket.ts';
import type { WireGuard, WireGuardChange, WireGuardDevice } from './wireguard.ts';
import {
  decodeDevice,
  decodeFamily,
  encodeGetDevice,
  encodeGetFamily,
  encodeSetDevice,
  peersPerRequest,
} from './wireguard-codec.ts';
import { GENL_ID_CTRL, NETLINK_GENERIC } from './wireguard-constants.ts';

const familyName = 'wireguard';

export function createSyncWireGuard(): WireGuard {
  return {
    device: async (netns, name) => {
      using generic = new GenericSocket(netns);

      return readDevice(generic, name);
    },
    change: async (netns, name, change) => {
      using generic = new GenericSocket(netns);

      applyChange(generic, name, change);
    },
  };
}

class GenericSocket implements Disposable {
  readonly #socket: NetlinkSocket;
  readonly family: number;
  #sequence = 0;

  constructor(netns: NetnsRef) {
    const open = (): NetlinkSocket => new NetlinkSocket(NETLINK_GENERIC);
    this.#socket = netns.kind === 'own' ? open() : withNetns(netns.path, open);
    try {
      this.family = this.#findFamily();
    } catch (error) {
      this.#socket[Symbol.dispose]();
      throw error;
    }
  }

  /** All that answers a request, up to its acknowledgement or the end of a dump. */
  request(encode: (sequence: number) => Buffer, attempt: string): readonly NetlinkMessage[] {
    const sequence = ++this.#sequence;
    this.#socket.send(encode(sequence));
    const answers: NetlinkMessage[] = [];
    for (;;) {
      // What is kept outlives the buffer that it came in.
      for (const message of parseMessages(Buffer.from(this.#socket.receive()))) {
        if (message.sequence !== sequence) continue;
        if (message.type === NLMSG_DONE) return answers;
        const ack = parseAcknowledgement(message);
        if (ack === undefined) answers.push(message);
        else if (ack.errno === 0) return answers;
        else throw kernelError(attempt, errnoName(ack.errno), { why: ack.text });
        if (message.type === GENL_ID_CTRL) return answers; // One message, without an acknowledgement.
      }
    }
  }

  #findFamily(): number {
    try {
      const [answer] = this.request((sequence) => encodeGetFamily(familyName, sequence), 'find WireGuard');
      const family = answer === undefined ? undefined : decodeFamily(answer);
      if (family !== undefined) return family;
    } catch (error) {
      throw withoutWireGuard(error);
    }
    throw withoutWireGuard(undefined);
  }

  [Symbol.dispose](): void {
    this.#socket[Symbol.dispose]();
  }
}

/** One clear word where the kernel has none, or not as a module that may be loaded. */
export function withoutWireGuard(cause: unknown): PodwrightError {
  return new PodwrightError(
    'E_UNSUPPORTED',
    'use WireGuard: this kernel has none (module wireguard, Linux 5.6)',
    {
      cause,
    },
  );
}

function readDevice(generic: GenericSocket, name: string): WireGuardDevice {
  const encode = (sequence: number): Buffer => encodeGetDevice(generic.family, name, sequence);
  return decodeDevice(generic.request(encode, `read WireGuard device ${name}`));
}

function applyChange(generic: GenericSocket, name: string, change: WireGuardChange): void {
  const { peers, ...settings } = change;
  for (let at = 0; at === 0 || at < peers.length; at += peersPerRequest) {
    const part = { ...(at === 0 ? settings : {}), peers: peers.slice(at, at + peersPerRequest) };
    const encode = (sequence: number): Buffer => encodeSetDevice(generic.family, name, part, sequence);
    generic.request(encode, `change WireGuard device ${name}`);
  }
}
