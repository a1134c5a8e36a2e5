/** What the maps of balanced sockets hold. Addresses are of 16 bytes, IPv4 as ::ffff:a.b.c.d; ports are in the network's order. Pure. */
import { Buffer } from 'node:buffer';
import { PodwrightError } from '#base/errors.ts';
import { familyOfIp, formatIp, ipOfBytes, writeIpText } from '#base/ip.ts';
import type { MapEntry, MapShape } from '#native/bpf/map.linux.ts';
import {
  backendsMax,
  frontendsMax,
  type BalancedFrontend,
  type LedProtocol,
  type SocketEnd,
} from './socket-balancer.ts';

/** frontends: address 16, port 2, protocol 1, 0 → id 4, count 4. backends: id 4, slot 4 → address 16, port 2, 0 2. */
export const frontendKey = { address: 0, port: 16, protocol: 18, bytes: 20 } as const;
export const frontendValue = { id: 0, count: 4, bytes: 8 } as const;
export const backendKey = { id: 0, slot: 4, bytes: 8 } as const;
export const backendValue = { address: 0, port: 16, bytes: 20 } as const;
/** members, of datagrams: what of a list is in it. address 16, port 2, 0 2, id 4 → 1 4 */
export const memberKey = { address: 0, port: 16, id: 20, bytes: 24 } as const;
export const memberValue = { isMember: 0, bytes: 4 } as const;
/** peers, of a socket: where it is connected to, and where it was told to. */
export const peerValue = { backend: 0, frontend: 16, backendPort: 32, frontendPort: 36, bytes: 40 } as const;

/** One of the flows of a socket: where its datagrams were sent to, where they go, and by which list that was settled. */
export const flowValue: Readonly<
  Record<'frontend' | 'backend' | 'frontendPort' | 'backendPort' | 'list' | 'state' | 'bytes', number>
> = { frontend: 0, backend: 16, frontendPort: 32, backendPort: 36, list: 40, state: 44, bytes: 48 };
/** So many frontends a socket sends to at most without connecting; others are left to the rules. */
export const flowsOfSocketMax = 4;
/** 0: nobody's. */
export const flowStates = { led: 1, leftToRules: 2 } as const;

export const socketMaps: Readonly<
  Record<'frontends' | 'backends' | 'members' | 'peers' | 'flows', MapShape>
> = {
  frontends: {
    ...{ name: 'pw_frontends', kind: 'hash', entriesMax: frontendsMax },
    ...{ keyBytes: frontendKey.bytes, valueBytes: frontendValue.bytes },
  },
  backends: {
    ...{ name: 'pw_backends', kind: 'hash', entriesMax: backendsMax },
    ...{ keyBytes: backendKey.bytes, valueBytes: backendValue.bytes },
  },
  members: {
    ...{ name: 'pw_members', kind: 'hash', entriesMax: backendsMax },
    ...{ keyBytes: memberKey.bytes, valueBytes: memberValue.bytes },
  },
  peers: { name: 'pw_peers', kind: 'ofSockets', keyBytes: 4, valueBytes: peerValue.bytes, entriesMax: 0 },
  flows: {
    ...{ name: 'pw_flows', kind: 'ofSockets', entriesMax: 0 },
    ...{ keyBytes: 4, valueBytes: flowsOfSocketMax * flowValue.bytes },
  },
};

/** IPPROTO_TCP, IPPROTO_UDP */
export const protocolNumbers: Readonly<Record<LedProtocol, number>> = { tcp: 6, udp: 17 };

/** @throws E_INVALID */
export function writeAddress(target: Buffer, { ip, port }: SocketEnd): void {
  const family = familyOfIp(ip);
  if (family === 4) target.writeUInt32BE(0xffff, 8);
  const isWritten = family !== undefined && writeIpText(family, ip, target, family === 4 ? 12 : 0);
  if (!isWritten) throw new PodwrightError('E_INVALID', `balance connections: ${ip} is no IP address`);
  target.writeUInt16BE(port, 16);
}

/** @throws E_INVALID */
export function encodeFrontend({
  protocol,
  frontend,
}: Pick<BalancedFrontend, 'protocol' | 'frontend'>): Buffer {
  const key = Buffer.alloc(frontendKey.bytes);
  writeAddress(key, frontend);
  key.writeUInt8(protocolNumbers[protocol], frontendKey.protocol);
  return key;
}

export function encodeTarget(id: number, count: number): Buffer {
  const value = Buffer.alloc(frontendValue.bytes);
  value.writeUInt32LE(id, frontendValue.id);
  value.writeUInt32LE(count, frontendValue.count);
  return value;
}

export function encodeBackendKey(id: number, slot: number): Buffer {
  const key = Buffer.alloc(backendKey.bytes);
  key.writeUInt32LE(id, backendKey.id);
  key.writeUInt32LE(slot, backendKey.slot);
  return key;
}

