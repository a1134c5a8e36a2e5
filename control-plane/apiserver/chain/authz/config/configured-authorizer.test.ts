import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createFakeClock, systemClock, type Clock } from '#base/clock.ts';
import { at, stringOf } from '#api/wire/json.ts';
import { startTestServer } from '#control-plane/apiserver/test-server.fixture.ts';

interface TestWebhook extends AsyncDisposable {
  readonly url: string;
  /** slow has asked. */
  readonly slowAsked: Promise<void>;
  answerSlow(): void;
}

/** A webhook that lets alice do everything, and slow when it is told to; forbids mallory everything, and fails for flaky. */
async function startWebhook(): Promise<TestWebhook> {
  const [came, answered] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const user = stringOf(at(JSON.parse(Buffer.concat(chunks).toString('utf8')), 'spec.user'));
    if (user === 'slow') {
      came.resolve();
      await answered.promise;
    }
    response.statusCode = user === 'flaky' ? 400 : 200;
    response.end(
      JSON.stringify({
        status: {
          allowed: user === 'alice' || user === 'slow',
          denied: user === 'mallory',
          reason: user === 'mallory' ? 'never' : '',
        },
      }),
    );
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const address = server.address();
  return {
    url: `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}/authorize`,
    slowAsked: came.promise,
    answerSlow: () => answered.resolve(),
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await once(server.close(), 'close');
    },
  };
}

function scratch(): { readonly path: (name: string) => string } & Disposable {
  const directory = mkdtempSync(join(tmpdir(), 'podwright-authorization-'));
  return {
    path: (name) => join(directory, name),
    [Symbol.dispose]: () => rmSync(directory, { recursive: true, force: true }),
  };
}

function configuration(...authorizers: readonly object[]): string {
  const head = { apiVersion: 'apiserver.config.k8s.io/v1', kind: 'AuthorizationConfiguration' };
  return JSON.stringify({ ...head, authorizers });
}

describe('a server with a configuration of authorizers', () => {
  it('asks the webhook in its place, and takes a new file without a restart', async () => {
    await using webhook = await startWebhook();
    using files = scratch();
    const kubeconfig = {
      ...{ apiVersion: 'v1', kind: 'Config', 'current-context': 'c' },
      clusters: [{ name: 'c', cluster: { server: webhook.url } }],
      users: [{ name: 'u', user: {} }],
      contexts: [{ name: 'c', context: { cluster: 'c', user: 'u' } }],
    };
    writeFileSync(files.path('kubeconfig'), JSON.stringify(kubeconfig));
    const hook = {
      ...{ type: 'Webhook', name: 'hook' },
      webhook: {
        ...{ timeout: '3s', subjectAccessReviewVersion: 'v1', failurePolicy: 'NoOpinion' },
        ...{ cacheAuthorizedRequests: false, cacheUnauthorizedRequests: false },
        connectionInfo: { type: 'KubeConfigFile', kubeConfigFile: files.path('kubeconfig') },
      },
    };
    const file = files.path('authorization.yaml');
    const rbac = { type: 'RBAC', name: 'rbac' };
    const node = { type: 'Node', name: 'node' };
    writeFileSync(file, configuration(hook, rbac));
    const looks = createFakeClock();
    const clock: Clock = {
      ...systemClock,
      after: (ms, call) => (ms === 5000 ? looks.after(ms, call) : systemClock.after(ms, call)),
    };
    await using cluster = await startTestServer({ authorization: { file }, clock });
    const statusAs = async (name: string): Promise<{ readonly status: number; readonly message: string }> => {
      const transport = cluster.server.transport({ name, groups: [] });
      const { status, body } = await transport.request({ method: 'GET', path: '/api/v1/pods', headers: {} });
      const text = body instanceof Uint8Array ? new TextDecoder().decode(body) : '';
      return { status, message: stringOf(at(JSON.parse(text), 'message')) };
    };
    expect((await statusAs('alice')).status).toBe(200);
    expect(await statusAs('mallory')).toEqual({
      status: 403,
      message:
        'pods is forbidden: User "mallory" cannot list resource "pods" in API group "" at the cluster scope: never',
    });
    expect(await statusAs('bob')).toMatchObject({ status: 403 });
    expect(await statusAs('flaky')).toMatchObject({
      status: 500,
      message: expect.stringContaining('the server answered 400'),
    });

    const asked = statusAs('slow');
    await webhook.slowAsked;
    for (const wrong of ['kind: Nonsense', configuration(hook), configuration(hook, rbac, node)]) {
      writeFileSync(file, wrong);
      looks.advance(5000);
      expect((await statusAs('alice')).status).toBe(200);
    }
    writeFileSync(file, configuration(rbac));
    looks.advance(5000);
    expect((await statusAs('alice')).status).toBe(403);
    // Whoever was asking goes on: the webhook is let go later.
    webhook.answerSlow();
    expect((await asked).status).toBe(200);
    const { text } = await cluster.call('GET', '/metrics');
    const name = 'apiserver_authorization_config_controller';
    const hash = 'sha256:[0-9a-f]{64}';
    for (const line of [
      `automatic_reloads_total\\{apiserver_id_hash="${hash}",status="failure"\\} 3`,
      `automatic_reloads_total\\{apiserver_id_hash="${hash}",status="success"\\} 1`,
      `automatic_reload_last_timestamp_seconds\\{apiserver_id_hash="${hash}",status="success"\\} 1`,
      `last_config_info\\{apiserver_id_hash="${hash}",hash="${hash}"\\} 1`,
    ]) {
      expect(text).toMatch(new RegExp(`^${name}_${line}`, 'm'));
    }
  });

  it('does not start with a file that is wrong', async () => {
    using files = scratch();
    writeFileSync(files.path('x'), configuration());
    await expect(startTestServer({ authorization: { file: files.path('x') } })).rejects.toThrow(
      /authorizers: at least one authorizer must be defined/,
    );
  });
});
