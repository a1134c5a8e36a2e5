import type { Clock } from '#base/clock.ts';
import { PodwrightError } from '#base/errors.ts';
import { at, stringOf } from '#api/wire/json.ts';
import type { ApiClient } from '#client/client.ts';
import type { ServiceAccountToken, TokenWish } from './volume.ts';

/** Service account tokens, asked for once and kept until they should be renewed. */
export interface Tokens {
  get(wish: TokenWish): Promise<ServiceAccountToken>;
}

/** Renewed when this part of the lifetime is over, or after a day (kubelet's token manager). */
const renewFraction = 0.8;
const renewAfterMaxMs = 24 * 3_600_000;
const tokensMax = 2048;

export function createTokens({
  client,
  clock,
}: {
  readonly client: ApiClient;
  readonly clock: Clock;
}): Tokens {
  const known = new Map<string, ServiceAccountToken>();
  return {
    get: async (wish) => {
      const key = JSON.stringify([wish.pod.metadata?.uid, wish.audience, wish.expirationSeconds]);
      const kept = known.get(key);
      if (kept !== undefined && clock.now() < kept.refreshAtMs) return kept;
      const token = await requestToken(client, wish, clock.now());
      known.delete(key);
      known.set(key, token);
      const [oldest] = known.keys();
      if (known.size > tokensMax && oldest !== undefined) known.delete(oldest);
      return token;
    },
  };
}

async function requestToken(client: ApiClient, wish: TokenWish, now: number): Promise<ServiceAccountToken> {
  const { metadata = {}, spec } = wish.pod;
  const account = spec?.serviceAccountName ?? 'default';
  const path = `/api/v1/namespaces/${metadata.namespace ?? ''}/serviceaccounts/${account}/token`;
  const { status, body } = await client.raw('POST', path, {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenRequest',
    spec: {
      ...(wish.audience === undefined || wish.audience === '' ? {} : { audiences: [wish.audience] }),
      expirationSeconds: wish.expirationSeconds,
      boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name: metadata.name, uid: metadata.uid },
    },
  });
  if (status >= 300) {
    const message = stringOf(at(parse(body), 'message')) || `HTTP ${status}`;
    throw new PodwrightError('E_API', `request a token of service account ${account}: ${message}`);
  }
  const answer = parse(body);
  const token = stringOf(at(answer, 'status.token'));
  const expirationTimestamp = stringOf(at(answer, 'status.expirationTimestamp'));
  const expiresMs = Date.parse(expirationTimestamp);
  if (token === '')
    throw new PodwrightError(
      'E_API',
      `request a token of service account ${account}: no token in the answer`,
    );
  const lifetimeMs = Number.isNaN(expiresMs) ? wish.expirationSeconds * 1000 : expiresMs - now;
  return {
    token,
    expirationTimestamp,
    refreshAtMs: now + Math.min(renewAfterMaxMs, lifetimeMs * renewFraction),
  };
}

function parse(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch (error) {
    throw new PodwrightError('E_API', 'request a token: the answer is not JSON', { cause: error });
  }
}
