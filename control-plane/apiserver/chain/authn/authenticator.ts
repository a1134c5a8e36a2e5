import type { ApiRequest, User } from '#control-plane/apiserver/serve/request.ts';
import { noUses, type TokenUse } from './token-uses.ts';

/** Whose credentials they are. */
export interface Found {
  readonly user: User;
  /** Those asked for that a token is good for. Absent where the credentials know of none (a certificate). */
  readonly audiences?: readonly string[];
  /** What the client is to be told, each in a Warning of its own. */
  readonly warnings?: readonly string[];
  /** What is to be noted of a token. */
  readonly uses?: readonly TokenUse[];
}

/** Why credentials are worth nothing. For reviews and the log; who showed them hears Unauthorized. Never empty. */
export interface Refused {
  readonly user: undefined;
  readonly errors: readonly string[];
  readonly uses?: readonly TokenUse[];
}

/** What came of looking: undefined where there are no credentials of that kind. */
export type Finding = Found | Refused | undefined;

/** Somebody who knows who asks by one kind of credentials. Answers at once wherever it can: it is asked for every request. */
export interface Authenticator {
  readonly name: string;
  /** Rejects only where what it goes by cannot be read; credentials that are no good are an answer. */
  authenticate(request: ApiRequest): Finding | Promise<Finding>;
}

/** Somebody who knows one kind of bearer tokens. */
export interface TokenAuthenticator {
  readonly name: string;
  /**
   * Rejects only where what it goes by cannot be read.
   * @param audiences for one of which the token must be meant; never empty. Tokens that know of none: `meantForServer`
   */
  authenticateToken(token: string, audiences: readonly string[]): Finding | Promise<Finding>;
}

export function refused(...errors: readonly string[]): Refused {
  return { user: undefined, errors };
}

/** The first who knows the credentials counts, also after others who refused them; else all that was wrong (apiserver request/union). */
export function unionOf(authenticators: readonly Authenticator[]): Authenticator {
  return {
    name: 'union',
    authenticate: (request) => firstFound(authenticators, (one) => one.authenticate(request)),
  };
}

/** As `unionOf`, of tokens (apiserver token/union). */
export function tokenUnionOf(authenticators: readonly TokenAuthenticator[]): TokenAuthenticator {
  return {
    name: 'tokens',
    authenticateToken: (token, audiences) =>
      firstFound(authenticators, (one) => one.authenticateToken(token, audiences)),
  };
}

/** From the one at this place on. Waits only where one that is asked does. */
function firstFound<T>(
  all: readonly T[],
  ask: (one: T) => Finding | Promise<Finding>,
  start = 0,
  before: Refused | undefined = undefined,
): Finding | Promise<Finding> {
  let refusal = before;
  for (let at = start; at < all.length; at++) {
    const one = all[at];
    const finding = one === undefined ? undefined : ask(one);
    if (finding instanceof Promise) {
      const refusalBefore = refusal;
      return finding.then((late) =>
        late?.user === undefined ? firstFound(all, ask, at + 1, alsoRefused(refusalBefore, late)) : late,
      );
    }
    if (finding?.user !== undefined) return finding;
    refusal = alsoRefused(refusal, finding);
  }
  return refusal;
}

function alsoRefused(before: Refused | undefined, finding: Refused | undefined): Refused | undefined {
  if (before === undefined || finding === undefined) return before ?? finding;
  const uses = [...(before.uses ?? noUses), ...(finding.uses ?? noUses)];
  return { ...refused(...before.errors, ...finding.errors), ...(uses.length === 0 ? {} : { uses }) };
}

/**
 * For tokens that say nothing of audiences: they are meant for this server, and worth nothing where only others are asked for
 * (apiserver authenticator.WrapAudienceAgnosticToken).
 */
export function meantForServer(
  authenticator: TokenAuthenticator,
  apiAudiences: readonly string[],
): TokenAuthenticator {
  return {
    name: authenticator.name,
    authenticateToken: async (token, asked) => {
      const audiences = asked.filter((audience) => apiAudiences.includes(audience));
      if (audiences.length === 0) return undefined;
      const finding = await authenticator.authenticateToken(token, audiences);
      return finding?.user === undefined ? finding : { ...finding, audiences };
    },
  };
}

/** All errors in one line, each once, as Go prints an aggregate: `a`, or `[a, b]` (apimachinery util/errors). */
export function describeErrors(errors: readonly string[]): string {
  const each = [...new Set(errors)];
  return each.length === 1 ? (each[0] ?? '') : `[${each.join(', ')}]`;
}
