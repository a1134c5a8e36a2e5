import { parseConfigDocument, type DocumentKind } from '#api/config/config-document.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { listOf, objectOf, objectsOf, stringOf } from '#api/wire/json.ts';
import { PodwrightError } from '#base/errors.ts';
import { expressionProblems, expressionsOf } from './mapping-configuration.ts';
import type { IssuerExpressions } from './expressions.ts';
import { parseTrustBundle } from '#control-plane/apiserver/pki/trust-bundle.ts';
import type { AnonymousAccess } from '#control-plane/apiserver/chain/authn/anonymous.ts';

/** Whose tokens are taken, and what of their claims becomes of a user (apiserver.config.k8s.io, JWTAuthenticator; KEP 3331). */
export interface JwtIssuer {
  readonly url: string;
  /** Where its discovery document is, where that is not below `url`. */
  readonly discoveryUrl: string | undefined;
  /** PEM; those Node knows where there are none. */
  readonly caPem: string | undefined;
  /** A token is meant for one of these. */
  readonly audiences: readonly string[];
  readonly username: PrefixedClaim;
  readonly groups: PrefixedClaim | undefined;
  readonly uidClaim: string | undefined;
  /** Claims that a token must have with just that value. */
  readonly requiredClaims: readonly RequiredClaim[];
  readonly algorithms: readonly string[];
  /** Where something is said by CEL: a claim of the same thing is '' then. */
  readonly expressions?: IssuerExpressions;
}

export interface PrefixedClaim {
  readonly claim: string;
  readonly prefix: string;
}

export interface RequiredClaim {
  readonly claim: string;
  readonly value: string;
}

/** What the file of `--authentication-config` says. */
export interface AuthenticationConfiguration {
  readonly issuers: readonly JwtIssuer[];
  /** undefined: what `--anonymous-auth` says. */
  readonly anonymous: AnonymousAccess | undefined;
}

/** How tokens of issuers may be signed where a file says who they are (oidc.AllValidSigningAlgorithms). */
export const signingAlgorithms: readonly string[] = [
  ...['ES256', 'ES384', 'ES512', 'PS256', 'PS384', 'PS512', 'RS256', 'RS384', 'RS512'],
];

const prefixed = { claim: 'string', prefix: 'string', expression: 'string' } as const;
const document: DocumentKind = {
  kind: 'AuthenticationConfiguration',
  apiVersions: ['apiserver.config.k8s.io/v1', 'apiserver.config.k8s.io/v1beta1'],
  fields: {
    jwt: [
      {
        issuer: {
          url: 'string',
          discoveryURL: 'string',
          certificateAuthority: 'string',
          audiences: ['string'],
          audienceMatchPolicy: 'string',
          egressSelectorType: 'string',
        },
        claimValidationRules: [
          { claim: 'string', requiredValue: 'string', expression: 'string', message: 'string' },
        ],
        claimMappings: {
          username: prefixed,
          groups: prefixed,
          uid: { claim: 'string', expression: 'string' },
          extra: [{ key: 'string', valueExpression: 'string' }],
        },
        userValidationRules: [{ expression: 'string', message: 'string' }],
      },
    ],
    anonymous: { enabled: 'boolean', conditions: [{ path: 'string' }] },
  },
};

const issuersMax = 64;

/**
 * Reads the file.
 * @param ownIssuers those of service accounts, which no other may be
 * @throws {E_INVALID} with all that is wrong
 */
export function parseAuthenticationConfiguration(
  text: string,
  ownIssuers: readonly string[],
): AuthenticationConfiguration {
  const configuration = parseConfigDocument(text, document);
  const jwt = objectsOf(configuration['jwt']);
  const anonymous = configuration['anonymous'] ?? undefined;
  const problems = [
    ...(jwt.length > issuersMax ? [`jwt: ${jwt.length} are too many, at most ${issuersMax}`] : []),
    ...jwt.flatMap((one, index) => issuerProblems(one, `jwt[${index}]`, ownIssuers)),
    ...twice(jwt, 'url'),
    ...twice(jwt, 'discoveryURL'),
    ...anonymousProblems(objectOf(anonymous)),
  ];
  if (problems.length > 0) throw new PodwrightError('E_INVALID', problems.join('; '));
  return {
    issuers: jwt.map(issuerOf),
    anonymous: anonymous === undefined ? undefined : anonymousOf(objectOf(anonymous)),
  };
}

