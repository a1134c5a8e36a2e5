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
  unlessContext,
  unlessProtocol,
} from './socket-context.ts';
import type { LedProtocol } from './socket-balancer.ts';
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

/**
 * connect(2) of either family. A socket of IPv6 that connects to ::ffff:a.b.c.d is asked as one of IPv6, and finds the same frontends. A
 * socket of UDP may connect again and again: what it was told before counts no more.
 */
export function compileConnect(family: 4 | 6, protocols: readonly LedProtocol[]): readonly Instruction[] {
  const b = createBlockBuilder();
  b.move(context, 1);
  unlessProtocol(b, protocols);
  storeFrontend(b, family);
  lookUp(b, socketMaps.frontends.name, frontendOnStack, 'not led');
  b.load(list, 0, frontendValue.id);
  b.load(count, 0, frontendValue.count);
  b.jumpIf(count, '==', { value: 0 }, 'not led');
  b.call('get_prandom_u32');
  b.modulo(0, count);
  b.store(10, backendOnStack + backendKey.id, list, 4);
  b.store(10, backendOnStack + backendKey.slot, 0, 4);
  lookUp(b, socketMaps.backends.name, backendOnStack, 'not led'); // Gone in this moment: Service rules have it.
  b.move(list, 0);
  rememberPeer(b);
  replaceAddress(b, family, { register: list, ...backendValue });
  b.jump('go on');
  b.label('not led');
  if (protocols.includes('udp')) forgetPeer(b);
  goOn(b);
  return b.build();
}

/** Without memory for it, getpeername() of TCP tells the backend; a socket of UDP could not be moved, and is not led. */
function rememberPeer(b: BlockBuilder): void {
  storageOf(b, 'peers', createStorage);
  b.jumpIf(0, '!=', { value: 0 }, 'remember');
  b.load(2, context, contextOffset.protocol);
  b.jumpIf(2, '==', { value: protocolNumbers.tcp }, 'connect');
  b.jump('go on');
  b.label('remember');
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

function forgetPeer(b: BlockBuilder): void {
  b.load(2, context, contextOffset.protocol);
  b.unlessEqual(2, protocolNumbers.udp, 'go on');
  storageOf(b, 'peers', 0);
  b.jumpIf(0, '==', { value: 0 }, 'go on');
  b.storeValue(0, peerValue.frontendPort, 0, 4);
  b.storeValue(0, peerValue.backendPort, 0, 4);
}

/** getpeername(2): of a socket that was led to a backend, and is still connected to that one. */
export function compileGetPeerName(family: 4 | 6): readonly Instruction[] {
  const b = createBlockBuilder();
  b.move(context, 1);
  nameOfPeer(b, family);
  goOn(b);
  return b.build();
}

/** The context's address, where it is the backend that the socket was connected to, becomes what the socket asked for. */
export function nameOfPeer(b: BlockBuilder, family: 4 | 6): void {
  storageOf(b, 'peers', 0);
  b.jumpIf(0, '==', { value: 0 }, 'go on');
  b.move(peers, 0);
  const [backend, frontend] = peerPlaces;
  unlessContext(b, family, backend, 'go on');
  replaceAddress(b, family, frontend);
}

/** The other way round: what a connected socket says that it sends to is whom it was led to. */
export function peerOfName(b: BlockBuilder, family: 4 | 6): void {
  storageOf(b, 'peers', 0);
  b.jumpIf(0, '==', { value: 0 }, 'go on');
  b.move(peers, 0);
  const [backend, frontend] = peerPlaces;
  unlessContext(b, family, frontend, 'go on');
  replaceAddress(b, family, backend);
}

const peerPlaces = [
  { register: peers, address: peerValue.backend, port: peerValue.backendPort },
  { register: peers, address: peerValue.frontend, port: peerValue.frontendPort },
] as const;
