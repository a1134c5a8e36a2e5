import type { JwtIssuer } from './oidc/configuration.ts';
import type { TokenWebhookRules } from './token-webhook.ts';
import type { FrontProxyOptions } from './front-proxy.ts';

/** By what a server knows who asks: the flags of kube-apiserver, files by their paths. All have a default. */
export interface AuthenticationOptions {
  /** Whether who shows nothing is system:anonymous, or refused. Default true. */
  readonly anonymousAuth?: boolean;
  /** Authorities of clients, PEM, besides the cluster's own. */
  readonly clientCaFile?: string;
  /** A proxy in front that says who asks. */
  readonly frontProxy?: FrontProxyOptions & { readonly clientCaFile: string };
  readonly serviceAccounts?: ServiceAccountTokenOptions;
  /** An AuthenticationConfiguration: whose tokens are taken besides, and who may be nobody, read again when it changes. */
  readonly configFile?: string;
  /** Instead, one issuer. `caFile`: PEM. */
  readonly oidc?: Omit<JwtIssuer, 'caPem' | 'discoveryUrl'> & { readonly caFile?: string };
  /** Who outside is asked about tokens that nobody here knows. `file`: a kubeconfig. */
  readonly webhook?: TokenWebhookRules & { readonly file: string };
}

export interface ServiceAccountTokenOptions {
  /** The first signs; tokens of all are taken. Default `defaultIssuer`. */
  readonly issuers?: readonly string[];
  /** What tokens are to be meant for. Default the issuers. */
  readonly apiAudiences?: readonly string[];
  /** Keys of which tokens are taken, PEM, several in each. */
  readonly keyFiles?: readonly string[];
  /** What signs. Default the cluster's own key. */
  readonly signingKeyFile?: string;
  /** No token lives longer, whatever is asked for. Default a year. */
  readonly maxTokenSeconds?: number;
  /** Whether tokens of pods live a year where clients of this server would have to take a new one after an hour. Default true. */
  readonly extendTokenExpiration?: boolean;
  /** Where others find the public keys. Default below the address that is advertised. */
  readonly jwksUri?: string;
}

/** What tokens are given out. */
export interface TokenPolicy {
  readonly apiAudiences: readonly string[];
  readonly maxTokenSeconds: number;
  readonly extendsTokens: boolean;
  readonly jwksUri: string | undefined;
}

/** No token lives longer than this where nothing else was said. */
export const tokenLifeSecondsMax = 31_536_000;
