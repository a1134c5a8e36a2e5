import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import type { WebSocket } from 'ws';
import { badRequest } from '#api/errors/status.ts';
import type { Upgrade } from '#control-plane/apiserver/serve/http-server.ts';

/** What a message of each subprotocol holds (apiserver wsstream, NewDefaultReaderProtocols); '' is none. */
const encodings: ReadonlyMap<string, 'bytes' | 'base64'> = new Map([
  ['', 'bytes'],
  ['binary.k8s.io', 'bytes'],
  ['base64.binary.k8s.io', 'base64'],
]);

const messageBytesMax = 4096;

/**
 * The first subprotocol of the client's that a log can be sent by; '' when it names none.
 * @throws {E_API} 400
 */
export function chooseLogProtocol(offered: string | undefined): string {
  const names = (offered ?? '').split(',').map((name) => name.trim());
  const protocol = names.find((name) => encodings.has(name));
  if (protocol === undefined) throw badRequest(`no subprotocol of [${names.join(' ')}] is supported`);
  return protocol;
}

/** Sends a log over a WebSocket, as browsers ask for it; what the client says is ignored. Owns the connection and the log. */
export async function sendLog(log: IncomingMessage, upgrade: Upgrade, protocol: string): Promise<void> {
  const webSocket = await accept(upgrade, protocol);
  webSocket.on('error', () => webSocket.terminate());
  webSocket.once('close', () => log.destroy());
  webSocket.resume(); // Only so is a close seen.
  try {
    for await (const chunk of log) await sendChunk(webSocket, asBytes(chunk), protocol);
    webSocket.close(1000);
  } finally {
    log.destroy();
  }
}

async function sendChunk(webSocket: WebSocket, bytes: Buffer, protocol: string): Promise<void> {
  const isBase64 = encodings.get(protocol) === 'base64';
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  // One that lags holds the log up: the next chunk is read when this one is written.
  const done = (error?: Error | null): void => (error instanceof Error ? reject(error) : resolve());
  webSocket.send(isBase64 ? bytes.toString('base64') : bytes, { binary: !isBase64 }, done);
  await promise;
}

async function accept({ message, socket, head }: Upgrade, protocol: string): Promise<WebSocket> {
  const { WebSocketServer } = await import('ws'); // Which few servers are ever asked for.
  if (socket.destroyed) throw new Error('client went away before the upgrade');
  const server = new WebSocketServer({
    noServer: true,
    perMessageDeflate: false,
    maxPayload: messageBytesMax,
    clientTracking: false,
    handleProtocols: () => (protocol === '' ? false : protocol),
  });
  const { promise, resolve } = Promise.withResolvers<WebSocket>();
  server.handleUpgrade(message, socket, asBytes(head), resolve);
  return Promise.race([
    promise,
    once(socket, 'close').then(() => {
      throw new Error('client went away during the upgrade');
    }),
  ]);
}

function asBytes(value: unknown): Buffer {
  return value instanceof Uint8Array
    ? Buffer.from(value.buffer, value.byteOffset, value.byteLength)
    : Buffer.from(String(value));
}
