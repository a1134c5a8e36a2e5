import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { systemClock } from '#base/clock.ts';
import { objectOf } from '#api/wire/json.ts';
import { scratchDirectory } from '#base/scratch-directory.fixture.ts';
import { silentLogger } from '#base/log.ts';
import { createApiClient } from '#client/api-client.ts';
import { createInformers } from '#client/informers.ts';
import { startTestServer, type Json, type TestServer } from '#control-plane/apiserver/test-server.fixture.ts';
import { logTo } from '#control-plane/apiserver/chain/audit/audit.fixture.ts';
import { parsePolicy } from '#control-plane/apiserver/chain/audit/policy.ts';
import { startControllers } from '#control-plane/controllers/start-controllers.ts';
import { askOverTls, whoIs } from './credentials.fixture.ts';

const auditLog = join(scratchDirectory('podwright-legacy-tokens-'), 'audit.log');
const ns = '/api/v1/namespaces/default';
const lastUsed = 'kubernetes.io/legacy-token-last-used';
const invalidSince = 'kubernetes.io/legacy-token-invalid-since';
const patience = { timeout: 60_000 }; // Of a busy machine.
const today = (): string => new Date().toISOString().slice(0, 10);

describe('tokens that lie in Secrets', { timeout: 180_000 }, () => {
  let test: TestServer;
  let loops: AsyncDisposableStack;
  beforeAll(async () => {
    const policy = parsePolicy('{kind: Policy, apiVersion: audit.k8s.io/v1, rules: [{level: Metadata}]}');
    test = await startTestServer({ audit: { policy, log: logTo(auditLog), webhook: undefined } });
    loops = new AsyncDisposableStack();
    const client = createApiClient({ transport: test.server.transport(), userAgent: 'test' });
    const informers = loops.use(createInformers({ client, clock: systemClock, logger: silentLogger }));
    const { rootCa, signSecretToken: signToken } = test.server;
    loops.use(
      startControllers({
        clientAs: () => client,
        informers,
        clock: systemClock,
        logger: silentLogger,
        rootCa,
        signToken,
      }),
    );
    await vi.waitFor(async () => expect(await statusOf(`${ns}/serviceaccounts/default`)).toBe(200), 60_000);
  });
  afterAll(async () => {
    await loops[Symbol.asyncDispose]();
    await test[Symbol.asyncDispose]();
  });

  /** Annotations of the last recorded request. */
  const noted = (): Readonly<Record<string, unknown>> =>
    objectOf(JSON.parse(readFileSync(auditLog, 'utf8').trimEnd().split('\n').at(-1) ?? '{}').annotations);
  const statusOf = async (path: string): Promise<number> => (await test.call('GET', path)).status;
  const secretFor = (name: string, account: string): Promise<Json> =>
    test.make(`${ns}/secrets`, {
      metadata: { name, annotations: { 'kubernetes.io/service-account.name': account } },
      type: 'kubernetes.io/service-account-token',
    });
  /** The token that the controller put there. */
  const tokenIn = async (name: string): Promise<string> => {
    const read = async (): Promise<string> => {
      const { json } = await test.call('GET', `${ns}/secrets/${name}`);
      return String(json['data']?.['token'] ?? '');
    };
    await expect.poll(read, patience).not.toBe('');
    return Buffer.from(await read(), 'base64').toString();
  };
  const bearer = (token: string): { headers: Record<string, string> } => ({
    headers: { authorization: `Bearer ${token}` },
  });
  const errorOf = async (token: string): Promise<unknown> => {
    const { status } = await test.make('/apis/authentication.k8s.io/v1/tokenreviews', { spec: { token } });
    return status?.['error'];
  };

  it('are put there, and taken; their use is noted', async () => {
    const { metadata } = await test.make(`${ns}/serviceaccounts`, { metadata: { name: 'robot' } });
    await secretFor('robot-token', 'robot');
    const token = await tokenIn('robot-token');
    const uid = metadata?.['uid'];
    const { json: secret } = await test.call('GET', `${ns}/secrets/robot-token`);
    expect(Object.keys(secret['data'] ?? {})).toEqual(['ca.crt', 'namespace', 'token']);
    expect(secret['metadata']?.['annotations']).toEqual({
      'kubernetes.io/service-account.name': 'robot',
      'kubernetes.io/service-account.uid': uid,
    });
    expect(JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())).toEqual({
      iss: 'kubernetes/serviceaccount',
      'kubernetes.io/serviceaccount/namespace': 'default',
      'kubernetes.io/serviceaccount/secret.name': 'robot-token',
      'kubernetes.io/serviceaccount/service-account.name': 'robot',
      'kubernetes.io/serviceaccount/service-account.uid': uid,
      sub: 'system:serviceaccount:default:robot',
    });
    expect(await whoIs(test, bearer(token))).toEqual({
      username: 'system:serviceaccount:default:robot',
      uid,
      groups: ['system:serviceaccounts', 'system:serviceaccounts:default', 'system:authenticated'],
    });
    const used = await test.call('GET', `${ns}/secrets/robot-token`);
    expect(used.json['metadata']?.['labels']).toEqual({ [lastUsed]: today() });
    const again = await test.call('GET', `${ns}/secrets/robot-token`);
    await whoIs(test, bearer(token));
    expect(again.json['metadata']?.['resourceVersion']).toBe(used.json['metadata']?.['resourceVersion']);
  });

  it('are worth nothing once the Secret holds another, or is gone', async () => {
    await secretFor('changed', 'default');
    const token = await tokenIn('changed');
    expect((await askOverTls(test, bearer(token))).status).toBe(200);
    await test.call('PATCH', `${ns}/secrets/changed`, {
      body: { data: { token: '' } },
      headers: { 'content-type': 'application/merge-patch+json' },
    });
    const signed = await test.server.signSecretToken({
      namespace: 'default',
      name: 'default',
      uid: 'x',
      secretName: 'changed',
    });
    expect(await errorOf(signed)).toBe("[invalid bearer token, Token does not match server's copy]");
    expect((await askOverTls(test, bearer(signed))).status).toBe(401);
    await test.call('DELETE', `${ns}/secrets/changed`);
    expect((await askOverTls(test, bearer(token))).status).toBe(401);
    expect(await errorOf(token)).toBe('[invalid bearer token, Token has been invalidated]');
  });

  it('go with their account, which no longer names one that goes', async () => {
    await test.make(`${ns}/serviceaccounts`, {
      metadata: { name: 'short' },
      secrets: [{ name: 'one' }, { name: 'two' }],
    });
    await secretFor('one', 'short');
    await secretFor('two', 'short');
    const token = await tokenIn('two');
    await tokenIn('one');
    await test.call('DELETE', `${ns}/secrets/one`);
    const named = async (): Promise<unknown> =>
      (await test.call('GET', `${ns}/serviceaccounts/short`)).json['secrets'];
    await expect.poll(named, patience).toEqual([{ name: 'two' }]);
    await test.call('DELETE', `${ns}/serviceaccounts/short`);
    await expect.poll(() => statusOf(`${ns}/secrets/two`), patience).toBe(404);
    expect((await askOverTls(test, bearer(token))).status).toBe(401);
  });

  it('are removed where there is no such account', async () => {
    await secretFor('orphan', 'nobody');
    await expect.poll(() => statusOf(`${ns}/secrets/orphan`), patience).toBe(404);
  });

  it('that the cluster once made are warned of, and refused once they are marked', async () => {
    await test.make(`${ns}/serviceaccounts`, { metadata: { name: 'old' }, secrets: [{ name: 'old-token' }] });
    await secretFor('old-token', 'old');
    const token = await tokenIn('old-token');
    const answer = await askOverTls(test, bearer(token));
    expect(answer.status).toBe(200);
    const legacy = { 'authentication.k8s.io/legacy-token': 'system:serviceaccount:default:old' };
    expect(noted()).toMatchObject({
      ...legacy,
      'authentication.k8s.io/legacy-token-autogenerated-secret': 'old-token',
    });
    expect(answer.headers['warning']).toBe(
      '299 - "Use tokens from the TokenRequest API or manually created secret-based tokens instead of auto-generated secret-based tokens."',
    );
    await test.call('PATCH', `${ns}/secrets/old-token`, {
      body: { metadata: { labels: { [invalidSince]: '2026-01-01' } } },
      headers: { 'content-type': 'application/merge-patch+json' },
    });
    expect((await askOverTls(test, bearer(token))).status).toBe(401);
    expect(noted()).toEqual({
      ...legacy,
      'authentication.k8s.io/legacy-token-invalidated': 'old-token/default',
    });
    expect(await errorOf(token)).toMatch(
      /^\[invalid bearer token, the token in secret default\/old-token .* has been marked invalid\. /,
    );
  });

  it('that somebody made are noted as that, and all uses are counted', async () => {
    await secretFor('made', 'default');
    const token = await tokenIn('made');
    expect((await askOverTls(test, bearer(token))).status).toBe(200);
    expect(noted()).toMatchObject({ 'authentication.k8s.io/legacy-token-manual-secret': 'made' });
    const { text } = await test.call('GET', '/metrics');
    for (const counter of ['legacy_tokens', 'legacy_auto_token_uses', 'legacy_manual_token_uses']) {
      expect(text).toMatch(new RegExp(`^serviceaccount_${counter}_total [1-9]`, 'm'));
    }
    expect(text).toMatch(/^serviceaccount_invalid_legacy_auto_token_uses_total 2$/m);
    expect(text).toMatch(/^serviceaccount_stale_tokens_total 0$/m);
  });

  it('are noted since the first start', async () => {
    const path =
      '/api/v1/namespaces/kube-system/configmaps/kube-apiserver-legacy-service-account-token-tracking';
    expect((await test.call('GET', path)).json['data']).toEqual({ since: today() });
  });
});
