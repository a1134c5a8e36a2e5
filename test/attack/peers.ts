/** Peers that send what they like and read nothing, by raw connections to the API server. */
import { connect as connectHttp2, type ClientHttp2Session } from 'node:http2';
import { connect, type TLSSocket } from 'node:tls';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';

export interface Access {
  readonly port: number;
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

/** A connection on which nothing is read. */
export async function deafSocket(access: Access, protocol: 'http/1.1' | 'h2'): Promise<TLSSocket> {
  const socket = connect({ ...access, host: '127.0.0.1', ALPNProtocols: [protocol] });
  socket.on('error', () => undefined); // Being cut off is what is hoped for.
  await once(socket, 'secureConnect');
  return socket;
}

/** Asks for an upgrade, waits for the 101, then reads no more. */
export async function upgraded(access: Access, path: string, headers: readonly string[]): Promise<TLSSocket> {
  const socket = await deafSocket(access, 'http/1.1');
  socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n${headers.join('\r\n')}\r\n\r\n`);
  const [head] = (await once(socket, 'data')) as [Buffer];
  if (!head.toString('latin1').startsWith('HTTP/1.1 101'))
    throw new Error(`upgrade ${path}: ${String(head)}`);
  socket.pause();
  return socket;
}

export const spdyHeaders: readonly string[] = [
  'Upgrade: SPDY/3.1',
  'X-Stream-Protocol-Version: v4.channel.k8s.io',
];

export function webSocketHeaders(): readonly string[] {
  const key = randomBytes(16).toString('base64');
  return [
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    `Sec-WebSocket-Key: ${key}`,
    'Sec-WebSocket-Protocol: v5.channel.k8s.io',
  ];
}

/** Writes a chunk again and again as fast as it is taken, until the time is over or the peer has had enough. */
export async function pour(socket: TLSSocket, chunk: Buffer, untilMs: number): Promise<void> {
  while (Date.now() < untilMs && !socket.destroyed) {
    if (socket.write(chunk)) await new Promise(setImmediate);
    else
      await Promise.race([once(socket, 'drain'), once(socket, 'close'), pause(100)]).catch(() => undefined);
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve, ms));
}

export function http2Session(access: Access): ClientHttp2Session {
  const session = connectHttp2(`https://127.0.0.1:${access.port}`, {
    ...access,
    maxSessionMemory: 1000,
    settings: { initialWindowSize: 0 },
  });
  session.on('error', () => undefined);
  return session;
}

/** A frame of HTTP/2 (RFC 9113 4.1). */
export function http2Frame(type: number, flags: number, streamId: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(streamId, 5);
  return Buffer.concat([head, payload]);
}

export const http2Preface: Buffer = Buffer.concat([
  Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
  http2Frame(4, 0, 0, Buffer.alloc(0)),
]);
