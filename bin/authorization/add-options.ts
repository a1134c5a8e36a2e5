/** Apart from what reads them: `podwright` says what options there are without loading a server. */
import type { Command } from 'commander';

/** `--authorization-*` of the server, as given. */
export interface AuthorizationCommandOptions {
  readonly authorizationMode?: string;
  readonly authorizationConfig?: string;
  readonly authorizationWebhookConfigFile?: string;
  readonly authorizationWebhookVersion?: string;
  readonly authorizationWebhookCacheAuthorizedTtl?: string;
  readonly authorizationWebhookCacheUnauthorizedTtl?: string;
}

export const defaultMode = 'Node,RBAC';

export function addAuthorizationOptions(command: Command): Command {
  return command
    .option(
      '--authorization-mode <mode,mode>',
      `who is asked what a request may do: Node, RBAC, Webhook, AlwaysAllow, AlwaysDeny, Authenticated (default: ${defaultMode})`,
    )
    .option(
      '--authorization-config <file>',
      'the same as an AuthorizationConfiguration, read again when it changes; instead of the options beside it',
    )
    .option('--authorization-webhook-config-file <file>', 'kubeconfig of the webhook of mode Webhook')
    .option('--authorization-webhook-version <version>', 'of its SubjectAccessReviews (default: v1beta1)')
    .option(
      '--authorization-webhook-cache-authorized-ttl <duration>',
      'how long what it allows holds (default: 5m)',
    )
    .option(
      '--authorization-webhook-cache-unauthorized-ttl <duration>',
      'how long what it does not allow holds (default: 30s)',
    );
}
