/** Certificates that are renewed while everything runs: by a clock that moves on, and files that are written anew. */
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, type TLSSocket } from 'node:tls';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { configMaps, namespaces, secrets } from '#api/schema/kind-ref.ts';
import { createFakeClock, systemClock, type Clock, type FakeClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { createApiClient } from '#client/api-client.ts';
import { createHttpTransport } from '#client/http-transport.ts';
import { createInformers } from '#client/informers.ts';
import { loadKubeconfig } from '#client/kubeconfig.ts';
import { startControllers } from '#control-plane/controllers/start-controllers.ts';
import { startApiServer, type ApiServer } from '#control-plane/apiserver/server.ts';
import { renderAges, type CertificateAge } from './certificate-ages.ts';
import { followCredentials, readCredentials, type Credentials } from './follow-credentials.ts';
import {
  keepCertificates,
  renewOnce,
  writeNodeCredentials,
  type CertificateKeeping,
} from './keep-certificates.ts';

const dayMs = 86_400_000;
let directory = '';
let server: ApiServer;
let ageing: FakeClock;
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'podwright-renewal-'));
  // What is made now has twenty days left by the clocks of those who look at it.
  ageing = createFakeClock(Date.now() - 345 * dayMs);
  const clock: Clock = { ...systemClock, now: () => ageing.now() };
  server = await startApiServer({
    dataDir: directory,
    listeners: [{ host: '127.0.0.1', port: 0 }],
    advertiseAddress: '127.0.0.1',
    clock,
  });
});
afterEach(async () => {
  await server.close();
  rmSync(directory, { recursive: true, force: true });
});

const url = (): string => `https://127.0.0.1:${server.ports[0]}`;
const nodes = (): string => join(directory, 'nodes');
const kubeconfig = (): string => join(directory, 'kubeconfig');
const keeping = (): CertificateKeeping => ({
  server,
  nodesDirectory: nodes(),
  writeAdmin: async () => writeFileSync(kubeconfig(), server.adminKubeconfig(url())),
  clock: ageing,
  logger: silentLogger,
});

async function shownSerial(): Promise<string> {
  const socket: TLSSocket = connect({
    host: '127.0.0.1',
    port: server.ports[0] ?? 0,
    ca: server.caCertPem,
  });
  await once(socket, 'secureConnect');
  const { serialNumber } = socket.getPeerCertificate();
  socket.destroy();
  return serialNumber;
}

test('all that a server issued is renewed while it runs, and a watch goes on', async () => {
  await keeping().writeAdmin();
  await writeNodeCredentials(server, join(nodes(), 'n1'), {
    name: 'n1',
    hosts: ['192.0.2.11'],
    serverUrl: url(),
  });
  const [serial, admin, node] = [await shownSerial(), readFileSync(kubeconfig(), 'utf8'), nodeFiles()];
  const client = createApiClient({
    transport: createHttpTransport(loadKubeconfig(kubeconfig(), systemClock)),
    userAgent: 'test',
  });
  await client.create(namespaces, { metadata: { name: 'a' } });
  const { resourceVersion } = await client.list(configMaps, { namespace: 'a' });
  const seen: (string | undefined)[] = [];
  const abort = new AbortController();
  const watching = (async () => {
    const watch = client.watch(configMaps, { namespace: 'a', resourceVersion }, abort.signal);
    for await (const event of watch) if (event.type !== 'BOOKMARK') seen.push(event.object.metadata?.name);
  })().catch(() => undefined);
  await client.create(configMaps, { metadata: { name: 'before', namespace: 'a' } });
  await vi.waitFor(() => expect(seen).toEqual(['before']), { timeout: 60_000 });

  expect(await renewOnce(keeping())).toEqual([]); // Nothing is due.
  ageing.advance(344 * dayMs);
  using _keeping = keepCertificates(keeping());
  ageing.advance(dayMs / 4);
  // The key is written after the certificate.
  await vi.waitFor(() => expect(nodeFiles()[2]).not.toBe(node[2]), { timeout: 60_000 });

  expect(await shownSerial()).not.toBe(serial);
  expect(readFileSync(kubeconfig(), 'utf8')).not.toBe(admin);
  const renewed = readCredentials(join(nodes(), 'n1'), systemClock);
  const certificate = new X509Certificate(renewed.tls.cert);
  expect(certificate.subjectAltName).toBe('DNS:n1, IP Address:192.0.2.11');
  expect(certificate.validToDate.getTime() - Date.now()).toBeGreaterThan(300 * dayMs);
  expect(renewed.access.server).toBe(url());
  await client.create(configMaps, { metadata: { name: 'after', namespace: 'a' } });
  await vi.waitFor(() => expect(seen).toEqual(['before', 'after']), { timeout: 60_000 });
  const anew = createHttpTransport(renewed.access);
  expect((await anew.request({ method: 'GET', path: '/version', headers: {} })).status).toBe(200);
  await anew[Symbol.asyncDispose]();
  abort.abort();
  await watching;
  expect(await renewOnce(keeping())).toEqual([]);
});

