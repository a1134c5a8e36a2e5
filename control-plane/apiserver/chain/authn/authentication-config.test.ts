import { once } from 'node:events';
import { createServer } from 'node:http';
import { expect, it } from 'vitest';
import { createRecordedLog } from '#base/recorded-log.fixture.ts';
import { startTestServer, type TestServer } from '#control-plane/apiserver/test-server.fixture.ts';
import { askOverTls, testFiles, whoIs } from './credentials.fixture.ts';
import { startTestIssuer, type TestIssuer } from './oidc/issuer.fixture.ts';

const bearer = (token: string): { headers: Record<string, string> } => ({
  headers: { authorization: `Bearer ${token}` },
});
const jwtOf = (issuer: TestIssuer, prefix: string): object => ({
  issuer: { url: issuer.url, certificateAuthority: issuer.caPem, audiences: ['podwright'] },
  claimMappings: { username: { claim: 'sub', prefix }, groups: { claim: 'groups', prefix } },
});
const text = (fields: object): string =>
  JSON.stringify({
    apiVersion: 'apiserver.config.k8s.io/v1',
    kind: 'AuthenticationConfiguration',
    ...fields,
  });
const statusOf = async (test: TestServer, path: string): Promise<number> =>
  (await askOverTls(test, { path })).status;

it('issuers are what the file says, also when it changes; one that is broken, or changes who may be nobody, changes nothing', async () => {
  using files = testFiles();
  await using first = await startTestIssuer();
  await using second = await startTestIssuer();

  first.addKey();
  second.addKey();
  const anonymous = { enabled: true, conditions: [{ path: '/healthz' }] };
  const configFile = files.write('authn.yaml', text({ jwt: [jwtOf(first, 'a:')], anonymous }));
  const { log: logger, lines } = createRecordedLog();
  await using test = await startTestServer({ logger, authentication: { configFile } });

  const who = async (issuer: TestIssuer): Promise<unknown> =>
    whoIs(test, bearer(await issuer.sign({ groups: ['g'] })));
  expect(await who(first)).toEqual({ username: 'a:jane', groups: ['a:g', 'system:authenticated'] });
  expect(await who(second)).toBe(401);
  expect(await statusOf(test, '/healthz')).toBe(200);
  for (const path of [
    '/healthz/',
    '/livez',
    '/version',
    '/healthz/ping',
    '//healthz',
    '/%68ealthz',
    '/api',
  ]) {
    expect(await statusOf(test, path), path).toBe(401);
  }
  const review = await test.make('/apis/authentication.k8s.io/v1/tokenreviews', {
    spec: { token: await first.sign({ aud: 'vault' }) },
  });
  expect(review['status']).toEqual({
    user: {},
    error:
      '[invalid bearer token, oidc: verify token: oidc: expected audience in ["podwright"] got ["vault"]]',
  });

  const told = async (error: unknown): Promise<void> =>
    expect
      .poll(() => lines, { timeout: 60_000 })
      .toContainEqual(expect.objectContaining({ option: '--authentication-config', error }));
  files.write('authn.yaml', text({ jwt: [jwtOf(second, 'c:')] }));
  await told('anonymous: changed from the initial configuration file');
  // An issuer that cannot be asked is asked again and again, and until then nothing changes.
  const [away] = [await startTestIssuer()];
  await away[Symbol.asyncDispose]();
  files.write('authn.yaml', text({ jwt: [jwtOf(second, 'c:'), jwtOf(away, 'x:')], anonymous }));
  await told(expect.stringContaining('ECONNREFUSED'));
  expect([await who(second), await who(first)]).toMatchObject([401, { username: 'a:jane' }]);

  files.write('authn.yaml', text({ jwt: [jwtOf(first, 'b:'), jwtOf(second, 'c:')], anonymous }));
  await expect.poll(() => who(second), { timeout: 60_000 }).toMatchObject({ username: 'c:jane' });
  expect(await who(first)).toMatchObject({ username: 'b:jane' });
  expect(await statusOf(test, '/livez')).toBe(401);
  files.write(
    'authn.yaml',
    text({ jwt: [{ ...jwtOf(first, 'd:'), userValidationRules: [{ expression: 'no' }] }], anonymous }),
  );
  await told(expect.stringMatching(/userValidationRules\[0\]\.expression: compilation failed/));
  expect(await who(first)).toMatchObject({ username: 'b:jane' });
  expect(await who(second)).toMatchObject({ username: 'c:jane' });
  const metrics = await test.call('GET', '/metrics');
  const id = 'apiserver_id_hash="sha256:[0-9a-f]{64}"';
  for (const line of [
    `automatic_reloads_total\\{${id},status="success"\\} 1`,
    `automatic_reloads_total\\{${id},status="failure"\\} 3`,
    `automatic_reload_last_timestamp_seconds\\{${id},status="failure"\\} 1`,
    `last_config_info\\{${id},hash="sha256:[0-9a-f]{64}"\\} 1`,
  ]) {
    expect(metrics.text).toMatch(new RegExp(`^apiserver_authentication_config_controller_${line}`, 'm'));
  }
}, 180_000);

