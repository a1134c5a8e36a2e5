import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { backendKey } from './balancer.ts';
import type { Listener, ListenerOptions } from './listener.ts';
import type { Session } from './sessions.ts';

/** As nf_conntrack_udp_timeout_stream: for as long the kernel leads a client's packets here without asking the rules. */
const idleMs = 120_000;

/** Packets of a client that wait while its socket is made. */
const waitingMax = 16;

/** A client, by its address and port, and the backend that answers it. */
interface Flow {
  readonly backend: string;
  readonly socket: Socket;
  readonly session: Session;
  waiting: Uint8Array[] | undefined; // until it is connected
  /** When the client was heard last, of the monotonic clock. */
  heardMs: number;
  /** Looks whether it is idle. */
  timer: Disposable;
}

/** Takes packets at a port of its own and forwards those of each client to a backend, and its answers back. */
export async function listenUdp(options: ListenerOptions): Promise<Listener> {
  const { host, balancer, clock } = options;
  const type = host.includes(':') ? 'udp6' : 'udp4';
  const flows = new Map<string, Flow>();
  const server = createSocket(type);
  server.on('error', () => undefined); // An answer that cannot be sent is lost, as packets are.

  const end = (client: string): void => {
    const flow = flows.get(client);
    if (flow === undefined) return;
    flows.delete(client);
    flow.timer[Symbol.dispose]();
    flow.session[Symbol.dispose]();
    flow.socket.close();
  };
  const look = (client: string): void => {
    const flow = flows.get(client);
    if (flow === undefined) return;
    const leftMs = flow.heardMs + idleMs - clock.monotonic();
    if (leftMs <= 0) end(client);
    else flow.timer = clock.after(leftMs, () => look(client));
  };
  const begin = (client: string, from: RemoteInfo): Flow | undefined => {
    const backend = balancer.next(from.address, clock.monotonic());
    const session = backend === undefined ? undefined : options.sessions.open(() => end(client));
    if (backend === undefined || session === undefined) return undefined;
    const socket = createSocket(type);
    const heardMs = clock.monotonic();
    const timer = clock.after(idleMs, () => look(client));
    const flow: Flow = { backend: backendKey(backend), socket, session, waiting: [], heardMs, timer };
    flows.set(client, flow);
    socket.on('message', (message) => server.send(message, from.port, from.address));
    // Nobody listens there: the next packet finds another.
    socket.on('error', () => {
      balancer.forget(from.address);
      if (flows.get(client) === flow) end(client);
    });
    socket.connect(backend.port, backend.ip, () => {
      if (flows.get(client) !== flow) return;
      for (const message of flow.waiting ?? []) socket.send(message);
      flow.waiting = undefined;
    });
    return flow;
  };
  server.on('message', (message, from) => {
    const client = `${from.address} ${from.port}`;
    const flow = flows.get(client) ?? begin(client, from);
    if (flow === undefined) return;
    flow.session.touch();
    flow.heardMs = clock.monotonic();
    if (flow.waiting === undefined) flow.socket.send(message);
    else if (flow.waiting.length < waitingMax) flow.waiting.push(message);
  });
  server.bind({ address: host, port: 0, exclusive: true });
  await once(server, 'listening');
  return {
    port: server.address().port,
    noteBackends: (serving) => {
      const there = new Set(serving.map(backendKey));
      for (const [client, { backend }] of flows) if (!there.has(backend)) end(client);
    },
    [Symbol.asyncDispose]: async () => {
      for (const client of [...flows.keys()]) end(client);
      const closed = once(server, 'close');
      server.close();
      await closed;
    },
  };
}
