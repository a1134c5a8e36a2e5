import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import https from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseKubeconfig } from '#client/kubeconfig.ts';
import { createAuthority, issueCertificate } from '#control-plane/apiserver/pki/certificate.ts';
import { ensureClusterPki } from '#control-plane/apiserver/pki/cluster-pki.ts';
import {
  podNamed,
  startTestServer,
  type Json,
  type TestServer,
} from '#control-plane/apiserver/test-server.fixture.ts';

const ns = '/api/v1/namespaces/default';
const tokens = `${ns}/serviceaccounts/default/token`;
const invalidated = '[invalid bearer token, service account token has been invalidated]';

describe('tokens of service accounts', () => {
  let test: TestServer;
  beforeAll(async () => {
    test = await startTestServer();
    await test.make(`${ns}/serviceaccounts`, { metadata: { name: 'default' } });
  });
  afterAll(() => test[Symbol.asyncDispose]());

  const tokenFor = async (spec: object, path = tokens): Promise<string> => {
    const { status } = await test.make(path, { spec });
    return String(status?.['token']);
  };
  const review = async (token: string, spec: object = {}): Promise<Json | undefined> => {
    const answer = await test.make('/apis/authentication.k8s.io/v1/tokenreviews', {
      spec: { token, ...spec },
    });
    return answer['status'];
  };
  /** What the authenticator says of it, over the wire. */
  const use = (headers: Record<string, string>, tls: object = {}): Promise<number> => {
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    const options = {
      port: test.server.ports[0],
      path: '/api', // Which everybody may ask for who said who they are.
      headers,
      ca: test.server.caCertPem,
      ...tls,
    };
    https
      .get({ host: '127.0.0.1', agent: false, ...options }, (answer) => {
        answer.resume();
        resolve(answer.statusCode ?? 0);
      })
      .once('error', reject);
    return promise;
  };
  const bearer = (token: string): Promise<number> => use({ authorization: `Bearer ${token}` });

  const bound: readonly {
    readonly kind: string;
    readonly path: string;
    readonly object: (name: string) => object;
  }[] = [
    { kind: 'Secret', path: `${ns}/secrets`, object: (name) => ({ metadata: { name } }) },
    { kind: 'Pod', path: `${ns}/pods`, object: podNamed },
    { kind: 'Node', path: '/api/v1/nodes', object: (name) => ({ metadata: { name } }) },
  ];

  it.each(bound)(
    'one bound to a $kind is dead when that is deleted, and stays so when it is made again',
    async ({ kind, path, object }) => {
      const name = `bound-${kind.toLowerCase()}`;
      await test.make(path, object(name));
      const token = await tokenFor({ boundObjectRef: { kind, apiVersion: 'v1', name } });
      expect(await bearer(token)).toBe(200);
      expect(await review(token)).toMatchObject({ authenticated: true });
      await test.call('DELETE', `${path}/${name}`, { body: { gracePeriodSeconds: 0 } });
      expect(await bearer(token)).toBe(401);
      expect(await review(token)).toEqual({ user: {}, error: invalidated });
      await test.make(path, object(name));
      expect(await bearer(token)).toBe(401);
      expect((await review(token))?.['error']).toMatch(
        new RegExp(
          `^\\[invalid bearer token, ${kind.toLowerCase()} UID \\(.*\\) does not match service account ${kind.toLowerCase()} ref claim \\(.*\\)\\]$`,
        ),
      );
    },
  );

  it.each(bound)(
    'one bound to a $kind outlives its deletionTimestamp by the leeway, no longer',
    async ({ kind, path, object }) => {
      const name = `going-${kind.toLowerCase()}`;
      const going = object(name) as { metadata: object };
      await test.make(path, { ...going, metadata: { ...going.metadata, finalizers: ['example.com/wait'] } });
      const token = await tokenFor({ boundObjectRef: { kind, apiVersion: 'v1', name } });
      await test.call('DELETE', `${path}/${name}`, { body: { gracePeriodSeconds: 0 } });
      expect(await bearer(token)).toBe(200);
      const realNow = Date.now;
      Date.now = () => realNow() + 62_000;
      try {
        expect(await review(token)).toEqual({ user: {}, error: invalidated });
      } finally {
        Date.now = realNow;
      }
    },
  );

  it('one of an account is dead with the account, and with another account of that name', async () => {
    const path = `${ns}/serviceaccounts`;
    const { metadata } = await test.make(path, { metadata: { name: 'tmp' } });
    const token = await tokenFor({}, `${path}/tmp/token`);
    await test.call('DELETE', `${path}/tmp`);
    expect(await bearer(token)).toBe(401);
    expect((await review(token))?.['error']).toBe('[invalid bearer token, serviceaccounts "tmp" not found]');
    const again = await test.make(path, { metadata: { name: 'tmp' } });
    expect((await review(token))?.['error']).toBe(
      `[invalid bearer token, service account UID (${String(again['metadata']?.['uid'])}) does not match claim (${String(metadata?.['uid'])})]`,
    );
  });

  it('a pod that runs says where', async () => {
    const node = await test.make('/api/v1/nodes', { metadata: { name: 'n' } });
    const pod = await test.make(`${ns}/pods`, {
      metadata: { name: 'placed' },
      spec: { nodeName: 'n', containers: [{ name: 'c', image: 'i' }] },
    });
    const token = await tokenFor({ boundObjectRef: { kind: 'Pod', apiVersion: 'v1', name: 'placed' } });
    expect(
      JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())['kubernetes.io'],
    ).toMatchObject({
      node: { name: 'n', uid: node['metadata']?.['uid'] },
      pod: { name: 'placed', uid: pod['metadata']?.['uid'] },
    });
    expect((await review(token))?.['user']?.['extra']).toEqual({
      'authentication.kubernetes.io/credential-id': [expect.stringMatching(/^JTI=/)],
      'authentication.kubernetes.io/node-name': ['n'],
      'authentication.kubernetes.io/node-uid': [node['metadata']?.['uid']],
      'authentication.kubernetes.io/pod-name': ['placed'],
      'authentication.kubernetes.io/pod-uid': [pod['metadata']?.['uid']],
    });
    await test.call('DELETE', '/api/v1/nodes/n');
    expect(await bearer(token)).toBe(200); // Bound to the pod, not to the node.
  });

  it('are reviewed as they are taken', async () => {
    const token = await tokenFor({ audiences: ['a', 'b'] });
    expect(await review(token, { audiences: ['z', 'b'] })).toMatchObject({
      authenticated: true,
      audiences: ['b'],
    });
    expect(await review(token)).toEqual({
      user: {},
      error:
        '[invalid bearer token, token audiences ["a" "b"] is invalid for the target audiences ["https://kubernetes.default.svc"]]',
    });
    expect(await bearer(token)).toBe(401);
    const own = await tokenFor({});
    const [head = '', body = ''] = own.split('.');
    expect(await review(`${head}.${body}.${'A'.repeat(86)}`)).toEqual({
      user: {},
      error: '[invalid bearer token, go-jose/go-jose: error in cryptographic primitive]',
    });
    expect(await review('x.y.z')).toEqual({ user: {}, error: 'invalid bearer token' });
    const empty = await test.call('POST', '/apis/authentication.k8s.io/v1/tokenreviews', {
      body: { spec: {} },
    });
    expect(empty.json).toMatchObject({
      code: 400,
      message: 'token is required for TokenReview in authentication',
    });
  });

  it.each([
    {
      name: '599 s',
      spec: { expirationSeconds: 599 },
      status: 422,
      message:
        'TokenRequest.authentication.k8s.io "" is invalid: spec.expirationSeconds: Invalid value: 599: may not specify a duration less than 10 minutes',
    },
    {
      name: 'more than 2^32 s',
      spec: { expirationSeconds: 4_294_967_297 },
      status: 422,
      message:
        'TokenRequest.authentication.k8s.io "" is invalid: spec.expirationSeconds: Invalid value: 4294967297: may not specify a duration larger than 2^32 seconds',
    },
    {
      name: 'a ConfigMap',
      spec: { boundObjectRef: { kind: 'ConfigMap', apiVersion: 'v1', name: 'x' } },
      status: 400,
      message: 'cannot bind token to object of type /v1, Kind=ConfigMap',
    },
    {
      name: 'no name',
      spec: { boundObjectRef: { kind: 'Pod', apiVersion: 'v1' } },
      status: 400,
      message: 'Name parameter required.',
    },
    {
      name: 'a pod that is not there',
      spec: { boundObjectRef: { kind: 'Pod', apiVersion: 'v1', name: 'zz' } },
      status: 404,
      message: 'pods "zz" not found',
    },
    {
      name: 'a node that is not there',
      spec: { boundObjectRef: { kind: 'Node', apiVersion: 'v1', name: 'zz' } },
      status: 404,
      message: 'nodes "zz" not found',
    },
    {
      name: 'a pod of another account',
      spec: { boundObjectRef: { kind: 'Pod', apiVersion: 'v1', name: 'other' } },
      status: 400,
      message:
        'cannot bind token for serviceaccount "default" to pod running with different serviceaccount name.',
    },
    {
      name: 'another uid',
      spec: { boundObjectRef: { kind: 'Secret', apiVersion: 'v1', name: 'uid', uid: 'u' } },
      status: 409,
      message: expect.stringMatching(
        /^Operation cannot be fulfilled on Secret "uid": the UID in the bound object reference \(u\) does not match/,
      ),
    },
    {
      name: 'another name',
      metadata: { name: 'zz' },
      spec: {},
      status: 422,
      message:
        'TokenRequest.authentication.k8s.io "default" is invalid: metadata.name: Invalid value: "zz": must match the service account name if specified',
    },
  ])('one for $name is refused', async ({ metadata = {}, spec, status, message }) => {
    await test.call('POST', `${ns}/serviceaccounts`, { body: { metadata: { name: 'alien' } } });
    const other = {
      metadata: { name: 'other' },
      spec: { serviceAccountName: 'alien', containers: [{ name: 'c', image: 'i' }] },
    };
    await test.call('POST', `${ns}/pods`, { body: other });
    await test.call('POST', `${ns}/secrets`, { body: { metadata: { name: 'uid' } } });
    const answer = await test.call('POST', tokens, { body: { metadata, spec } });
    expect(answer.json).toMatchObject({ code: status, message });
  });

  it('none lives longer than a year, which is said', async () => {
    const answer = await test.call('POST', tokens, { body: { spec: { expirationSeconds: 2 ** 32 } } });
    expect(answer.json['spec']).toMatchObject({ expirationSeconds: 31_536_000 });
    expect(answer.headers['warning']).toBe(
      '299 - "requested expiration of 4294967296 seconds shortened to 31536000 seconds"',
    );
  });

  it('a certificate of another authority is nobody’s: 401, unless a token says who it is', async () => {
    const { certPem, keyPem } = await issueCertificate(await createAuthority('other', Date.now()), {
      commonName: 'kubernetes-admin',
      organizations: ['system:masters'],
      usages: ['client'],
      nowMs: Date.now(),
    });
    const foreign = { cert: certPem, key: keyPem };
    expect(await use({}, foreign)).toBe(401);
    expect(await use({ authorization: 'Basic YTpi' }, foreign)).toBe(401);
    expect(await use({ authorization: `Bearer ${await tokenFor({})}` }, foreign)).toBe(200);
    expect(await use({})).toBe(403);
    expect(await use({ authorization: 'Basic YTpi' })).toBe(403);
    expect(await use({ authorization: 'Bearer ' })).toBe(403);
    const access = parseKubeconfig(
      await test.server.issueKubeconfig({ name: 'bob', groups: [] }, 'https://x'),
      { directory: '/' },
    );
    const inline = (source: typeof access.ca): string => (source.kind === 'inline' ? source.text : '');
    const own = { cert: inline(access.clientCert), key: inline(access.clientKey) };
    expect(await use({ authorization: 'Bearer nope' }, own)).toBe(200);
  });
});

describe('ensureClusterPki()', () => {
  it.each(['sa.key', 'ca.key', 'ca.crt', 'apiserver.crt', 'admin.key'])(
    'names the file when %s is cut off',
    async (file) => {
      const directory = mkdtempSync(join(tmpdir(), 'podwright-pki-'));
      const options = { directory, hosts: ['localhost'], now: Date.now };
      await ensureClusterPki(options);
      const path = join(directory, file);
      const whole = readFileSync(path, 'utf8');
      writeFileSync(path, '');
      await expect(ensureClusterPki(options)).rejects.toThrow(`read ${path}: it is empty; put it back`);
      writeFileSync(path, whole.slice(0, whole.length / 2));
      await expect(ensureClusterPki(options)).rejects.toThrow(`read ${path}: `);
      writeFileSync(path, whole);
      await ensureClusterPki(options);
      rmSync(directory, { recursive: true });
    },
  );
});
