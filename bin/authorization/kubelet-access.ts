/** Who may call a node's port, by the options of a kubelet. */
import { Option, type Command } from 'commander';
import { existsSync } from 'node:fs';
import type { AccessOptions } from '#agent/kubelet/server/access/access.ts';

/** As given. */
export interface KubeletAccessCommandOptions {
  readonly anonymousAuth: 'true' | 'false';
  readonly authenticationTokenWebhook: 'true' | 'false';
  readonly authorizationMode: AccessOptions['mode'];
  /** Default: the cluster's, of the directory of credentials. */
  readonly clientCaFile?: string;
}

/** The kubelet's own flags; the defaults are those of a kubelet that kubeadm configures. */
export function addKubeletAccessOptions(command: Command): Command {
  return command
    .addOption(
      booleanOption(
        '--anonymous-auth',
        "whether who shows no certificate and no token to the node's port is system:anonymous",
      ).default('false'),
    )
    .addOption(
      booleanOption(
        '--authentication-token-webhook',
        'whether the API server is asked whose a token is',
      ).default('true'),
    )
    .addOption(
      new Option(
        '--authorization-mode <mode>',
        "who says what may be done at the node's port: the API server, or nobody",
      )
        .choices(['Webhook', 'AlwaysAllow'])
        .default('Webhook'),
    )
    .option(
      '--client-ca-file <file>',
      "certificates that sign those of the port's clients, PEM (default: the cluster's)",
    );
}

/** `--x`, `--x true`, `--x=false`: kept as text, for a unit to have it said again. */
function booleanOption(flag: string, description: string): Option {
  return new Option(`${flag} [boolean]`, description).choices(['true', 'false']).preset('true');
}

/** All that is wrong, each beginning with the option's name. */
export function kubeletAccessProblems({ clientCaFile }: KubeletAccessCommandOptions): readonly string[] {
  return clientCaFile === undefined || existsSync(clientCaFile)
    ? []
    : [`--client-ca-file ${clientCaFile}: there is no such file`];
}

export function kubeletAccessOf(options: KubeletAccessCommandOptions): AccessOptions {
  return {
    anonymous: options.anonymousAuth === 'true',
    tokenWebhook: options.authenticationTokenWebhook === 'true',
    mode: options.authorizationMode,
  };
}
