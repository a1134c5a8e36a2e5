import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { PodwrightError } from '#base/errors.ts';
import { FrameAssembler } from '#base/frame-assembler.ts';
import { familyOfIp } from '#base/ip.ts';
import type { Logger } from '#base/log.ts';
import { frame } from './outside/upstream.ts';
import type { Asker, Resolver } from './resolver.ts';

/** TCP connections at once, and how long one may say nothing. */
const connectionsMax = 256;
const idleMs = 10_000;
/** Bytes of answers that a connection may leave unread; it is not read on then, and ends as an idle one. */
const unreadBytesMax = 65_536;

/** Queries of one connection that are being answered at once. */
const pipelineMax = 32;

/** An address of this network namespace, or sockets that are bound in another one. */
export type DnsPlace =
  | { readonly address: string; readonly port: number }
  | { readonly udpFd: number; readonly tcpFd: number };

export interface DnsListening {
  readonly at: DnsPlace;
  readonly resolve: Resolver;
  readonly log: Logger;
}

/** Answers by UDP and TCP until disposed. Resolves when it listens. @throws E_BUSY */
export async function listenForDns({ at, resolve, log }: DnsListening): Promise<AsyncDisposable> {
  await using stack = new AsyncDisposableStack();
  const abort = new AbortController();
  stack.defer(() => abort.abort(new PodwrightError('E_CLOSED', 'DNS server stopped')));
  const { signal } = abort;
  const answer =
    (transport: Asker['transport']): Answer =>
    async (message, address) => {
      const reply = await resolve(message, { transport, address, signal });
      return signal.aborted ? undefined : reply;
    };
  const udp = udpServer(at, answer('udp'), log);
  stack.defer(() => closeUdp(udp));
  await listening(
    udp,
    () => ('udpFd' in at ? udp.bind({ fd: at.udpFd }) : udp.bind(at.port, at.address)),
    at,
  );
  udp.on('error', (error) => log.warn({ error }, 'DNS socket'));
  const { server: tcp, connections } = tcpServer(answer('tcp'));
  stack.defer(() => closeTcp(tcp, connections));
  await listening(
    tcp,
    () => tcp.listen('tcpFd' in at ? { fd: at.tcpFd } : { port: at.port, host: at.address }),
    at,
  );
  tcp.on('error', (error) => log.warn({ error }, 'DNS server'));
  return stack.move();
}

type Answer = (message: Buffer, address: Asker['address']) => ReturnType<Resolver>;

function udpServer(at: DnsPlace, answer: Answer, log: Logger): UdpSocket {
  const socket = createSocket('address' in at && familyOfIp(at.address) === 6 ? 'udp6' : 'udp4');
  socket.on('message', (message, from) => {
    void answer(message, from.address).then((reply) => {
      if (reply === undefined) return;
      socket.send(reply, from.port, from.address, (error) => {
        if (error !== null) log.debug({ error }, 'DNS reply not sent'); // The client is gone, or its buffer full.
      });
    });
  });
  return socket;
}

function tcpServer(answer: Answer): { readonly server: Server; readonly connections: ReadonlySet<Socket> } {
  const connections = new Set<Socket>();
  const server = createServer((socket) => {
    connections.add(socket);
    socket.on('close', () => connections.delete(socket));
    serveConnection(socket, (message) => answer(message, socket.remoteAddress));
  });
  server.maxConnections = connectionsMax;
  return { server, connections };
}

async function listening(server: UdpSocket | Server, begin: () => void, at: DnsPlace): Promise<void> {
  const bound = once(server, 'listening');
  begin();
  try {
    await bound;
  } catch (cause) {
    const where = 'address' in at ? `${at.address}:${at.port}` : 'a socket of another namespace';
    throw new PodwrightError('E_BUSY', `listen for DNS on ${where}`, { cause });
  }
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

function closeUdp(socket: UdpSocket): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  socket.close(() => resolve());
  return promise;
}

function closeTcp(server: Server, connections: ReadonlySet<Socket>): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  server.close(() => resolve());
  for (const socket of connections) socket.destroy();
  return promise;
}
