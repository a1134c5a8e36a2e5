/** The options of `server` that say by what it knows who asks: names and meaning as of kube-apiserver. Declared apart: they are many. */
import { InvalidArgumentError, type Command } from 'commander';

/** As they were given; files by their paths, durations as Go writes them. */
export interface AuthenticationCommandOptions {
  readonly anonymousAuth?: boolean;
  readonly clientCaFile?: string;
  readonly apiAudiences?: readonly string[];
  readonly serviceAccountIssuer?: readonly string[];
  readonly serviceAccountKeyFile?: readonly string[];
  readonly serviceAccountSigningKeyFile?: string;
  readonly serviceAccountMaxTokenExpiration?: string;
  readonly serviceAccountExtendTokenExpiration?: boolean;
  readonly serviceAccountJwksUri?: string;
  readonly authenticationConfig?: string;
  readonly authenticationTokenWebhookConfigFile?: string;
  readonly authenticationTokenWebhookVersion?: string;
  readonly authenticationTokenWebhookCacheTtl?: string;
  readonly oidcIssuerUrl?: string;
  readonly oidcClientId?: string;
  readonly oidcCaFile?: string;
  readonly oidcUsernameClaim?: string;
  readonly oidcUsernamePrefix?: string;
  readonly oidcGroupsClaim?: string;
  readonly oidcGroupsPrefix?: string;
  readonly oidcRequiredClaim?: readonly string[];
  readonly oidcSigningAlgs?: readonly string[];
  readonly requestheaderClientCaFile?: string;
  readonly requestheaderAllowedNames?: readonly string[];
  readonly requestheaderUsernameHeaders?: readonly string[];
  readonly requestheaderUidHeaders?: readonly string[];
  readonly requestheaderGroupHeaders?: readonly string[];
  readonly requestheaderExtraHeadersPrefix?: readonly string[];
}

function truth(text: string): boolean {
  if (text === 'true' || text === 'false') return text === 'true';
  throw new InvalidArgumentError('takes true or false');
}

/** Also several in one, with commas between; what is given replaces the default. */
function several(text: string, earlier: readonly string[] | undefined): readonly string[] {
  return [...(earlier ?? []), ...text.split(',')];
}

function each(text: string, earlier: readonly string[] | undefined): readonly string[] {
  return [...(earlier ?? []), text];
}

export function authenticationOptions(command: Command): Command {
  return frontProxyOptions(issuerOptions(serviceAccountOptions(command)))
    .option(
      '--anonymous-auth <bool>',
      'who shows nothing is system:anonymous, not refused (default: true)',
      truth,
    )
    .option(
      '--client-ca-file <file>',
      "certificates that sign clients', PEM, besides the cluster's own; read again when it changes",
    );
}

function serviceAccountOptions(command: Command): Command {
  return command
    .option(
      '--service-account-issuer <url>',
      'whose tokens are taken; the first signs; can be repeated (default: https://kubernetes.default.svc)',
      each,
    )
    .option('--api-audiences <name,name>', 'what tokens are to be meant for (default: the issuers)', several)
    .option(
      '--service-account-key-file <file>',
      'keys of which tokens are taken, PEM; can be repeated; read again when it changes',
      each,
    )
    .option(
      '--service-account-signing-key-file <file>',
      "what signs tokens, PEM (default: the cluster's own); read again when it changes",
    )
    .option(
      '--service-account-max-token-expiration <duration>',
      'no token lives longer, whatever is asked for (default: 8760h)',
    )
    .option(
      '--service-account-extend-token-expiration <bool>',
      'tokens of pods live a year where an hour was asked for (default: true)',
      truth,
    )
    .option(
      '--service-account-jwks-uri <url>',
      'where others find the public keys (default: /openid/v1/jwks at the advertised address)',
    );
}

function frontProxyOptions(command: Command): Command {
  return command
    .option(
      '--requestheader-client-ca-file <file>',
      'certificates that sign those of a proxy in front, PEM; its headers say who asks',
    )
    .option(
      '--requestheader-allowed-names <name,name>',
      "common names of the proxy's certificate (default: all of that file's)",
      several,
    )
    .option(
      '--requestheader-username-headers <name,name>',
      'headers with the user (default: x-remote-user)',
      several,
    )
    .option(
      '--requestheader-uid-headers <name,name>',
      'headers with its uid (default: x-remote-uid)',
      several,
    )
    .option(
      '--requestheader-group-headers <name,name>',
      'headers with its groups (default: x-remote-group)',
      several,
    )
    .option(
      '--requestheader-extra-headers-prefix <prefix,prefix>',
      'what headers with more about it begin with (default: x-remote-extra-)',
      several,
    );
}

function issuerOptions(command: Command): Command {
  return command
    .option(
      '--authentication-config <file>',
      'an AuthenticationConfiguration: whose tokens are taken besides, who may be nobody; read again when it changes',
    )
    .option(
      '--authentication-token-webhook-config-file <file>',
      'a kubeconfig of who is asked about tokens that nobody here knows',
    )
    .option(
      '--authentication-token-webhook-version <version>',
      'of its TokenReview: v1 or v1beta1 (default: v1beta1)',
    )
    .option('--authentication-token-webhook-cache-ttl <duration>', 'how long its answers hold (default: 2m)')
    .option('--oidc-issuer-url <url>', 'an issuer whose tokens are taken besides; https')
    .option('--oidc-client-id <name>', 'what those tokens are meant for')
    .option(
      '--oidc-ca-file <file>',
      'certificates that sign that of the issuer, PEM (default: those Node knows)',
    )
    .option('--oidc-username-claim <claim>', 'the claim with the user (default: sub)')
    .option(
      '--oidc-username-prefix <text>',
      "what stands before it; - is nothing (default: the issuer's URL and #, but before email nothing)",
    )
    .option('--oidc-groups-claim <claim>', 'the claim with its groups (default: none)')
    .option('--oidc-groups-prefix <text>', 'what stands before each')
    .option(
      '--oidc-required-claim <key=value,key=value>',
      'claims that a token must have; can be repeated',
      several,
    )
    .option('--oidc-signing-algs <name,name>', 'how they may be signed (default: RS256)', several);
}
