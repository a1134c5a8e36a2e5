/**
 * Programs of type BPF_PROG_TYPE_CGROUP_SOCK_ADDR. connect() to a frontend becomes connect() to a backend; getpeername() tells what was
 * asked for. They never refuse: 1 lets the kernel go on, with what is in the context by then. Pure.
 */
import { createBlockBuilder, type BlockBuilder } from '#native/bpf/block.ts';
import type { Instruction } from '#native/bpf/instruction.ts';
import {
  context,
  contextOffset,
  createStorage,
  frontendOnStack,
  goOn,
  lookUp,
  replaceAddress,
  storageOf,
  storeFrontend,
  wordsOf,
} from './socket-context.ts';
import {
  backendKey,
  backendValue,
  frontendKey,
  frontendValue,
  peerValue,
  protocolNumbers,
  socketMaps,
} from './socket-layout.ts';

/** Below the frontend on the stack. */
const backendOnStack = frontendOnStack - backendKey.bytes;

const list = 7;
const count = 8;
const peers = 9;

/** connect(2) of either family. A socket of IPv6 that connects to ::ffff:a.b.c.d is asked as one of IPv6, and finds the same frontends. */
export function compileConnect(family: 4 | 6): readonly Instruction[] {
  const b = createBlockBuilder();
  b.move(context, 1);
  b.load(2, context, contextOffset.protocol);
  b.unlessEqual(2, protocolNumbers.tcp, 'go on');
  storeFrontend(b, family, protocolNumbers.tcp);
  lookUp(b, socketMaps.frontends.name, frontendOnStack, 'go on');
  b.load(list, 0, frontendValue.id);
  b.load(count, 0, frontendValue.count);
  b.jumpIf(count, '==', { value: 0 }, 'go on');
  b.call('get_prandom_u32');
  b.modulo(0, count);
  b.store(10, backendOnStack + backendKey.id, list, 4);
  b.store(10, backendOnStack + backendKey.slot, 0, 4);
  lookUp(b, socketMaps.backends.name, backendOnStack, 'go on'); // Gone in this moment: Service rules have it.
  b.move(list, 0);
  rememberPeer(b);
  replaceAddress(b, family, list, backendValue);
  goOn(b);
  return b.build();
}

/** Without memory for it, getpeername() tells the backend. */
function rememberPeer(b: BlockBuilder): void {
  storageOf(b, 'peers', createStorage);
  b.jumpIf(0, '==', { value: 0 }, 'connect');
  for (let at = 0; at < 16; at += 4) {
    b.load(2, list, backendValue.address + at);
    b.store(0, peerValue.backend + at, 2, 4);
    b.load(2, 10, frontendOnStack + at);
    b.store(0, peerValue.frontend + at, 2, 4);
  }
  b.load(2, list, backendValue.port);
  b.store(0, peerValue.backendPort, 2, 4);
  b.load(2, 10, frontendOnStack + frontendKey.port, 2);
  b.store(0, peerValue.frontendPort, 2, 4);
  b.label('connect');
}

/** getpeername(2): of a socket that was led to a backend, and is still connected to that one. */
export function compileGetPeerName(family: 4 | 6): readonly Instruction[] {
  const b = createBlockBuilder();
  b.move(context, 1);
  storageOf(b, 'peers', 0);
  b.jumpIf(0, '==', { value: 0 }, 'go on');
  b.move(peers, 0);
  for (const { at, from } of wordsOf(family)) {
    b.load(2, context, from);
    b.load(3, peers, peerValue.backend + at);
    b.jumpIf(2, '!=', { register: 3 }, 'go on');
  }
  b.load(2, context, contextOffset.port);
  b.load(3, peers, peerValue.backendPort);
  b.jumpIf(2, '!=', { register: 3 }, 'go on');
  replaceAddress(b, family, peers, { address: peerValue.frontend, port: peerValue.frontendPort });
  goOn(b);
  return b.build();
}
