import { describe, expect, it } from 'vitest';
import { createRandom } from '#base/random.fixture.ts';
import { isPodwrightError } from '#base/errors.ts';
import { parseAuthenticationConfiguration, signingAlgorithms } from './configuration.ts';

const good = {
  issuer: { url: 'https://a.example', audiences: ['x'] },
  claimMappings: { username: { claim: 'sub', prefix: '' } },
};
const text = (fields: object, apiVersion = 'apiserver.config.k8s.io/v1'): string =>
  JSON.stringify({ apiVersion, kind: 'AuthenticationConfiguration', ...fields });
const parse = (given: string): ReturnType<typeof parseAuthenticationConfiguration> =>
  parseAuthenticationConfiguration(given, ['https://own']);

it.each(['v1', 'v1beta1'])('parseAuthenticationConfiguration() takes what is right, in %s', (version) => {
  const second = {
    issuer: {
      url: 'https://b.example/x',
      discoveryURL: 'https://inside/x',
      audiences: ['x', 'y'],
      audienceMatchPolicy: 'MatchAny',
    },
    claimValidationRules: [{ claim: 'hd', requiredValue: 'z' }],
    claimMappings: {
      username: { claim: 'email', prefix: 'b:' },
      groups: { claim: 'roles', prefix: 'b:' },
      uid: { claim: 'oid' },
    },
  };
  const anonymous = { enabled: true, conditions: [{ path: '/healthz' }, { path: '/livez' }] };
  expect(parse(text({ jwt: [good, second], anonymous }, `apiserver.config.k8s.io/${version}`))).toEqual({
    anonymous: { enabled: true, paths: ['/healthz', '/livez'] },
    issuers: [
      {
        ...{ url: 'https://a.example', discoveryUrl: undefined, caPem: undefined, audiences: ['x'] },
        ...{ username: { claim: 'sub', prefix: '' }, groups: undefined, uidClaim: undefined },
        ...{ requiredClaims: [], algorithms: signingAlgorithms },
      },
      {
        ...{ url: 'https://b.example/x', discoveryUrl: 'https://inside/x', caPem: undefined },
        ...{ audiences: ['x', 'y'], username: { claim: 'email', prefix: 'b:' } },
        ...{ groups: { claim: 'roles', prefix: 'b:' }, uidClaim: 'oid' },
        ...{ requiredClaims: [{ claim: 'hd', value: 'z' }], algorithms: signingAlgorithms },
      },
    ],
  });
  expect(parse(text({}))).toEqual({ issuers: [], anonymous: undefined });
});

it('parseAuthenticationConfiguration() takes expressions', () => {
  const jwt = {
    ...good,
    claimValidationRules: [{ expression: 'claims.email_verified == true', message: 'verify it' }],
    claimMappings: {
      username: { expression: "'x:' + claims.email" },
      groups: { expression: 'claims.roles' },
      uid: { expression: 'claims.oid' },
      extra: [{ key: 'example.com/tenant', valueExpression: 'claims.tenant' }],
    },
    userValidationRules: [{ expression: "!user.username.startsWith('system:')", message: 'reserved' }],
  };
  expect(parse(text({ jwt: [jwt] })).issuers).toMatchObject([
    {
      username: { claim: '', prefix: '' },
      groups: undefined,
      requiredClaims: [],
      expressions: {
        username: "'x:' + claims.email",
        groups: 'claims.roles',
        uid: 'claims.oid',
        extra: [{ key: 'example.com/tenant', expression: 'claims.tenant' }],
        claimRules: [{ expression: 'claims.email_verified == true', message: 'verify it' }],
        userRules: [{ expression: "!user.username.startsWith('system:')", message: 'reserved' }],
      },
    },
  ]);
});

const issuer = (change: object): object => ({ ...good, issuer: { ...good.issuer, ...change } });
const mapping = (claimMappings: object): object => ({ ...good, claimMappings });
const named = { username: { claim: 'sub', prefix: '' } };
const rules = (claimValidationRules: readonly object[]): object => ({ ...good, claimValidationRules });