test('an authority near its end is renewed with its key: old and new certificates hold with either', async () => {
  await keeping().writeAdmin();
  const [oldCa, oldAdmin] = [server.caCertPem, loadKubeconfig(kubeconfig(), systemClock)];
  ageing.advance(3_400 * dayMs);
  expect(await renewOnce(keeping())).toContain('ca');
  const [before, after] = [new X509Certificate(oldCa), new X509Certificate(server.caCertPem)];
  expect(after.subject).toBe(before.subject);
  expect(after.validToDate.getTime()).toBeGreaterThan(before.validToDate.getTime());
  expect(after.verify(before.publicKey)).toBe(true);
  const newAdmin = loadKubeconfig(kubeconfig(), systemClock);
  expect(newAdmin.caPem).toBe(server.caCertPem);
  // What is issued now is of a time to come: the signature is what is asked here.
  expect(new X509Certificate(newAdmin.clientCertPem ?? '').checkIssued(before)).toBe(true);
  expect(new X509Certificate(oldAdmin.clientCertPem ?? '').checkIssued(after)).toBe(true);
});

test('a renewed authority reaches what the cluster tells of it: ConfigMaps, Secrets of tokens, cluster-info', async () => {
  const { rootCa, signSecretToken: signToken } = server;
  const client = createApiClient({ transport: server.transport(), userAgent: 'test' });
  const shared = { clock: systemClock, logger: silentLogger };
  await using informers = createInformers({ client, ...shared });
  const loops = { informers, clientAs: () => client, rootCa, signToken };
  await using _controllers = startControllers({ ...loops, ...shared });
  await client.create(secrets, {
    metadata: {
      name: 'token',
      namespace: 'default',
      annotations: { 'kubernetes.io/service-account.name': 'default' },
    },
    type: 'kubernetes.io/service-account-token',
  });
  const told = async (): Promise<readonly (string | undefined)[]> => {
    const [map, secret, info] = await Promise.all([
      client.get(configMaps, { namespace: 'default', name: 'kube-root-ca.crt' }),
      client.get(secrets, { namespace: 'default', name: 'token' }),
      client.get(configMaps, { namespace: 'kube-public', name: 'cluster-info' }),
    ]).catch(() => []);
    const inInfo = /certificate-authority-data: (\S+)/.exec(info?.data?.['kubeconfig'] ?? '')?.[1];
    const [inMap, inSecret] = [map?.data?.['ca.crt'], secret?.data?.['ca.crt']];
    return [inMap, fromBase64(inSecret), fromBase64(inInfo)];
  };
  const isTold = async (): Promise<void> => expect(await told()).toEqual(Array(3).fill(server.caCertPem));
  await vi.waitFor(isTold, 60_000);
  const old = server.caCertPem;
  ageing.advance(3_400 * dayMs);
  await renewOnce(keeping());
  expect(server.caCertPem).not.toBe(old);
  await vi.waitFor(isTold, 60_000);
});

const fromBase64 = (text = ''): string => Buffer.from(text, 'base64').toString();

test('an agent takes renewed files when they are whole and its own, and keeps what it had until then', async () => {
  const n1 = join(nodes(), 'n1');
  const write = (name: string): Promise<void> =>
    writeNodeCredentials(server, n1, { name, hosts: ['192.0.2.11'], serverUrl: url() });
  await write('n1');
  const first = readCredentials(n1, systemClock);
  const clock = createFakeClock();
  const changes: Credentials[] = [];
  using followed = followCredentials(first, {
    directory: n1,
    nodeName: 'n1',
    clock,
    logger: silentLogger,
    onChange: (each) => changes.push(each),
  });

  clock.advance(30_000);
  expect(changes).toEqual([]);
  const key = readFileSync(join(n1, 'serving.key'), 'utf8');
  await write('n1');
  const renewedKey = readFileSync(join(n1, 'serving.key'), 'utf8');
  writeFileSync(join(n1, 'serving.key'), key); // Cut off between two files.
  clock.advance(30_000);
  expect([changes.length, followed.current()]).toEqual([0, first]);
  writeFileSync(join(n1, 'serving.key'), renewedKey);
  clock.advance(30_000);
  expect(changes).toHaveLength(1);
  expect(followed.current().tls.key).toBe(renewedKey);
  await write('n2');
  clock.advance(30_000);
  expect(changes).toHaveLength(1);
});

const age = (name: string, days: number): CertificateAge => ({ name, expiresAtMs: days * dayMs });

test.each([
  ['nothing of what is not there', [], []],
  [
    'the first to expire',
    [age('a', 400), age('b', 300)],
    ['2, the first to expire: b, 1970-10-28, in 300 days'],
  ],
  [
    'all that a renewal has missed',
    [age('a', 400), age('b', 20), age('c', -1)],
    [
      '3, the first to expire: c, 1969-12-31, 1 day ago',
      'c has expired',
      'b expires in 20 days',
      'start the server, which renews what has 30 days left, and copy DATA/nodes/NAME to nodes on other hosts',
    ],
  ],
])('status says of certificates %s', (_name, ages, want) => expect(renderAges(ages, 0)).toEqual(want));

function nodeFiles(): readonly string[] {
  return ['kubeconfig', 'serving.crt', 'serving.key', 'ca.crt'].map((name) =>
    readFileSync(join(nodes(), 'n1', name), 'utf8'),
  );
}
