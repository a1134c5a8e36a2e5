import { readFile } from 'node:fs/promises';
import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '#base/clock.ts';
import { describeError, PodwrightError } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import { ReloadCounts } from '#control-plane/apiserver/configuration/reload-counts.ts';
import type { Registry } from '#control-plane/apiserver/objects/registry.ts';
import { parseTrustBundle, type TrustBundle } from '#control-plane/apiserver/pki/trust-bundle.ts';
import { loadKubeconfig } from '#client/kubeconfig.ts';
import { createWebhook } from '#client/webhook.ts';
import { anybody, type AnonymousAccess } from './anonymous.ts';
import type { TokenAuthenticator } from './authenticator.ts';
import { AuthenticationCounts } from './authentication-counts.ts';
import { createAuthentication, type Authentication } from './authenticate.ts';
import {
  tokenLifeSecondsMax,
  type AuthenticationOptions,
  type ServiceAccountTokenOptions,
  type TokenPolicy,
} from './authentication-options.ts';
import { createAuthenticators, createTokenAuthenticator, type AuthenticatorParts } from './authenticators.ts';
import { bundleOf } from './client-certificate.ts';
import { isIdentityHeader } from './front-proxy.ts';
import type { LegacyTokenParts } from './legacy-tokens.ts';
import {
  parseAuthenticationConfiguration,
  type AuthenticationConfiguration,
  type JwtIssuer,
} from './oidc/configuration.ts';
import { createConfiguredIssuers } from './oidc/configured-issuers.ts';
import { parseSigningKey, parseVerifyingKeys, tokenKeys } from './service-account-keys.ts';
import { defaultIssuer, TokenAuthority } from './tokens.ts';
import { tokenWebhookAuthenticator } from './token-webhook.ts';
import { watchFile, type WatchedFile } from './watched-file.ts';

export interface AuthenticationContext
  extends Pick<LegacyTokenParts, 'markUsed'>, Pick<AuthenticatorParts, 'bootstrapTokens'> {
  readonly registry: Registry;
  readonly clock: Clock;
  readonly logger: Logger;
  /** The cluster's own authority, as it is now. */
  readonly ownCaPem: () => string;
  /** The cluster's own key of service account tokens. */
  readonly ownKeyPem: string;
}

/** Who asks a server, and what it goes by for that. */
export interface ServerAuthentication extends Disposable {
  readonly authentication: Authentication;
  readonly tokens: TokenAuthority;
  readonly tokenPolicy: TokenPolicy;
  /** Authorities of clients now, the cluster's own first; PEM. */
  readonly clientCaPem: () => string;
  /** Those of a proxy in front; undefined without. */
  readonly frontProxyCaPem: () => string | undefined;
  /** Told when authorities were changed. */
  onTrustChange: (() => void) | undefined;
  readonly counts: AuthenticationCounts;
  /** Of the AuthenticationConfiguration; undefined without. */
  readonly reloads: ReloadCounts | undefined;
}

/** @throws E_USAGE for a file that cannot be read, or is wrong */
export async function openAuthentication(
  options: AuthenticationOptions,
  context: AuthenticationContext,
): Promise<ServerAuthentication> {
  using stack = new DisposableStack();
  const changed = (): void => opened.onTrustChange?.();
  const bundleFile = async (
    option: string,
    path: string | undefined,
  ): Promise<WatchedFile<TrustBundle> | undefined> =>
    path === undefined
      ? undefined
      : stack.use(await watchFile({ ...context, option, path, parse: parseTrustBundle, onChange: changed }));
  const { frontProxy } = options;
  const clientFile = await bundleFile('--client-ca-file', options.clientCaFile);
  const proxyFile = await bundleFile('--requestheader-client-ca-file', frontProxy?.clientCaFile);
  const clientCaPem = (): string => `${context.ownCaPem()}${clientFile?.value.pem ?? ''}`;
  const tokens = await openTokens(options.serviceAccounts ?? {}, context, stack);
  const tokenPolicy = policyOf(options.serviceAccounts ?? {}, tokens.issuers);
  const { apiAudiences } = tokenPolicy;
  const configured = await openIssuers(options, { ...context, tokens, apiAudiences }, stack);
  const parts: AuthenticatorParts = {
    ...context,
    issuers: configured.authenticator,
    webhook: openWebhook(options.webhook, { ...context, apiAudiences }, stack),
    ...{ tokens, apiAudiences, clientCa: bundleOf(clientCaPem) },
    frontProxy: frontProxy === undefined ? undefined : { ...frontProxy, ca: () => proxyFile?.value },
  };
  const owned = stack.move();
  const counts = new AuthenticationCounts();
  const opened: ServerAuthentication = {
    authentication: createAuthentication({
      apiAudiences,
      authenticators: createAuthenticators(parts),
      tokens: createTokenAuthenticator(parts),
      anonymous: configured.anonymous,
      isIdentityHeader: isIdentityHeader(frontProxy),
      counted: { counts, clock: context.clock },
    }),
    tokens,
    tokenPolicy,
    clientCaPem,
    frontProxyCaPem: () => proxyFile?.value.pem,
    onTrustChange: undefined,
    counts,
    reloads: configured.reloads,
    [Symbol.dispose]: () => owned[Symbol.dispose](),
  };
  return opened;
}

