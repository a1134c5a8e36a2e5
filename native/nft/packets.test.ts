import { spawnSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createSyncNetlink } from '#native/netlink/netlink.linux.ts';
import { createSyncNft } from './nft.linux.ts';
import type { ConntrackMatch, NftExpr, NftLoad, NftTable } from './nft.ts';

const service: readonly NftLoad[] = [{ load: 'ip daddr' }, { load: 'meta l4proto' }, { load: 'th dport' }];
const serviceTypes = ['ipv4_addr', 'inet_proto', 'inet_service'] as const;

const translate: NftExpr = {
  expr: 'dnat map',
  key: [...service, { load: 'numgen random', modulus: 3 }],
  map: 'backends3',
};

/** A Service of three endpoints at 172.16.0.1 (tcp 80 and udp 53), and one without any at 172.16.0.2. */
const table: NftTable = {
  family: 'ip',
  name: 'podwright',
  sets: [
    { name: 'backends3', keyTypes: [...serviceTypes, 'integer'], dataTypes: ['ipv4_addr', 'inet_service'] },
    { name: 'empty', keyTypes: serviceTypes },
  ],
  chains: [
    {
      name: 'nat-output',
      hook: { type: 'nat', hook: 'output', priority: -100 },
      rules: [{ exprs: [translate] }],
    },
    {
      name: 'filter-output',
      hook: { type: 'filter', hook: 'output', priority: -110 },
      rules: [{ exprs: [{ expr: 'lookup', key: service, set: 'empty' }, { expr: 'reject' }] }],
    },
  ],
  elements: {
    backends3: [0, 1, 2].flatMap((index) => [
      { key: ['172.16.0.1', 'tcp', 80, index], data: [`10.0.0.${5 + index}`, 8080] },
      { key: ['172.16.0.1', 'udp', 53, index], data: [`10.0.0.${5 + index}`, 1053] },
    ]),
    empty: [{ key: ['172.16.0.2', 'tcp', 80] }, { key: ['172.16.0.2', 'udp', 53] }],
  },
};

/** Runs inside the namespace: a backend on every address, clients of both Services; prints what happened as JSON. */
const program = `
const net = require('node:net'), dgram = require('node:dgram');
const hits = {};
const connect = (host) => new Promise((done) => {
  const socket = net.connect({ host, port: 80 });
  socket.on('error', (error) => done(error.code)).on('close', () => done('closed')).resume();
});
const ask = (host, port) => new Promise((done) => {
  const socket = dgram.createSocket('udp4');
  const end = (answer) => { done(answer); socket.close(); };
  socket.on('error', (error) => end(error.code)).on('message', (data) => end(String(data)));
  socket.connect(port, host, () => socket.send('hello', (error) => error && end(error.code)));
});
const server = net.createServer((socket) => {
  hits[socket.localAddress] = (hits[socket.localAddress] ?? 0) + 1;
  socket.end();
}).listen(8080, '0.0.0.0', async () => {
  for (let i = 0; i < 60; i++) await connect('172.16.0.1');
  const refused = [await connect('172.16.0.2'), await ask('172.16.0.2', 53)];
  const echoes = await Promise.all(['10.0.0.5', '10.0.0.6', '10.0.0.7'].map(async (address) => {
    const echo = dgram.createSocket('udp4');
    echo.on('message', (data, from) => echo.send(data + ' from ' + address, from.port, from.address));
    await new Promise((done) => echo.bind(1053, address, done));
    return echo;
  }));
  const answer = await ask('172.16.0.1', 53);
  process.stdout.write(JSON.stringify({ hits, refused, answer }));
  server.close();
  for (const echo of echoes) echo.close();
});`;

interface Outcome {
  readonly hits: Readonly<Record<string, number>>;
  readonly refused: readonly string[];
  readonly answer: string;
}

describe.skipIf(process.getuid?.() !== 0)('packets through our rules (needs root)', () => {
  it('spread over endpoints, are refused where there are none, and leave flows that can be flushed', async () => {
    const [netlink, nft] = [createSyncNetlink(), createSyncNft()];
    const directory = await mkdtemp(join(tmpdir(), 'podwright-packets-'));
    const netns = { kind: 'path', path: join(directory, 'ns') } as const;
    await netlink.createNetns(netns.path);
    await using cleanup = new AsyncDisposableStack();

    cleanup.defer(() => rm(directory, { recursive: true }));
    cleanup.defer(() => netlink.removeNetns(netns.path));
    await netlink.apply(netns, [
      { op: 'setLink', name: 'lo', up: true },
      ...[5, 6, 7].map(
        (last) => ({ op: 'ensureAddress', name: 'lo', address: `10.0.0.${last}/32` }) as const,
      ),
      { op: 'ensureRoute', destination: '172.16.0.0/16', dev: 'lo', source: '10.0.0.5' },
    ]);
    await nft.commit(netns, [{ op: 'replaceTable', table }]);
    const run = spawnSync('nsenter', [`--net=${netns.path}`, process.execPath, '-e', program], {
      encoding: 'utf8',
      timeout: 20_000,
    });
    expect(run.stderr).toBe('');
    const { hits, refused, answer }: Outcome = JSON.parse(run.stdout);

    expect(Object.keys(hits).sort()).toEqual(['10.0.0.5', '10.0.0.6', '10.0.0.7']);
    expect(Object.values(hits).reduce((sum, count) => sum + count, 0)).toBe(60);
    // A local sender's datagram that is rejected on its way out fails in send(2) itself.
    expect(refused).toEqual(['ECONNREFUSED', 'EPERM']);
    expect(answer).toMatch(/^hello from 10\.0\.0\.[567]$/);
    const flow = { protocol: 17, originalDestination: '172.16.0.1', port: 53 };
    const backends = (port: number) => [5, 6, 7].map((last) => ({ ip: `10.0.0.${last}`, port }));
    const flush = (replies: ConntrackMatch['replies'], more: Partial<ConntrackMatch> = {}) =>
      nft.flushConntrack(netns, [{ ...flow, replies, ...more }]);
    expect(await flush({ only: [{ ip: '10.9.9.9', port: 1053 }] })).toBe(0);
    expect(await flush({ only: backends(9) })).toBe(0);
    expect(await flush({ except: backends(1053) })).toBe(0);
    expect(await flush({ except: [] }, { port: 54 })).toBe(0);
    expect(await flush({ except: [] }, { protocol: 6 })).toBe(0);
    expect(await flush({ except: [] }, { originalDestination: '172.16.0.2' })).toBe(0);
    const { originalDestination: _any, ...anywhere } = flow;
    const match = { ...anywhere, replies: { only: backends(1053) } };
    expect(await nft.flushConntrack(netns, [match])).toBe(1);
    expect(await nft.flushConntrack(netns, [match])).toBe(0);
  });
});
