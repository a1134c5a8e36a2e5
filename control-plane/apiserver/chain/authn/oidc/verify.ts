import type { JsonObject } from '#api/meta/object.ts';
import { isObject } from '#api/wire/json.ts';
import { describeError, isPodwrightError } from '#base/errors.ts';
import { goList } from '#control-plane/apiserver/chain/authn/go-list.ts';
import type { JwtIssuer } from './configuration.ts';
import type { IssuerKey, IssuerKeys } from './issuer-keys.ts';

/** go-oidc looks at the time strictly, but for what is not valid yet: issuers' clocks may be ahead of ours. */
const notBeforeLeewaySeconds = 300;

/** The claims of a token that the issuer signed, or why it did not. */
export async function verify(
  token: string,
  { algorithms }: Pick<JwtIssuer, 'algorithms'>,
  keys: IssuerKeys,
): Promise<JsonObject | string> {
  const { decodeProtectedHeader, errors } = await import('jose');
  try {
    const { kid, alg = '' } = decodeProtectedHeader(token);
    if (!algorithms.includes(alg)) {
      return `oidc: id token signed with unsupported algorithm, expected ${goList(algorithms)} got ${JSON.stringify(alg)}`;
    }
    return (
      (await verifyBy(await keys.keysFor(kid), token, alg)) ??
      (await verifyBy(await keys.othersFor(kid), token, alg)) ??
      'failed to verify signature: failed to verify id token signature'
    );
  } catch (error) {
    if (isPodwrightError(error)) return `failed to verify signature: fetching keys ${describeError(error)}`;
    if (error instanceof errors.JOSEError || error instanceof TypeError || error instanceof SyntaxError)
      return `oidc: malformed jwt: ${error.message}`;
    throw error;
  }
}

/** undefined where none of the keys signed it. */
async function verifyBy(
  keys: readonly IssuerKey[],
  token: string,
  alg: string,
): Promise<JsonObject | string | undefined> {
  const { compactVerify, errors } = await import('jose');
  for (const { key, algorithm = alg } of keys) {
    if (algorithm !== alg) continue;
    try {
      const { payload } = await compactVerify(token, key, { algorithms: [alg] });
      const claims: unknown = JSON.parse(Buffer.from(payload).toString());
      return isObject(claims) ? claims : 'oidc: malformed jwt: no object';
    } catch (error) {
      // A key of another kind fits no token of this algorithm.
      if (!(error instanceof errors.JWSSignatureVerificationFailed || error instanceof TypeError))
        throw error;
    }
  }
  return undefined;
}

/** What is wrong with whom a token is for, and when. Pure. */
export function claimsProblem(
  claims: JsonObject,
  { url, audiences }: Pick<JwtIssuer, 'url' | 'audiences'>,
  nowMs: number,
): string | undefined {
  const { iss, aud, exp, nbf } = claims;
  if (iss !== url)
    return `oidc: id token issued by a different provider, expected ${JSON.stringify(url)} got ${JSON.stringify(iss)}`;
  const listed: readonly unknown[] = Array.isArray(aud) ? aud : [aud];
  const named = listed.filter((audience): audience is string => typeof audience === 'string');
  // As go-oidc, which reads no claims whose aud is neither (RFC 7519, 4.1.3).
  if (aud !== undefined && named.length < listed.length)
    return 'oidc: failed to unmarshal claims: aud is neither a string nor a list of strings';
  if (!named.some((audience) => audiences.includes(audience)))
    return `oidc: expected audience in ${goList(audiences)} got ${goList(named)}`;
  if (typeof exp !== 'number' || !(exp * 1000 > nowMs))
    return `oidc: token is expired (Token Expiry: ${formatTime(exp)})`;
  if (nbf === undefined) return undefined;
  return typeof nbf === 'number' && nowMs / 1000 + notBeforeLeewaySeconds >= nbf
    ? undefined
    : `oidc: current time before the nbf (not before) time: ${formatTime(nbf)}`;
}

function formatTime(seconds: unknown): string {
  const date = new Date(Number(seconds) * 1000);
  return Number.isNaN(date.getTime()) ? String(seconds) : date.toISOString();
}