/** Signs by the signing key, believes that one and all of the key files; each file is read again when it changes. */
async function openTokens(
  { issuers = [defaultIssuer], keyFiles = [], signingKeyFile }: ServiceAccountTokenOptions,
  context: AuthenticationContext,
  stack: DisposableStack,
): Promise<TokenAuthority> {
  const renew = (): void => authority.useKeys(current());
  const own = parseSigningKey(context.ownKeyPem);
  const signing =
    signingKeyFile === undefined
      ? { value: own }
      : stack.use(
          await watchFile({
            ...context,
            ...{ option: '--service-account-signing-key-file', path: signingKeyFile },
            ...{ parse: parseSigningKey, onChange: renew },
          }),
        );
  const others = await Promise.all(
    keyFiles.map((path) =>
      watchFile({
        ...context,
        option: '--service-account-key-file',
        path,
        parse: parseVerifyingKeys,
        onChange: renew,
      }),
    ),
  );
  for (const file of others) stack.use(file);
  const current = (): ReturnType<typeof tokenKeys> =>
    tokenKeys(
      signing.value,
      others.flatMap(({ value }) => value),
    );
  const authority = new TokenAuthority(current(), issuers, () => context.clock.now());
  return authority;
}

function policyOf(options: ServiceAccountTokenOptions, issuers: readonly string[]): TokenPolicy {
  const { apiAudiences = [], maxTokenSeconds = tokenLifeSecondsMax, extendTokenExpiration = true } = options;
  return {
    apiAudiences: apiAudiences.length === 0 ? issuers : apiAudiences,
    maxTokenSeconds,
    extendsTokens: extendTokenExpiration,
    jwksUri: options.jwksUri,
  };
}

interface OpenedIssuers {
  readonly authenticator: TokenAuthenticator;
  readonly anonymous: () => AnonymousAccess;
  readonly reloads: ReloadCounts | undefined;
}

/** Other issuers of tokens, and who may be nobody, by the file or by the options. */
async function openIssuers(
  { configFile, oidc, anonymousAuth }: AuthenticationOptions,
  context: AuthenticationContext & Pick<AuthenticatorParts, 'tokens' | 'apiAudiences'>,
  stack: DisposableStack,
): Promise<OpenedIssuers> {
  const byOption = { ...anybody, enabled: anonymousAuth ?? true };
  if (configFile === undefined) {
    const issuers = oidc === undefined ? [] : [await readOidcIssuer(oidc)];
    const { authenticator } = createConfiguredIssuers(issuers, context);
    return { authenticator, anonymous: () => byOption, reloads: undefined };
  }
  const reloads = new ReloadCounts('authentication', context.clock);
  let first: AuthenticationConfiguration | undefined;
  const parse = (text: string): AuthenticationConfiguration => {
    const configuration = parseAuthenticationConfiguration(text, context.tokens.issuers);
    const { anonymous } = configuration;
    if (anonymous !== undefined && anonymousAuth !== undefined) {
      throw new PodwrightError('E_INVALID', 'anonymous: --anonymous-auth says that too; give one of them');
    }
    // Who may be nobody is decided when the server begins, as upstream.
    if (first !== undefined && !isDeepStrictEqual(anonymous, first.anonymous)) {
      throw new PodwrightError('E_INVALID', 'anonymous: changed from the initial configuration file');
    }
    return configuration;
  };
  const file = stack.use(
    await watchFile({
      ...{ ...context, option: '--authentication-config', path: configFile, parse },
      onOffer: ({ issuers }) => configured.ready(issuers),
      onChange: ({ issuers }) => configured.use(issuers),
      onReload: (taken) => (taken === undefined ? reloads.refused() : reloads.taken(taken)),
    }),
  );
  first = file.value;
  reloads.began(file.text);
  const configured = createConfiguredIssuers(first.issuers, context);
  const anonymous = first.anonymous ?? byOption;
  return { authenticator: configured.authenticator, anonymous: () => anonymous, reloads };
}

async function readOidcIssuer({
  caFile,
  ...issuer
}: NonNullable<AuthenticationOptions['oidc']>): Promise<JwtIssuer> {
  if (caFile === undefined) return { ...issuer, caPem: undefined, discoveryUrl: undefined };
  try {
    const { pem } = parseTrustBundle(await readFile(caFile, 'utf8'));
    return { ...issuer, caPem: pem, discoveryUrl: undefined };
  } catch (error) {
    throw new PodwrightError(
      'E_USAGE',
      `start the server: --oidc-ca-file ${caFile}: ${describeError(error)}`,
    );
  }
}

/** Of one try; kube-apiserver waits as long. */
const webhookTimeoutMs = 10_000;

function openWebhook(
  rules: AuthenticationOptions['webhook'],
  { clock, apiAudiences }: Pick<AuthenticatorParts, 'clock' | 'apiAudiences'>,
  stack: DisposableStack,
): TokenAuthenticator | undefined {
  if (rules === undefined) return undefined;
  try {
    const access = loadKubeconfig(rules.file, clock);
    const webhook = stack.use(createWebhook({ access, timeoutMs: webhookTimeoutMs }));
    return tokenWebhookAuthenticator(rules, { webhook, clock, apiAudiences });
  } catch (error) {
    const option = '--authentication-token-webhook-config-file';
    throw new PodwrightError('E_USAGE', `start the server: ${option} ${rules.file}: ${describeError(error)}`);
  }
}
