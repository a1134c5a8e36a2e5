import { createHmac, createPublicKey } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createFakeClock, type FakeClock } from '#base/clock.ts';
import type { Finding } from '#control-plane/apiserver/chain/authn/authenticator.ts';
import { testKeys } from '#control-plane/apiserver/chain/authn/credentials.fixture.ts';
import { CompactSign } from 'jose';
import { signingAlgorithms, type JwtIssuer } from './configuration.ts';
import { createConfiguredIssuers } from './configured-issuers.ts';
import { startTestIssuer, type TestIssuer } from './issuer.fixture.ts';
import { parseKeySet } from './issuer-keys.ts';

const issuerOf = (issuer: TestIssuer, more: Partial<JwtIssuer> = {}): JwtIssuer => ({
  url: issuer.url,
  discoveryUrl: undefined,
  caPem: issuer.caPem,
  audiences: ['podwright', 'other'],
  username: { claim: 'sub', prefix: 'oidc:' },
  groups: { claim: 'groups', prefix: 'oidc:' },
  uidClaim: undefined,
  requiredClaims: [],
  algorithms: signingAlgorithms,
  ...more,
});
type Ask = (token: string, audiences?: readonly string[]) => Promise<Finding>;
function asking(issuers: readonly JwtIssuer[], clock: FakeClock = createFakeClock(Date.now())): Ask {
  const { authenticator } = createConfiguredIssuers(issuers, { clock, apiAudiences: ['api'] });
  return async (token, audiences = ['api']) => authenticator.authenticateToken(token, audiences);
}
const errorOf = (finding: Finding): string | undefined =>
  finding?.user === undefined ? finding?.errors.join() : `user ${finding.user.name}`;
const now = Math.floor(Date.now() / 1000);

