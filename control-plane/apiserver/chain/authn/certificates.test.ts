import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestServer, type TestServer } from '#control-plane/apiserver/test-server.fixture.ts';
import { askOverTls, testAuthority, testFiles, whoIs } from './credentials.fixture.ts';

type Authority = Awaited<ReturnType<typeof testAuthority>>;
const yearMs = 31_536_000_000;
const info = '/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication';

describe('client certificates and a proxy in front', () => {
  using stack = new DisposableStack();
  const files = stack.use(testFiles());
  const owned = stack.move();
  let test: TestServer;
  let [clients, others, proxies, strangers]: Authority[] = [];
  const of = (authority: Authority | undefined): Authority => {
    if (authority === undefined) throw new Error('not begun');
    return authority;
  };
  beforeAll(async () => {
    [clients, others, proxies, strangers] = await Promise.all(
      ['clients', 'others', 'proxies', 'strangers'].map(testAuthority),
    );
    const frontProxy = {
      clientCaFile: files.write('proxies.crt', of(proxies).certPem),
      allowedNames: ['front'],
      usernameHeaders: ['X-Remote-User'],
      uidHeaders: ['X-Remote-Uid'],
      groupHeaders: ['X-Remote-Group'],
      extraHeaderPrefixes: ['X-Remote-Extra-'],
    };
    const clientCaFile = files.write('clients.crt', `# two\n${of(clients).certPem}\n${of(others).certPem}`);
    test = await startTestServer({ authentication: { clientCaFile, frontProxy } });
  });
  afterAll(async () => {
    await test[Symbol.asyncDispose]();
    owned.dispose();
  });

  it('those of each authority of the file are users, with their groups and which certificate it was', async () => {
    for (const authority of [clients, others]) {
      const client = await of(authority).issue({ commonName: 'alice', organizations: ['devs', 'ops'] });
      expect(await whoIs(test, { client })).toEqual({
        username: 'alice',
        groups: ['devs', 'ops', 'system:authenticated'],
        extra: {
          'authentication.kubernetes.io/credential-id': [expect.stringMatching(/^X509SHA256=[0-9a-f]{64}$/)],
        },
      });
    }
  });

  it.each<{
    name: string;
    authority: () => Authority;
    request: Parameters<Authority['issue']>[0];
    want: number;
  }>([
    { name: 'another authority', authority: () => of(strangers), request: {}, want: 401 },
    { name: 'the proxy’s authority', authority: () => of(proxies), request: {}, want: 401 },
    {
      name: 'one that has expired',
      authority: () => of(clients),
      request: { nowMs: Date.now() - 2 * yearMs },
      want: 401,
    },
    {
      name: 'one that is not yet valid',
      authority: () => of(clients),
      request: { nowMs: Date.now() + yearMs / 2 },
      want: 401,
    },
    { name: 'one of a server', authority: () => of(clients), request: { usages: ['server'] }, want: 401 },
    { name: 'one without a name', authority: () => of(clients), request: { commonName: '' }, want: 401 },
  ])('$name makes nobody of its client: $want', async ({ authority, request, want }) => {
    const client = await authority().issue({ organizations: ['system:masters'], ...request });
    expect((await askOverTls(test, { client, path: '/api/v1/secrets' })).status).toBe(want);
  });

  const smuggled = (headers: readonly string[]): readonly string[] => headers;
  it.each<{ name: string; headers: readonly string[] }>([
    {
      name: 'in the standard words',
      headers: ['X-Remote-User', 'admin', 'X-Remote-Group', 'system:masters'],
    },
    { name: 'in small letters', headers: ['x-remote-user', 'admin', 'x-remote-group', 'system:masters'] },
    { name: 'with underscores', headers: ['X_Remote_User', 'admin', 'X_Remote_Group', 'system:masters'] },
    {
      name: 'twice',
      headers: [
        'X-Remote-User',
        '',
        'X-Remote-User',
        'admin',
        'X-Remote-Group',
        'a',
        'X-Remote-Group',
        'system:masters',
      ],
    },
  ])('headers of who is no proxy say nothing, $name', async ({ headers }) => {
    const client = await of(clients).issue({ commonName: 'eve' });
    expect(await whoIs(test, { client, headers: smuggled(headers) })).toMatchObject({
      username: 'eve',
      groups: ['system:authenticated'],
    });
    expect((await askOverTls(test, { headers, path: '/api/v1/secrets' })).json).toMatchObject({
      message: expect.stringContaining('User "system:anonymous" cannot list'),
    });
    const bad = await of(strangers).issue({ commonName: 'front' });
    expect((await askOverTls(test, { client: bad, headers })).status).toBe(401);
  });

  it('a proxy says who asks', async () => {
    const client = await of(proxies).issue({ commonName: 'front' });
    const headers = [
      ...['X-Remote-User', 'alice', 'X-Remote-User', 'system:admin', 'x-remote-UID', 'u-1'],
      ...['X-Remote-Group', 'a', 'X-Remote-Group', '', 'x-remote-group', 'b,c'],
      ...[
        'X-Remote-Extra-Scopes',
        'x',
        'x-remote-extra-scopes',
        'y',
        'X-Remote-Extra-Example.org%2fKey',
        'z',
      ],
    ];
    expect(await whoIs(test, { client, headers })).toEqual({
      username: 'alice',
      uid: 'u-1',
      groups: ['a', 'b,c', 'system:authenticated'],
      extra: { 'example.org/key': ['z'], scopes: ['x', 'y'] },
    });
  });

  it('a proxy that says nothing, or has another name, is nobody', async () => {
    const front = await of(proxies).issue({ commonName: 'front' });
    const back = await of(proxies).issue({ commonName: 'back' });
    for (const headers of [[], ['X-Remote-User', ''], ['X_Remote_User', 'admin']]) {
      expect((await askOverTls(test, { client: front, headers })).status).toBe(401);
    }
    expect((await askOverTls(test, { client: back, headers: ['X-Remote-User', 'admin'] })).status).toBe(401);
  });

  it('whom a proxy names may impersonate as that one, not as the proxy', async () => {
    const client = await of(proxies).issue({ commonName: 'front' });
    const headers = [
      'X-Remote-User',
      'alice',
      'Impersonate-User',
      'system:admin',
      'Impersonate-Group',
      'system:masters',
    ];
    expect((await askOverTls(test, { client, headers, path: '/api/v1/secrets' })).status).toBe(403);
  });

  it.each<{ name: string; headers: readonly string[]; want: number }>([
    { name: 'a user', headers: ['Impersonate-User', 'root'], want: 403 },
    {
      name: 'a group, with the user of who asks',
      headers: ['Impersonate-User', 'eve', 'Impersonate-Group', 'system:masters'],
      want: 403,
    },
    { name: 'a user in capitals', headers: ['IMPERSONATE-USER', 'root'], want: 403 },
    {
      name: 'a group behind an empty user',
      headers: ['Impersonate-User', '', 'Impersonate-Group', 'system:masters'],
      want: 400,
    },
    { name: 'a group alone', headers: ['Impersonate-Group', 'system:masters'], want: 400 },
    { name: 'a uid alone', headers: ['Impersonate-Uid', '0'], want: 400 },
    { name: 'an extra alone', headers: ['Impersonate-Extra-a', 'b'], want: 400 },
    {
      name: 'the second of two users',
      headers: ['Impersonate-User', 'eve', 'Impersonate-User', 'root'],
      want: 403,
    },
  ])('impersonating $name without the right: $want', async ({ headers, want }) => {
    const client = await of(clients).issue({ commonName: 'eve' });
    expect((await askOverTls(test, { client, headers, path: '/api/v1/secrets' })).status).toBe(want);
  });

  it('headers with underscores impersonate nobody', async () => {
    const client = await of(clients).issue({ commonName: 'eve' });
    const headers = ['Impersonate_User', 'root', 'Impersonate_Group', 'system:masters'];
    expect(await whoIs(test, { client, headers })).toMatchObject({ username: 'eve' });
  });

  it('extension servers are told whom to believe', async () => {
    const { json } = await test.call('GET', info);
    expect(json['data']).toEqual({
      'client-ca-file': expect.stringMatching(
        /^(-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\n){3}$/,
      ),
      'requestheader-allowed-names': '["front","front-proxy-client"]',
      // And the server's own, which it shows to servers behind it.
      'requestheader-client-ca-file': expect.stringContaining(of(proxies).certPem),
      'requestheader-extra-headers-prefix': '["X-Remote-Extra-"]',
      'requestheader-group-headers': '["X-Remote-Group"]',
      'requestheader-uid-headers': '["X-Remote-Uid"]',
      'requestheader-username-headers': '["X-Remote-User"]',
    });
  });

  it('an authority that goes from the file is believed no more, one that comes is, and a broken file changes nothing', async () => {
    const own = await testAuthority('latecomers');
    const late = await own.issue({ commonName: 'late' });
    const early = await of(others).issue({ commonName: 'early' });
    const until = async (client: typeof late, want: number): Promise<void> => {
      await expect
        .poll(async () => (await askOverTls(test, { client })).status, { timeout: 60_000 })
        .toBe(want);
    };
    await until(late, 401);
    await until(early, 200);
    files.write('clients.crt', `${of(clients).certPem}${own.certPem}`);
    await until(late, 200);
    await until(early, 401);
    files.write('clients.crt', 'nothing');
    const stays = await of(clients).issue({});
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    expect((await askOverTls(test, { client: stays })).status).toBe(200);
    expect((await askOverTls(test, { client: early })).status).toBe(401);
  });
});

it('nobody is anonymous where that is closed', async () => {
  await using test = await startTestServer({ authentication: { anonymousAuth: false } });

  expect((await askOverTls(test, { path: '/healthz' })).status).toBe(401);
  expect((await askOverTls(test, { path: '/api' })).status).toBe(401);
});
