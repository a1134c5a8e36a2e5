import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { createServer, type Server, type Socket } from 'node:net';
import { once } from 'node:events';
import type { Clock } from '#base/clock.ts';
import { PodwrightError } from '#base/errors.ts';
import { FrameAssembler } from '#base/frame-assembler.ts';
import type { Logger } from '#base/log.ts';
import type { EndpointSlice, Service } from '#api/generated/objects.ts';
import { bitsOf, familyOfIp } from '#base/ip.ts';
import type { Informer } from '#client/client.ts';
import { ownNetns, type Netlink } from '#native/netlink/netlink.ts';
import { createDnsView } from './dns-view.ts';
import { createResolver, type Resolver } from './resolver.ts';
import { createUpstream, frame } from './upstream.ts';

export interface DnsServerOptions {
  readonly services: Informer<Service>;
  readonly endpointSlices: Informer<EndpointSlice>;
  readonly netlink: Netlink;
  readonly clock: Clock;
  readonly log: Logger;
  /** The kube-dns Service's address: made an address of `lo`, so that every node answers its own pods. */
  readonly address: string;
  readonly port?: number; // 53
  readonly zone: string;
  readonly ttlSeconds?: number;
  readonly clusterCidr: string;
  readonly serviceCidr: string;
  /** Resolvers for names outside the cluster, as they are now; none: such names are refused at once. */
  readonly upstreams: () => readonly string[];
}

/** TTL of answers: the CoreDNS plugin's default. Short, because Services change. */
const ttlDefaultSeconds = 5;

/** TCP connections at once, and how long one may say nothing. */
const connectionsMax = 256;
const idleMs = 10_000;
/** Bytes of answers that a connection may leave unread; it is not read on then, and ends as an idle one. */
const unreadBytesMax = 65_536;

/** Queries of one connection that are being answered at once. */
const pipelineMax = 32;

/**
 * The cluster's DNS for this node's pods (Kubernetes DNS specification 1.1.0), by UDP and TCP. The Service that has the
 * address must get no rules from the proxy (`ownServices`). Resolves when it listens.
 */
export async function startDns(options: DnsServerOptions): Promise<AsyncDisposable> {
  const { address, port = 53, netlink, clock, log, upstreams } = options;
  await using stack = new AsyncDisposableStack();

  const view = stack.use(createDnsView(options.services, options.endpointSlices));
  // Asking ourselves for what we do not know would go round in circles.
  const others = (): readonly string[] => upstreams().filter((server) => server !== address);
  const resolve = createResolver({
    view,
    zone: options.zone,
    ttlSeconds: options.ttlSeconds ?? ttlDefaultSeconds,
    ownCidrs: [options.clusterCidr, options.serviceCidr],
    upstream: createUpstream(others, clock),
  });
  await Promise.all([options.services.synced, options.endpointSlices.synced]);
  await netlink.apply(ownNetns, [
    { op: 'setLink', name: 'lo', up: true },
    { op: 'ensureAddress', name: 'lo', address: `${address}/${bitsOf(familyOfIp(address) ?? 4)}` },
  ]);
  const abort = new AbortController();
  stack.defer(() => abort.abort(new PodwrightError('E_CLOSED', 'DNS server stopped')));
  const udp = await listenUdp({ address, port, resolve, signal: abort.signal, log });
  stack.defer(() => closeUdp(udp));
  const tcp = await listenTcp({ address, port, resolve, signal: abort.signal, log });
  stack.defer(() => closeTcp(tcp));
  return stack.move();
}

interface Listening {
  readonly address: string;
  readonly port: number;
  readonly resolve: Resolver;
  readonly signal: AbortSignal;
  readonly log: Logger;
}

async function listenUdp({ address, port, resolve, signal, log }: Listening): Promise<UdpSocket> {
  const socket = createSocket(familyOfIp(address) === 6 ? 'udp6' : 'udp4');
  socket.on('message', (message, from) => {
    void resolve(message, 'udp', signal).then((reply) => {
      if (reply === undefined || signal.aborted) return;
      socket.send(reply, from.port, from.address, (error) => {
        if (error !== null) log.debug({ error }, 'DNS reply not sent'); // The client is gone, or its buffer full.
      });
    });
  });
  const bound = once(socket, 'listening');
  socket.bind(port, address);
  await wrapListen(bound, `udp ${address}:${port}`);
  socket.on('error', (error) => log.warn({ error }, 'DNS socket'));
  return socket;
}

interface TcpServer {
  readonly server: Server;
  readonly connections: ReadonlySet<Socket>;
}

async function listenTcp({ address, port, resolve, signal, log }: Listening): Promise<TcpServer> {
  const connections = new Set<Socket>();
  const server = createServer((socket) => {
    connections.add(socket);
    socket.on('close', () => connections.delete(socket));
    serveConnection(socket, (message) => resolve(message, 'tcp', signal));
  });
  server.maxConnections = connectionsMax;
  const bound = once(server, 'listening');
  server.listen(port, address);
  await wrapListen(bound, `tcp ${address}:${port}`);
  server.on('error', (error) => log.warn({ error }, 'DNS server'));
  return { server, connections };
}

/** Messages in the order they come; answers in the order they are ready, as RFC 7766 allows. */
export function serveConnection(
  socket: Socket,
  resolve: (message: Buffer) => Promise<Buffer | undefined>,
): void {
  const assembler = new FrameAssembler({
    headerBytes: 2,
    frameBytes: (header) => 2 + header.readUInt16BE(0),
  });
  const waiting: Buffer[] = [];
  let underWay = 0;
  const pump = (): void => {
    // A client that asks and does not read is asked no more.
    const isFull = (): boolean => underWay >= pipelineMax || socket.writableLength > unreadBytesMax;
    while (!isFull()) {
      const message = waiting.shift();
      if (message === undefined) break;
      underWay++;
      void resolve(message.subarray(2)).then((reply) => {
        underWay--;
        if (reply !== undefined && !socket.destroyed) socket.write(frame(reply));
        pump();
      });
    }
    if (isFull()) socket.pause();
    else socket.resume();
  };
  socket.on('drain', pump);
  socket.setTimeout(idleMs, () => socket.destroy());
  socket.on('error', () => socket.destroy());
  socket.on('data', (data: Buffer) => {
    waiting.push(...assembler.push(data));
    pump();
  });
}

async function wrapListen(bound: Promise<unknown>, what: string): Promise<void> {
  try {
    await bound;
  } catch (cause) {
    throw new PodwrightError('E_BUSY', `listen for DNS on ${what}`, { cause });
  }
}

function closeUdp(socket: UdpSocket): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  socket.close(() => resolve());
  return promise;
}

function closeTcp({ server, connections }: TcpServer): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  server.close(() => resolve());
  for (const socket of connections) socket.destroy();
  return promise;
}