describe('tokens of an issuer', () => {
  let issuer: TestIssuer;
  let ask: Ask;
  beforeAll(async () => {
    issuer = await startTestIssuer('/tenant');
    issuer.addKey();
    ask = asking([issuerOf(issuer)]);
  });
  afterAll(() => issuer[Symbol.asyncDispose]());

  it('are users by their claims, for this server alone', async () => {
    const token = await issuer.sign({ groups: ['a', 'b'] });
    const user = { name: 'oidc:jane', groups: ['oidc:a', 'oidc:b'] };
    expect(await ask(token)).toEqual({ user, audiences: ['api'] });
    expect(await ask(token, ['vault'])).toBeUndefined();
    expect(await ask(await issuer.sign({ aud: ['x', 'other'], groups: 'one' }))).toMatchObject({
      user: { groups: ['oidc:one'] },
    });
  });

  it.each<{ name: string; claims?: object; header?: object; want: RegExp | undefined }>([
    { name: 'of another issuer', claims: { iss: 'https://else' }, want: undefined },
    {
      name: 'expired',
      claims: { exp: now - 1 },
      want: /^oidc: verify token: oidc: token is expired \(Token Expiry: /,
    },
    { name: 'without an end', claims: { exp: undefined }, want: /token is expired/ },
    { name: 'with an end that is none', claims: { exp: '9999999999' }, want: /token is expired/ },
    { name: 'not yet valid', claims: { nbf: now + 900 }, want: /current time before the nbf/ },
    {
      name: 'for others',
      claims: { aud: 'vault' },
      want: /expected audience in \["podwright" "other"\] got \["vault"\]$/,
    },
    { name: 'for nobody', claims: { aud: undefined }, want: /expected audience in/ },
    { name: 'for us and a number', claims: { aud: [7, 'podwright'] }, want: /aud is neither a string nor/ },
    {
      name: 'of nobody',
      claims: { sub: undefined },
      want: /^oidc: parse username claims "sub": claim not present$/,
    },
    {
      name: 'of a user that is no text',
      claims: { sub: 5 },
      want: /parse username claims "sub": not a string/,
    },
    {
      name: 'of groups that are none',
      claims: { groups: [1] },
      want: /parse groups claim "groups": neither/,
    },
    { name: 'with a header to be understood', header: { crit: ['x'], x: 1 }, want: /malformed jwt/ },
  ])('one $name is no user', async ({ claims = {}, header = {}, want }) => {
    const made =
      'crit' in header
        ? `${Buffer.from(JSON.stringify({ alg: 'RS256', ...header })).toString('base64url')}.${(await issuer.sign()).split('.').slice(1).join('.')}`
        : await issuer.sign({ ...claims }, { ...header });
    const error = errorOf(await ask(made));
    if (want === undefined) expect(error).toBeUndefined();
    else expect(error).toMatch(want);
  });

  it('forged ones are no users', async () => {
    const good = await issuer.sign();
    const [head = '', body = '', signature = ''] = good.split('.');
    const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
    const foreign = await new CompactSign(Buffer.from(body, 'base64url'))
      .setProtectedHeader({ alg: 'RS256', kid: 'key-1' })
      .sign(testKeys('rsa').privateKey);
    const publicPem = createPublicKey(testKeys('rsa').publicPem).export({ type: 'spki', format: 'pem' });
    const input = `${encode({ alg: 'HS256', kid: 'key-1' })}.${body}`;
    const forged = [
      foreign,
      `${input}.${createHmac('sha256', publicPem).update(input).digest('base64url')}`,
      `${encode({ alg: 'none' })}.${body}.AAAA`,
      `${head}.${encode({ ...JSON.parse(Buffer.from(body, 'base64url').toString()), sub: 'root' })}.${signature}`,
      `${head}.${body}.${signature.slice(0, -8)}`,
      `${head}.${body}.`,
    ];
    for (const token of forged) expect((await ask(token))?.user, token).toBeUndefined();
    expect(errorOf(await ask(good))).toBe('user oidc:jane');
  });
});

it('an issuer may change its keys; it is not asked again for each token that fits none', async () => {
  await using issuer = await startTestIssuer();

  const clock = createFakeClock(Date.now());
  const ask = asking([issuerOf(issuer)], clock);
  issuer.addKey();
  const old = await issuer.sign();
  expect(errorOf(await ask(old))).toBe('user oidc:jane');
  expect(issuer.asked).toEqual(['/.well-known/openid-configuration', '/keys']);
  issuer.addKey({ alone: true });
  const fresh = await issuer.sign({ exp: now + 86_400 });
  for (let count = 0; count < 20; count++) expect((await ask(fresh))?.user).toBeUndefined();
  expect(issuer.asked).toHaveLength(2); // So soon nobody asks again.
  clock.advance(10_000);
  expect(await Promise.all([ask(fresh), ask(fresh), ask(fresh)])).toMatchObject([
    { user: {} },
    { user: {} },
    { user: {} },
  ]);
  expect(issuer.asked).toHaveLength(4);
  expect((await ask(old))?.user).toBeUndefined();
  for (let count = 0; count < 20; count++) await ask(await issuer.sign({}, { kid: `made-up-${count}` }));
  expect(issuer.asked).toHaveLength(4);
  issuer.addKey({ alone: true }); // The name of the old one is not in use any more, but its tokens still fit.
  clock.advance(3_600_000);
  expect(errorOf(await ask(fresh))).toBe('user oidc:jane');
  await expect.poll(async () => (await ask(fresh))?.user).toBeUndefined();
});

it('an issuer that is away, or says it is another, is said to be so, and asked again', async () => {
  await using issuer = await startTestIssuer();

  const clock = createFakeClock(Date.now());
  const ask = asking([issuerOf(issuer)], clock);
  issuer.addKey();
  const token = await issuer.sign();
  issuer.status = 503;
  expect(errorOf(await ask(token))).toMatch(
    /failed to verify signature: fetching keys .*: the answer is 503$/,
  );
  issuer.status = 200;
  expect(errorOf(await ask(token))).toMatch(/503/);
  clock.advance(10_000);
  issuer.about = { issuer: 'https://else', jwks_uri: `${issuer.url}/keys` };
  expect(errorOf(await ask(token))).toMatch(/issuer did not match/);
  clock.advance(10_000);
  issuer.about = { issuer: issuer.url, jwks_uri: 'http://127.0.0.1/keys' };
  expect(errorOf(await ask(token))).toMatch(/no https URL/);
  clock.advance(10_000);
  issuer.about = undefined;
  expect(errorOf(await ask(token))).toBe('user oidc:jane');
  expect(errorOf(await asking([issuerOf(issuer, { caPem: undefined })])(token))).toMatch(
    /fetching keys .*certificate/,
  );
});

it('its discovery document may be elsewhere', async () => {
  await using inside = await startTestIssuer();

  inside.addKey();
  const url = 'https://issuer.example';
  inside.about = { issuer: url, jwks_uri: `${inside.url}/keys` };
  const ask = asking([issuerOf(inside, { url, discoveryUrl: `${inside.url}/inside` })]);
  expect(errorOf(await ask(await inside.sign({ iss: url })))).toBe('user oidc:jane');
  expect(inside.asked).toEqual(['/inside', '/keys']);
});

describe('a claim of groups that lies elsewhere', () => {
  const there = (url: string): object => ({
    _claim_names: { groups: 'src1' },
    _claim_sources: { src1: { endpoint: url, access_token: 'claims' } },
  });

  it('is looked up there, and believed if its issuer signed it for the same audience', async () => {
    await using issuer = await startTestIssuer();

    await using other = await startTestIssuer();

    issuer.addKey();
    other.addKey();
    const ask = asking([issuerOf(issuer)]);
    const askOf = async (claims: object): Promise<string | undefined> =>
      errorOf(await ask(await issuer.sign({ ...claims })));
    const where = `${issuer.url}/groups`;
    const says = (jwt: string): unknown => issuer.documents.set('/groups', jwt);
    says(await issuer.sign({ groups: ['a', 'b'] }));
    expect((await ask(await issuer.sign({ ...there(where) })))?.user?.groups).toEqual(['oidc:a', 'oidc:b']);
    const own = await issuer.sign({ ...there(where), groups: ['c'] });
    expect((await ask(own))?.user?.groups).toEqual(['oidc:c']);
    const expand = 'oidc: could not expand distributed claims: ';
    says(await issuer.sign({}));
    expect(await askOf(there(where))).toBe(
      `${expand}jwt returned by distributed claim endpoint "${where}" did not contain claim: groups`,
    );
    says(await issuer.sign({ groups: ['a'], aud: 'else' }));
    expect(await askOf(there(where))).toContain('verify distributed claim token: oidc: expected audience');
    says((await issuer.sign({ groups: ['a'] })).replace(/\.[^.]*$/, '.AAAA'));
    expect(await askOf(there(where))).toContain('failed to verify signature');
    says(await other.sign({ groups: ['a'] })); // Whose certificate the authority of this one did not sign.
    expect(await askOf(there(where))).toContain('fetching keys');
    says('nonsense');
    expect(await askOf(there(where))).toContain('getting untrusted issuer');
    expect(await askOf({ ...there(where), _claim_sources: {} })).toContain('contained a source src1 missing');
    expect(await askOf({ ...there(where), _claim_sources: undefined })).toBe(
      `${expand}oidc: no claim sources`,
    );
    expect(await askOf(there('http://127.0.0.1/x'))).toContain('is no https URL');
    expect(await askOf({ _claim_names: { else: 'src1' } })).toBe(`${expand}oidc: no claim sources`);
    expect(await askOf({ _claim_names: { a: 1 }, _claim_sources: {} })).toContain('claim names');
  });
});

it('expressions make users of claims, and say who is none', async () => {
  await using issuer = await startTestIssuer();

  issuer.addKey();
  const ask = asking([
    issuerOf(issuer, {
      username: { claim: '', prefix: '' },
      groups: undefined,
      expressions: {
        username: "'x:' + claims.sub",
        groups: "claims.?roles.orValue([]).map(r, 'x:' + r)",
        extra: [{ key: 'example.com/tenant', expression: 'claims.tenant' }],
        claimRules: [{ expression: 'claims.exp - claims.iat <= 86400', message: 'too long' }],
        userRules: [{ expression: "!user.groups.exists(g, g == 'x:none')", message: 'no' }],
      },
    }),
  ]);
  const askOf = async (claims: object): Promise<Finding> => ask(await issuer.sign({ ...claims }));
  expect((await askOf({ roles: ['a'], tenant: 't' }))?.user).toEqual({
    name: 'x:jane',
    groups: ['x:a'],
    extra: { 'example.com/tenant': ['t'] },
  });
  expect(errorOf(await askOf({ tenant: '', exp: now + 100_000 }))).toBe(
    "oidc: error evaluating claim validation expression: validation expression 'claims.exp - claims.iat <= 86400' failed: too long",
  );
  expect(errorOf(await askOf({ tenant: '', roles: ['none'] }))).toMatch(
    /user info validation rule: .* failed: no$/,
  );
});

it('parseKeySet() takes what signs, and passes over the rest', () => {
  const jwk = testKeys('rsa').publicKey.export({ format: 'jwk' });
  const given = [
    { ...jwk, kid: 'a' },
    { ...jwk, use: 'enc' },
    { kty: 'oct', k: 'AAAA' },
    { kty: 'RSA', n: '!' },
    { kty: 'EC' },
    'x',
    null,
  ];
  expect(parseKeySet({ keys: given })).toMatchObject([{ id: 'a' }]);
  expect(parseKeySet({})).toEqual([]);
  expect(() => parseKeySet({ keys: Array.from({ length: 201 }, () => jwk) })).toThrow(/201 keys/);
});
