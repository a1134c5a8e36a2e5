import { PodwrightError } from '#base/errors.ts';
import type { WebhookRules } from './webhook/webhook-authorizer.ts';

const modes = ['Node', 'RBAC', 'Webhook', 'AlwaysAllow', 'AlwaysDeny', 'Authenticated'] as const;

/** How Kubernetes calls its authorizers (`--authorization-mode`), and one of our own: whoever said who they are may do everything. */
export type AuthorizationMode = (typeof modes)[number];

/** Those that need nothing but the server's own books. */
export type BuiltInMode = Exclude<AuthorizationMode, 'Webhook'>;

/** One who is asked. */
export type AuthorizerSpec =
  | { readonly type: BuiltInMode; readonly name: string }
  | { readonly type: 'Webhook'; readonly name: string; readonly webhook: WebhookSpec };

/** Where a webhook is, and how it is asked. */
export interface WebhookSpec extends Omit<WebhookRules, 'name'> {
  readonly kubeConfigFile: string;
  readonly timeoutMs: number;
}

export const defaultModes: readonly AuthorizationMode[] = ['Node', 'RBAC'];
export const defaultAuthorizers: readonly AuthorizerSpec[] = specsOf(defaultModes, undefined);

/** `Node,RBAC`, in the order of being asked. @throws E_USAGE for one that is not known, or given twice */
export function readModes(text: string): readonly AuthorizationMode[] {
  const given = text.split(',').map((mode) => mode.trim());
  for (const [index, mode] of given.entries()) {
    if (!isMode(mode)) {
      throw new PodwrightError('E_USAGE', `${JSON.stringify(mode)} is none of ${modes.join(', ')}`);
    }
    if (given.indexOf(mode) !== index) throw new PodwrightError('E_USAGE', `${mode} twice`);
  }
  return given.filter(isMode);
}

/** What `--authorization-mode` asks for. @param webhook of `--authorization-webhook-*`, which the mode Webhook needs */
export function specsOf(
  given: readonly AuthorizationMode[],
  webhook: WebhookSpec | undefined,
): readonly AuthorizerSpec[] {
  return given.flatMap((type): readonly AuthorizerSpec[] => {
    if (type !== 'Webhook') return [{ type, name: type.toLowerCase() }];
    return webhook === undefined ? [] : [{ type, name: 'default', webhook }];
  });
}

export function isMode(mode: string): mode is AuthorizationMode {
  return modes.some((known) => known === mode);
}
