import { resolve } from 'node:path';
import type { JsonObject } from '#api/meta/object.ts';
import { isObject, objectOf } from '#api/wire/json.ts';
import type { PluginConfiguration } from '#control-plane/apiserver/chain/admission/choice/plugin-row.ts';
import { wrong } from '#control-plane/apiserver/chain/admission/configuration.ts';

/** What an ImagePolicyWebhook is told (plugin/pkg/admission/imagepolicy, config.go): a document without a kind. */
export interface ImagePolicy {
  /** Absolute. */
  readonly kubeConfigFile: string;
  /** How long an answer holds; 0: it is asked each time. */
  readonly allowTtlMs: number;
  readonly denyTtlMs: number;
  /** Before the second try. */
  readonly retryBackoffMs: number;
  /** Whether images are taken of which it says nothing. */
  readonly isAllowedByDefault: boolean;
}

interface Duration {
  readonly unitMs: number;
  readonly defaultMs: number;
  /** Excluded. */
  readonly minMs: number;
  readonly maxMs: number;
}

const durations = {
  allowTTL: { unitMs: 1000, defaultMs: 300_000, minMs: 1000, maxMs: 1_800_000 },
  denyTTL: { unitMs: 1000, defaultMs: 30_000, minMs: 1000, maxMs: 1_800_000 },
  retryBackoff: { unitMs: 1, defaultMs: 500, minMs: 0, maxMs: 300_000 },
} satisfies Readonly<Record<string, Duration>>;
const fields: readonly string[] = ['kubeConfigFile', 'defaultAllow', ...Object.keys(durations)];

/** @throws {E_INVALID} beginning with the field that is wrong */
export function parseImagePolicy({
  value,
  directory,
}: Pick<PluginConfiguration, 'value' | 'directory'>): ImagePolicy {
  const policy = value['imagePolicy'];
  if (!isObject(policy)) throw wrong('imagePolicy', 'must be an object');
  for (const field of Object.keys(policy))
    if (!fields.includes(field)) throw wrong(`imagePolicy.${field}`, 'is not known');
  const { kubeConfigFile, defaultAllow = false } = objectOf(policy);
  if (typeof kubeConfigFile !== 'string' || kubeConfigFile === '')
    throw wrong('imagePolicy.kubeConfigFile', 'must name a file');
  if (typeof defaultAllow !== 'boolean') throw wrong('imagePolicy.defaultAllow', 'must be true or false');
  return {
    kubeConfigFile: resolve(directory, kubeConfigFile),
    allowTtlMs: durationOf(policy, 'allowTTL'),
    denyTtlMs: durationOf(policy, 'denyTTL'),
    retryBackoffMs: durationOf(policy, 'retryBackoff'),
    isAllowedByDefault: defaultAllow,
  };
}

/** 0 is the default, -1 none. */
function durationOf(policy: JsonObject, field: keyof typeof durations): number {
  const { unitMs, defaultMs, minMs, maxMs } = durations[field];
  const given = policy[field] ?? 0;
  if (!Number.isInteger(given)) throw wrong(`imagePolicy.${field}`, 'must be a whole number');
  if (given === 0) return defaultMs;
  if (given === -1) return 0;
  const ms = Number(given) * unitMs;
  if (ms > minMs && ms <= maxMs) return ms;
  const range = `above ${minMs / unitMs} and at most ${maxMs / unitMs}`;
  throw wrong(`imagePolicy.${field}`, `must be ${range}, 0 for the default, or -1 for none`);
}
