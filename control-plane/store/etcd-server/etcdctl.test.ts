import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { noEtcd } from '#control-plane/store/etcd/etcd-server.fixture.ts';
import { startServed, type Served } from './served.fixture.ts';

const program = '/usr/bin/etcdctl';
const noEtcdctl = existsSync(program) ? '' : 'etcdctl is not installed (Debian: etcd-client)';
const patience = { timeout: 60_000 };
const run = promisify(execFile);

let served: Served;
let directory: string;

const environment = (url: string): NodeJS.ProcessEnv => ({
  PATH: process.env['PATH'],
  ETCDCTL_API: '3',
  ETCDCTL_ENDPOINTS: url,
});

/**
 * etcdctl 3.4 sends the path as the name of the host, and HTTP/2 knows no host with a slash (nghttp2 ends the stream): it is told the
 * socket by its name, in its directory.
 */
const besideSocket = (): { readonly env: NodeJS.ProcessEnv; readonly cwd: string } => ({
  env: environment('unix://etcd.sock'),
  cwd: directory,
});

/** The lines that etcdctl prints. */
async function etcdctl(...words: string[]): Promise<readonly string[]> {
  const { stdout } = await run(program, words, { ...besideSocket(), timeout: 20_000 });
  return stdout.trimEnd().split('\n');
}

async function etcdctlTxn(text: string): Promise<string> {
  const child = spawn(program, ['txn'], { ...besideSocket(), stdio: ['pipe', 'pipe', 'inherit'] });
  child.stdin.end(text);
  const [chunks] = await Promise.all([child.stdout.toArray(), once(child, 'exit')]);
  return Buffer.concat(chunks as Buffer[]).toString();
}

