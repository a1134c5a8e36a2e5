import { anybody } from './anonymous.ts';
import { createAuthentication, type Authentication } from './authenticate.ts';
import { tokenUnionOf } from './authenticator.ts';
import { inProcessAuthenticator } from './authenticators.ts';

/** Knows clients of the same process, and nobody else: for tests of what is behind. */
export const inProcessAuthentication: Authentication = createAuthentication({
  apiAudiences: ['api'],
  isIdentityHeader: () => false,
  anonymous: () => anybody,
  tokens: tokenUnionOf([]),
  authenticators: [inProcessAuthenticator],
});
