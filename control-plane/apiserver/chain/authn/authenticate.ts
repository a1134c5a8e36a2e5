import { unauthorized } from '#api/errors/status.ts';
import type { Clock } from '#base/clock.ts';
import type { ApiRequest, User } from '#control-plane/apiserver/serve/request.ts';
import type { AuthenticationCounts } from './authentication-counts.ts';
import { mayBeAnonymous, type AnonymousAccess } from './anonymous.ts';
import {
  describeErrors,
  refused,
  unionOf,
  type Authenticator,
  type Finding,
  type Found,
  type Refused,
  type TokenAuthenticator,
} from './authenticator.ts';
import { authenticateBy, invalidToken } from './bearer-token.ts';
import { anonymous, authenticated, withGroup } from './groups.ts';
import { noUses, type TokenUse } from './token-uses.ts';

/** Who asks a server. */
export interface Authentication {
  /** By whatever credentials a request shows, or nobody in particular. @throws {E_API} 401 for credentials that are no good, and for none where some are needed */
  authenticate(request: ApiRequest): Found | Promise<Found>;
  /** Whose a token is, for one of the audiences, as reviews tell it. */
  reviewToken(token: string, audiences: readonly string[]): Promise<Found | Refused>;
  /** What tokens are to be meant for, for this server to take them. */
  readonly apiAudiences: readonly string[];
  /** Whether a header says who asks: nobody behind this server is to see it. */
  readonly isIdentityHeader: (name: string) => boolean;
}

export interface AuthenticationParts extends Pick<Authentication, 'apiAudiences' | 'isIdentityHeader'> {
  readonly authenticators: readonly Authenticator[];
  readonly tokens: TokenAuthenticator;
  /** Asked each time: it may change. */
  readonly anonymous: () => AnonymousAccess;
  /** Where attempts are counted, and by which clock; nowhere without. */
  readonly counted?: { readonly counts: AuthenticationCounts; readonly clock: Pick<Clock, 'monotonic'> };
}

export function createAuthentication(parts: AuthenticationParts): Authentication {
  const { apiAudiences, isIdentityHeader, tokens } = parts;
  const union = unionOf(parts.authenticators);
  return {
    apiAudiences,
    isIdentityHeader,
    authenticate: (request) => {
      const startMs = parts.counted?.clock.monotonic() ?? 0;
      const finding = union.authenticate(request);
      return finding instanceof Promise
        ? finding.then((found) => judgeCounted(found, request, startMs, parts))
        : judgeCounted(finding, request, startMs, parts);
    },
    reviewToken: async (token, audiences) => {
      const finding = await authenticateBy(tokens, token, audiences);
      // Upstream's own token of the process is asked first, and knows none but itself.
      parts.counted?.counts.tokens.count(finding.uses ?? noUses);
      return finding.user === undefined ? refused(invalidToken, ...finding.errors) : known(finding);
    },
  };
}

function judgeCounted(
  finding: Finding,
  request: ApiRequest,
  startMs: number,
  parts: AuthenticationParts,
): Found {
  if (parts.counted === undefined) return judge(finding, request, parts);
  const { counts, clock } = parts.counted;
  if (finding?.uses !== undefined) counts.tokens.count(finding.uses);
  const seconds = (): number => (clock.monotonic() - startMs) / 1000;
  try {
    const found = judge(finding, request, parts);
    counts.count('success', seconds(), found.user.name);
    return found;
  } catch (error) {
    counts.count(finding === undefined ? 'failure' : 'error', seconds());
    throw error;
  }
}

function judge(finding: Finding, request: ApiRequest, parts: AuthenticationParts): Found {
  if (finding?.user !== undefined) return known(finding);
  // Shown and no good: not the same as none, or whoever mixed up two clusters would read of rights, not of credentials.
  if (finding !== undefined) throw refusalOf(finding);
  if (mayBeAnonymous(parts.anonymous(), request)) return { user: anonymous };
  throw unauthorized('no credentials');
}

const usesOfRefusals = new WeakMap<object, readonly TokenUse[]>();

function refusalOf({ errors, uses }: Refused): Error {
  const error = unauthorized(describeErrors(errors));
  if (uses !== undefined) usesOfRefusals.set(error, uses);
  return error;
}

/** What is to be noted of a token for which `authenticate` has thrown this. */
export function usesOfRefusal(error: unknown): readonly TokenUse[] {
  return (typeof error === 'object' && error !== null ? usesOfRefusals.get(error) : undefined) ?? noUses;
}

/** Who is known is of the group of those, unless they are said to be of nobody (apiserver authentication/group). */
function known(found: Found): Found {
  const user = withKnownGroup(found.user);
  return user === found.user ? found : { ...found, user };
}

const knownUsers = new WeakMap<User, User>();

function withKnownGroup(user: User): User {
  if (user.name === anonymous.name) return user;
  let found = knownUsers.get(user);
  if (found === undefined) {
    const isNobody = user.groups.some((group) => anonymous.groups.includes(group));
    knownUsers.set(user, (found = isNobody ? user : withGroup(user, authenticated)));
  }
  return found;
}