describe('parseAuthenticationConfiguration() refuses', () => {
  it.each<{ jwt?: readonly object[]; anonymous?: object; want: RegExp }>([
    { jwt: [issuer({ url: '' })], want: /^jwt\[0\]\.issuer\.url: Required value$/ },
    { jwt: [issuer({ url: 'http://a' })], want: /URL scheme must be https/ },
    { jwt: [issuer({ url: 'https://u:p@a' })], want: /must not contain a username or password/ },
    { jwt: [issuer({ url: 'https://a?x' })], want: /must not contain a query/ },
    { jwt: [issuer({ url: 'https://a#x' })], want: /must not contain a fragment/ },
    { jwt: [issuer({ url: 'a' })], want: /is no URL/ },
    { jwt: [issuer({ url: 'https://own' })], want: /is the issuer of service account tokens/ },
    {
      jwt: [issuer({ discoveryURL: 'https://a.example/' })],
      want: /discoveryURL: must be different from url/,
    },
    { jwt: [issuer({ audiences: [] })], want: /audiences: Required value/ },
    { jwt: [issuer({ audiences: [''] })], want: /audiences\[0\]: Required value/ },
    {
      jwt: [issuer({ audiences: ['x', 'y'] })],
      want: /audienceMatchPolicy: must be MatchAny for multiple audiences/,
    },
    {
      jwt: [issuer({ audiences: ['x', 'x'], audienceMatchPolicy: 'MatchAny' })],
      want: /audiences\[1\]: Duplicate value: "x"/,
    },
    { jwt: [issuer({ audienceMatchPolicy: 'All' })], want: /must be MatchAny, or left out/ },
    { jwt: [issuer({ certificateAuthority: 'x' })], want: /certificateAuthority: it holds no certificate/ },
    {
      jwt: [issuer({ egressSelectorType: 'cluster' })],
      want: /egressSelectorType: the server has one way out/,
    },
    { jwt: [good, good], want: /jwt\[1\]\.issuer\.url: Duplicate value/ },
    {
      jwt: Array.from({ length: 65 }, (_, index) => issuer({ url: `https://a${index}` })),
      want: /jwt: 65 are too many/,
    },
    { jwt: [mapping({})], want: /username: claim or expression is required/ },
    { jwt: [mapping({ username: { claim: 'sub' } })], want: /username\.prefix: Required value/ },
    {
      jwt: [mapping({ username: { claim: 'sub', prefix: '' }, groups: { claim: 'g' } })],
      want: /groups\.prefix: Required/,
    },
    {
      jwt: [mapping({ username: { claim: 'sub', prefix: '' }, groups: { prefix: 'g' } })],
      want: /give claim too/,
    },
    { jwt: [mapping({ username: { claim: 'a', expression: 'b' } })], want: /can't both be set/ },
    {
      jwt: [mapping({ username: { expression: 'claims.sub', prefix: '' } })],
      want: /prefix: may not be specified when expression is set/,
    },
    { jwt: [mapping({ username: { expression: 'claim.sub' } })], want: /undeclared reference to 'claim'/ },
    {
      jwt: [mapping({ username: { expression: 'claims.email' } })],
      want: /^jwt\[0\]\.claimMappings\.username\.expression: claims\.email_verified must be used in/,
    },
    {
      jwt: [mapping({ ...named, uid: { claim: 'a', expression: 'x' } })],
      want: /uid: claim and expression can't both be set/,
    },
    {
      jwt: [mapping({ ...named, groups: { expression: 'x(' } })],
      want: /groups\.expression: compilation failed/,
    },
    {
      jwt: [mapping({ ...named, extra: [{ key: 'a', valueExpression: "''" }] })],
      want: /extra\[0\]\.key: must be a domain-prefixed path/,
    },
    {
      jwt: [mapping({ ...named, extra: [{ key: 'a.B/c', valueExpression: "''" }] })],
      want: /key: must be lowercase/,
    },
    {
      jwt: [mapping({ ...named, extra: [{ key: 'x.k8s.io/c', valueExpression: "''" }] })],
      want: /are reserved for Kubernetes use/,
    },
    {
      jwt: [mapping({ ...named, extra: [{ key: 'a.b/c' }] })],
      want: /extra\[0\]\.valueExpression: Required value/,
    },
    { jwt: [rules([{ expression: '1' }])], want: /must evaluate to bool/ },
    {
      jwt: [rules([{ expression: 'true', requiredValue: 'x' }])],
      want: /requiredValue: may not be specified/,
    },
    { jwt: [rules([{ expression: 'true' }, { expression: 'true' }])], want: /Duplicate value: "true"/ },
    {
      jwt: [{ ...good, userValidationRules: [{ expression: 'user.name' }] }],
      want: /undefined field 'name'/,
    },
    { jwt: [{ ...good, userValidationRules: [{}] }], want: /userValidationRules\[0\]\.expression: Required/ },
    {
      jwt: [{ ...good, userValidationRules: Array.from({ length: 65 }, () => ({ expression: 'true' })) }],
      want: /more than 64 of userValidationRules/,
    },
    { jwt: [rules([{}])], want: /claimValidationRules\[0\]: claim or expression is required/ },
    {
      jwt: [{ ...good, claimValidationRules: [{ claim: 'a' }, { claim: 'a' }] }],
      want: /Duplicate value: "a"/,
    },
    {
      jwt: [{ ...good, claimValidationRules: [{ claim: 'a', message: 'm' }] }],
      want: /message: may not be specified/,
    },
    { jwt: [{ ...good, odd: 1 }], want: /jwt\[0\]\.odd: unknown field/ },
    { anonymous: { conditions: [{ path: '/x' }] }, want: /enabled should be set to true/ },
    { anonymous: { enabled: true, conditions: [{ path: 'x' }] }, want: /give a path that begins with/ },
  ])('$want', ({ want, ...fields }) => {
    expect(() => parse(text(fields))).toThrow(want);
  });

  it('other kinds and versions', () => {
    expect(() => parse(text({}, 'apiserver.config.k8s.io/v1alpha1'))).toThrow(
      /apiVersion: "apiserver\.config\.k8s\.io\/v1alpha1", none of/,
    );
    expect(() => parse('kind: Foo')).toThrow(/kind: "Foo"/);
    expect(() => parse('')).toThrow(/not a YAML or JSON mapping/);
  });
});

it('parseAuthenticationConfiguration() says what is wrong with anything, and never more', () => {
  const seed = Number(process.env['PODWRIGHT_FUZZ_SEED'] ?? Date.now() % 1_000_000);
  console.log(`seed ${seed}`);
  const random = createRandom(seed);
  const pick = <T>(values: readonly T[]): T => values[Math.floor(random() * values.length)] as T;
  const odd: readonly unknown[] = [
    null,
    '',
    0,
    -1,
    1e99,
    true,
    [],
    {},
    [null],
    [[]],
    { claim: [] },
    'https://a',
    '\0',
    '__proto__',
    'x'.repeat(999),
  ];
  const whole = JSON.parse(
    text({
      jwt: [
        good,
        {
          ...issuer({ url: 'https://b.example' }),
          claimValidationRules: [{ claim: 'a', requiredValue: 'b' }],
        },
        {
          ...issuer({ url: 'https://c.example' }),
          claimMappings: {
            username: { expression: 'claims.sub' },
            extra: [{ key: 'a.b/c', valueExpression: "claims['a']" }],
          },
          userValidationRules: [{ expression: 'user.groups.size() < 9', message: 'm' }],
        },
      ],
      anonymous: { enabled: true, conditions: [{ path: '/x' }] },
    }),
  );
  const mutate = (value: unknown): unknown => {
    if (random() < 0.12) return pick(odd);
    if (Array.isArray(value)) return random() < 0.1 ? [...value, ...value] : value.map(mutate);
    if (typeof value !== 'object' || value === null) return value;
    const entries = Object.entries(value).map(([key, inner]) => [
      random() < 0.05 ? String(pick(odd)) : key,
      mutate(inner),
    ]);
    return Object.fromEntries(random() < 0.1 ? entries.slice(1) : entries);
  };
  let taken = 0;
  for (let round = 0; round < 3000; round++) {
    const changed = JSON.stringify(random() < 0.9 ? mutate(whole) : whole);
    const given = random() < 0.15 ? changed.slice(0, Math.floor(random() * changed.length)) : changed;
    try {
      const { issuers } = parse(given);
      taken++;
      for (const one of issuers) {
        const where = `seed ${seed}: ${given}`;
        expect(one.url, where).toMatch(/^https:\/\//);
        expect(one.audiences.length, where).toBeGreaterThan(0);
        expect(one.audiences, where).not.toContain('');
        expect(one.expressions?.username ?? one.username.claim, where).not.toBe('');
      }
    } catch (error) {
      if (!isPodwrightError(error, 'E_INVALID')) throw new Error(`seed ${seed}: ${given}`, { cause: error });
    }
  }
  expect(taken).toBeGreaterThan(10);
});
