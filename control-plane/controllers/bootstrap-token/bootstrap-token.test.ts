import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { parseTokenText, readBootstrapToken } from '#api/bootstrap-token/bootstrap-token.ts';
import type { Json } from '#control-plane/apiserver/test-server.fixture.ts';
import { wholeBody } from '#control-plane/apiserver/test-server.fixture.ts';
import { userOfToken } from '#control-plane/apiserver/chain/authn/bootstrap-tokens.ts';
import type { User } from '#control-plane/apiserver/serve/request.ts';
import { createHttpTransport } from '#client/http-transport.ts';
import { systemClock } from '#base/clock.ts';
import {
  startTestCluster,
  type TestCluster,
} from '#control-plane/controllers/certificates/certificates.fixture.ts';
import { isSignedBy, signDetached } from './jws.ts';
import { withSignatures } from './plan.ts';

const secrets = '/api/v1/namespaces/kube-system/secrets';
const clusterInfo = '/api/v1/namespaces/kube-public/configmaps/cluster-info';
const admin: User = { name: 'admin', groups: ['system:masters'] };
const nowMs = Date.UTC(2026, 0, 1);
const secretText = '0123456789abcdef';
const both = { 'usage-bootstrap-authentication': 'true', 'usage-bootstrap-signing': 'true' };

const dataOf = (fields: Readonly<Record<string, string>>): Record<string, string> =>
  Object.fromEntries(
    Object.entries(fields).map(([key, text]) => [key, Buffer.from(text).toString('base64')]),
  );
const secretOf = (id: string, fields: object = {}): object => ({
  metadata: { name: `bootstrap-token-${id}` },
  type: 'bootstrap.kubernetes.io/token',
  stringData: { 'token-id': id, 'token-secret': secretText, ...both, ...fields },
});

describe('userOfToken()', () => {
  const good = { 'token-id': 'abcdef', 'token-secret': secretText, ...both };
  it.each<{
    readonly name: string;
    readonly fields?: Readonly<Record<string, string>>;
    readonly secret?: object;
    readonly shown?: string;
    readonly want: readonly string[] | undefined;
  }>([
    { name: 'a good one', want: ['system:bootstrappers'] },
    {
      name: 'groups',
      fields: { 'auth-extra-groups': 'system:bootstrappers:workers,system:bootstrappers:a:b' },
      want: ['system:bootstrappers', 'system:bootstrappers:a:b', 'system:bootstrappers:workers'],
    },
    { name: 'another secret', shown: 'abcdef.0123456789abcdeg', want: undefined },
    { name: 'another id', shown: 'abcdeg.0123456789abcdef', want: undefined },
    { name: 'too long', shown: 'abcdef.0123456789abcdef0', want: undefined },
    { name: 'capitals', shown: 'ABCDEF.0123456789abcdef', want: undefined },
    { name: 'no point', shown: 'abcdef0123456789abcdef', want: undefined },
    { name: 'nothing', shown: '', want: undefined },
    { name: 'a secret of another length', fields: { 'token-secret': '0123' }, want: undefined },
    { name: 'not for this', fields: { 'usage-bootstrap-authentication': 'false' }, want: undefined },
    { name: 'usage in capitals', fields: { 'usage-bootstrap-authentication': 'True' }, want: undefined },
    { name: 'ended', fields: { expiration: '2025-12-31T23:59:59Z' }, want: undefined },
    { name: 'ends now', fields: { expiration: '2026-01-01T00:00:00Z' }, want: undefined },
    {
      name: 'ends later',
      fields: { expiration: '2026-01-01T01:00:01+01:00' },
      want: ['system:bootstrappers'],
    },
    { name: 'an end that is no time', fields: { expiration: 'tomorrow' }, want: undefined },
    { name: 'a group beyond', fields: { 'auth-extra-groups': 'system:masters' }, want: undefined },
    {
      name: 'a group among good ones',
      fields: { 'auth-extra-groups': 'system:bootstrappers:a,foo' },
      want: undefined,
    },
    {
      name: 'a group that ends so',
      fields: { 'auth-extra-groups': 'system:bootstrappers:a-' },
      want: undefined,
    },
    { name: 'another id inside', fields: { 'token-id': 'abcdeg' }, want: undefined },
    { name: 'another type', secret: { type: 'Opaque' }, want: undefined },
    {
      name: 'about to go',
      secret: { metadata: { name: 'bootstrap-token-abcdef', deletionTimestamp: 'x' } },
      want: undefined,
    },
    { name: 'another name', secret: { metadata: { name: 'zz' } }, want: undefined },
  ])('$name', ({ fields = {}, secret = {}, shown = 'abcdef.0123456789abcdef', want }) => {
    const token = readBootstrapToken({
      metadata: { name: 'bootstrap-token-abcdef' },
      type: 'bootstrap.kubernetes.io/token',
      data: dataOf({ ...good, ...fields }),
      ...secret,
    });
    const book = new Map(token === undefined ? [] : [[token.id, token]]);
    const user = userOfToken(book, shown, nowMs);
    expect(user?.groups).toEqual(want);
    if (want !== undefined) expect(user?.name).toBe('system:bootstrap:abcdef');
  });
});

