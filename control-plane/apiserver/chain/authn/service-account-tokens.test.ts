import { createHmac } from 'node:crypto';
import { SignJWT } from 'jose';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  startTestServer,
  podNamed,
  type Json,
  type TestServer,
} from '#control-plane/apiserver/test-server.fixture.ts';
import { createRandom } from '#base/random.fixture.ts';
import { askOverTls, testFiles, testKeys, whoIs } from './credentials.fixture.ts';

const ns = '/api/v1/namespaces/default';
const issuers = ['https://new.example', 'https://old.example'];
const base64url = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
const realNow = Date.now;

describe('tokens of service accounts that are not what they seem', () => {
  using stack = new DisposableStack();
  const files = stack.use(testFiles());
  const owned = stack.move();
  const [signing, older, rsa, foreign] = [testKeys(), testKeys(), testKeys('rsa'), testKeys()];
  let test: TestServer;
  let account: Json = {};
  beforeAll(async () => {
    const serviceAccounts = {
      issuers,
      apiAudiences: ['api', 'https://new.example'],
      keyFiles: [files.write('older.pub', older.publicPem), files.write('rsa.pub', rsa.publicPem)],
      signingKeyFile: files.write('signing.key', signing.privatePem),
    };
    test = await startTestServer({ authentication: { serviceAccounts } });
    account = await test.make(`${ns}/serviceaccounts`, { metadata: { name: 'default' } });
  });
  afterAll(async () => {
    await test[Symbol.asyncDispose]();
    owned.dispose();
  });
  afterEach(() => {
    Date.now = realNow;
  });

  const tokenFor = async (spec: object = {}): Promise<string> => {
    const { status } = await test.make(`${ns}/serviceaccounts/default/token`, { spec });
    return String(status?.['token']);
  };
  const claimsOf = (token: string): Json =>
    JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString());
  /** Claims as those of a good token, changed. */
  const claims = (change: Readonly<Record<string, unknown>> = {}): Record<string, unknown> => {
    const now = Math.floor(realNow() / 1000);
    const uid = String(account['metadata']?.['uid']);
    const own = { namespace: 'default', serviceaccount: { name: 'default', uid } };
    const sub = 'system:serviceaccount:default:default';
    return {
      iss: issuers[0],
      sub,
      aud: ['api'],
      iat: now,
      nbf: now,
      exp: now + 3600,
      'kubernetes.io': own,
      ...change,
    };
  };
  const sign = (change: Readonly<Record<string, unknown>>, keys = signing, alg = 'ES256'): Promise<string> =>
    new SignJWT(claims(change)).setProtectedHeader({ alg }).sign(keys.privateKey);
  const use = async (token: string): Promise<number> =>
    (await askOverTls(test, { headers: { authorization: `Bearer ${token}` } })).status;
  const review = async (token: string, spec: object = {}): Promise<Json | undefined> => {
    const answer = await test.make('/apis/authentication.k8s.io/v1/tokenreviews', {
      spec: { token, ...spec },
    });
    return answer['status'];
  };

  it('those of each key and each issuer are good', async () => {
    expect(await use(await tokenFor())).toBe(200);
    expect(await use(await sign({}))).toBe(200);
    expect(await use(await sign({ iss: issuers[1] }, older))).toBe(200);
    expect(await use(await sign({ iss: issuers[1] }, rsa, 'RS256'))).toBe(200);
    expect(claimsOf(await tokenFor())).toMatchObject({
      iss: issuers[0],
      aud: ['api', 'https://new.example'],
    });
  });

  const now = Math.floor(realNow() / 1000);
  const forged: readonly {
    readonly name: string;
    readonly token: () => Promise<string> | string;
    readonly error?: string;
  }[] = [
    {
      name: 'of a foreign key',
      token: () => sign({}, foreign),
      error: 'go-jose/go-jose: error in cryptographic primitive',
    },
    { name: 'of a foreign issuer', token: () => sign({ iss: 'https://else' }) },
    { name: 'without an issuer', token: () => sign({ iss: undefined }) },
    { name: 'expired', token: () => sign({ exp: now - 120 }), error: 'service account token has expired' },
    {
      name: 'not yet valid',
      token: () => sign({ nbf: now + 600 }),
      error: 'service account token is not valid yet',
    },
    {
      name: 'issued in the future',
      token: () => sign({ iat: now + 600 }),
      error: 'service account token is issued in the future',
    },
    {
      name: 'with a time that is none',
      token: () => sign({ exp: 'never' }),
      error: 'service account token claims could not be validated',
    },
    {
      name: 'for others',
      token: () => sign({ aud: ['vault'] }),
      error: 'token audiences ["vault"] is invalid for the target audiences ["api" "https://new.example"]',
    },
    { name: 'alg none', token: () => `${base64url({ alg: 'none' })}.${base64url(claims())}.` },
    {
      name: 'alg none with a signature',
      token: () => `${base64url({ alg: 'none' })}.${base64url(claims())}.AAAA`,
    },
    {
      name: 'HS256 with the public key',
      token: () => {
        const input = `${base64url({ alg: 'HS256' })}.${base64url(claims())}`;
        return `${input}.${createHmac('sha256', signing.publicPem).update(input).digest('base64url')}`;
      },
    },
    {
      name: 'RS256 with a key of another kind',
      token: () => sign({}, testKeys('rsa'), 'RS256'),
      error: 'go-jose/go-jose: error in cryptographic primitive',
    },
    {
      name: 'of no account',
      token: () =>
        sign({ 'kubernetes.io': { namespace: 'default', serviceaccount: { name: 'x', uid: 'u' } } }),
      error: 'serviceaccounts "x" not found',
    },
    {
      name: 'of another account of that name',
      token: () =>
        sign({ 'kubernetes.io': { namespace: 'default', serviceaccount: { name: 'default', uid: 'u' } } }),
    },
    { name: 'that says nothing of an account', token: () => sign({ 'kubernetes.io': 'x' }) },
    {
      name: 'with a header that must be understood',
      token: () =>
        new SignJWT(claims())
          .setProtectedHeader({ alg: 'ES256', crit: ['b64'], b64: true })
          .sign(signing.privateKey)
          .then((token) => token.replace(/^[^.]+/, base64url({ alg: 'ES256', crit: ['x'], x: 1 }))),
    },
    { name: 'in JSON', token: () => '{"payload":"","signatures":[]}' },
    { name: 'of five parts', token: () => 'a.b.c.d.e' },
  ];
  it.each(forged)('one $name is nobody’s', async ({ token, error }) => {
    const given = await token();
    expect(await use(given)).toBe(401);
    const status = await review(given);
    expect(status?.['authenticated']).toBeUndefined();
    if (error !== undefined) expect(status?.['error']).toBe(`[invalid bearer token, ${error}]`);
  });

  it('one cut off anywhere, or changed anywhere, is nobody’s', async () => {
    const token = await tokenFor();
    const seed = Number(process.env['PODWRIGHT_FUZZ_SEED'] ?? realNow() % 1_000_000);
    console.log(`seed ${seed}`);
    const random = createRandom(seed);
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=+/ ~é\0{"';
    const pick = (length: number): number => Math.floor(random() * length);
    const mutate: readonly ((text: string) => string)[] = [
      (text) => text.slice(0, pick(text.length)),
      (text) => text.slice(1 + pick(text.length)),
      (text) => {
        const [index, letter] = [pick(text.length), alphabet[pick(alphabet.length)] ?? ''];
        return text.slice(0, index) + letter + text.slice(index + 1);
      },
      (text) => text.replace('.', ''),
      (text) => text + (alphabet[pick(alphabet.length)] ?? ''),
      (text) => text.split('.').toReversed().join('.'),
      (text) => [...text.split('.'), ...text.split('.')].slice(pick(3), 3 + pick(3)).join('.'),
    ];
    const wholeBits = (text: string): string =>
      text
        .split('.')
        .map((part) => Buffer.from(part, 'base64url').toString('hex'))
        .join('.');
    for (let round = 0; round < 400; round++) {
      const changed = mutate[pick(mutate.length)]?.(token) ?? '';
      if (changed === '' || wholeBits(changed) === wholeBits(token)) continue; // The last letter of a part has bits that say nothing.
      const answer = await test.call('POST', '/apis/authentication.k8s.io/v1/tokenreviews', {
        body: { spec: { token: changed } },
      });
      expect(answer.status, `seed ${seed}: ${changed}`).toBe(201);
      expect(answer.json['status']?.['authenticated'], `seed ${seed}: ${changed}`).toBeUndefined();
    }
  }, 180_000);

  it('clocks may differ by a minute', async () => {
    const now = Math.floor(realNow() / 1000);
    expect(await use(await sign({ exp: now - 30 }))).toBe(200);
    expect(await use(await sign({ nbf: now + 30, iat: now + 30 }))).toBe(200);
    const token = await tokenFor({ expirationSeconds: 600 });
    Date.now = () => realNow() + 650_000;
    expect(await review(token)).toMatchObject({ authenticated: true });
    Date.now = () => realNow() + 662_000;
    expect(await review(token)).toEqual({
      user: {},
      error: '[invalid bearer token, service account token has expired]',
    });
  });

  it('what a pod was given for an hour lives a year, and says when it should have been another', async () => {
    await test.make(`${ns}/pods`, podNamed('p'));
    const boundObjectRef = { kind: 'Pod', apiVersion: 'v1', name: 'p' };
    const lifeOf = async (spec: object): Promise<{ life: number; warn: number | undefined }> => {
      const made = claimsOf(await tokenFor(spec));
      const warn = made['kubernetes.io']?.['warnafter'];
      const [exp, iat] = [Number(made['exp']), Number(made['iat'])];
      return { life: exp - iat, warn: warn === undefined ? undefined : Number(warn) - iat };
    };
    expect(await lifeOf({ boundObjectRef, expirationSeconds: 3607 })).toEqual({
      life: 31_536_000,
      warn: 3607,
    });
    const long = await tokenFor({ boundObjectRef, expirationSeconds: 3607 });
    const counted = async (): Promise<readonly (string | undefined)[]> => {
      const { text } = await test.call('GET', '/metrics');
      return ['valid', 'stale'].map(
        (kind) => new RegExp(`^serviceaccount_${kind}_tokens_total (\\d+)$`, 'm').exec(text)?.[1],
      );
    };
    expect(await use(long)).toBe(200);
    const [valid, stale] = await counted();
    Date.now = () => realNow() + 3_700_000;
    expect(await use(long)).toBe(200);
    expect(await counted()).toEqual([valid, String(Number(stale) + 1)]);
    expect(Number(valid)).toBeGreaterThan(0);
    Date.now = realNow;
    expect(await lifeOf({ boundObjectRef, expirationSeconds: 3606 })).toEqual({
      life: 3606,
      warn: undefined,
    });
    expect(await lifeOf({ boundObjectRef, expirationSeconds: 3607, audiences: ['vault'] })).toEqual({
      life: 3607,
      warn: undefined,
    });
    expect(await lifeOf({ expirationSeconds: 3607 })).toEqual({ life: 3607, warn: undefined });
    const { spec, status } = await test.make(`${ns}/serviceaccounts/default/token`, {
      spec: { boundObjectRef, expirationSeconds: 3607 },
    });
    expect(spec).toMatchObject({ expirationSeconds: 3607 });
    const endMs = Date.parse(String(status?.['expirationTimestamp']));
    expect(Math.abs(endMs - realNow() - 3_607_000)).toBeLessThan(150_000); // Not a year.
  });

  it('all keys are shown to whoever has to tell tokens', async () => {
    const keys = await test.call('GET', '/openid/v1/jwks');
    expect(keys.headers).toMatchObject({
      'content-type': 'application/jwk-set+json',
      'cache-control': 'public, max-age=3600',
    });
    const jwks = JSON.parse(keys.text) as Json;
    expect(jwks['keys']).toMatchObject([
      { use: 'sig', kty: 'EC', alg: 'ES256' },
      { use: 'sig', kty: 'EC', alg: 'ES256' },
      { use: 'sig', kty: 'RSA', alg: 'RS256' },
    ]);
    expect(keys.text).not.toContain('"d":');
    const about = await test.call('GET', '/.well-known/openid-configuration');
    expect(about.headers).toMatchObject({
      'content-type': 'application/json',
      'cache-control': 'public, max-age=3600',
    });
    expect(about.json).toMatchObject({
      issuer: issuers[0],
      jwks_uri: expect.stringMatching(/^https:\/\/192\.0\.2\.1:\d+\/openid\/v1\/jwks$/),
      id_token_signing_alg_values_supported: ['ES256', 'RS256'],
    });
    const refused = await test.call('GET', '/openid/v1/jwks', { headers: { accept: 'application/json' } });
    expect(refused.status).toBe(406);
    expect(refused.text).toBe('406: Not Acceptable\n\nAvailable representations: application/jwk-set+json');
  });

  it('keys are changed while it runs; a broken file changes nothing', async () => {
    const before = await tokenFor();
    const next = testKeys();
    expect(await use(await sign({}, next))).toBe(401);
    files.write('older.pub', `${older.publicPem}${signing.publicPem}`);
    files.write('signing.key', next.privatePem);
    await expect.poll(async () => use(await sign({}, next)), { timeout: 60_000 }).toBe(200);
    expect(await use(before)).toBe(200); // Still one of those that are believed.
    files.write('signing.key', next.privatePem.slice(0, 80));
    files.write('older.pub', older.publicPem);
    await expect.poll(() => use(before), { timeout: 60_000 }).toBe(401);
    expect(await use(await tokenFor())).toBe(200);
    expect(await whoIs(test, { headers: { authorization: `Bearer ${await tokenFor()}` } })).toMatchObject({
      username: 'system:serviceaccount:default:default',
    });
  });
});

