/**
 * A program of type BPF_PROG_TYPE_SCHED_CLS for the node's end of a pod's cable: it sees what the pod sends, before the bridge does. What
 * it does not take goes on as if it were not there (TCX_NEXT). Pure.
 */
import { createBlockBuilder, type BlockBuilder } from '#native/bpf/block.ts';
import type { Instruction, Register } from '#native/bpf/instruction.ts';
import {
  flowKey,
  flowValue,
  neighbourBytes,
  podValue,
  redirectMaps,
  routeKey,
  routeValue,
} from './redirect-layout.ts';

/** struct __sk_buff (linux/bpf.h) */
const contextOffset = { ifindex: 40, data: 76, end: 80 } as const;

/** Offsets from the beginning of the frame: Ethernet 14, then IPv4 without options 20 (RFC 791) or IPv6 40 (RFC 8200), then TCP (RFC 9293). */
const ethertype = 12;
const v4 = { headers: 54, version: 14, fragment: 20, protocol: 23, source: 26, destination: 30 } as const;
const v6 = { headers: 74, protocol: 20, source: 22, destination: 38 } as const;
const tcpFlags = 13;
const tcpLength = 20;

/** As they are loaded from a packet by a little-endian processor. */
const IPV4 = 0x0008;
const IPV6 = 0xdd86;
const fragmentBits = 0xff3f; // "more fragments", and the place of this one
const mapped = 0xffff_0000;
const tcp = 6;
const withoutOptions = 0x45;

const FIN_RST = 0x05;
const SYN = 0x02;
const ACK = 0x10;

const TCX_NEXT = -1;
const PACKET_HOST = 0;
const BPF_ANY = 0;
const wholePrefix = 128;

/** On the stack, below r10. */
const flow = -40;
const back = -80;
const value = -96;
const route = -120;

const context = 6;
const packet = 7;
const known = 7; // After the packet was read.
const end = 8;
const flags = 9;

export function compileRedirect(): readonly Instruction[] {
  const b = createBlockBuilder();
  b.move(context, 1);
  b.load(packet, context, contextOffset.data);
  b.load(end, context, contextOffset.end);
  requireBytes(b, v4.headers);
  b.storeValue(10, flow + flowKey.ports + 4, 0, 4);
  b.load(2, packet, ethertype, 2);
  b.unlessEqual(2, IPV4, 'no IPv4');
  readV4(b);
  b.jump('read');
  b.label('no IPv4');
  b.unlessEqual(2, IPV6, 'next');
  readV6(b);
  b.label('read');
  b.jumpIf(flags, '&', { value: FIN_RST }, 'ends');
  b.jumpIf(flags, '&', { value: SYN }, 'begins');
  takeOn(b);
  b.label('begins');
  b.jumpIf(flags, '&', { value: ACK }, 'next'); // Who answered is known by who asked.
  noteFlow(b);
  b.label('ends');
  lookUpFlow(b, 'map_delete_elem', flow);
  copyBack(b);
  lookUpFlow(b, 'map_delete_elem', back);
  b.label('next');
  b.set(0, TCX_NEXT);
  b.exit();
  return b.build();
}

function requireBytes(b: BlockBuilder, bytes: number): void {
  b.move(2, packet);
  b.add(2, bytes);
  b.jumpIf(2, '>', { register: end }, 'next');
}

function readV4(b: BlockBuilder): void {
  b.load(3, packet, v4.version, 1);
  b.unlessEqual(3, withoutOptions, 'next');
  b.load(3, packet, v4.protocol, 1);
  b.unlessEqual(3, tcp, 'next');
  b.load(3, packet, v4.fragment, 2);
  b.jumpIf(3, '&', { value: fragmentBits }, 'next');
  for (const [at, from] of [
    [flow + flowKey.source, v4.source],
    [flow + flowKey.destination, v4.destination],
  ] as const) {
    b.storeValue(10, at, 0, 8);
    b.storeValue(10, at + 8, mapped, 4);
    b.load(3, packet, from);
    b.store(10, at + 12, 3, 4);
  }
  readPorts(b, v4.headers - tcpLength);
}

function readV6(b: BlockBuilder): void {
  requireBytes(b, v6.headers);
  b.load(3, packet, v6.protocol, 1);
  b.unlessEqual(3, tcp, 'next'); // Extensions are for the node's stack.
  for (let at = 0; at < 32; at += 4) {
    b.load(3, packet, v6.source + at); // The destination is next to it, in both.
    b.store(10, flow + flowKey.source + at, 3, 4);
  }
  readPorts(b, v6.headers - tcpLength);
}

function readPorts(b: BlockBuilder, tcpHeader: number): void {
  b.load(3, packet, tcpHeader);
  b.store(10, flow + flowKey.ports, 3, 4);
  b.load(flags, packet, tcpHeader + tcpFlags, 1);
}

type Map = keyof typeof redirectMaps;

/** r0 = the value, or goes to `otherwise`. */
function lookUp(b: BlockBuilder, map: Map, key: number, otherwise: string): void {
  b.loadMap(1, redirectMaps[map].name);
  b.move(2, 10);
  b.add(2, key);
  b.call('map_lookup_elem');
  b.jumpIf(0, '==', { value: 0 }, otherwise);
}

