import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { systemClock } from '#base/clock.ts';
import { startEtcdServer, type EtcdListener } from './serve.ts';
import { startServed, type Served } from './served.fixture.ts';

let directory: string;
let served: Served;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'podwright-serve-'));
  served = await startServed(directory);
});
afterAll(async () => {
  await served[Symbol.asyncDispose]();
  expect(existsSync(join(directory, 'etcd.sock'))).toBe(false);
  rmSync(directory, { recursive: true, force: true });
});

const portOfServed = (): number => Number(new URL(served.url).port);

it.each<{ readonly what: string; readonly listener: () => EtcdListener; readonly code: string }>([
  { what: 'a port without TLS', listener: () => ({ host: '127.0.0.1', port: 0 }), code: 'E_USAGE' },
  {
    what: 'a socket that is served',
    listener: () => ({ path: join(directory, 'etcd.sock') }),
    code: 'E_BUSY',
  },
  { what: 'what is no socket', listener: () => ({ path: join(directory, 'file') }), code: 'E_USAGE' },
  {
    what: 'a folder that is not there',
    listener: () => ({ path: '/nowhere/etcd.sock' }),
    code: 'E_PERMISSION',
  },
])('startEtcdServer() refuses $what', async ({ listener, code }) => {
  writeFileSync(join(directory, 'file'), 'mine');
  const { store } = served;
  const starting = startEtcdServer({ store, listeners: [listener()], clock: systemClock });
  await expect(starting).rejects.toMatchObject({ code });
  expect(existsSync(join(directory, 'etcd.sock'))).toBe(true);
});

it.each([
  { what: 'a port that is in use', pem: undefined, code: 'E_BUSY' },
  { what: 'what is no certificate', pem: Buffer.from('none'), code: 'E_USAGE' },
])('startEtcdServer() refuses $what', async ({ pem, code }) => {
  const { ca = '', cert = '', key = '' } = served.admin;
  const starting = startEtcdServer({
    store: served.store,
    listeners: [{ host: '127.0.0.1', port: portOfServed() }],
    tls: { ca, cert: pem ?? cert, key },
    clock: systemClock,
  });
  await expect(starting).rejects.toMatchObject({ code });
});