function issuerProblems(jwt: JsonObject, path: string, ownIssuers: readonly string[]): readonly string[] {
  const issuer = objectOf(jwt['issuer']);
  const url = stringOf(issuer['url']);
  const discovery = stringOf(issuer['discoveryURL']);
  const at = `${path}.issuer`;
  const trimmed = (text: string): string => text.replace(/\/+$/, '');
  return [
    ...(url === '' ? [`${at}.url: Required value`] : urlProblems(url, `${at}.url`)),
    ...(ownIssuers.includes(url) ? [`${at}.url: ${url} is the issuer of service account tokens`] : []),
    ...(discovery === '' ? [] : urlProblems(discovery, `${at}.discoveryURL`)),
    ...(discovery !== '' && trimmed(discovery) === trimmed(url)
      ? [`${at}.discoveryURL: must be different from url`]
      : []),
    ...audienceProblems(issuer, at),
    ...caProblems(stringOf(issuer['certificateAuthority']), `${at}.certificateAuthority`),
    ...(stringOf(issuer['egressSelectorType']) === ''
      ? []
      : [`${at}.egressSelectorType: the server has one way out only; leave it out`]),
    ...expressionProblems(jwt, path),
  ];
}

/** What is wrong with a URL of an issuer; @param path how it is called. Pure. */
export function urlProblems(text: string, path: string): readonly string[] {
  if (!URL.canParse(text)) return [`${path}: ${JSON.stringify(text)} is no URL`];
  const url = new URL(text);
  return [
    ...(url.protocol === 'https:' ? [] : [`${path}: URL scheme must be https`]),
    ...(url.username === '' && url.password === ''
      ? []
      : [`${path}: URL must not contain a username or password`]),
    ...(text.includes('?') ? [`${path}: URL must not contain a query`] : []),
    ...(text.includes('#') ? [`${path}: URL must not contain a fragment`] : []),
  ];
}

function audienceProblems(issuer: JsonObject, path: string): readonly string[] {
  const audiences = listOf(issuer['audiences']).map(stringOf);
  const policy = stringOf(issuer['audienceMatchPolicy']);
  if (audiences.length === 0) return [`${path}.audiences: Required value: at least one`];
  return [
    ...audiences.flatMap((audience, index) =>
      audience === ''
        ? [`${path}.audiences[${index}]: Required value`]
        : audiences.indexOf(audience) === index
          ? []
          : [`${path}.audiences[${index}]: Duplicate value: ${JSON.stringify(audience)}`],
    ),
    ...(policy === 'MatchAny' || (policy === '' && audiences.length === 1)
      ? []
      : [
          `${path}.audienceMatchPolicy: must be MatchAny${audiences.length === 1 ? ', or left out' : ' for multiple audiences'}`,
        ]),
  ];
}

function caProblems(pem: string, path: string): readonly string[] {
  if (pem === '') return [];
  try {
    parseTrustBundle(pem);
    return [];
  } catch (error) {
    return [`${path}: ${error instanceof Error ? error.message : String(error)}`];
  }
}

function anonymousProblems({ enabled, conditions }: JsonObject): readonly string[] {
  const given = objectsOf(conditions);
  return [
    ...(enabled !== true && given.length > 0
      ? ['anonymous.conditions: enabled should be set to true when conditions are defined']
      : []),
    ...given.flatMap(({ path }, index) =>
      stringOf(path).startsWith('/')
        ? []
        : [`anonymous.conditions[${index}].path: give a path that begins with /`],
    ),
  ];
}

function twice(jwt: readonly JsonObject[], field: string): readonly string[] {
  const values = jwt.map(({ issuer }) => stringOf(objectOf(issuer)[field]));
  return values.flatMap((value, index) =>
    value === '' || values.indexOf(value) === index
      ? []
      : [`jwt[${index}].issuer.${field}: Duplicate value: ${JSON.stringify(value)}`],
  );
}

function issuerOf(jwt: JsonObject): JwtIssuer {
  const issuer = objectOf(jwt['issuer']);
  const mappings = objectOf(jwt['claimMappings']);
  const optional = (value: unknown): string | undefined =>
    stringOf(value) === '' ? undefined : stringOf(value);
  const claimOf = (mapping: JsonObject): PrefixedClaim => ({
    claim: stringOf(mapping['claim']),
    prefix: stringOf(mapping['prefix']),
  });
  const groups = claimOf(objectOf(mappings['groups']));
  const expressions = expressionsOf(jwt);
  return {
    url: stringOf(issuer['url']),
    discoveryUrl: optional(issuer['discoveryURL']),
    caPem: optional(issuer['certificateAuthority']),
    audiences: listOf(issuer['audiences']).map(stringOf),
    username: claimOf(objectOf(mappings['username'])),
    groups: groups.claim === '' ? undefined : groups,
    uidClaim: optional(objectOf(mappings['uid'])['claim']),
    requiredClaims: objectsOf(jwt['claimValidationRules'])
      .filter(({ claim }) => stringOf(claim) !== '')
      .map(({ claim, requiredValue }) => ({ claim: stringOf(claim), value: stringOf(requiredValue) })),
    algorithms: signingAlgorithms,
    ...(expressions === undefined ? {} : { expressions }),
  };
}

function anonymousOf({ enabled, conditions }: JsonObject): AnonymousAccess {
  return { enabled: enabled === true, paths: objectsOf(conditions).map(({ path }) => stringOf(path)) };
}
