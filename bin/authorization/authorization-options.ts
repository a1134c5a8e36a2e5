/** `--authorization-*` of the server, named as kube-apiserver's: who is asked what a request may do. */
import { resolve } from 'node:path';
import { parseDurationMs } from '#api/meta/duration.ts';
import { describeError } from '#base/errors.ts';
import { readAuthorizationConfiguration } from '#control-plane/apiserver/chain/authz/config/authorization-configuration.ts';
import { readModes, specsOf, type WebhookSpec } from '#control-plane/apiserver/chain/authz/modes.ts';
import type { AuthorizationOptions } from '#control-plane/apiserver/chain/authz/authorizers.ts';
import { defaultMode, type AuthorizationCommandOptions } from './add-options.ts';

/** As long as kube-apiserver waits for the webhook that its options name. */
const webhookTimeoutMs = 30_000;

/** All that is wrong, each beginning with the option's name. */
export function authorizationProblems(options: AuthorizationCommandOptions): readonly string[] {
  const { authorizationConfig, authorizationMode, authorizationWebhookConfigFile } = options;
  const given = {
    '--authorization-mode': authorizationMode,
    '--authorization-webhook-config-file': authorizationWebhookConfigFile,
    '--authorization-webhook-version': options.authorizationWebhookVersion,
    '--authorization-webhook-cache-authorized-ttl': options.authorizationWebhookCacheAuthorizedTtl,
    '--authorization-webhook-cache-unauthorized-ttl': options.authorizationWebhookCacheUnauthorizedTtl,
  };
  const [other] = Object.entries(given).flatMap(([option, value]) => (value === undefined ? [] : [option]));
  if (authorizationConfig !== undefined) {
    return other === undefined
      ? problemOf('--authorization-config', () => readAuthorizationConfiguration(authorizationConfig))
      : [`${other}: cannot be given with --authorization-config, which says that too`];
  }
  const mode = authorizationMode ?? defaultMode;
  return [
    ...problemOf(`--authorization-mode ${mode}`, () => readModes(mode)),
    ...webhookProblems(options, mode),
  ];
}

function webhookProblems(options: AuthorizationCommandOptions, mode: string): readonly string[] {
  const { authorizationWebhookConfigFile: file, authorizationWebhookVersion: version = 'v1beta1' } = options;
  const isAsked = mode.split(',').some((name) => name.trim() === 'Webhook');
  return [
    ...(isAsked === (file !== undefined)
      ? []
      : isAsked
        ? ['--authorization-mode Webhook: give --authorization-webhook-config-file too']
        : ['--authorization-webhook-config-file: nobody asks it without --authorization-mode Webhook']),
    ...(version === 'v1' || version === 'v1beta1'
      ? []
      : [`--authorization-webhook-version ${version}: neither v1 nor v1beta1`]),
    ...problemOf('--authorization-webhook-cache-authorized-ttl', () =>
      parseDurationMs(options.authorizationWebhookCacheAuthorizedTtl ?? '0'),
    ),
    ...problemOf('--authorization-webhook-cache-unauthorized-ttl', () =>
      parseDurationMs(options.authorizationWebhookCacheUnauthorizedTtl ?? '0'),
    ),
  ];
}

function problemOf(option: string, read: () => unknown): readonly string[] {
  try {
    read();
    return [];
  } catch (error) {
    return [`${option}: ${describeError(error)}`];
  }
}

/** Of options without problems. */
export function readAuthorization(options: AuthorizationCommandOptions): AuthorizationOptions {
  const { authorizationConfig } = options;
  if (authorizationConfig !== undefined) return { file: resolve(authorizationConfig) };
  return { authorizers: specsOf(readModes(options.authorizationMode ?? defaultMode), webhookOf(options)) };
}

function webhookOf(options: AuthorizationCommandOptions): WebhookSpec | undefined {
  const { authorizationWebhookConfigFile: file } = options;
  if (file === undefined) return undefined;
  return {
    kubeConfigFile: resolve(file),
    timeoutMs: webhookTimeoutMs,
    version: options.authorizationWebhookVersion === 'v1' ? 'v1' : 'v1beta1',
    authorizedTtlMs: parseDurationMs(options.authorizationWebhookCacheAuthorizedTtl ?? '5m'),
    unauthorizedTtlMs: parseDurationMs(options.authorizationWebhookCacheUnauthorizedTtl ?? '30s'),
    failurePolicy: 'NoOpinion',
    matchConditions: [],
  };
}