function lookUpFlow(b: BlockBuilder, helper: 'map_delete_elem', key: number): void {
  b.loadMap(1, redirectMaps.flows.name);
  b.move(2, 10);
  b.add(2, key);
  b.call(helper);
}

function unlessSame(
  b: BlockBuilder,
  left: readonly [Register, number],
  right: readonly [Register, number],
): void {
  b.load(2, ...left);
  b.load(3, ...right);
  b.jumpIf(2, '!=', { register: 3 }, 'next');
}

/** A packet of neither beginning nor end. The first that follows a beginning still is the node's: with it conntrack takes both as connected. */
function takeOn(b: BlockBuilder): void {
  lookUp(b, 'flows', flow, 'next');
  b.move(known, 0);
  b.load(2, known, flowValue.isEstablished);
  b.jumpIf(2, '!=', { value: 0 }, 'established');
  b.storeValue(known, flowValue.isEstablished, 1, 4);
  b.jump('next');
  b.label('established');
  lookUp(b, 'pods', flow + flowKey.source, 'next');
  unlessSame(b, [0, podValue.generation], [known, flowValue.source]);
  unlessSame(b, [0, podValue.ifindex], [context, contextOffset.ifindex]);
  b.load(2, known, flowValue.isRemote);
  b.jumpIf(2, '!=', { value: 0 }, 'leaves');
  lookUp(b, 'pods', flow + flowKey.destination, 'next');
  unlessSame(b, [0, podValue.generation], [known, flowValue.destination]);
  b.load(known, 0, podValue.ifindex);
  b.move(1, context);
  b.set(2, 0); // The frame's destination is its first six bytes.
  b.move(3, 0);
  b.add(3, podValue.mac);
  b.set(4, 6);
  b.set(5, 0);
  b.call('skb_store_bytes');
  b.jumpIf(0, '!=', { value: 0 }, 'next');
  b.move(1, context);
  b.set(2, PACKET_HOST);
  b.call('skb_change_type'); // It was for the bridge; kernels before 6.15 do not say so by themselves.
  b.move(1, known);
  b.set(2, 0);
  b.call('redirect_peer');
  b.exit();
  b.label('leaves');
  lookUpRoute(b);
  b.load(1, 0, routeValue.ifindex);
  b.move(2, 0);
  b.add(2, routeValue.neighbour);
  b.set(3, neighbourBytes);
  b.set(4, 0);
  b.call('redirect_neigh');
  b.exit();
}

function lookUpRoute(b: BlockBuilder): void {
  b.storeValue(10, route + routeKey.prefix, wholePrefix, 4);
  for (let at = 0; at < 16; at += 4) {
    b.load(2, 10, flow + flowKey.destination + at);
    b.store(10, route + routeKey.address + at, 2, 4);
  }
  lookUp(b, 'routes', route, 'next');
}

function copyBack(b: BlockBuilder): void {
  for (let at = 0; at < 16; at += 8) {
    b.load(2, 10, flow + flowKey.source + at, 8);
    b.store(10, back + flowKey.destination + at, 2, 8);
    b.load(2, 10, flow + flowKey.destination + at, 8);
    b.store(10, back + flowKey.source + at, 2, 8);
  }
  b.load(2, 10, flow + flowKey.ports, 2);
  b.store(10, back + flowKey.ports + 2, 2, 2);
  b.load(2, 10, flow + flowKey.ports + 2, 2);
  b.store(10, back + flowKey.ports, 2, 2);
  b.storeValue(10, back + flowKey.ports + 4, 0, 4);
}

/** A pod connects to another pod's own address: to one of this node, which answers the same way, or to one of another. */
function noteFlow(b: BlockBuilder): void {
  lookUp(b, 'pods', flow + flowKey.source, 'next');
  unlessSame(b, [0, podValue.ifindex], [context, contextOffset.ifindex]); // Nobody else's address.
  b.load(known, 0, podValue.generation);
  b.store(10, value + flowValue.source, known, 4);
  b.storeValue(10, value + flowValue.isEstablished, 0, 4);
  lookUp(b, 'pods', flow + flowKey.destination, 'elsewhere');
  b.load(end, 0, podValue.generation);
  b.store(10, value + flowValue.destination, end, 4);
  b.storeValue(10, value + flowValue.isRemote, 0, 4);
  putFlow(b, flow);
  copyBack(b);
  b.store(10, value + flowValue.source, end, 4);
  b.store(10, value + flowValue.destination, known, 4);
  putFlow(b, back);
  b.jump('next');
  b.label('elsewhere');
  lookUpRoute(b);
  b.storeValue(10, value + flowValue.destination, 0, 4);
  b.storeValue(10, value + flowValue.isRemote, 1, 4);
  putFlow(b, flow);
  b.jump('next');
}

function putFlow(b: BlockBuilder, key: number): void {
  b.loadMap(1, redirectMaps.flows.name);
  b.move(2, 10);
  b.add(2, key);
  b.move(3, 10);
  b.add(3, value);
  b.set(4, BPF_ANY);
  b.call('map_update_elem');
}
