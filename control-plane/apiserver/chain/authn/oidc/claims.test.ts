import { expect, it } from 'vitest';
import { userOfClaims } from './claims.ts';
import { compileExpressions, readsClaim, type IssuerExpressions } from './expressions.ts';

const issuer = {
  username: { claim: 'sub', prefix: '' },
  groups: undefined,
  uidClaim: undefined,
  requiredClaims: [],
};

it.each<{
  name: string;
  issuer?: Partial<Parameters<typeof userOfClaims>[0]>;
  claims: object;
  want: unknown;
}>([
  { name: 'a user', claims: { sub: 'a' }, want: { name: 'a', groups: [] } },
  {
    name: 'groups that are not mapped',
    claims: { sub: 'a', groups: ['system:masters'] },
    want: { name: 'a', groups: [] },
  },
  {
    name: 'a uid',
    issuer: { uidClaim: 'uid' },
    claims: { sub: 'a', uid: 'u' },
    want: { name: 'a', uid: 'u', groups: [] },
  },
  {
    name: 'no uid',
    issuer: { uidClaim: 'uid' },
    claims: { sub: 'a' },
    want: 'oidc: parse uid claim "uid": claim not present',
  },
  {
    name: 'what every object has',
    issuer: { username: { claim: 'toString', prefix: '' } },
    claims: {},
    want: 'oidc: parse username claims "toString": claim not present',
  },
  {
    name: 'a prefix',
    issuer: { username: { claim: 'sub', prefix: 'x#' } },
    claims: { sub: 'a' },
    want: { name: 'x#a', groups: [] },
  },
  {
    name: 'an address',
    issuer: { username: { claim: 'email', prefix: '' } },
    claims: { email: 'a@b' },
    want: { name: 'a@b', groups: [] },
  },
  {
    name: 'an address that is not verified',
    issuer: { username: { claim: 'email', prefix: '' } },
    claims: { email: 'a@b', email_verified: false },
    want: 'oidc: email not verified',
  },
  {
    name: 'an address said to be verified in words',
    issuer: { username: { claim: 'email', prefix: '' } },
    claims: { email: 'a@b', email_verified: 'true' },
    want: "oidc: parse 'email_verified' claim: not a boolean",
  },
  {
    name: 'a claim that is required',
    issuer: { requiredClaims: [{ claim: 'hd', value: 'x' }] },
    claims: { sub: 'a', hd: 'x' },
    want: { name: 'a', groups: [] },
  },
  {
    name: 'one that lacks',
    issuer: { requiredClaims: [{ claim: 'hd', value: 'x' }] },
    claims: { sub: 'a' },
    want: 'oidc: required claim hd not present in ID token',
  },
  {
    name: 'one that is another',
    issuer: { requiredClaims: [{ claim: 'hd', value: 'x' }] },
    claims: { sub: 'a', hd: 'y' },
    want: 'oidc: required claim hd value does not match. Got = y, want = x',
  },
  {
    name: 'one in a list',
    issuer: { requiredClaims: [{ claim: 'hd', value: 'x' }] },
    claims: { sub: 'a', hd: ['x'] },
    want: 'oidc: parse claim hd: not a string',
  },
])('userOfClaims() of $name', ({ issuer: change = {}, claims, want }) => {
  expect(userOfClaims({ ...issuer, ...change }, { ...claims })).toEqual(want);
});

it.each<{ name: string; expressions: Partial<IssuerExpressions>; claims: object; want: unknown }>([
  {
    name: 'a number for a name',
    expressions: { username: 'claims.n' },
    claims: { n: 1 },
    want: 'oidc: error evaluating username claim expression: username claim expression must return a string',
  },
  {
    name: 'a claim that is not there',
    expressions: { username: 'claims.n' },
    claims: {},
    want: "oidc: error evaluating username claim expression: expression 'claims.n' resulted in error: no such key: n",
  },
  {
    name: 'one group',
    expressions: { groups: 'claims.g' },
    claims: { sub: 'a', g: 'x' },
    want: { name: 'a', groups: ['x'] },
  },
  {
    name: 'empty groups',
    expressions: { groups: "['', claims.g, 'x']" },
    claims: { sub: 'a', g: '' },
    want: { name: 'a', groups: ['x'] },
  },
  {
    name: 'no groups',
    expressions: { groups: 'claims.g' },
    claims: { sub: 'a', g: null },
    want: { name: 'a', groups: [] },
  },
  {
    name: 'groups that are none',
    expressions: { groups: 'claims.g' },
    claims: { sub: 'a', g: ['x', 1] },
    want: 'oidc: error evaluating group claim expression: expression must return a string or a list of strings',
  },
  {
    name: 'a uid',
    expressions: { uid: 'claims.u + claims.sub' },
    claims: { sub: 'a', u: 'b' },
    want: { name: 'a', uid: 'ba', groups: [] },
  },
  {
    name: 'extra without values',
    expressions: { extra: [{ key: 'a.b/c', expression: 'claims.g' }] },
    claims: { sub: 'a', g: [] },
    want: { name: 'a', groups: [] },
  },
  {
    name: 'extra that is no text',
    expressions: { extra: [{ key: 'a.b/c', expression: 'claims.g' }] },
    claims: { sub: 'a', g: true },
    want: 'oidc: error evaluating extra claim expression: claims.g: expression must return a string or a list of strings',
  },
  {
    name: 'a rule that fails before one that says no',
    expressions: {
      claimRules: [
        { expression: 'false', message: 'no' },
        { expression: 'claims.x == 1', message: '' },
      ],
    },
    claims: { sub: 'a' },
    want: "oidc: error evaluating claim validation expression: expression 'claims.x == 1' resulted in error: no such key: x",
  },
  {
    name: 'a rule about a user',
    expressions: { userRules: [{ expression: "user.uid == '' && user.extra.size() == 0", message: 'no' }] },
    claims: { sub: 'a' },
    want: { name: 'a', groups: [] },
  },
  {
    name: 'an expression without end',
    expressions: {
      username: `claims.l${'.map(x, claims.l'.repeat(4)}${')'.repeat(4)}.size() > 0 ? 'a' : 'b'`,
    },
    claims: { l: Array.from({ length: 100 }, () => 1) },
    want: expect.stringMatching(/cost limit exceeded$/),
  },
])('userOfClaims() by expressions: $name', ({ expressions, claims, want }) => {
  const programs = compileExpressions({ extra: [], claimRules: [], userRules: [], ...expressions });
  expect(userOfClaims({ ...issuer, programs }, { ...claims })).toEqual(want);
});

it.each([
  ['claims.email', true],
  ['has(claims.email)', true],
  ["claims.?email.orValue('')", true],
  ["[1].exists(x, claims.email == 'a')", true],
  ["claims['email']", false], // As upstream, which looks for selections alone.
  ['claims.a.email', false],
  ["'claims.email'", false],
  ['claims.(', false],
])('readsClaim() of %s', (expression, want) => {
  expect(readsClaim(expression, 'email')).toBe(want);
});
