import type { Clock } from '#base/clock.ts';
import type { Logger } from '#base/log.ts';
import { loadKubeconfig } from '#client/kubeconfig.ts';
import { createWebhook } from '#client/webhook.ts';
import type { AccessBooks } from './access-books.ts';
import { unionOf, type Authorizer } from './authorizer.ts';
import { authenticatedAuthorizer } from './authenticated.ts';
import { defaultAuthorizers, type AuthorizerSpec, type BuiltInMode, type WebhookSpec } from './modes.ts';
import { configuredAuthorizer, type ConfiguredAuthorizer } from './config/configured-authorizer.ts';
import { nodeAuthorizer } from './node/node-authorizer.ts';
import { everything, nothing, privilegedAuthorizer } from './privileged.ts';
import { publicPathsAuthorizer } from './public-paths.ts';
import { rbacAuthorizer } from './rbac/rbac-authorizer.ts';
import { webhookAuthorizer } from './webhook/webhook-authorizer.ts';

/** What authorizers are made of. */
export interface AuthorizerParts {
  readonly books: AccessBooks;
  readonly clock: Clock;
}

const makers: Readonly<Record<BuiltInMode, (books: AccessBooks) => Authorizer>> = {
  Node: ({ nodes, nodeRules }) => nodeAuthorizer(nodes, nodeRules),
  RBAC: ({ rbac }) => rbacAuthorizer(rbac),
  AlwaysAllow: () => ({
    name: 'AlwaysAllow',
    decide: () => ({ decision: 'allow', reason: '' }),
    rulesOf: () => everything,
  }),
  AlwaysDeny: () => ({
    name: 'AlwaysDeny',
    decide: () => ({ decision: 'noOpinion', reason: 'Everything is forbidden.' }),
    rulesOf: () => nothing,
  }),
  /** Whoever said who they are may do everything, and anybody may ask whether the server is well. */
  Authenticated: () => unionOf([authenticatedAuthorizer, publicPathsAuthorizer]),
};

/**
 * Each of those who are asked, in order; who holds the cluster's own certificate is asked about before all of them.
 * @throws {E_INVALID} for a webhook's kubeconfig that is none
 */
export function createAuthorizers(
  parts: AuthorizerParts,
  specs: readonly AuthorizerSpec[] = defaultAuthorizers,
): readonly (Authorizer & Partial<Disposable>)[] {
  return [
    privilegedAuthorizer,
    ...specs.map((spec) =>
      spec.type === 'Webhook' ? openWebhook(parts, spec) : makers[spec.type](parts.books),
    ),
  ];
}

function openWebhook(
  { clock }: AuthorizerParts,
  { name, webhook }: { readonly name: string; readonly webhook: WebhookSpec },
): Authorizer & Disposable {
  const { kubeConfigFile, timeoutMs, ...rules } = webhook;
  const asked = createWebhook({ access: loadKubeconfig(kubeConfigFile, clock), timeoutMs });
  const authorizer = webhookAuthorizer({ ...rules, name }, { webhook: asked, clock });
  return { ...authorizer, [Symbol.dispose]: () => asked[Symbol.dispose]() };
}

/** In order, or as a file says it and changes it. */
export type AuthorizationOptions =
  | { readonly authorizers: readonly AuthorizerSpec[] }
  | { readonly file: string };

/** The one that everybody asks: requests, upgrades, impersonation, reviews. @throws {E_INVALID} for files that are wrong */
export function openAuthorizer(
  parts: AuthorizerParts & { readonly logger: Logger },
  options: AuthorizationOptions = { authorizers: defaultAuthorizers },
): Authorizer & Disposable & Partial<Pick<ConfiguredAuthorizer, 'reloads'>> {
  if ('authorizers' in options) return createAuthorizer(parts, options.authorizers);
  return configuredAuthorizer(options.file, {
    ...parts,
    make: (specs) => createAuthorizer(parts, specs),
  });
}

/** All of them as one. @throws as `createAuthorizers` */
export function createAuthorizer(
  parts: AuthorizerParts,
  specs?: readonly AuthorizerSpec[],
): Authorizer & Disposable {
  const authorizers = createAuthorizers(parts, specs);
  return {
    ...unionOf(authorizers),
    [Symbol.dispose]: () => {
      for (const authorizer of authorizers) authorizer[Symbol.dispose]?.();
    },
  };
}
