/** Which host an address belongs to, without an object for each question. */
import { firstOf, networkOf, parseCidr, parseIp, type Cidr, type Ip } from '#base/ip.ts';
import type { RelayPeer } from './relay.ts';

/** Nobody's. */
export const noPeer = -1;

/** The networks of one family, by their first addresses. */
class NetworkList {
  readonly #words: number;
  readonly #starts: Uint32Array;
  readonly #masks: Uint32Array;
  readonly #peers: Int32Array;

  /** `words`: 32 bits each, 1 of IPv4 and 4 of IPv6. */
  constructor(words: 1 | 4, networks: readonly { readonly cidr: Cidr; readonly peer: number }[]) {
    const sorted = networks.toSorted((a, b) => compareWords(wordsOf(a.cidr, words), wordsOf(b.cidr, words)));
    this.#words = words;
    this.#starts = Uint32Array.from(sorted.flatMap(({ cidr }) => wordsOf(cidr, words)));
    this.#masks = Uint32Array.from(sorted.flatMap(({ cidr }) => maskOf(cidr.prefix, words)));
    this.#peers = Int32Array.from(sorted.map(({ peer }) => peer));
  }

  /** The bytes are in network order. Networks do not overlap: the last that begins at or before the address has it, or none. */
  find(packet: Buffer, offset: number): number {
    let [low, high] = [0, this.#peers.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#isAtOrBefore(middle, packet, offset)) low = middle + 1;
      else high = middle;
    }
    const at = low - 1;
    return at >= 0 && this.#contains(at, packet, offset) ? (this.#peers[at] ?? noPeer) : noPeer;
  }

  #isAtOrBefore(at: number, packet: Buffer, offset: number): boolean {
    for (let word = 0; word < this.#words; word++) {
      const start = this.#starts[at * this.#words + word] ?? 0;
      const value = packet.readUInt32BE(offset + word * 4);
      if (start !== value) return start < value;
    }
    return true;
  }

  #contains(at: number, packet: Buffer, offset: number): boolean {
    for (let word = 0; word < this.#words; word++) {
      const index = at * this.#words + word;
      const value = packet.readUInt32BE(offset + word * 4) & (this.#masks[index] ?? 0);
      if (value >>> 0 !== this.#starts[index]) return false;
    }
    return true;
  }
}

/** Packets are told apart by their first four bits (RFC 791, RFC 8200). */
export class PeerTable {
  readonly #v4: NetworkList;
  readonly #v6: NetworkList;

  constructor(peers: readonly RelayPeer[]) {
    const networks = peers.flatMap((peer, index) =>
      peer.networks.flatMap((text) => {
        const cidr = parseCidr(text);
        return cidr === undefined ? [] : [{ cidr: networkOf(cidr), peer: index }];
      }),
    );
    const of = (family: 4 | 6): typeof networks => networks.filter(({ cidr }) => cidr.ip.family === family);
    this.#v4 = new NetworkList(1, of(4));
    this.#v6 = new NetworkList(4, of(6));
  }

  /** Whose the packet's destination is. */
  targetOf(packet: Buffer, length: number): number {
    return this.#find(packet, length, 16, 24);
  }

  /** Whose its source is. */
  sourceOf(packet: Buffer, length: number): number {
    return this.#find(packet, length, 12, 8);
  }

  #find(packet: Buffer, length: number, v4At: number, v6At: number): number {
    const version = (packet[0] ?? 0) >>> 4;
    if (version === 4 && length >= 20) return this.#v4.find(packet, v4At);
    return version === 6 && length >= 40 ? this.#v6.find(packet, v6At) : noPeer;
  }
}

/** Hosts by the address that a datagram came from, as bytes of a sockaddr. */
export class PeerAddresses {
  readonly #byHash = new Map<number, readonly number[]>();
  readonly #ips: readonly (Ip | undefined)[];

  constructor(peers: readonly RelayPeer[]) {
    this.#ips = peers.map(({ ip }) => parseIp(ip));
    this.#ips.forEach((ip, index) => {
      if (ip === undefined) return;
      const hash = (ip.w0 ^ ip.w1 ^ ip.w2 ^ ip.w3) >>> 0;
      this.#byHash.set(hash, [...(this.#byHash.get(hash) ?? []), index]);
    });
  }

  /** `words`: as of the table. */
  find(address: Buffer, offset: number, words: 1 | 4): number {
    let hash = 0;
    for (let word = 0; word < words; word++) hash ^= address.readUInt32BE(offset + word * 4);
    for (const index of this.#byHash.get(hash >>> 0) ?? []) {
      if (this.#isAt(index, address, offset, words)) return index;
    }
    return noPeer;
  }

  #isAt(index: number, address: Buffer, offset: number, words: 1 | 4): boolean {
    const ip = this.#ips[index];
    if (ip === undefined) return false;
    if (words === 1) return ip.family === 4 && ip.w3 === address.readUInt32BE(offset);
    return (
      ip.family === 6 &&
      ip.w0 === address.readUInt32BE(offset) &&
      ip.w1 === address.readUInt32BE(offset + 4) &&
      ip.w2 === address.readUInt32BE(offset + 8) &&
      ip.w3 === address.readUInt32BE(offset + 12)
    );
  }
}

function wordsOf(cidr: Cidr, words: 1 | 4): readonly number[] {
  const { w0, w1, w2, w3 } = cidr.prefix === 0 ? firstOf(cidr) : cidr.ip;
  return words === 1 ? [w3] : [w0, w1, w2, w3];
}

function maskOf(prefix: number, words: 1 | 4): readonly number[] {
  return Array.from({ length: words }, (_, word) => {
    const bits = Math.min(32, Math.max(0, prefix - word * 32));
    return bits === 0 ? 0 : (0xffff_ffff << (32 - bits)) >>> 0;
  });
}

function compareWords(a: readonly number[], b: readonly number[]): number {
  const at = a.findIndex((word, index) => word !== b[index]);
  return at < 0 ? 0 : (a[at] ?? 0) - (b[at] ?? 0);
}
