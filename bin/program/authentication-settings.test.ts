import { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import {
  authenticationOptions,
  type AuthenticationCommandOptions,
} from '#bin/options/authentication-options.ts';
import { authenticationProblems, authenticationSettings } from './authentication-settings.ts';

function parse(...line: readonly string[]): AuthenticationCommandOptions {
  const command = authenticationOptions(new Command())
    .exitOverride()
    .configureOutput({ writeErr: () => undefined });
  return command.parse(line, { from: 'user' }).opts<AuthenticationCommandOptions>();
}

it('authenticationSettings() says nothing where nothing was given', () => {
  expect(authenticationSettings(parse())).toEqual({ serviceAccounts: {} });
});

it('authenticationSettings() takes what kube-apiserver takes', () => {
  const options = parse(
    ...['--anonymous-auth=false', '--client-ca-file=/ca', '--api-audiences=a,b', '--api-audiences=c'],
    ...['--service-account-issuer=https://new', '--service-account-issuer=https://old'],
    ...['--service-account-key-file=/old.pub', '--service-account-signing-key-file=/new.key'],
    ...['--service-account-max-token-expiration=48h', '--service-account-extend-token-expiration=false'],
    ...['--service-account-jwks-uri=https://x/jwks', '--requestheader-client-ca-file=/proxy'],
    ...['--requestheader-allowed-names=front,back', '--requestheader-username-headers=X-User'],
  );
  expect(authenticationProblems(options)).toEqual([]);
  expect(authenticationSettings(options)).toEqual({
    anonymousAuth: false,
    clientCaFile: '/ca',
    serviceAccounts: {
      issuers: ['https://new', 'https://old'],
      apiAudiences: ['a', 'b', 'c'],
      keyFiles: ['/old.pub'],
      signingKeyFile: '/new.key',
      maxTokenSeconds: 172_800,
      extendTokenExpiration: false,
      jwksUri: 'https://x/jwks',
    },
    frontProxy: {
      clientCaFile: '/proxy',
      allowedNames: ['front', 'back'],
      usernameHeaders: ['X-User'],
      uidHeaders: ['x-remote-uid'],
      groupHeaders: ['x-remote-group'],
      extraHeaderPrefixes: ['x-remote-extra-'],
    },
  });
});

it('authenticationSettings() makes an issuer of --oidc-*', () => {
  const given = ['--oidc-issuer-url=https://a', '--oidc-client-id=x'];
  expect(authenticationSettings(parse(...given)).oidc).toEqual({
    url: 'https://a',
    audiences: ['x'],
    username: { claim: 'sub', prefix: 'https://a#' },
    groups: undefined,
    uidClaim: undefined,
    requiredClaims: [],
    algorithms: ['RS256'],
  });
  const more = [
    ...[
      '--oidc-username-claim=email',
      '--oidc-groups-claim=g',
      '--oidc-groups-prefix=p:',
      '--oidc-ca-file=/ca',
    ],
    ...['--oidc-required-claim=a=b=c', '--oidc-required-claim=d=e', '--oidc-signing-algs=ES256,PS512'],
  ];
  expect(authenticationProblems(parse(...given, ...more))).toEqual([]);
  expect(authenticationSettings(parse(...given, ...more)).oidc).toMatchObject({
    caFile: '/ca',
    username: { claim: 'email', prefix: '' },
    groups: { claim: 'g', prefix: 'p:' },
    requiredClaims: [
      { claim: 'a', value: 'b=c' },
      { claim: 'd', value: 'e' },
    ],
    algorithms: ['ES256', 'PS512'],
  });
  expect(authenticationSettings(parse(...given, '--oidc-username-prefix=-')).oidc?.username.prefix).toBe('');
});

it('authenticationSettings() asks a webhook as kube-apiserver does', () => {
  const option = '--authentication-token-webhook';
  expect(authenticationSettings(parse(`${option}-config-file=/x`)).webhook).toEqual({
    ...{ file: '/x', version: 'v1beta1', cacheTtlMs: 120_000 },
  });
  const given = [`${option}-config-file=/x`, `${option}-version=v1`, `${option}-cache-ttl=0s`];
  expect(authenticationSettings(parse(...given)).webhook).toEqual({
    file: '/x',
    version: 'v1',
    cacheTtlMs: 0,
  });
});

it('--anonymous-auth takes true or false', () => {
  expect(() => parse('--anonymous-auth=maybe')).toThrow(/takes true or false/);
});

const oidc = { oidcIssuerUrl: 'https://a', oidcClientId: 'x' };
const webhook = { authenticationTokenWebhookConfigFile: '/x' };

describe('authenticationProblems()', () => {
  it.each<{ readonly given: AuthenticationCommandOptions; readonly want: RegExp }>([
    {
      given: { serviceAccountIssuer: ['1:b'] },
      want: /--service-account-issuer 1:b: has a colon and is no URL/,
    },
    { given: { serviceAccountIssuer: ['x', 'x'] }, want: /--service-account-issuer x: twice/ },
    { given: { serviceAccountIssuer: [''] }, want: /--service-account-issuer: give/ },
    { given: { apiAudiences: ['a', ''] }, want: /--api-audiences: an empty name/ },
    { given: { serviceAccountMaxTokenExpiration: '59m' }, want: /-expiration 59m: give from 1h/ },
    { given: { serviceAccountMaxTokenExpiration: '1193047h' }, want: /-expiration 1193047h: give from 1h/ },
    { given: { serviceAccountMaxTokenExpiration: 'x' }, want: /-expiration x: / },
    { given: { serviceAccountJwksUri: 'http://x' }, want: /not an https URL/ },
    { given: { requestheaderAllowedNames: ['x'] }, want: /give --requestheader-client-ca-file too/ },
    { given: { requestheaderUidHeaders: ['x'] }, want: /give --requestheader-client-ca-file too/ },
    {
      given: { requestheaderClientCaFile: '/x', requestheaderGroupHeaders: ['a b'] },
      want: /a b: no name of a header/,
    },
    {
      given: { requestheaderClientCaFile: '/x', requestheaderAllowedNames: [''] },
      want: /an empty name; leave/,
    },
    { given: { oidcClientId: 'x' }, want: /--oidc-client-id: give --oidc-issuer-url and/ },
    { given: { ...oidc, oidcIssuerUrl: 'http://a' }, want: /--oidc-issuer-url: URL scheme must be https/ },
    {
      given: { ...oidc, serviceAccountIssuer: ['https://a'] },
      want: /is the issuer of service account tokens/,
    },
    { given: { ...oidc, oidcRequiredClaim: ['x'] }, want: /--oidc-required-claim x: write KEY=VALUE/ },
    { given: { ...oidc, oidcRequiredClaim: ['x=1', 'x=2'] }, want: /--oidc-required-claim x: twice/ },
    { given: { ...oidc, oidcSigningAlgs: ['HS256'] }, want: /--oidc-signing-algs HS256: none of ES256/ },
    { given: { ...oidc, oidcGroupsPrefix: 'x' }, want: /give --oidc-groups-claim too/ },
    {
      given: { ...oidc, authenticationConfig: '/x' },
      want: /--oidc-.*: --authentication-config says that too/,
    },
    {
      given: { authenticationTokenWebhookVersion: 'v1' },
      want: /give --authentication-token-webhook-config-file/,
    },
    { given: { ...webhook, authenticationTokenWebhookVersion: 'v2' }, want: /v2: neither v1 nor v1beta1/ },
    { given: { ...webhook, authenticationTokenWebhookCacheTtl: '-1s' }, want: /-cache-ttl -1s: / },
  ])('$want', ({ given, want }) => {
    const problems = authenticationProblems(given);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatch(want);
  });
});
