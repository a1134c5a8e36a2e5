import { X509Certificate } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { systemClock, type Clock } from '#base/clock.ts';
import { describeError } from '#base/errors.ts';
import { silentLogger } from '#base/log.ts';
import { scratchDirectory } from '#base/scratch-directory.fixture.ts';
import { configMaps, nodes, secrets } from '#api/schema/kind-ref.ts';
import { createApiClient } from '#client/api-client.ts';
import type { ApiClient } from '#client/client.ts';
import { createHttpTransport, type HttpTransportOptions } from '#client/http-transport.ts';
import {
  startTestCluster,
  type TestCluster,
} from '#control-plane/controllers/certificates/certificates.fixture.ts';
import { readCredentials } from '#bin/credentials/follow-credentials.ts';
import { rotateCertificates } from '#bin/credentials/rotate-certificates.ts';
import { readTarget, type JoinTarget } from './arguments.ts';
import { hashOfAuthority } from './cluster-info.ts';
import { discover } from './discover.ts';
import { writeWhole } from './join.ts';
import { obtainCredentials } from './obtain.ts';

const secret = '0123456789abcdef';
const joiners = 'system:bootstrappers:kubeadm:default-node-token';
const { signal } = new AbortController();

let cluster: TestCluster;
let admin: ApiClient;
let good: JoinTarget;
const directory = scratchDirectory('podwright-join-');

beforeAll(async () => {
  // A second address, for which the server's certificate is not.
  const listeners = ['127.0.0.1', '127.0.0.77'].map((host) => ({ host, port: 0 }));
  cluster = await startTestCluster({ listeners });
  admin = cluster.client();
  await makeToken('abcdef');
  good = {
    server: `https://127.0.0.1:${cluster.test.server.ports[0] ?? 0}`,
    token: { id: 'abcdef', secret },
    caHash: hashOfAuthority(cluster.test.server.caCertPem),
    nodeName: 'n1',
  };
});
afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
});

async function makeToken(id: string, fields: Readonly<Record<string, string>> = {}): Promise<void> {
  await admin.create(secrets, {
    metadata: { name: `bootstrap-token-${id}`, namespace: 'kube-system' },
    type: 'bootstrap.kubernetes.io/token',
    stringData: {
      'token-id': id,
      'token-secret': secret,
      'usage-bootstrap-authentication': 'true',
      'usage-bootstrap-signing': 'true',
      'auth-extra-groups': joiners,
      ...fields,
    },
  });
}

function clientBy(access: HttpTransportOptions): ApiClient & AsyncDisposable {
  const transport = createHttpTransport(access);
  return Object.assign(createApiClient({ transport, userAgent: 'test' }), {
    [Symbol.asyncDispose]: () => transport[Symbol.asyncDispose](),
  });
}

describe('discover()', () => {
  const found = (change: Partial<JoinTarget> = {}, patienceMs = 3_000): Promise<string> =>
    discover({ ...good, ...change }, { clock: systemClock, patienceMs, signal });

  it('gives the authority of the cluster', async () => {
    // A controller signs for a new token when it has its turn.
    expect(await found({}, 60_000)).toBe(cluster.test.server.caCertPem);
  });

  it.each<{ readonly name: string; readonly change: () => Partial<JoinTarget>; readonly want: RegExp }>([
    {
      name: 'a token that is not there',
      change: () => ({ token: { id: 'zzzzzz', secret } }),
      want: /does not know token zzzzzz, or it has ended; make another there with podwright token create/,
    },
    {
      name: 'a wrong secret',
      change: () => ({ token: { id: 'abcdef', secret: '0123456789abcdeg' } }),
      want: /did not sign with the secret of token abcdef/,
    },
    {
      name: 'a wrong hash',
      change: () => ({ caHash: '0'.repeat(64) }),
      want: /the cluster's authority is sha256:[0-9a-f]{64}, not the one of --ca-hash/,
    },
    {
      name: 'nobody there',
      change: () => ({ server: 'https://127.0.0.1:1' }),
      want: /ECONNREFUSED.*does the server run, is the address right/,
    },
    {
      name: 'an address that the server is not known by',
      change: () => ({ server: `https://127.0.0.77:${cluster.test.server.ports[1] ?? 0}` }),
      want: /its certificate is not for this address: join by the one of --advertise-address/,
    },
  ])('says so of $name, and no secret', async ({ change, want }) => {
    const error = await found(change()).then(
      () => 'found',
      (thrown: unknown) => describeError(thrown),
    );
    expect(error).toMatch(want);
    expect(error).not.toContain(change().token?.secret ?? secret);
  });
});

