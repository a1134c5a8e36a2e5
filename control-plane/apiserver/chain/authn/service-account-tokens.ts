import type { JsonObject } from '#api/meta/object.ts';
import { at, isObject, numberOf, objectOf, stringOf } from '#api/wire/json.ts';
import type { User } from '#control-plane/apiserver/serve/request.ts';
import { refused, type Finding, type Refused, type TokenAuthenticator } from './authenticator.ts';
import { invalidation, type BoundObjectsContext } from './bound-objects.ts';
import { goList } from './go-list.ts';
import { credentialId, serviceAccountGroups } from './groups.ts';
import { legacyUse, renewalUse, type TokenUse } from './token-uses.ts';
import type { ObjectReference, SignedToken, TokenAuthority, TokenClaims } from './tokens.ts';

export interface ServiceAccountTokenParts extends BoundObjectsContext {
  readonly tokens: TokenAuthority;
  readonly apiAudiences: readonly string[];
}

/** Clocks differ: what is over, or not yet so, by no more than this is taken (go-jose jwt.DefaultLeeway). */
const leewaySeconds = 60;

/** Tokens of service accounts that this cluster signed (KEP 1205), as long as all that they are bound to is there. */
export function serviceAccountTokenAuthenticator(parts: ServiceAccountTokenParts): TokenAuthenticator {
  return {
    name: 'service account tokens',
    authenticateToken: (token, wanted) => {
      const reading = parts.tokens.read(token, parts.tokens.issuers);
      return reading instanceof Promise
        ? reading.then((signed) => judge(parts, signed, wanted))
        : judge(parts, reading, wanted);
    },
  };
}

function judge(
  parts: ServiceAccountTokenParts,
  signed: SignedToken,
  wanted: readonly string[],
): Finding | Promise<Finding> {
  if (signed === undefined) return undefined;
  if ('cause' in signed) return refused(signed.cause);
  const { payload } = signed;
  const legacy = legacyUse(payload);
  const audiences = meantFor(payload, wanted, parts.apiAudiences);
  if ('errors' in audiences) return withUses(audiences, legacy);
  const { claims, user, subject, warnAfter } = readPayload(payload);
  const finding = (cause: string | undefined): Finding => {
    if (cause !== undefined) return withUses(refused(cause), legacy);
    const found = { user, audiences };
    if (warnAfter === 0) return withUses(found, legacy);
    return withUses(found, [...legacy, ...renewalUse(warnAfter, { subject, nowMs: parts.clock.now() })]);
  };
  const cause = timeProblem(payload, parts.clock.now()) ?? invalidation(parts, claims);
  return cause instanceof Promise ? cause.then(finding) : finding(cause);
}

function withUses<T extends object>(finding: T, uses: readonly TokenUse[]): T {
  return uses.length === 0 ? finding : { ...finding, uses };
}

/** Those of the wanted audiences that the token is for; one that names none is for this server. */
export function meantFor(
  { aud }: JsonObject,
  wanted: readonly string[],
  apiAudiences: readonly string[],
): readonly string[] | Refused {
  const named = (Array.isArray(aud) ? aud : aud === undefined ? [] : [aud]).map(stringOf);
  const own = named.length === 0 ? apiAudiences : named;
  const audiences = own.filter((audience) => wanted.includes(audience));
  if (audiences.length > 0) return audiences;
  return refused(`token audiences ${goList(own)} is invalid for the target audiences ${goList(wanted)}`);
}

/** What is wrong with a token's times (RFC 7519, 4.1.4 to 4.1.6), in the words of pkg/serviceaccount/claims.go. Pure. */
export function timeProblem(payload: JsonObject, nowMs: number): string | undefined {
  const now = nowMs / 1000;
  for (const claim of ['exp', 'nbf', 'iat']) {
    const value = payload[claim];
    if (value !== undefined && (typeof value !== 'number' || !Number.isFinite(value)))
      return 'service account token claims could not be validated';
  }
  const timeOf = (claim: string, absent: number): number =>
    typeof payload[claim] === 'number' ? payload[claim] : absent;
  if (now - leewaySeconds > timeOf('exp', Infinity)) return 'service account token has expired';
  if (now + leewaySeconds < timeOf('nbf', -Infinity)) return 'service account token is not valid yet';
  return now + leewaySeconds < timeOf('iat', -Infinity)
    ? 'service account token is issued in the future'
    : undefined;
}

interface Said {
  readonly claims: TokenClaims;
  readonly user: User;
  readonly subject: string;
  /** When it should be renewed, in seconds since 1970; 0: nobody says. */
  readonly warnAfter: number;
}

/** By payload: a token that comes again has the same, and its user is one value to all that is made of users. */
const said = new WeakMap<JsonObject, Said>();

function readPayload(payload: JsonObject): Said {
  let known = said.get(payload);
  if (known === undefined) {
    const claims = readClaims(payload);
    const warnAfter = numberOf(at(payload, ['kubernetes.io', 'warnafter']));
    const subject = stringOf(payload['sub']);
    said.set(payload, (known = { claims, user: userOf(claims), subject, warnAfter }));
  }
  return known;
}

function readClaims(payload: JsonObject): TokenClaims {
  const own = objectOf(payload['kubernetes.io']);
  const reference = (claim: string): ObjectReference | undefined =>
    isObject(own[claim])
      ? { name: stringOf(at(own, [claim, 'name'])), uid: stringOf(at(own, [claim, 'uid'])) }
      : undefined;
  return {
    namespace: stringOf(own['namespace']),
    name: stringOf(at(own, 'serviceaccount.name')),
    uid: stringOf(at(own, 'serviceaccount.uid')),
    tokenId: stringOf(payload['jti']),
    pod: reference('pod'),
    secret: reference('secret'),
    node: reference('node'),
  };
}

function userOf({ namespace, name, uid, tokenId, pod, node }: TokenClaims): User {
  const extra = (what: string, reference: ObjectReference | undefined): Record<string, readonly string[]> =>
    reference === undefined
      ? {}
      : {
          [`authentication.kubernetes.io/${what}-name`]: [reference.name],
          [`authentication.kubernetes.io/${what}-uid`]: [reference.uid],
        };
  return {
    ...accountUser(namespace, name, uid),
    extra: {
      ...(tokenId === '' ? {} : { [credentialId]: [`JTI=${tokenId}`] }),
      ...extra('node', node),
      ...extra('pod', pod),
    },
  };
}

/** The user that a service account is. */
export function accountUser(namespace: string, name: string, uid: string): User {
  return { name: `system:serviceaccount:${namespace}:${name}`, uid, groups: serviceAccountGroups(namespace) };
}