/** What a connected socket was told; undefined: it was led nowhere, or is connected to something else since. */
export function decodePeer(
  value: Buffer,
): { readonly frontend: SocketEnd; readonly backend: SocketEnd } | undefined {
  const endAt = (address: number, port: number): SocketEnd => ({
    ip: readAddress(value.subarray(address, address + 16)),
    port: value.readUInt16BE(port),
  });
  const frontend = endAt(peerValue.frontend, peerValue.frontendPort);
  if (frontend.port === 0) return undefined;
  return { frontend, backend: endAt(peerValue.backend, peerValue.backendPort) };
}

/** IPv4 where it is ::ffff:a.b.c.d. */
function readAddress(bytes: Buffer): string {
  const isOf4 = bytes.readUInt16BE(10) === 0xffff && bytes.subarray(0, 10).every((byte) => byte === 0);
  const ip = ipOfBytes(isOf4 ? bytes.subarray(12) : bytes);
  if (ip === undefined) throw new PodwrightError('E_INTERNAL', 'balance connections: no address');
  return formatIp(ip);
}

/** @throws E_INVALID */
function encodeMember(id: number, backend: SocketEnd): Buffer {
  const key = Buffer.alloc(memberKey.bytes);
  writeAddress(key, backend);
  key.writeUInt32LE(id, memberKey.id);
  return key;
}

const isMember = Buffer.alloc(memberValue.bytes, 1);

export interface SocketChanges {
  /** Before any list is the one of a frontend. */
  readonly membersPut: readonly MapEntry[];
  /** Before any frontend that leads to them. */
  readonly backendsPut: readonly MapEntry[];
  readonly frontendsPut: readonly MapEntry[];
  readonly frontendsRemoved: readonly Buffer[];
  /** After no frontend leads to them any more. */
  readonly backendsRemoved: readonly Buffer[];
  /** Of UDP: no backends of a frontend any more. */
  readonly gone: readonly SocketEnd[];
  /** The last: a flow that finds its list changed asks the new one. */
  readonly membersRemoved: readonly Buffer[];
}

interface ListInMaps {
  readonly id: number;
  readonly count: number;
  /** Of UDP: all. */
  readonly members: readonly SocketEnd[];
}

const isSameEnd = (a: SocketEnd, b: SocketEnd): boolean => a.ip === b.ip && a.port === b.port;

/**
 * Which ids are in the maps. A list of backends is never changed: one that differs has another id, so that a connection sees one or the
 * other. `firstId`: sockets remember by which list they were led, also that of an earlier agent, so that no two agents begin alike.
 */
export class SocketTable {
  readonly #lists = new Map<string, ListInMaps>();
  #lastId: number;

  constructor(firstId: number) {
    this.#lastId = firstId;
  }

  /** Whether it is one of the frontend's; of UDP. @throws E_INVALID */
  hasMember(frontend: SocketEnd, backend: SocketEnd): boolean {
    const list = this.#lists.get(encodeFrontend({ protocol: 'udp', frontend }).toString('latin1'));
    return list?.members.some((member) => isSameEnd(member, backend)) === true;
  }

  /** What brings the maps to the frontends; from then on they are taken to be there. @throws E_INVALID */
  take(frontends: readonly BalancedFrontend[]): SocketChanges {
    const changes = {
      membersPut: [] as MapEntry[],
      backendsPut: [] as MapEntry[],
      frontendsPut: [] as MapEntry[],
      frontendsRemoved: [] as Buffer[],
      backendsRemoved: [] as Buffer[],
      membersRemoved: [] as Buffer[],
      gone: [] as SocketEnd[],
    };
    for (const balanced of frontends) {
      const { protocol, backends } = balanced;
      const key = encodeFrontend(balanced);
      const text = key.toString('latin1');
      const old = this.#lists.get(text);
      if (old !== undefined) {
        for (let slot = 0; slot < old.count; slot++)
          changes.backendsRemoved.push(encodeBackendKey(old.id, slot));
        changes.membersRemoved.push(...old.members.map((backend) => encodeMember(old.id, backend)));
        changes.gone.push(...old.members.filter((each) => !backends.some((other) => isSameEnd(each, other))));
      }
      if (backends.length === 0) {
        if (this.#lists.delete(text)) changes.frontendsRemoved.push(key);
        continue;
      }
      const id = this.#nextId();
      for (const [slot, backend] of backends.entries()) {
        const value = Buffer.alloc(backendValue.bytes);
        writeAddress(value, backend);
        changes.backendsPut.push({ key: encodeBackendKey(id, slot), value });
      }
      const members = protocol === 'udp' ? backends : [];
      changes.membersPut.push(
        ...members.map((backend) => ({ key: encodeMember(id, backend), value: isMember })),
      );
      changes.frontendsPut.push({ key, value: encodeTarget(id, backends.length) });
      this.#lists.set(text, { id, count: backends.length, members });
    }
    return changes;
  }

  /** Of 32 bits; a list that is still there after four billion others keeps its own only by luck, so that those are passed over. */
  #nextId(): number {
    this.#lastId = (this.#lastId + 1) >>> 0;
    return this.#lastId;
  }
}
