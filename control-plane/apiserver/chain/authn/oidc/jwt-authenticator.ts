import type { Clock } from '#base/clock.ts';
import {
  meantForServer,
  refused,
  type TokenAuthenticator,
} from '#control-plane/apiserver/chain/authn/authenticator.ts';
import { untrustedIssuer } from '#control-plane/apiserver/chain/authn/tokens.ts';
import { userOfClaims, type ClaimsReading } from './claims.ts';
import type { JwtIssuer } from './configuration.ts';
import { createClaimResolver } from './distributed-claims.ts';
import { compileExpressions } from './expressions.ts';
import type { IssuerKeys } from './issuer-keys.ts';
import { claimsProblem, verify } from './verify.ts';

/**
 * Tokens of one issuer, by its keys (OpenID Connect Core 1.0, 3.1.3.7; apiserver token/oidc).
 * @throws {Error} for expressions that have a problem
 */
export function jwtAuthenticator(
  issuer: JwtIssuer,
  {
    keys,
    clock,
    apiAudiences,
  }: {
    readonly keys: IssuerKeys;
    readonly clock: Clock;
    readonly apiAudiences: readonly string[];
  },
): TokenAuthenticator {
  const reading: ClaimsReading =
    issuer.expressions === undefined
      ? issuer
      : { ...issuer, programs: compileExpressions(issuer.expressions) };
  const resolver =
    issuer.groups === undefined ? undefined : createClaimResolver(issuer, issuer.groups.claim, clock);
  return meantForServer(
    {
      name: `jwt ${issuer.url}`,
      authenticateToken: async (token) => {
        if (untrustedIssuer(token) !== issuer.url) return undefined;
        const claims = await verify(token, issuer, keys);
        const problem = typeof claims === 'string' ? claims : claimsProblem(claims, issuer, clock.now());
        if (typeof claims === 'string' || problem !== undefined)
          return refused(`oidc: verify token: ${problem}`);
        const expanded = (await resolver?.expand(claims)) ?? { claims };
        if ('error' in expanded)
          return refused(`oidc: could not expand distributed claims: ${expanded.error}`);
        const user = userOfClaims(reading, expanded.claims);
        return typeof user === 'string' ? refused(user) : { user };
      },
    },
    apiAudiences,
  );
}
