/** What programs of type BPF_PROG_TYPE_CGROUP_SOCK_ADDR have in common: their context, and what they look up by it. Pure. */
import type { BlockBuilder } from '#native/bpf/block.ts';
import type { Register } from '#native/bpf/instruction.ts';
import type { LedProtocol } from './socket-balancer.ts';
import { frontendKey, protocolNumbers, socketMaps } from './socket-layout.ts';

/** struct bpf_sock_addr (linux/bpf.h): addresses and port in the network's order, the port in the lower half of its word. */
export const contextOffset = { ip4: 4, ip6: 8, port: 24, protocol: 36, socket: 64 } as const;

/** Where programs keep the frontend that they look for, below r10. */
export const frontendOnStack = -24;

/** The register that has the context. */
export const context = 6;

const mapped = 0xffff_0000; // The third word of ::ffff:a.b.c.d as it is loaded: bytes 00 00 ff ff

/** Words of an address of 16 bytes that are in the context, with their places there. */
export function wordsOf(family: 4 | 6): readonly { readonly at: number; readonly from: number }[] {
  if (family === 4) return [{ at: 12, from: contextOffset.ip4 }];
  return [0, 4, 8, 12].map((at) => ({ at, from: contextOffset.ip6 + at }));
}

/** The context's address and protocol as a key of frontends, on the stack. */
export function storeFrontend(b: BlockBuilder, family: 4 | 6): void {
  b.storeValue(10, frontendOnStack, 0, 8);
  b.storeValue(10, frontendOnStack + 8, mapped, 4);
  for (const { at, from } of wordsOf(family)) {
    b.load(2, context, from);
    b.store(10, frontendOnStack + at, 2, 4);
  }
  b.load(2, context, contextOffset.port);
  b.store(10, frontendOnStack + frontendKey.port, 2, 2);
  b.load(2, context, contextOffset.protocol);
  b.store(10, frontendOnStack + frontendKey.protocol, 2, 2);
}

/** Goes on with 1 where the protocol is none of these. */
export function unlessProtocol(b: BlockBuilder, protocols: readonly LedProtocol[]): void {
  b.load(2, context, contextOffset.protocol);
  for (const each of protocols.slice(1)) b.jumpIf(2, '==', { value: protocolNumbers[each] }, 'is led');
  const [first = 'tcp'] = protocols;
  b.unlessEqual(2, protocolNumbers[first], 'go on');
  if (protocols.length > 1) b.label('is led');
}

/** struct bpf_sock (linux/bpf.h) */
const socketState = 72;
const TCP_ESTABLISHED = 1; // of UDP, too: connected

/** r2 is lost. */
export function ifConnected(b: BlockBuilder, label: string): void {
  b.load(2, context, contextOffset.socket, 8);
  b.load(2, 2, socketState);
  b.jumpIf(2, '==', { value: TCP_ESTABLISHED }, label);
}

/** Compares an address that is kept at a register with the context's. r2 and r3 are lost. */
export function unlessContext(
  b: BlockBuilder,
  family: 4 | 6,
  { register, address, port }: AddressPlace,
  otherwise: string,
): void {
  for (const { at, from } of wordsOf(family)) {
    b.load(2, context, from);
    b.load(3, register, address + at);
    b.jumpIf(2, '!=', { register: 3 }, otherwise);
  }
  b.load(2, context, contextOffset.port);
  b.load(3, register, port);
  b.jumpIf(2, '!=', { register: 3 }, otherwise);
}

/** r0 is the value of the key that is on the stack. */
export function lookUp(b: BlockBuilder, map: string, key: number, otherwise: string): void {
  b.loadMap(1, map);
  b.move(2, 10);
  b.add(2, key);
  b.call('map_lookup_elem');
  b.jumpIf(0, '==', { value: 0 }, otherwise);
}

/** BPF_SK_STORAGE_GET_F_CREATE: kept with the socket. */
export const createStorage = 1;

/** r0 is what is kept with the socket, 0 without any. */
export function storageOf(b: BlockBuilder, map: 'peers' | 'flows', flags: number): void {
  b.load(2, context, contextOffset.socket, 8);
  b.loadMap(1, socketMaps[map].name);
  b.set(3, 0);
  b.set(4, flags);
  b.call('sk_storage_get');
}

/** Where an address of 16 bytes is kept, and the word of its port. */
export interface AddressPlace {
  readonly register: Register;
  readonly address: number;
  readonly port: number;
}

/** The context's address becomes the one that is kept there. */
export function replaceAddress(
  b: BlockBuilder,
  family: 4 | 6,
  { register, address, port }: AddressPlace,
): void {
  for (const { at, from } of wordsOf(family)) {
    b.load(2, register, address + at);
    b.store(context, from, 2, 4);
  }
  b.load(2, register, port);
  b.store(context, contextOffset.port, 2, 4);
}

export function goOn(b: BlockBuilder): void {
  b.label('go on');
  b.set(0, 1);
  b.exit();
}
