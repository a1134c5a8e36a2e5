/** What the options of `server` about who asks come to, and what is wrong with them. Pure: files are looked at when the server starts. */
import { resolve } from 'node:path';
import { parseDurationMs } from '#api/meta/duration.ts';
import { describeError } from '#base/errors.ts';
import type {
  AuthenticationOptions,
  ServiceAccountTokenOptions,
} from '#control-plane/apiserver/chain/authn/authentication-options.ts';
import { signingAlgorithms, urlProblems } from '#control-plane/apiserver/chain/authn/oidc/configuration.ts';
import { defaultIssuer } from '#control-plane/apiserver/chain/authn/tokens.ts';
import type { AuthenticationCommandOptions } from '#bin/options/authentication-options.ts';

const hourMs = 3_600_000;
/** What a TokenRequest may ask for at most. */
const tokenMsMax = 2 ** 32 * 1000;
/** RFC 9110, 5.6.2. */
const headerName = /^[!#$%&'*+.^_`|~\w-]+$/;

export function authenticationSettings(options: AuthenticationCommandOptions): AuthenticationOptions {
  const { anonymousAuth, clientCaFile, requestheaderClientCaFile } = options;
  return {
    ...given({ anonymousAuth, clientCaFile: pathOf(clientCaFile) }),
    serviceAccounts: tokenSettings(options),
    ...given({
      configFile: pathOf(options.authenticationConfig),
      oidc: oidcSettings(options),
      webhook: webhookSettings(options),
    }),
    ...(requestheaderClientCaFile === undefined
      ? {}
      : {
          frontProxy: {
            clientCaFile: resolve(requestheaderClientCaFile),
            allowedNames: options.requestheaderAllowedNames ?? [],
            usernameHeaders: options.requestheaderUsernameHeaders ?? ['x-remote-user'],
            uidHeaders: options.requestheaderUidHeaders ?? ['x-remote-uid'],
            groupHeaders: options.requestheaderGroupHeaders ?? ['x-remote-group'],
            extraHeaderPrefixes: options.requestheaderExtraHeadersPrefix ?? ['x-remote-extra-'],
          },
        }),
  };
}

function tokenSettings(options: AuthenticationCommandOptions): ServiceAccountTokenOptions {
  const { serviceAccountMaxTokenExpiration: longest } = options;
  return given({
    issuers: options.serviceAccountIssuer,
    apiAudiences: options.apiAudiences,
    keyFiles: options.serviceAccountKeyFile?.map((path) => resolve(path)),
    signingKeyFile: pathOf(options.serviceAccountSigningKeyFile),
    maxTokenSeconds: longest === undefined ? undefined : parseDurationMs(longest) / 1000,
    extendTokenExpiration: options.serviceAccountExtendTokenExpiration,
    jwksUri: options.serviceAccountJwksUri,
  });
}

const webhookTtl = '2m';

function webhookSettings(options: AuthenticationCommandOptions): AuthenticationOptions['webhook'] {
  const { authenticationTokenWebhookConfigFile: file } = options;
  if (file === undefined) return undefined;
  return {
    file: resolve(file),
    version: options.authenticationTokenWebhookVersion === 'v1' ? 'v1' : 'v1beta1',
    cacheTtlMs: parseDurationMs(options.authenticationTokenWebhookCacheTtl ?? webhookTtl),
  };
}

function oidcSettings(options: AuthenticationCommandOptions): AuthenticationOptions['oidc'] {
  const { oidcIssuerUrl: url, oidcClientId = '', oidcUsernameClaim = 'sub', oidcGroupsClaim } = options;
  if (url === undefined) return undefined;
  const byDefault = oidcUsernameClaim === 'email' ? '' : `${url}#`;
  const { oidcUsernamePrefix: prefix = byDefault } = options;
  return {
    url,
    ...given({ caFile: pathOf(options.oidcCaFile) }),
    audiences: [oidcClientId],
    username: { claim: oidcUsernameClaim, prefix: prefix === '-' ? '' : prefix },
    groups:
      oidcGroupsClaim === undefined
        ? undefined
        : { claim: oidcGroupsClaim, prefix: options.oidcGroupsPrefix ?? '' },
    uidClaim: undefined,
    requiredClaims: (options.oidcRequiredClaim ?? []).map((text) => {
      const mark = text.indexOf('=');
      return { claim: text.slice(0, mark), value: text.slice(mark + 1) };
    }),
    algorithms: options.oidcSigningAlgs ?? ['RS256'],
  };
}

function pathOf(file: string | undefined): string | undefined {
  return file === undefined ? undefined : resolve(file);
}

type Given<T> = { readonly [K in keyof T]?: Exclude<T[K], undefined> };

/** Without what was not given. */
function given<T extends object>(options: T): Given<T> {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as Given<T>;
}

/** All that is wrong, each beginning with the option's name. */
export function authenticationProblems(options: AuthenticationCommandOptions): readonly string[] {
  return [
    ...serviceAccountProblems(options),
    ...frontProxyProblems(options),
    ...oidcProblems(options),
    ...webhookProblems(options),
  ];
}

function serviceAccountProblems(options: AuthenticationCommandOptions): readonly string[] {
  const { serviceAccountIssuer: issuers = [], apiAudiences = [], serviceAccountJwksUri: jwksUri } = options;
  return [
    ...issuers.flatMap(issuerProblems),
    ...repeated('--service-account-issuer', issuers),
    ...(apiAudiences.includes('') ? ['--api-audiences: an empty name'] : []),
    ...lifeProblems(options.serviceAccountMaxTokenExpiration),
    ...(jwksUri === undefined || isHttps(jwksUri)
      ? []
      : [`--service-account-jwks-uri ${jwksUri}: not an https URL`]),
  ];
}

/** A name, or a URL: with a colon it must be one (RFC 7519, StringOrURI). */
function issuerProblems(issuer: string): readonly string[] {
  if (issuer === '') return ['--service-account-issuer: give a name or a URL'];
  return issuer.includes(':') && !URL.canParse(issuer)
    ? [`--service-account-issuer ${issuer}: has a colon and is no URL`]
    : [];
}

function lifeProblems(text: string | undefined): readonly string[] {
  if (text === undefined) return [];
  const option = `--service-account-max-token-expiration ${text}`;
  try {
    const ms = parseDurationMs(text);
    return ms < hourMs || ms > tokenMsMax ? [`${option}: give from 1h to 1193046h (2^32 seconds)`] : [];
  } catch (error) {
    return [`${option}: ${describeError(error)}`];
  }
}

function frontProxyProblems(options: AuthenticationCommandOptions): readonly string[] {
  const headers = {
    '--requestheader-username-headers': options.requestheaderUsernameHeaders,
    '--requestheader-uid-headers': options.requestheaderUidHeaders,
    '--requestheader-group-headers': options.requestheaderGroupHeaders,
    '--requestheader-extra-headers-prefix': options.requestheaderExtraHeadersPrefix,
  };
  const all = { ...headers, '--requestheader-allowed-names': options.requestheaderAllowedNames };
  if (options.requestheaderClientCaFile === undefined) {
    return Object.entries(all).flatMap(([option, names]) =>
      names === undefined ? [] : [`${option}: give --requestheader-client-ca-file too`],
    );
  }
  return [
    ...Object.entries(headers).flatMap(([option, names = []]) =>
      names.flatMap((name) => (headerName.test(name) ? [] : [`${option} ${name}: no name of a header`])),
    ),
    ...(options.requestheaderAllowedNames?.includes('') === true
      ? ['--requestheader-allowed-names: an empty name; leave the option out to allow all']
      : []),
  ];
}

function repeated(option: string, texts: readonly string[]): readonly string[] {
  return texts.flatMap((text, index) => (texts.indexOf(text) === index ? [] : [`${option} ${text}: twice`]));
}

function isHttps(text: string): boolean {
  return URL.canParse(text) && new URL(text).protocol === 'https:';
}

function oidcProblems(options: AuthenticationCommandOptions): readonly string[] {
  const {
    oidcIssuerUrl: url,
    oidcClientId: client,
    oidcRequiredClaim: required = [],
    oidcSigningAlgs: algs = [],
  } = options;
  const [other] = Object.entries(options).flatMap(([name, value]) =>
    name.startsWith('oidc') && value !== undefined
      ? [`--${name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`]
      : [],
  );
  if (other === undefined) return [];
  if (options.authenticationConfig !== undefined)
    return [`${other}: --authentication-config says that too; give one of them`];
  if (url === undefined || client === undefined || client === '')
    return [`${other}: give --oidc-issuer-url and --oidc-client-id`];
  const ownIssuers = options.serviceAccountIssuer ?? [defaultIssuer];
  return [
    ...urlProblems(url, '--oidc-issuer-url'),
    ...(ownIssuers.includes(url)
      ? [`--oidc-issuer-url ${url}: is the issuer of service account tokens`]
      : []),
    ...required.flatMap((text) =>
      text.indexOf('=') > 0 ? [] : [`--oidc-required-claim ${text}: write KEY=VALUE`],
    ),
    ...repeated(
      '--oidc-required-claim',
      required.map((text) => text.split('=')[0] ?? ''),
    ),
    ...algs.flatMap((name) =>
      signingAlgorithms.includes(name)
        ? []
        : [`--oidc-signing-algs ${name}: none of ${signingAlgorithms.join(', ')}`],
    ),
    ...(options.oidcGroupsPrefix !== undefined && options.oidcGroupsClaim === undefined
      ? ['--oidc-groups-prefix: give --oidc-groups-claim too']
      : []),
  ];
}

function webhookProblems(options: AuthenticationCommandOptions): readonly string[] {
  const {
    authenticationTokenWebhookConfigFile: file,
    authenticationTokenWebhookVersion: version,
    authenticationTokenWebhookCacheTtl: ttl,
  } = options;
  if (file === undefined) {
    const given = {
      '--authentication-token-webhook-version': version,
      '--authentication-token-webhook-cache-ttl': ttl,
    };
    return Object.entries(given).flatMap(([option, value]) =>
      value === undefined ? [] : [`${option}: give --authentication-token-webhook-config-file too`],
    );
  }
  return [
    ...(version === undefined || version === 'v1' || version === 'v1beta1'
      ? []
      : [`--authentication-token-webhook-version ${version}: neither v1 nor v1beta1`]),
    ...ttlProblems(ttl ?? webhookTtl),
  ];
}

function ttlProblems(text: string): readonly string[] {
  const option = `--authentication-token-webhook-cache-ttl ${text}`;
  try {
    return parseDurationMs(text) < 0 ? [`${option}: must not be negative`] : [];
  } catch (error) {
    return [`${option}: ${describeError(error)}`];
  }
}
