import type { JsonObject } from '#api/meta/object.ts';
import { isObject } from '#api/wire/json.ts';
import type { Clock } from '#base/clock.ts';
import { describeError } from '#base/errors.ts';
import { untrustedIssuer } from '#control-plane/apiserver/chain/authn/tokens.ts';
import type { JwtIssuer } from './configuration.ts';
import { fetchText } from './issuer-fetch.ts';
import { createIssuerKeys, type IssuerKeys } from './issuer-keys.ts';
import { claimsProblem, verify } from './verify.ts';

/** Issuers of claims whose keys are kept. */
const issuersMax = 16;

/** With the claim that was looked up, or why it could not be. */
export type Expanded = { readonly claims: JsonObject } | { readonly error: string };

/** A claim that a token does not have, but says where it is (OpenID Connect Core 1.0, 5.6.2). */
export interface ClaimResolver {
  expand(claims: JsonObject): Promise<Expanded>;
}

/**
 * Looks the claim of groups up where the token has it not. Whoever signed that answer says so itself; it is asked for by https alone, and
 * its word is believed if it is meant for the same audiences: the token that named the place was believed before.
 */
export function createClaimResolver(issuer: JwtIssuer, claim: string, clock: Clock): ClaimResolver {
  const keysByIssuer = new Map<string, IssuerKeys>();
  const keysOf = (url: string): IssuerKeys => {
    const keys =
      keysByIssuer.get(url) ?? createIssuerKeys({ url, discoveryUrl: undefined, caPem: issuer.caPem }, clock);
    keysByIssuer.delete(url);
    keysByIssuer.set(url, keys);
    const [oldest] = keysByIssuer.keys();
    if (keysByIssuer.size > issuersMax && oldest !== undefined) keysByIssuer.delete(oldest);
    return keys;
  };
  /** What that place says of the claim. @returns why it says nothing as a text of `error` */
  const resolve = async (
    endpoint: Endpoint,
  ): Promise<{ readonly value: unknown } | { readonly error: string }> => {
    const { url, token } = endpoint;
    const jwt = await fetchText(url, {
      caPem: issuer.caPem,
      isAnswer: (status) => status >= 200 && status <= 226,
      ...(token === undefined ? {} : { token }),
    });
    const from = untrustedIssuer(jwt);
    if (from === undefined || !URL.canParse(from) || new URL(from).protocol !== 'https:')
      return {
        error: `getting untrusted issuer from endpoint ${url} failed for claim ${JSON.stringify(claim)}`,
      };
    const found = await verify(jwt, issuer, keysOf(from));
    const problem =
      typeof found === 'string'
        ? found
        : claimsProblem(found, { url: from, audiences: issuer.audiences }, clock.now());
    if (typeof found === 'string' || problem !== undefined)
      return { error: `verify distributed claim token: ${problem}` };
    if (!Object.hasOwn(found, claim))
      return {
        error: `jwt returned by distributed claim endpoint ${JSON.stringify(url)} did not contain claim: ${claim}`,
      };
    return { value: found[claim] };
  };
  return {
    expand: async (claims) => {
      const endpoint = endpointOf(claims, claim);
      if (endpoint === undefined) return { claims };
      if ('error' in endpoint) return endpoint;
      try {
        const found = await resolve(endpoint);
        return 'error' in found ? found : { claims: { ...claims, [claim]: found.value } };
      } catch (error) {
        return { error: `while getting distributed claim ${JSON.stringify(claim)}: ${describeError(error)}` };
      }
    },
  };
}

interface Endpoint {
  readonly url: string;
  readonly token: string | undefined;
}

/** Where the claim is to be asked for; undefined: nowhere. Pure. */
export function endpointOf(
  claims: JsonObject,
  claim: string,
): Endpoint | { readonly error: string } | undefined {
  if (Object.hasOwn(claims, claim)) return undefined;
  const { _claim_names: names, _claim_sources: sources } = claims;
  if (names === undefined) return undefined;
  if (!isObject(names) || Object.values(names).some((name) => typeof name !== 'string'))
    return { error: 'oidc: error parsing distributed claim names: no object of strings' };
  if (sources === undefined) return { error: 'oidc: no claim sources' };
  if (!isObject(sources)) return { error: 'oidc: could not parse claim sources: no object' };
  const name = Object.hasOwn(names, claim) ? String(names[claim]) : undefined;
  if (name === undefined) return undefined;
  const source = Object.hasOwn(sources, name) ? sources[name] : undefined;
  if (!isObject(source))
    return { error: `id token _claim_names contained a source ${name} missing in _claims_sources` };
  const { endpoint: url = '', access_token: token = '' } = source;
  if (url === '') return undefined; // The claim may lie in the token itself ("aggregated"), which upstream does not read either.
  if (typeof url !== 'string' || typeof token !== 'string')
    return { error: 'oidc: could not parse claim sources: no strings' };
  if (!URL.canParse(url) || new URL(url).protocol !== 'https:')
    return {
      error: `while getting distributed claim ${JSON.stringify(claim)}: ${JSON.stringify(url)} is no https URL`,
    };
  return { url, token: token === '' ? undefined : token };
}
