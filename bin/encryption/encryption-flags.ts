/** `--encryption-…`: which values are sealed in the store, and how, under kube-apiserver's names. */
import { resolve } from 'node:path';
import { Option, type Command } from 'commander';
import { yesOrNo } from '#bin/audit/audit-flags.ts';
import type { EncryptionOptions } from '#control-plane/apiserver/encryption/encryption.ts';

export interface EncryptionFlags {
  readonly encryptionProviderConfig?: string;
  readonly encryptionProviderConfigAutomaticReload?: boolean;
}

export function addEncryptionFlags(command: Command): Command {
  return command
    .option(
      '--encryption-provider-config <file>',
      'an EncryptionConfiguration: which resources are encrypted in the store, and with which keys (default: none)',
    )
    .addOption(
      new Option(
        '--encryption-provider-config-automatic-reload [yes]',
        'take the file again when it has changed (default: false)',
      )
        .preset('true')
        .argParser(yesOrNo),
    );
}

/** All that is wrong, each beginning with the option's name. Pure. */
export function encryptionFlagProblems(flags: EncryptionFlags): readonly string[] {
  const { encryptionProviderConfig: path, encryptionProviderConfigAutomaticReload: isReloaded } = flags;
  return path === undefined && isReloaded === true
    ? ['--encryption-provider-config-automatic-reload: give --encryption-provider-config too']
    : [];
}

export function readEncryption(flags: EncryptionFlags): { readonly encryption?: EncryptionOptions } {
  const { encryptionProviderConfig: path, encryptionProviderConfigAutomaticReload: isReloaded = false } =
    flags;
  return path === undefined ? {} : { encryption: { path: resolve(path), isReloaded } };
}