describe('obtainCredentials()', () => {
  const obtain = (change: Partial<JoinTarget> = {}, waitMs = 10_000) =>
    obtainCredentials(
      { ...good, ...change },
      {
        ...{ caCertPem: cluster.test.server.caCertPem, nodeIps: ['192.0.2.7'], waitMs, signal },
        ...{ clock: systemClock, tell: () => undefined },
      },
    );

  it('gives all that an agent reads, as a node and as its proxy', async () => {
    const target = join(directory, 'n1', 'credentials');
    await writeWhole(target, await obtain());
    expect(readdirSync(target).toSorted()).toEqual([
      ...['ca.crt', 'kubeconfig', 'proxy.kubeconfig', 'serving.crt', 'serving.key'],
    ]);
    const { access, proxyAccess, tls } = readCredentials(target, systemClock);
    if (proxyAccess === undefined) throw new Error('no proxy');
    expect(new X509Certificate(access.clientCertPem ?? '').subject).toBe('O=system:nodes\nCN=system:node:n1');
    await using node = clientBy(access);
    await using proxy = clientBy(proxyAccess);

    await node.create(nodes, { metadata: { name: 'n1' } });
    await expect(node.list(nodes)).rejects.toThrow('cannot read all nodes');
    expect((await proxy.list(nodes)).items.length).toBeGreaterThan(0);
    // Trusted by nobody until the Node is there.
    expect(new X509Certificate(tls.cert).verify(new X509Certificate(tls.clientCa).publicKey)).toBe(false);
  });

  it.each<{
    readonly name: string;
    readonly fields: Readonly<Record<string, string>>;
    readonly want: RegExp;
  }>([
    {
      name: 'a token that is not for authentication',
      fields: { 'usage-bootstrap-authentication': 'false' },
      want: /token .* has ended, or is not for authentication; make another/,
    },
    {
      name: 'a token whose groups have no right',
      fields: { 'auth-extra-groups': 'system:bootstrappers:others' },
      want: /may not ask for a node's certificate: its groups give no such right; make another/,
    },
  ])('says so of $name', async ({ fields, want }) => {
    const id = Math.random().toString(36).slice(2, 8).padEnd(6, '0');
    await makeToken(id, fields);
    await expect(obtain({ token: { id, secret }, nodeName: 'n2' })).rejects.toThrow(want);
  });

  it('takes no name that a node has that is Ready', async () => {
    await admin.create(nodes, { metadata: { name: 'taken' } });
    const conditions = [{ type: 'Ready', status: 'True' }];
    const ready = { kind: 'merge', body: { status: { conditions } }, subresource: 'status' } as const;
    await admin.patch(nodes, { name: 'taken' }, ready);
    await expect(obtain({ nodeName: 'taken' })).rejects.toThrow(
      /has a node taken that is Ready; give this one another name with --name/,
    );
  });

  it('says what to approve where nothing approves by itself', async () => {
    const binding = { group: 'rbac.authorization.k8s.io', version: 'v1', kind: 'ClusterRoleBinding' };
    const kind = { ...binding, resource: 'clusterrolebindings', namespaced: false };
    await admin.delete(kind, { name: 'kubeadm:node-autoapprove-bootstrap' });
    await expect(obtain({ nodeName: 'n3' }, 600)).rejects.toThrow(
      /nobody approved it within 1 s; look at it with kubectl describe csr csr-\w+, approve it with kubectl certificate approve/,
    );
  });
});