it('no token lives longer than the option says', async () => {
  await using test = await startTestServer({
    authentication: { serviceAccounts: { maxTokenSeconds: 7200 } },
  });

  await test.make(`${ns}/serviceaccounts`, { metadata: { name: 'default' } });
  const answer = await test.call('POST', `${ns}/serviceaccounts/default/token`, {
    body: { spec: { expirationSeconds: 9999 } },
  });
  expect(answer.json['spec']).toMatchObject({ expirationSeconds: 7200 });
  expect(answer.headers['warning']).toBe(
    '299 - "requested expiration of 9999 seconds shortened to 7200 seconds"',
  );
});

it('keys of others are refused with what to do', async () => {
  using files = testFiles();

  const start = (serviceAccounts: object): Promise<TestServer> =>
    startTestServer({ authentication: { serviceAccounts } });
  const path = files.write('x', 'nothing');
  await expect(start({ keyFiles: [path] })).rejects.toThrow(
    `--service-account-key-file ${path}: it holds no key in PEM`,
  );
  await expect(start({ signingKeyFile: path })).rejects.toThrow(
    /--service-account-signing-key-file .*: it holds no private key in PEM/,
  );
  await expect(start({ keyFiles: ['/nowhere'] })).rejects.toThrow(
    /--service-account-key-file \/nowhere: ENOENT/,
  );
});
