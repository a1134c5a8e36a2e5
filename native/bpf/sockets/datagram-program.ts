/**
 * Programs of type BPF_PROG_TYPE_CGROUP_SOCK_ADDR for sockets of UDP that say an address, most of them not connected: sendmsg() to a frontend becomes sendmsg() to a
 * backend, the same one as long as it is there, and recvmsg() names the frontend for it. Each sees a socket locked, so that what is kept
 * with it is one program's at a time. They never refuse. Pure.
 */
import { createBlockBuilder, type BlockBuilder } from '#native/bpf/block.ts';
import type { Instruction } from '#native/bpf/instruction.ts';
import {
  context,
  createStorage,
  frontendOnStack,
  goOn,
  ifConnected,
  lookUp,
  replaceAddress,
  storageOf,
  storeFrontend,
  unlessContext,
  unlessProtocol,
  type AddressPlace,
} from './socket-context.ts';
import { nameOfPeer, peerOfName } from './socket-program.ts';
import {
  backendKey,
  backendValue,
  flowsOfSocketMax,
  flowStates,
  flowValue,
  frontendKey,
  frontendValue,
  memberKey,
  socketMaps,
} from './socket-layout.ts';

/** Below the frontend on the stack: a key of members, or of backends; and all flows of the socket. */
const memberOnStack = frontendOnStack - memberKey.bytes;
const flowsOnStack = memberOnStack - 8;

const list = 7;
const count = 8;
const flow = 9;

const flowOffsets = Array.from({ length: flowsOfSocketMax }, (_, index) => index * flowValue.bytes);

/** sendmsg(2) and its brothers with an address. A socket of IPv6 that sends to ::ffff:a.b.c.d is asked as one of IPv4. */
export function compileSendMessage(family: 4 | 6): readonly Instruction[] {
  const b = createBlockBuilder();
  b.move(context, 1);
  unlessProtocol(b, ['udp']);
  ifConnected(b, 'connected');
  storeFrontend(b, family);
  storageOf(b, 'flows', 0);
  b.move(flow, 0);
  lookUp(b, socketMaps.frontends.name, frontendOnStack, 'no frontend');
  b.load(list, 0, frontendValue.id);
  b.load(count, 0, frontendValue.count);
  b.jumpIf(count, '==', { value: 0 }, 'go on');
  b.jumpIf(flow, '!=', { value: 0 }, 'has flows');
  // Without memory for it nobody could tell whom an answer is from.
  storageOf(b, 'flows', createStorage);
  b.jumpIf(0, '==', { value: 0 }, 'go on');
  b.move(flow, 0);
  b.label('has flows');
  findFlow(b);
  b.label('known');
  keepBackend(b);
  b.label('choose');
  chooseBackend(b);
  b.label('lead');
  replaceAddress(b, family, { register: flow, address: flowValue.backend, port: flowValue.backendPort });
  b.jump('go on');
  b.label('no frontend');
  leaveSentDirectly(b);
  b.jump('go on');
  b.label('connected'); // Such a socket hears its peer alone: whoever else is asked by this name.
  peerOfName(b, family);
  goOn(b);
  return b.build();
}

/** Goes to `known` with the frontend's flow, to `choose` with one that is nobody's; without any the datagram is left to the rules. */
function findFlow(b: BlockBuilder): void {
  b.store(10, flowsOnStack, flow, 8);
  for (const at of flowOffsets) {
    const next = `not flow ${at}`;
    b.load(2, flow, at + flowValue.state);
    b.jumpIf(2, '==', { value: 0 }, next);
    unlessSame(
      b,
      { register: flow, address: at + flowValue.frontend, port: at + flowValue.frontendPort },
      next,
    );
    b.add(flow, at);
    b.jump('known');
    b.label(next);
  }
  for (const at of flowOffsets) {
    const next = `flow ${at} is taken`;
    b.load(2, flow, at + flowValue.state);
    b.jumpIf(2, '!=', { value: 0 }, next);
    b.add(flow, at);
    b.jump('choose');
    b.label(next);
  }
  b.jump('go on');
}

/** Compares what is kept with a flow with the address that is on the stack. */
function unlessSame(b: BlockBuilder, { register, address, port }: AddressPlace, otherwise: string): void {
  for (let at = 0; at < 16; at += 4) {
    b.load(2, register, address + at);
    b.load(3, 10, frontendOnStack + at);
    b.jumpIf(2, '!=', { register: 3 }, otherwise);
  }
  b.load(2, register, port);
  b.load(3, 10, frontendOnStack + frontendKey.port, 2);
  b.jumpIf(2, '!=', { register: 3 }, otherwise);
}

