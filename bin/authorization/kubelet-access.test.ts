import { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { argumentsOf } from '#bin/install/systemd.ts';
import {
  addKubeletAccessOptions,
  kubeletAccessOf,
  type KubeletAccessCommandOptions,
} from './kubelet-access.ts';

function parse(words: readonly string[]): KubeletAccessCommandOptions {
  const command = addKubeletAccessOptions(
    new Command().exitOverride().configureOutput({ writeErr: () => {} }),
  );
  return command.parse(words, { from: 'user' }).opts<KubeletAccessCommandOptions>();
}

const usual = { anonymous: false, tokenWebhook: true, mode: 'Webhook' } as const;

describe('kubeletAccessOf()', () => {
  it.each([
    ['', usual],
    ['--anonymous-auth', { ...usual, anonymous: true }],
    ['--anonymous-auth=true', { ...usual, anonymous: true }],
    ['--anonymous-auth false', usual],
    ['--authentication-token-webhook=false', { ...usual, tokenWebhook: false }],
    ['--authorization-mode AlwaysAllow', { ...usual, mode: 'AlwaysAllow' }],
  ] as const)('of %j', (words, want) => {
    const given = parse(words.split(' ').filter((word) => word !== ''));
    expect(kubeletAccessOf(given)).toEqual(want);
    // As an installed agent is told it.
    expect(kubeletAccessOf(parse(argumentsOf({ ...given })))).toEqual(want);
  });

  it.each(['--anonymous-auth=maybe', '--authorization-mode RBAC'])('%s is refused', (words) => {
    expect(() => parse(words.split(' '))).toThrow(/Allowed choices are/);
  });
});
