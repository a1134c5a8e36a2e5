import { array, boolean, constantFrom, integer, oneof, record, uint8Array, type Arbitrary } from 'fast-check';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { finished } from 'node:stream/promises';
import { WebSocketServer } from 'ws';
import { afterAll, beforeAll, expect } from 'vitest';
import { websocketChannels, websocketProtocols } from '#agent/kubelet/server/websocket-channels.ts';
import type { CommandChannels } from '#agent/kubelet/server/channels.ts';
import { fuzz } from './fuzz.ts';

/** A frame of a client (RFC 6455 5.2), masked with zeros, so that its payload stands as it is. */
function encodeFrame(frame: {
  opcode: number;
  isFinal: boolean;
  reserved: number;
  payload: Uint8Array;
}): Buffer {
  const { opcode, isFinal, reserved, payload } = frame;
  const head = Buffer.of((isFinal ? 0x80 : 0) | (reserved << 4) | opcode, 0x80 | payload.length, 0, 0, 0, 0);
  return Buffer.concat([head, payload]);
}

const frames: Arbitrary<Buffer> = array(
  oneof(
    record({
      opcode: oneof(constantFrom(1, 2, 0, 8, 9, 10), integer({ min: 0, max: 15 })),
      isFinal: boolean(),
      reserved: constantFrom(0, 0, 0, 1, 7),
      payload: oneof(
        uint8Array({ maxLength: 100 }),
        constantFrom(Uint8Array.of(255, 0), Uint8Array.of(4, 0x7b), Uint8Array.of(0)),
      ),
    }).map(encodeFrame),
    uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes)),
  ),
  { maxLength: 30 },
).map((parts) => Buffer.concat(parts));

let server: Server;
let opened = Promise.withResolvers<CommandChannels>();

beforeAll(async () => {
  server = createServer();
  server.on('upgrade', (request, socket, head) => {
    const sockets = new WebSocketServer({
      noServer: true,
      perMessageDeflate: false,
      clientTracking: false,
      handleProtocols: (protocols) => [...protocols][0] ?? false,
    });
    sockets.handleUpgrade(request, socket, head, (webSocket) => {
      const request = { stdin: true, stdout: true, stderr: true, tty: true };
      opened.resolve(websocketChannels(webSocket, request));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterAll(() => new Promise<void>((resolve) => void server.close(() => resolve())));

fuzz('WebSocket frames: channels end with their client, whatever it sent', {
  arbitrary: record({
    bytes: frames,
    protocol: constantFrom(...websocketProtocols.keys()),
    isRead: boolean(),
  }),
  check: async ({ bytes, protocol, isRead }) => {
    opened = Promise.withResolvers();
    const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
    client.on('error', () => undefined);
    client.resume();
    client.write(
      `GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: ${protocol}\r\n\r\n`,
    );
    const channels = await opened.promise;
    const sizes: number[] = [];
    channels.onResize((columns, rows) => sizes.push(columns, rows));
    if (isRead) channels.stdin?.resume();
    client.write(bytes);
    client.end();
    await channels.closed;
    channels.stdin?.resume();
    if (channels.stdin !== undefined) await finished(channels.stdin, { writable: false });
    for (const size of sizes) expect(Number.isFinite(size)).toBe(true);
    client.destroy();
  },
});
