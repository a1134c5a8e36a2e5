import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';

import { connectThrough } from '#bin/egress-connect.ts';
import { startEgress } from './egress.ts';

const signal = new AbortController().signal;

async function setUp() {
  const stack = new AsyncDisposableStack();
  const directory = mkdtempSync(join(tmpdir(), 'egress-'));
  stack.defer(() => rmSync(directory, { recursive: true, force: true }));
  const socket = join(directory, 'sock');
  stack.use(await startEgress(socket));
  return { socket, connect: connectThrough(socket), [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

it('startEgress() says nothing of its own in a tunnel that the other side resets', async () => {
  await using proxy = await setUp();
  const server = createServer((peer) => {
    peer.write('hello');
    peer.once('data', () => peer.resetAndDestroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const tunnel = await proxy.connect({ host: '127.0.0.1', port }, signal);
  tunnel.on('error', () => undefined); // However its end is told.
  const heard: Buffer[] = [];
  tunnel.on('data', (chunk: Buffer) => {
    heard.push(chunk);
    tunnel.write('bye');
  });
  await once(tunnel, 'close');
  expect(Buffer.concat(heard).toString()).toBe('hello');
  await new Promise((resolve) => void server.close(resolve));
});

it('connectThrough() tells why there is no tunnel', async () => {
  await using proxy = await setUp();
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => void server.close(resolve));
  await expect(proxy.connect({ host: '127.0.0.1', port }, signal)).rejects.toThrow('ECONNREFUSED');
});

it('startEgress() closes what comes beyond 256 connections, and serves again when there is room', async () => {
  await using proxy = await setUp();
  const open = async (): Promise<Socket> => {
    const socket = connect(proxy.socket);
    socket.on('error', () => undefined);
    await once(socket, 'connect');
    return socket;
  };
  const sockets = await Promise.all(Array.from({ length: 256 }, open));
  const one = await open();
  await once(one, 'close');
  for (const socket of sockets) socket.destroy();
  await expect
    .poll(() => proxy.connect({ host: '127.0.0.1', port: 1 }, signal).catch(String))
    .toContain('ECONNREFUSED');
});
