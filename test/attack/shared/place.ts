/** Where a campaign takes place: members of a store and servers, all on loopback and in a scratch directory, and gone at the end. */
import { cpSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { systemClock } from '#base/clock.ts';
import { createAuthority, issueCertificate } from '#control-plane/apiserver/pki/certificate.ts';
import { createEtcdClient } from '#control-plane/store/etcd/client.ts';
import { startEtcd, type EtcdServers } from '#control-plane/store/etcd/etcd-server.fixture.ts';
import { eventually, freePort } from '#test/cluster/cluster.ts';
import { program as etcdctlProgram, type EtcdctlCommand } from './etcdctl.ts';
import type { Members } from './kills.ts';
import { startPulse } from './pulse.ts';
import { CampaignServer, compileShiftedClock, shareAuthority } from './servers.ts';

export type Engine = 'etcd' | 'embedded';

export interface Place extends AsyncDisposable {
  readonly directory: string;
  readonly servers: readonly CampaignServer[];
  readonly members: Members | undefined;
  /** How etcdctl reads the store; of the embedded engine only after its server was started anew to serve it. */
  readStoreBy(): Promise<EtcdctlCommand>;
}

const memberCount = 3;
/** etcd's own default: the machine is busy. */
const heartbeatMs = 100;
const startMs = 150_000;
/** Few addresses, so that those that were given back are given again. */
const network = ['--service-cidr', '10.96.0.0/26', '--cluster-dns', '10.96.0.10'];

/** `keep`: a copy of all logs and stores is left there. */
export async function makePlace(engine: Engine, keep: string | undefined): Promise<Place> {
  await using stack = new AsyncDisposableStack();

  const directory = mkdtempSync(join(tmpdir(), 'podwright-shared-'));
  stack.defer(() => {
    if (keep !== undefined) cpSync(directory, keep, { recursive: true, filter: isNoSocket });
    rmSync(directory, { recursive: true, force: true });
  });
  const shiftedClock = compileShiftedClock(directory);
  const store = engine === 'etcd' ? stack.use(await startMembers(directory)) : undefined;
  const port = await freePort();
  const args = [...network, ...(store?.serverArgs ?? [])];
  const options = { directory, port, args };
  const first = stack.use(
    // The only server of a store has the wrong clock; of two it is the second.
    new CampaignServer({
      ...options,
      name: 'server-1',
      host: '127.0.0.1',
      shiftedClock: store === undefined ? shiftedClock : undefined,
    }),
  );
  const servers = [first];
  await started(first);
  if (store !== undefined) {
    const second = stack.use(
      new CampaignServer({ ...options, name: 'server-2', host: '127.0.0.2', shiftedClock }),
    );
    shareAuthority(first, second);
    await started(second);
    servers.push(second);
  }
  const owned = stack.move();
  return {
    directory,
    servers,
    members: store?.members,
    readStoreBy: async () => store?.etcdctl ?? serveStore(first),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

function isNoSocket(path: string): boolean {
  return !statSync(path).isSocket();
}

async function started(server: CampaignServer): Promise<void> {
  server.start();
  await eventually(`${server.name} is ready`, async () => server.isReady, startMs);
}

/** The store of the embedded engine, as etcd at a socket. */
async function serveStore(server: CampaignServer): Promise<EtcdctlCommand> {
  await server.kill('SIGTERM');
  server.start(['--etcd-listen', 'unix:']);
  await eventually('the store is served', async () => server.isReady, startMs);
  // By its name in its directory: etcdctl 3.4 sends the path as the name of the host, which HTTP/2 refuses with a slash.
  return ['/usr/bin/env', '-C', server.dataDir, etcdctlProgram, '--endpoints', 'unix://etcd.sock'];
}

interface Store extends AsyncDisposable {
  readonly members: Members;
  readonly serverArgs: readonly string[];
  readonly etcdctl: EtcdctlCommand;
}

/** Three members that speak TLS only, to those whom their authority knows. */
async function startMembers(directory: string): Promise<Store> {
  const nowMs = systemClock.now();
  const authority = await createAuthority('etcd-ca', nowMs);
  const issue = (commonName: string, usages: readonly ('server' | 'client')[]) =>
    issueCertificate(authority, { commonName, hosts: ['127.0.0.1'], usages, nowMs });
  const [serving, client] = [await issue('etcd', ['server', 'client']), await issue('podwright', ['client'])];
  const save = (name: string, text: string): string => {
    const path = join(directory, 'etcd-pki', name);
    writeFileSync(path, text, { mode: 0o600 });
    return path;
  };
  mkdirSync(join(directory, 'etcd-pki'), { mode: 0o700 });
  const ca = save('ca.crt', authority.certPem);
  const tls = { cert: save('etcd.crt', serving.certPem), key: save('etcd.key', serving.keyPem), ca };
  const [cert, key] = [save('client.crt', client.certPem), save('client.key', client.keyPem)];
  await using stack = new AsyncDisposableStack();

  const etcd = stack.use(await startEtcd({ members: memberCount, tls, heartbeatMs }));
  const urls = etcd.urls.join(',');
  const isHealthy = (member: number): Promise<boolean> =>
    askHealth(etcd, member, { ca: authority.certPem, cert: client.certPem, key: client.keyPem });
  const pem = (text: string): Uint8Array => Buffer.from(text);
  const own = stack.use(
    await createEtcdClient({
      endpoints: etcd.urls,
      tls: { ca: pem(authority.certPem), cert: pem(client.certPem), key: pem(client.keyPem) },
      clock: systemClock,
    }),
  );
  const { Put } = own.services['etcdserverpb.KV'];
  const beat = { key: Buffer.from('pulse'), value: Buffer.from('x') };
  const pulse = stack.use(startPulse(() => own.ask('write', Put, beat)));
  const owned = stack.move();
  return {
    members: { count: memberCount, kill: etcd.kill, start: etcd.start, isHealthy, outageMs: pulse.outageMs },
    serverArgs: ['--etcd-servers', urls, '--etcd-cafile', ca, '--etcd-certfile', cert, '--etcd-keyfile', key],
    etcdctl: [etcdctlProgram, '--endpoints', urls, '--cacert', ca, '--cert', cert, '--key', key],
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** etcd's /health: whether it has a leader and a read comes back. */
function askHealth(
  etcd: EtcdServers,
  member: number,
  tls: { readonly ca: string; readonly cert: string; readonly key: string },
): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const asked = request(`${etcd.urls[member]}/health`, { ...tls, agent: false, timeout: 2000 }, (answer) => {
    answer.resume();
    resolve(answer.statusCode === 200);
  });
  asked.once('timeout', () => asked.destroy());
  asked.once('error', () => resolve(false));
  asked.end();
  return promise;
}
