import type { ApiRequest } from '#control-plane/apiserver/serve/request.ts';
import { refused, type Authenticator, type Finding, type TokenAuthenticator } from './authenticator.ts';

/** What is said of a token where nobody says more. */
export const invalidToken = 'invalid bearer token';
/** Longer ones are nobody's: an HTTP/2 value has no more than 64 KiB. */
const tokenLengthMax = 65_536;

/** Who shows a bearer token (RFC 6750; apiserver authentication/request/bearertoken), meant for this server. */
export function bearerAuthenticator(
  tokens: TokenAuthenticator,
  apiAudiences: readonly string[],
): Authenticator {
  return {
    name: 'bearer token',
    authenticate: (request) => {
      const token = bearerToken(request.headers['authorization']);
      return token === undefined ? undefined : authenticateBy(tokens, token, apiAudiences);
    },
  };
}

/** What the authenticator says of a token; never nothing. */
export function authenticateBy(
  tokens: TokenAuthenticator,
  token: string,
  audiences: readonly string[],
): Known | Promise<Known> {
  if (token.length > tokenLengthMax) return refused(invalidToken);
  const finding = tokens.authenticateToken(token, audiences);
  return finding instanceof Promise
    ? finding.then((late) => late ?? refused(invalidToken))
    : (finding ?? refused(invalidToken));
}

type Known = Exclude<Finding, undefined>;

/** undefined for another scheme, no token, or a space too many before it: who sends that is nobody in particular. */
export function bearerToken(authorization: string | undefined): string | undefined {
  const [scheme = '', token = ''] = (authorization ?? '').trim().split(' ');
  return scheme.toLowerCase() === 'bearer' && token !== '' ? token : undefined;
}

/** Whether somebody tries a token, whatever it is worth. */
export function showsToken({ headers }: Pick<ApiRequest, 'headers'>): boolean {
  return bearerToken(headers['authorization']) !== undefined;
}