it('a server does not start on a file that is wrong', async () => {
  using files = testFiles();

  const start = (fields: object, more: object = {}): Promise<TestServer> =>
    startTestServer({ authentication: { configFile: files.write('x', text(fields)), ...more } });
  await expect(start({ jwt: [{}] })).rejects.toThrow(
    /--authentication-config .*: jwt\[0\]\.issuer\.url: Required value/,
  );
  await expect(
    start({ jwt: [{ issuer: { url: 'https://kubernetes.default.svc', audiences: ['x'] } }] }),
  ).rejects.toThrow(/is the issuer of service account tokens/);
  await expect(start({ anonymous: { enabled: false } }, { anonymousAuth: true })).rejects.toThrow(
    /anonymous: --anonymous-auth says that too/,
  );
});

it('a program outside is asked about tokens that nobody here knows, and about no others', async () => {
  const asked: string[] = [];
  const webhook = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk) => (body += String(chunk)));
    request.once('end', () => {
      const { token } = JSON.parse(body).spec;
      asked.push(token);
      const status =
        token === 'good' ? { authenticated: true, user: { username: 'carol', groups: ['g'] } } : {};
      response.end(JSON.stringify({ kind: 'TokenReview', apiVersion: 'authentication.k8s.io/v1', status }));
    });
  });
  await once(webhook.listen(0, '127.0.0.1'), 'listening');
  await using stack = new AsyncDisposableStack();
  stack.defer(async () => void (await once(webhook.close(), 'close')));
  using files = testFiles();

  const address = webhook.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const file = files.write(
    'kubeconfig',
    JSON.stringify({
      clusters: [{ name: 'c', cluster: { server: `http://127.0.0.1:${port}/` } }],
      users: [{ name: 'u', user: {} }],
      contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
      'current-context': 'x',
    }),
  );
  await using test = await startTestServer({
    authentication: { webhook: { file, version: 'v1', cacheTtlMs: 60_000 } },
  });

  stack.defer(async () => webhook.closeAllConnections());
  await test.make('/api/v1/namespaces/default/serviceaccounts', { metadata: { name: 'default' } });
  expect(await whoIs(test, bearer('good'))).toEqual({
    username: 'carol',
    groups: ['g', 'system:authenticated'],
  });
  expect(await whoIs(test, bearer('bad'))).toBe(401);
  await whoIs(test, bearer('good'));
  const own = await test.make('/api/v1/namespaces/default/serviceaccounts/default/token', { spec: {} });
  expect((await askOverTls(test, bearer(String(own['status']?.['token'])))).status).toBe(200);
  expect(asked).toEqual(['good', 'bad']);
});