describe.skipIf(noEtcdctl !== '')(`etcdctl on the served store ${noEtcdctl}`, () => {
  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'podwright-etcdctl-'));
    served = await startServed(directory);
  });
  afterAll(async () => {
    await served[Symbol.asyncDispose]();
    rmSync(directory, { recursive: true, force: true });
  });

  it('endpoint status and health, member list, alarm list and defrag answer, by TLS', async () => {
    const secure = ['--cacert=ca.crt', '--cert=admin.crt', '--key=admin.key', `--endpoints=${served.url}`];
    const ask = async (...words: string[]): Promise<string> =>
      (await run(program, [...words, ...secure], { env: { ETCDCTL_API: '3' }, cwd: directory })).stdout;
    const [status] = JSON.parse(await ask('endpoint', 'status', '-w', 'json')) as {
      Status: { header: { revision?: number; member_id: number }; leader: number; dbSize: number };
    }[];
    expect(status?.Status.leader).toBe(status?.Status.header.member_id);
    expect(status?.Status.dbSize).toBeGreaterThan(0);
    await ask('endpoint', 'health');
    expect(await ask('member', 'list')).toMatch(/^[0-9a-f]+, started, podwright, .*, unix:.*https:/);
    expect(await ask('alarm', 'list')).toBe('');
    await ask('defrag');
  });

  it('put, get, get --prefix and del', async () => {
    expect(await etcdctl('put', 'foo', 'bar')).toEqual(['OK']);
    await etcdctl('put', 'foo/a', '1');
    await etcdctl('put', 'foo/b', '2');
    expect(await etcdctl('get', 'foo')).toEqual(['foo', 'bar']);
    expect(await etcdctl('get', '--prefix', 'foo/')).toEqual(['foo/a', '1', 'foo/b', '2']);
    expect(await etcdctl('get', '--prefix', 'foo', '--keys-only', '--limit=2')).toEqual(['foo', '', 'foo/a']);
    expect(await etcdctl('get', '--prefix', 'foo/', '--order=DESCEND', '--sort-by=MODIFY')).toEqual([
      'foo/b',
      '2',
      'foo/a',
      '1',
    ]);
    expect(await etcdctl('put', '--prev-kv', 'foo', 'baz')).toEqual(['OK', 'foo', 'bar']);
    expect(await etcdctl('del', '--prev-kv', '--prefix', 'foo/')).toEqual(['2', 'foo/a', '1', 'foo/b', '2']);
    expect(await etcdctl('get', '--from-key', '')).toEqual(['foo', 'baz']);
  });

  it('txn', async () => {
    await etcdctl('put', 'txn', 'old');
    const text = `value("txn") = "old"\nversion("txn") = "1"\n\nput txn new\nget txn\n\nget txn\n\n`;
    expect(await etcdctlTxn(text)).toBe('SUCCESS\n\nOK\n\ntxn\nnew\n');
    expect(await etcdctlTxn(text)).toBe('FAILURE\n\ntxn\nnew\n');
  });

  it('watch from a revision, and compaction', async () => {
    await etcdctl('put', 'watched', '1');
    const first = served.store.revision;
    await etcdctl('put', 'watched', '2');
    const words = ['watch', 'watched', `--rev=${first}`];
    const child = spawn(program, words, {
      ...besideSocket(),
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const lines: string[] = [];
    createInterface({ input: child.stdout }).on('line', (line) => lines.push(line));
    await expect.poll(() => lines, patience).toEqual(['PUT', 'watched', '1', 'PUT', 'watched', '2']);
    await etcdctl('del', 'watched');
    await expect.poll(() => lines.slice(6), patience).toEqual(['DELETE', 'watched', '']);
    child.kill();
    await once(child, 'exit');
    const { revision } = served.store;
    expect(await etcdctl('compact', String(revision))).toEqual([`compacted revision ${revision}`]);
    await expect(etcdctl('compact', String(revision))).rejects.toThrow(/has been compacted/);
    await expect(etcdctl('get', 'foo', `--rev=${first}`)).rejects.toThrow(/has been compacted/);
    await expect(etcdctl('get', 'foo', `--rev=${revision + 9}`)).rejects.toThrow(/is a future revision/);
    await expect(etcdctl('watch', 'watched', `--rev=${first}`)).rejects.toThrow(/has been compacted/);
  });

  it('lease grant, keep-alive, timetolive, list and revoke', async () => {
    const [granted = ''] = await etcdctl('lease', 'grant', '60');
    const [, id = ''] = /^lease ([0-9a-f]+) granted with TTL\(60s\)$/.exec(granted) ?? [];
    await etcdctl('put', '--lease', id, 'leased', 'x');
    expect(await etcdctl('lease', 'keep-alive', '--once', id)).toEqual([
      `lease ${id} keepalived with TTL(60)`,
    ]);
    expect((await etcdctl('lease', 'timetolive', '--keys', id))[0]).toMatch(
      /granted with TTL\(60s\), remaining\((5\d|60)s\), attached keys\(\[leased\]\)$/,
    );
    expect((await etcdctl('lease', 'list')).slice(1)).toEqual([id]);
    expect(await etcdctl('lease', 'revoke', id)).toEqual([`lease ${id} revoked`]);
    expect(await etcdctl('get', 'leased')).toEqual(['']);
    await expect(etcdctl('lease', 'revoke', id)).rejects.toThrow(/requested lease not found/);
  });

  it('a lease ends soon after its time', async () => {
    const [granted = ''] = await etcdctl('lease', 'grant', '1');
    const [, id = ''] = /^lease ([0-9a-f]+) granted with TTL\(2s\)$/.exec(granted) ?? [];
    // By no other program: on a busy machine its start may take longer than the lease.
    const put = { op: 'put', key: 'short', value: Buffer.from('x'), lease: Number(`0x${id}`) } as const;
    await served.store.commit({ expect: [], ops: [put] });
    await expect.poll(() => served.store.get('short'), { timeout: 60_000 }).toBeUndefined();
  });

  it.skipIf(noEtcd !== '')(`snapshot save: a real etcd runs on it ${noEtcd}`, async () => {
    const lease = await served.store.grantLease(3600);
    for (let at = 0; at < 600; at++) {
      const value = Buffer.from('v'.repeat(at % 50 === 0 ? 9000 : at));
      await served.store.commit({
        expect: [],
        ops: [{ op: 'put', key: `/snap/${at}`, value, lease: at === 7 ? lease : 0 }],
      });
    }
    await served.store.commit({ expect: [], ops: [{ op: 'delete', key: '/snap/5' }] });
    await etcdctl('put', '/snap/6', 'twice');
    const file = join(directory, 'snapshot.db');
    await etcdctl('snapshot', 'save', file);
    const { revision } = served.store;
    const [state = ''] = await etcdctl('snapshot', 'status', file, '-w', 'json');
    expect(JSON.parse(state)).toMatchObject({ revision });
    const restored = join(directory, 'restored');
    await etcdctl('snapshot', 'restore', file, '--data-dir', restored);
    const socket = `unix://127.0.0.1:${20_000 + (process.pid % 10_000)}`;
    const child = spawn(
      '/usr/bin/etcd',
      [
        '--data-dir',
        restored,
        '--listen-client-urls',
        socket,
        '--advertise-client-urls',
        socket,
        '--listen-peer-urls',
        'http://127.0.0.1:0',
        '--logger',
        'zap',
        '--log-level',
        'error',
      ],
      { stdio: 'ignore', cwd: directory },
    );
    try {
      const there = async (...words: string[]): Promise<string> =>
        (await run(program, words, { env: environment(socket), timeout: 10_000, cwd: directory })).stdout;
      await expect
        .poll(
          () =>
            there('endpoint', 'health').then(
              () => true,
              () => false,
            ),
          patience,
        )
        .toBe(true);
      for (const words of [['/snap/'], ['']].map(([from = '']) => ['get', '--prefix', from, '-w', 'json'])) {
        const [ours, theirs] = [(await etcdctl(...words)).join(''), await there(...words)].map(
          (text) => JSON.parse(text) as { header: { revision: number }; kvs: unknown[]; count: number },
        );
        expect(theirs?.kvs).toEqual(ours?.kvs);
        expect(theirs?.header.revision).toBeGreaterThanOrEqual(revision);
      }
      expect(await there('get', '/snap/5', `--rev=${revision - 2}`)).toContain('vvvvv');
      expect(await there('lease', 'list')).toContain(lease.toString(16));
      expect(readFileSync(file).length % 512).toBe(32);
    } finally {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
  });

  it("the socket is its owner's only", () => {
    expect(statSync(join(directory, 'etcd.sock')).mode & 0o777).toBe(0o600);
    expect(readdirSync(directory).filter((name) => name.startsWith('.e'))).toEqual([]);
  });
});
