import type { Clock } from '#base/clock.ts';
import type { Logger } from '#base/log.ts';
import type { Registry } from '#control-plane/apiserver/objects/registry.ts';
import type { Authenticator, TokenAuthenticator } from './authenticator.ts';
import { meantForServer, tokenUnionOf } from './authenticator.ts';
import { bearerAuthenticator } from './bearer-token.ts';
import type { CurrentBundle } from './client-certificate.ts';
import { frontProxyAuthenticator, type FrontProxyOptions } from './front-proxy.ts';
import { legacyTokenAuthenticator, type LegacyTokenParts } from './legacy-tokens.ts';
import { bootstrapTokenAuthenticator, type BootstrapTokenBook } from './bootstrap-tokens.ts';
import { serviceAccountTokenAuthenticator } from './service-account-tokens.ts';
import type { TokenAuthority } from './tokens.ts';
import { x509Authenticator } from './x509.ts';

/** What those go by who know who asks. */
export interface AuthenticatorParts extends Pick<LegacyTokenParts, 'markUsed'> {
  readonly registry: Registry;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly tokens: TokenAuthority;
  readonly bootstrapTokens: BootstrapTokenBook;
  /** What tokens are to be meant for, for this server to take them. */
  readonly apiAudiences: readonly string[];
  /** Authorities of clients. */
  readonly clientCa: CurrentBundle;
  /** Tokens of other issuers. */
  readonly issuers?: TokenAuthenticator | undefined;
  /** Who outside is asked about tokens, last. */
  readonly webhook?: TokenAuthenticator | undefined;
  /** Where there is a proxy in front: its authorities, and its headers. */
  readonly frontProxy?: (FrontProxyOptions & { readonly ca: CurrentBundle }) | undefined;
}

/** By bearer tokens, in upstream's order: those known here, then those that others are asked about. undefined: not of this server. */
const tokenMakers: readonly ((parts: AuthenticatorParts) => TokenAuthenticator | undefined)[] = [
  (parts) => legacyTokenAuthenticator(parts),
  (parts) => serviceAccountTokenAuthenticator(parts),
  ({ bootstrapTokens, clock, apiAudiences }) =>
    meantForServer(bootstrapTokenAuthenticator(bootstrapTokens, clock), apiAudiences),
  ({ issuers }) => issuers,
  ({ webhook }) => webhook,
];

/** All, in upstream's order (pkg/kubeapiserver/authenticator/config.go). */
const makers: readonly ((parts: AuthenticatorParts) => Authenticator | undefined)[] = [
  () => inProcessAuthenticator,
  ({ frontProxy, clock }) => frontProxy && frontProxyAuthenticator(frontProxy.ca, frontProxy, clock),
  ({ clientCa, clock }) => x509Authenticator(clientCa, clock),
  (parts) => bearerAuthenticator(createTokenAuthenticator(parts), parts.apiAudiences),
];

/** Clients of this very process. */
export const inProcessAuthenticator: Authenticator = {
  name: 'in process',
  authenticate: ({ caller }) => (caller.kind === 'in-process' ? { user: caller.user } : undefined),
};

/** Each of those who are asked, in order. */
export function createAuthenticators(parts: AuthenticatorParts): readonly Authenticator[] {
  return makers.flatMap((make) => make(parts) ?? []);
}

/** The one whom reviews ask, too. */
export function createTokenAuthenticator(parts: AuthenticatorParts): TokenAuthenticator {
  return tokenUnionOf(tokenMakers.flatMap((make) => make(parts) ?? []));
}