describe('signDetached()', () => {
  const content = 'apiVersion: v1\nkind: Config\nclusters: []\n';
  it.each([
    ['abcdef', '6noRUKYc6IcJatsCC4tJjBE6Jx8UClLwzsstr66SXaM', 'eyJhbGciOiJIUzI1NiIsImtpZCI6ImFiY2RlZiJ9'],
    ['ffffff', 'JhEoSaV1llAhgD5FHfXR1G20vF7fJiKz6UTQhmc_Jzk', 'eyJhbGciOiJIUzI1NiIsImtpZCI6ImZmZmZmZiJ9'],
    ['gggggg', 'Od4TiMIaZKR9WHvNTx8K9-RSTlxlzO8L-0ngAkEpWrU', 'eyJhbGciOiJIUzI1NiIsImtpZCI6ImdnZ2dnZyJ9'],
  ])('signs with %s as a 1.36 was seen to', async (id, signature, header) => {
    expect(await signDetached(content, { id, secret: secretText })).toBe(`${header}..${signature}`);
  });

  it('isSignedBy() takes nothing else', async () => {
    const token = { id: 'abcdef', secret: secretText };
    const signed = await signDetached(content, token);
    expect(await isSignedBy(signed, content, token)).toBe(true);
    expect(await isSignedBy(signed, `${content} `, token)).toBe(false);
    expect(await isSignedBy(signed, content, { ...token, secret: '0123456789abcdeg' })).toBe(false);
    expect(await isSignedBy(signed, content, { ...token, id: 'abcdeg' })).toBe(false);
    for (const text of ['', '.', '..', 'a.b.c', `${signed}x`, signed.replace('..', '.x.'), '..'.repeat(3)])
      expect(await isSignedBy(text, content, token)).toBe(false);
    const none = Buffer.from(JSON.stringify({ alg: 'none', kid: 'abcdef' })).toString('base64url');
    expect(await isSignedBy(`${none}..`, content, token)).toBe(false);
    const seed = Date.now();
    console.info(`seed ${seed}`);
    let state = seed >>> 0;
    for (let round = 0; round < 300; round++) {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      const at = state % signed.length;
      const text = `${signed.slice(0, at)}${String.fromCharCode(33 + ((state >>> 8) % 90))}${signed.slice(at + 1)}`;
      // The last character of 43 holds two bits that say nothing.
      if (text !== signed && at < signed.length - 1)
        expect(await isSignedBy(text, content, token)).toBe(false);
    }
  });
});

it.each([
  ['a signature is added', { kubeconfig: 'k' }, { a: '1' }, { kubeconfig: 'k', 'jws-kubeconfig-a': '1' }],
  [
    'one that is old goes',
    { kubeconfig: 'k', 'jws-kubeconfig-b': '1', x: 'y' },
    {},
    { kubeconfig: 'k', x: 'y' },
  ],
  [
    'one is made anew',
    { kubeconfig: 'k', 'jws-kubeconfig-a': '1' },
    { a: '2' },
    { kubeconfig: 'k', 'jws-kubeconfig-a': '2' },
  ],
  ['nothing to do', { kubeconfig: 'k', 'jws-kubeconfig-a': '1' }, { a: '1' }, undefined],
  ['nothing to sign', { x: 'y' }, { a: '1' }, undefined],
] as const)('withSignatures(): %s', (_name, data, signatures, want) => {
  expect(withSignatures(data, new Map(Object.entries(signatures)))).toEqual(want);
});

