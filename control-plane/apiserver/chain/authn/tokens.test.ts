import { expect, it } from 'vitest';
import { createAuthentication } from './authenticate.ts';
import { bearerAuthenticator } from './bearer-token.ts';
import { testKeys } from './credentials.fixture.ts';
import { parseSigningKey, tokenKeys } from './service-account-keys.ts';
import { serviceAccountTokenAuthenticator } from './service-account-tokens.ts';
import { defaultIssuer, legacyIssuer, TokenAuthority } from './tokens.ts';
import type { ApiRequest } from '#control-plane/apiserver/serve/request.ts';

const keysOf = (): ReturnType<typeof tokenKeys> => tokenKeys(parseSigningKey(testKeys().privatePem), []);
const account = { namespace: 'default', name: 'a', uid: 'u' };
const input = { ...account, audiences: ['api'], expirationSeconds: 600 };

it('a token that comes again is read once, by whoever takes its issuer, until the keys change', async () => {
  const tokens = new TokenAuthority(keysOf(), [defaultIssuer], Date.now);
  const { token } = await tokens.sign(input);
  const first = await tokens.read(token, [defaultIssuer]);
  const again = await tokens.read(token, [defaultIssuer]);
  expect(first).toHaveProperty('payload.iss', defaultIssuer);
  expect(again && 'payload' in again ? again.payload : again).toBe(
    first && 'payload' in first ? first.payload : undefined,
  );
  expect(await tokens.read(token, [legacyIssuer])).toBeUndefined();
  tokens.useKeys(keysOf());
  expect(await tokens.read(token, [defaultIssuer])).toHaveProperty('cause');
});

it('its user is one value, so that what is made of users is made once', async () => {
  const tokens = new TokenAuthority(keysOf(), [defaultIssuer], Date.now);
  const { token } = await tokens.sign(input);
  const object = { metadata: { name: 'a', uid: 'u' } };
  const authenticator = serviceAccountTokenAuthenticator({
    tokens,
    apiAudiences: ['api'],
    registry: { read: async () => ({ object }) as never, readAtOnce: () => ({ object }) as never },
    clock: { now: Date.now },
  });
  const { authenticate } = createAuthentication({
    authenticators: [bearerAuthenticator(authenticator, ['api'])],
    tokens: authenticator,
    apiAudiences: ['api'],
    isIdentityHeader: () => false,
    anonymous: () => ({ kind: 'nobody' }) as never,
  });
  const request = { headers: { authorization: `Bearer ${token}` } } as unknown as ApiRequest;
  const [one, other] = [await authenticate(request), await authenticate(request)];
  expect(one.user.groups).toEqual([
    'system:serviceaccounts',
    'system:serviceaccounts:default',
    'system:authenticated',
  ]);
  expect(other.user).toBe(one.user);
});
