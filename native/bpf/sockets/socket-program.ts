/**
 * Programs of type BPF_PROG_TYPE_CGROUP_SOCK_ADDR. connect() to a frontend becomes connect() to a backend; getpeername() tells what was
 * asked for. They never refuse: 1 lets the kernel go on, with what is in the context by then. Pure.
 */
import { createBlockBuilder, type BlockBuilder } from '#native/bpf/block.ts';
import type { Instruction } from '#native/bpf/instruction.ts';
import {
  backendKey,
  backendValue,
  frontendKey,
  frontendValue,
  peerValue,
  socketMaps,
  tcp,
} from './socket-layout.ts';

/** struct bpf_sock_addr (linux/bpf.h): addresses and port in the network's order, the port in the lower half of its word. */
const contextOffset = { ip4: 4, ip6: 8, port: 24, protocol: 36, socket: 64 } as const;

/** The first of what is on the stack, below r10. */
const stack = { frontend: -24, backend: -32 } as const;

const mapped = 0xffff_0000; // The third word of ::ffff:a.b.c.d as it is loaded: bytes 00 00 ff ff

const context = 6;
const list = 7;
const count = 8;
const peers = 9;

/** Words of an address of 16 bytes that are in the context, with their places there. */
function wordsOf(family: 4 | 6): readonly { readonly at: number; readonly from: number }[] {
  if (family === 4) return [{ at: 12, from: contextOffset.ip4 }];
  return [0, 4, 8, 12].map((at) => ({ at, from: contextOffset.ip6 + at }));
}

/** connect(2) of either family. A socket of IPv6 that connects to ::ffff:a.b.c.d is asked as one of IPv6, and finds the same frontends. */
export function compileConnect(family: 4 | 6): readonly Instruction[] {
  const b = createBlockBuilder();
  b.move(context, 1);
  b.load(2, context, contextOffset.protocol);
  b.unlessEqual(2, tcp, 'go on');
  b.storeValue(10, stack.frontend, 0, 8);
  b.storeValue(10, stack.frontend + 8, mapped, 4);
  for (const { at, from } of wordsOf(family)) {
    b.load(2, context, from);
    b.store(10, stack.frontend + at, 2, 4);
  }
  b.load(2, context, contextOffset.port);
  b.store(10, stack.frontend + frontendKey.port, 2, 2);
  b.storeValue(10, stack.frontend + frontendKey.protocol, tcp, 2);
  lookUp(b, socketMaps.frontends.name, stack.frontend);
  b.load(list, 0, frontendValue.id);
  b.load(count, 0, frontendValue.count);
  b.jumpIf(count, '==', { value: 0 }, 'go on');
  b.call('get_prandom_u32');
  b.modulo(0, count);
  b.store(10, stack.backend + backendKey.id, list, 4);
  b.store(10, stack.backend + backendKey.slot, 0, 4);
  lookUp(b, socketMaps.backends.name, stack.backend); // Gone in this moment: Service rules have it.
  b.move(list, 0);
  rememberPeer(b);
  for (const { at, from } of wordsOf(family)) {
    b.load(2, list, backendValue.address + at);
    b.store(context, from, 2, 4);
  }
  b.load(2, list, backendValue.port);
  b.store(context, contextOffset.port, 2, 4);
  b.label('go on');
  b.set(0, 1);
  b.exit();
  return b.build();
}

function lookUp(b: BlockBuilder, map: string, key: number): void {
  b.loadMap(1, map);
  b.move(2, 10);
  b.add(2, key);
  b.call('map_lookup_elem');
  b.jumpIf(0, '==', { value: 0 }, 'go on');
}

/** BPF_SK_STORAGE_GET_F_CREATE: kept with the socket. Without memory for it, getpeername() tells the backend. */
const create = 1;

function storageOf(b: BlockBuilder, flags: number, otherwise: string): void {
  b.load(2, context, contextOffset.socket, 8);
  b.loadMap(1, socketMaps.peers.name);
  b.set(3, 0);
  b.set(4, flags);
  b.call('sk_storage_get');
  b.jumpIf(0, '==', { value: 0 }, otherwise);
}

function rememberPeer(b: BlockBuilder): void {
  storageOf(b, create, 'connect');
  for (let at = 0; at < 16; at += 4) {
    b.load(2, list, backendValue.address + at);
    b.store(0, peerValue.backend + at, 2, 4);
    b.load(2, 10, stack.frontend + at);
    b.store(0, peerValue.frontend + at, 2, 4);
  }
  b.load(2, list, backendValue.port);
  b.store(0, peerValue.backendPort, 2, 4);
  b.load(2, 10, stack.frontend + frontendKey.port, 2);
  b.store(0, peerValue.frontendPort, 2, 4);
  b.label('connect');
}

/** getpeername(2): of a socket that was led to a backend, and is still connected to that one. */
export function compileGetPeerName(family: 4 | 6): readonly Instruction[] {
  const b = createBlockBuilder();
  b.move(context, 1);
  storageOf(b, 0, 'go on');
  b.move(peers, 0);
  for (const { at, from } of wordsOf(family)) {
    b.load(2, context, from);
    b.load(3, peers, peerValue.backend + at);
    b.jumpIf(2, '!=', { register: 3 }, 'go on');
  }
  b.load(2, context, contextOffset.port);
  b.load(3, peers, peerValue.backendPort);
  b.jumpIf(2, '!=', { register: 3 }, 'go on');
  for (const { at, from } of wordsOf(family)) {
    b.load(2, peers, peerValue.frontend + at);
    b.store(context, from, 2, 4);
  }
  b.load(2, peers, peerValue.frontendPort);
  b.store(context, contextOffset.port, 2, 4);
  b.label('go on');
  b.set(0, 1);
  b.exit();
  return b.build();
}