describe('rotateCertificates()', () => {
  it('asks for all three when they are due, and writes them where the agent reads', async () => {
    const target = join(directory, 'n1', 'credentials');
    const before = readCredentials(target, systemClock);
    const addresses = [{ type: 'InternalIP', address: '192.0.2.7' }];
    const status = { kind: 'merge', body: { status: { addresses } }, subresource: 'status' } as const;
    await admin.patch(nodes, { name: 'n1' }, status);
    await using node = clientBy(before.access);
    // To the agent 350 days have gone: all is due, but for the temporary one, which was due before.
    const late: Clock = { ...systemClock, now: () => systemClock.now() + 350 * 86_400_000 };
    const [written, failed]: [string[], string[]] = [[], []];
    await using _rotation = rotateCertificates({
      ...{ directory: target, nodeName: 'n1', nodeIps: ['192.0.2.7'], client: node, clock: late },
      place: { server: before.access.server, caCertPem: before.tls.clientCa },
      held: {
        client: before.access.clientCertPem,
        proxy: before.proxyAccess?.clientCertPem,
        serving: before.tls.cert,
      },
      logger: silentLogger,
      random: () => 0.5,
      onWritten: (purpose) => written.push(purpose),
      onFailed: (purpose) => failed.push(purpose),
    });

    await vi.waitFor(() => expect(written.toSorted()).toEqual(['client', 'proxy', 'serving']), 60_000);
    expect(failed).toEqual([]);
    const after = readCredentials(target, systemClock);
    expect(after.access.clientCertPem).not.toBe(before.access.clientCertPem);
    expect(after.proxyAccess?.clientCertPem).not.toBe(before.proxyAccess?.clientCertPem);
    const serving = new X509Certificate(after.tls.cert);
    expect(serving.subjectAltName).toBe('DNS:n1, IP Address:192.0.2.7');
    expect(serving.verify(new X509Certificate(after.tls.clientCa).publicKey)).toBe(true);
    await using renewed = clientBy(after.access);
    expect((await renewed.get(nodes, { name: 'n1' })).metadata?.name).toBe('n1');
    await expect(renewed.get(configMaps, { namespace: 'kube-public', name: 'x' })).rejects.toThrow(
      'forbidden',
    );
  });
});

describe('writeWhole()', () => {
  it('replaces all of a directory, and what an earlier one left', async () => {
    const target = join(directory, 'whole', 'credentials');
    mkdirSync(target, { recursive: true });
    writeFileSync(join(target, 'old'), 'x');
    for (const left of ['.credentials.draft', '.credentials.draft.old']) {
      mkdirSync(join(directory, 'whole', left));
      writeFileSync(join(directory, 'whole', left, 'rest'), 'x');
    }
    await writeWhole(target, [['new', 'y']]);
    expect(readdirSync(join(directory, 'whole'))).toEqual(['credentials']);
    expect(readFileSync(join(target, 'new'), 'utf8')).toBe('y');
    expect(existsSync(join(target, 'old'))).toBe(false);
  });
});

describe('readTarget()', () => {
  const given = { token: `abcdef.${secret}`, caHash: `sha256:${'aB'.repeat(32)}`, name: 'n1' };
  it.each([
    ['https://192.0.2.1:7443', 'https://192.0.2.1:7443'],
    ['192.0.2.1:7443', 'https://192.0.2.1:7443'],
    ['192.0.2.1', 'https://192.0.2.1:6443'],
    ['https://api.example/', 'https://api.example:6443'],
    ['https://api.example:443', 'https://api.example:443'],
    ['[2001:db8::1]:6443', 'https://[2001:db8::1]:6443'],
  ])('%s is %s', (url, want) => {
    expect(readTarget(url, given).server).toBe(want);
    expect(readTarget(url, given).caHash).toBe('ab'.repeat(32));
  });

  it.each([
    { name: 'http', url: 'http://192.0.2.1', want: /write https:\/\/HOST:PORT/ },
    { name: 'a path', url: 'https://192.0.2.1/x', want: /write https:\/\/HOST:PORT/ },
    { name: 'nothing', url: '', want: /write https:\/\/HOST:PORT/ },
    { name: 'a token', change: { token: 'abcdef.0123456789ABCDEF' }, want: /--token: write ID\.SECRET/ },
    { name: 'a hash', change: { caHash: 'md5:00' }, want: /--ca-hash md5:00: write sha256:/ },
    { name: 'a node name', change: { name: 'A_b' }, want: /--name A_b: / },
  ])('says what is wrong with $name', ({ url = 'https://x', change = {}, want }) => {
    expect(() => readTarget(url, { ...given, ...change })).toThrow(want);
    expect(() => readTarget(url, { ...given, ...change })).not.toThrow(/0123456789ABCDEF/);
  });
});
