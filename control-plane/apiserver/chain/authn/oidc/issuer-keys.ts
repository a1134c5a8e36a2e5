import { createPublicKey, type KeyObject } from 'node:crypto';
import type { JsonObject } from '#api/meta/object.ts';
import { objectsOf, stringOf } from '#api/wire/json.ts';
import type { Clock } from '#base/clock.ts';
import { describeError, PodwrightError } from '#base/errors.ts';
import type { JwtIssuer } from './configuration.ts';
import { fetchJson } from './issuer-fetch.ts';

/** A key of an issuer. */
export interface IssuerKey {
  readonly id: string | undefined;
  /** Where the issuer says how it signs with it. */
  readonly algorithm: string | undefined;
  readonly key: KeyObject;
}

/** The public keys of an issuer, fetched when they are needed. */
export interface IssuerKeys {
  /**
   * Keys that a token of that `kid` may be signed with: by what is known, or fetched anew where none of it fits (the issuer may have others
   * by now), but not again and again.
   * @throws {E_CONNECTION} where the issuer cannot be asked and nothing is known
   */
  keysFor(id: string | undefined): Promise<readonly IssuerKey[]>;
  /** As `keysFor`, where those were not it: fetched anew, or none where that was done just now. */
  othersFor(id: string | undefined): Promise<readonly IssuerKey[]>;
}

type Source = Pick<JwtIssuer, 'url' | 'discoveryUrl' | 'caPem'>;

const keysMax = 200;
/** Keys are fetched again after this long, though they fit: an issuer takes away a key that was lost. */
const freshMs = 3_600_000;
/** No sooner than this, whatever `kid` tokens come with; and after a failure. */
const againMs = 10_000;

/** Discovery, then keys (OpenID Connect Discovery 1.0, 4; RFC 7517), over https alone, from where the issuer says. */
export function createIssuerKeys(source: Source, clock: Clock): IssuerKeys {
  let known: { readonly keys: readonly IssuerKey[]; readonly atMs: number } | undefined;
  let failure: { readonly error: Error; readonly atMs: number } | undefined;
  let fetching: Promise<void> | undefined;
  const fetchKeys = async (): Promise<void> => {
    try {
      known = { keys: await readKeys(source), atMs: clock.monotonic() };
      failure = undefined;
    } catch (error) {
      const why = new PodwrightError('E_CONNECTION', describeError(error));
      failure = { error: why, atMs: clock.monotonic() };
    } finally {
      fetching = undefined;
    }
  };
  /** One at a time, however many wait. */
  const fetchOnce = (): Promise<void> => (fetching ??= fetchKeys());
  const mayFetch = (): boolean => {
    const lastMs = Math.max(known?.atMs ?? -Infinity, failure?.atMs ?? -Infinity);
    return clock.monotonic() - lastMs >= againMs;
  };
  const fitting = (id: string | undefined): readonly IssuerKey[] =>
    (known?.keys ?? []).filter((key) => id === undefined || key.id === undefined || key.id === id);
  return {
    keysFor: async (id) => {
      const isStale = known !== undefined && clock.monotonic() - known.atMs >= freshMs;
      const found = fitting(id);
      if (found.length > 0 && isStale && mayFetch()) void fetchOnce();
      if (found.length > 0) return found;
      if (fetching !== undefined || mayFetch()) await fetchOnce();
      if (known === undefined && failure !== undefined) throw failure.error;
      return fitting(id);
    },
    othersFor: async (id) => {
      if (fetching === undefined && !mayFetch()) return [];
      await fetchOnce();
      return fitting(id);
    },
  };
}

async function readKeys(source: Source): Promise<readonly IssuerKey[]> {
  const { url, discoveryUrl, caPem } = source;
  const where = discoveryUrl ?? `${url.replace(/\/$/, '')}/.well-known/openid-configuration`;
  const about = await fetchJson(where, caPem);
  // What another issuer says of itself is no word of this one (RFC 8414, 3.3).
  if (about['issuer'] !== url) {
    const other = JSON.stringify(about['issuer']);
    throw new PodwrightError(
      'E_INVALID',
      `${where}: issuer did not match: expected ${JSON.stringify(url)}, got ${other}`,
    );
  }
  const jwksUri = stringOf(about['jwks_uri']);
  if (!URL.canParse(jwksUri) || new URL(jwksUri).protocol !== 'https:') {
    throw new PodwrightError('E_INVALID', `${where}: jwks_uri ${JSON.stringify(jwksUri)} is no https URL`);
  }
  return parseKeySet(await fetchJson(jwksUri, caPem));
}

/** Public keys for signatures; those of other kinds are passed over, as their owner may use them for other things. Pure. */
export function parseKeySet(document: JsonObject): readonly IssuerKey[] {
  const keys = objectsOf(document['keys']);
  if (keys.length > keysMax) throw new PodwrightError('E_LIMIT', `${keys.length} keys, more than ${keysMax}`);
  return keys.flatMap((jwk) => {
    const use = stringOf(jwk['use']);
    const kty = stringOf(jwk['kty']);
    if ((use !== '' && use !== 'sig') || (kty !== 'RSA' && kty !== 'EC')) return [];
    const key = publicKeyOf(jwk);
    if (key === undefined) return [];
    const [id, algorithm] = [jwk['kid'], jwk['alg']].map((value) =>
      typeof value === 'string' ? value : undefined,
    );
    return [{ id, algorithm, key }];
  });
}

function publicKeyOf(jwk: JsonObject): KeyObject | undefined {
  try {
    return createPublicKey({ key: { ...jwk }, format: 'jwk' });
  } catch {
    return undefined; // One that is broken does not take the others with it.
  }
}