describe('a cluster with bootstrap tokens', () => {
  let cluster: TestCluster;
  beforeAll(async () => {
    cluster = await startTestCluster();
  });
  afterAll(() => cluster[Symbol.asyncDispose]());

  /** Over the network, with that token or without. */
  async function call(token: string | undefined, method: string, path: string, body?: unknown) {
    await using transport = createHttpTransport({
      server: `https://127.0.0.1:${cluster.test.server.ports[0] ?? 0}`,
      caPem: cluster.test.server.caCertPem,
      ...(token === undefined ? {} : { token }),
      clock: systemClock,
    });
    const response = await transport.request({
      method,
      path,
      headers: body === undefined ? {} : { 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: Buffer.from(JSON.stringify(body)) }),
    });
    const json = JSON.parse(Buffer.from(await wholeBody(response.body)).toString()) as Json;
    return { status: response.status, json };
  }

  const reviews = '/apis/authentication.k8s.io/v1/selfsubjectreviews';
  const who = (token: string) => call(token, 'POST', reviews, {});

  it('knows who shows one, as soon as it is made and no longer than it is there', async () => {
    await cluster.test.make(
      secrets,
      secretOf('abcdef', { 'auth-extra-groups': 'system:bootstrappers:workers' }),
    );
    expect((await who('abcdef.0123456789abcdef')).json['status']).toMatchObject({
      userInfo: {
        username: 'system:bootstrap:abcdef',
        groups: ['system:bootstrappers', 'system:bootstrappers:workers', 'system:authenticated'],
      },
    });
    expect((await who('abcdef.0123456789abcdeg')).status).toBe(401);
    expect((await call('abcdef.0123456789abcdef', 'GET', '/api/v1/nodes')).json['message']).toBe(
      'nodes is forbidden: User "system:bootstrap:abcdef" cannot list resource "nodes" in API group "" at the cluster scope',
    );
    await cluster.as(admin, 'DELETE', `${secrets}/bootstrap-token-abcdef`);
    expect((await who('abcdef.0123456789abcdef')).status).toBe(401);
  });

  it('reviews one as it takes it', async () => {
    await cluster.test.make(secrets, secretOf('rrrrrr'));
    const review = (token: string) =>
      cluster.as(admin, 'POST', '/apis/authentication.k8s.io/v1/tokenreviews', { spec: { token } });
    expect((await review('rrrrrr.0123456789abcdef')).json['status']).toMatchObject({ authenticated: true });
    expect((await review('rrrrrr.0123456789abcdeg')).json['status']?.['authenticated']).toBeUndefined();
    await cluster.as(admin, 'DELETE', `${secrets}/bootstrap-token-rrrrrr`);
  });

  it('removes those that have ended, and lets nobody in by them', async () => {
    await cluster.test.make(secrets, secretOf('eeeeee', { expiration: '2020-01-01T00:00:00Z' }));
    expect((await who('eeeeee.0123456789abcdef')).status).toBe(401);
    // One that lets somebody in before it ends: a busy machine may take longer than its life to ask.
    for (let lifeMs = 1500, status = 0; status !== 201; lifeMs *= 2) {
      const endMs = Date.now() + lifeMs;
      await cluster.test.make(secrets, secretOf('ssssss', { expiration: new Date(endMs).toISOString() }));
      ({ status } = await who('ssssss.0123456789abcdef'));
      if (status !== 201) expect(Date.now()).toBeGreaterThan(endMs);
      if (status !== 201) await cluster.as(admin, 'DELETE', `${secrets}/bootstrap-token-ssssss`);
    }
    await vi.waitFor(async () => {
      for (const id of ['eeeeee', 'ssssss'])
        expect((await cluster.as(admin, 'GET', `${secrets}/bootstrap-token-${id}`)).status).toBe(404);
    }, 60_000);
  });

  it('tells everybody where it is, signed with each token that is for that', async () => {
    await cluster.test.make(secrets, secretOf('ffffff', { 'usage-bootstrap-authentication': 'false' }));
    await cluster.test.make(secrets, secretOf('hhhhhh', { 'usage-bootstrap-signing': 'false' }));
    const data = await vi.waitFor(async () => {
      const { status, json } = await call(undefined, 'GET', clusterInfo);
      expect(status).toBe(200);
      expect(json['data']?.['jws-kubeconfig-ffffff']).toBeDefined();
      return json['data'] as unknown as Record<string, string>;
    }, 60_000);
    expect(Object.keys(data).toSorted()).toEqual(['jws-kubeconfig-ffffff', 'kubeconfig']);
    const token = parseTokenText('ffffff.0123456789abcdef') ?? { id: '', secret: '' };
    expect(await isSignedBy(data['jws-kubeconfig-ffffff'] ?? '', data['kubeconfig'] ?? '', token)).toBe(true);
    expect(data['kubeconfig']).toContain(Buffer.from(cluster.test.server.caCertPem).toString('base64'));
    await cluster.as(admin, 'DELETE', `${secrets}/bootstrap-token-ffffff`);
    await vi.waitFor(async () => {
      const { json } = await call(undefined, 'GET', clusterInfo);
      expect(Object.keys(json['data'] ?? {})).toEqual(['kubeconfig']);
    }, 60_000);
  });
});