/** The list is the one that the flow was settled by, or has its backend, too: `lead`. */
function keepBackend(b: BlockBuilder): void {
  b.load(2, flow, flowValue.state);
  b.jumpIf(2, '==', { value: flowStates.leftToRules }, 'go on');
  b.load(2, flow, flowValue.list);
  b.jumpIf(2, '==', { register: list }, 'lead');
  for (let at = 0; at < 16; at += 4) {
    b.load(2, flow, flowValue.backend + at);
    b.store(10, memberOnStack + memberKey.address + at, 2, 4);
  }
  b.load(2, flow, flowValue.backendPort);
  b.store(10, memberOnStack + memberKey.port, 2, 4);
  b.store(10, memberOnStack + memberKey.id, list, 4);
  lookUp(b, socketMaps.members.name, memberOnStack, 'choose');
  b.store(flow, flowValue.list, list, 4);
  b.jump('lead');
}

/** Any of the list, unless the socket knows it by another name. */
function chooseBackend(b: BlockBuilder): void {
  const backend = count; // Which is not needed by then.
  b.storeValue(flow, flowValue.state, 0, 4); // What it had is no name of the new one.
  b.call('get_prandom_u32');
  b.modulo(0, count);
  b.store(10, memberOnStack + backendKey.id, list, 4);
  b.store(10, memberOnStack + backendKey.slot, 0, 4);
  lookUp(b, socketMaps.backends.name, memberOnStack, 'go on'); // Gone in this moment: Service rules have it.
  b.move(backend, 0);
  for (let at = 0; at < 16; at += 4) {
    b.load(2, 10, frontendOnStack + at);
    b.store(flow, flowValue.frontend + at, 2, 4);
    b.load(2, backend, backendValue.address + at);
    b.store(flow, flowValue.backend + at, 2, 4);
  }
  b.load(2, 10, frontendOnStack + frontendKey.port, 2);
  b.store(flow, flowValue.frontendPort, 2, 4);
  b.load(2, backend, backendValue.port);
  b.store(flow, flowValue.backendPort, 2, 4);
  b.store(flow, flowValue.list, list, 4);
  const all = 5;
  b.load(all, 10, flowsOnStack, 8);
  for (const at of flowOffsets) {
    const next = `flow ${at} is another's`;
    b.load(2, all, at + flowValue.state);
    b.jumpIf(2, '!=', { value: flowStates.led }, next);
    for (let word = 0; word < 20; word += 4) {
      const ofPort = word === 16;
      b.load(2, all, at + (ofPort ? flowValue.backendPort : flowValue.backend + word));
      b.load(3, flow, ofPort ? flowValue.backendPort : flowValue.backend + word);
      b.jumpIf(2, '!=', { register: 3 }, next);
    }
    b.storeValue(flow, flowValue.state, flowStates.leftToRules, 4);
    b.jump('go on');
    b.label(next);
  }
  b.storeValue(flow, flowValue.state, flowStates.led, 4);
}

/** What the socket sends to a backend itself is answered under the backend's own name: from now on the rules translate the other flow. */
function leaveSentDirectly(b: BlockBuilder): void {
  b.jumpIf(flow, '==', { value: 0 }, 'go on');
  for (const at of flowOffsets) {
    const next = `flow ${at} stays`;
    b.load(2, flow, at + flowValue.state);
    b.jumpIf(2, '!=', { value: flowStates.led }, next);
    unlessSame(
      b,
      { register: flow, address: at + flowValue.backend, port: at + flowValue.backendPort },
      next,
    );
    b.storeValue(flow, at + flowValue.state, flowStates.leftToRules, 4);
    b.label(next);
  }
}

/** recvmsg(2) and its brothers that ask from whom: the frontend, of a backend that the socket was led to. */
export function compileReceiveMessage(family: 4 | 6): readonly Instruction[] {
  const b = createBlockBuilder();
  b.move(context, 1);
  unlessProtocol(b, ['udp']);
  ifConnected(b, 'connected');
  storageOf(b, 'flows', 0);
  b.jumpIf(0, '==', { value: 0 }, 'go on');
  b.move(flow, 0);
  for (const at of flowOffsets) {
    const next = `not flow ${at}`;
    b.load(2, flow, at + flowValue.state);
    b.jumpIf(2, '!=', { value: flowStates.led }, next);
    const backend: AddressPlace = {
      register: flow,
      address: at + flowValue.backend,
      port: at + flowValue.backendPort,
    };
    unlessContext(b, family, backend, next);
    b.add(flow, at);
    b.jump('name');
    b.label(next);
  }
  b.jump('go on');
  b.label('name');
  replaceAddress(b, family, { register: flow, address: flowValue.frontend, port: flowValue.frontendPort });
  b.jump('go on');
  b.label('connected');
  nameOfPeer(b, family);
  goOn(b);
  return b.build();
}
