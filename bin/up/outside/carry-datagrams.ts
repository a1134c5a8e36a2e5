import { createSocket, type Socket } from 'node:dgram';
import type { Clock } from '#base/clock.ts';
import { cidrContains, parseCidr, parseIp } from '#base/ip.ts';
import { decodePacket, encodeDatagram, encodeRefusal, payloadMax, type Datagram } from './datagram.ts';

export interface CarryOptions {
  /** Networks of the cluster itself: what comes here for them is for nobody. */
  readonly ownCidrs: readonly string[];
  /** Gives a packet back to the cluster. */
  readonly write: (packet: Buffer) => void;
  readonly clock: Clock;
  readonly open?: (family: 4 | 6) => Socket;
}

/** Disposing it ends all flows. */
export interface DatagramCarrier extends Disposable {
  take(packet: Buffer): void;
  /** Flows that there are. */
  count(): number;
}

/** Each is a socket of this process; the one that was silent for longest gives way. */
export const flowsMax = 1024;
/** Without a datagram either way (RFC 4787, REQ-5). */
const idleMs = 120_000;
/** One question, one answer. */
const namesIdleMs = 20_000;
const namesPort = 53;
const sweepMs = 10_000;
/** That wait until the socket is connected. */
const waitingMax = 16;

interface Flow {
  readonly socket: Socket;
  readonly idleMs: number;
  /** Undefined once the socket is connected. */
  waiting: Buffer[] | undefined;
  usedMs: number;
}

interface FlowEvents {
  readonly write: (packet: Buffer) => void;
  readonly nowMs: () => number;
  /** Nobody is there, or there is no way. */
  readonly onFailure: (flow: Flow) => void;
}

function startFlow(socket: Socket, datagram: Datagram, { write, nowMs, onFailure }: FlowEvents): Flow {
  const { family, source, sourcePort, target, targetPort } = datagram;
  const flow: Flow = {
    socket,
    idleMs: targetPort === namesPort ? namesIdleMs : idleMs,
    waiting: [],
    usedMs: nowMs(),
  };
  const ends = { family, source: target, sourcePort: targetPort, target: source, targetPort: sourcePort };
  socket.on('message', (payload) => {
    flow.usedMs = nowMs();
    if (payload.length <= payloadMax[family]) write(encodeDatagram({ ...ends, payload }));
  });
  socket.on('connect', () => {
    const { waiting = [] } = flow;
    flow.waiting = undefined;
    for (const payload of waiting) socket.send(payload);
  });
  socket.on('error', () => onFailure(flow));
  socket.connect(targetPort, target);
  return flow;
}

/**
 * Datagrams from the cluster go on from sockets of this process, one for each pair of ends, and what is answered goes back as from
 * whom it was for. What is no datagram is refused.
 */
export function carryDatagrams(options: CarryOptions): DatagramCarrier {
  const { write, clock, open = (family) => createSocket(family === 4 ? 'udp4' : 'udp6') } = options;
  const own = options.ownCidrs.flatMap((text) => parseCidr(text) ?? []);
  const flows = new Map<string, Flow>();
  const isOwn = (text: string): boolean => {
    const ip = parseIp(text);
    return ip === undefined || own.some((cidr) => cidr.ip.family === ip.family && cidrContains(cidr, ip));
  };
  const nowMs = (): number => clock.monotonic();
  const end = (key: string): void => {
    const flow = flows.get(key);
    if (flows.delete(key)) flow?.socket.close();
  };
  const start = (key: string, packet: Buffer, datagram: Datagram): Flow =>
    startFlow(open(datagram.family), datagram, {
      write,
      nowMs,
      onFailure: (flow) => {
        if (flows.get(key) !== flow) return;
        write(encodeRefusal(packet, datagram.family, 'port'));
        end(key);
      },
    });
  const carry = (packet: Buffer, datagram: Datagram): void => {
    const { source, sourcePort, target, targetPort, payload } = datagram;
    const key = `${source} ${sourcePort} ${target} ${targetPort}`;
    const flow = flows.get(key) ?? start(key, packet, datagram);
    // The last one used stands last.
    flows.delete(key);
    flows.set(key, flow);
    flow.usedMs = nowMs();
    if (flow.waiting === undefined) flow.socket.send(payload);
    else if (flow.waiting.length < waitingMax) flow.waiting.push(payload);
    const [oldest] = flows.keys();
    if (flows.size > flowsMax && oldest !== undefined) end(oldest);
  };
  let timer = clock.after(sweepMs, sweep);
  function sweep(): void {
    for (const [key, flow] of flows) if (nowMs() - flow.usedMs >= flow.idleMs) end(key);
    timer = clock.after(sweepMs, sweep);
  }
  return {
    take: (packet) => {
      const found = decodePacket(packet);
      if (found.kind === 'none') return;
      const isForUs = found.kind === 'datagram' && !isOwn(found.datagram.target);
      if (isForUs) carry(packet, found.datagram);
      else {
        const family = found.kind === 'datagram' ? found.datagram.family : found.family;
        write(encodeRefusal(packet, family, 'prohibited'));
      }
    },
    count: () => flows.size,
    [Symbol.dispose]: () => {
      timer[Symbol.dispose]();
      for (const key of flows.keys()) end(key);
    },
  };
}
