/** KubeletConfiguration of a file with drop-ins, as upstream's kubelet reads it (--config, --config-dir). */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseDurationMs } from '#api/meta/duration.ts';
import { parseConfigDocument, type DocumentKind } from '#api/config/config-document.ts';
import { fieldsWithoutEffect } from '#api/config/field-effects.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { at, isObject } from '#api/wire/json.ts';
import { describeError, PodwrightError } from '#base/errors.ts';
import { examineGates } from './feature-gates.ts';
import { configurationFields } from './configuration-fields.ts';

const documentKind: DocumentKind = {
  kind: 'KubeletConfiguration',
  apiVersions: ['kubelet.config.k8s.io/v1beta1'],
  fields: Object.fromEntries(Object.entries(configurationFields).map(([name, { shape }]) => [name, shape])),
};

export interface ConfigurationSources {
  /** Undefined: none. */
  readonly file: string | undefined;
  /** Of drop-ins, `*.conf`, taken in the order of their names; below it too. */
  readonly directory: string | undefined;
}

/** Drop-ins of a directory at most. */
const dropInsMax = 256;

/**
 * All of it in one document: a drop-in replaces what came before it, field by field; of mappings, member by member.
 * @throws {E_INVALID} with the file and all that is wrong in it
 */
export function readKubeletConfiguration({ file, directory }: ConfigurationSources): JsonObject {
  const files = [
    ...(file === undefined ? [] : [file]),
    ...(directory === undefined ? [] : dropInsOf(directory)),
  ];
  return files.reduce<JsonObject>((merged, path) => mergeDropIn(merged, readDocument(path)), {});
}

function readDocument(path: string): JsonObject {
  try {
    return parseConfigDocument(readFileSync(path, 'utf8'), documentKind);
  } catch (cause) {
    throw new PodwrightError('E_INVALID', `read ${path}: ${describeError(cause)}`, { cause });
  }
}

function dropInsOf(directory: string): readonly string[] {
  let names: readonly string[];
  try {
    names = readdirSync(directory, { recursive: true, encoding: 'utf8' });
  } catch (cause) {
    throw new PodwrightError('E_INVALID', `read ${directory}: ${describeError(cause)}`, { cause });
  }
  const dropIns = names.filter((name) => name.endsWith('.conf')).toSorted();
  if (dropIns.length > dropInsMax)
    throw new PodwrightError('E_LIMIT', `read ${directory}: ${dropIns.length} files, at most ${dropInsMax}`);
  return dropIns.map((name) => join(directory, name));
}

/** Lists are replaced as a whole. Pure. */
export function mergeDropIn(base: JsonObject, dropIn: JsonObject): JsonObject {
  const merged: Record<string, unknown> = { ...base };
  for (const [name, value] of Object.entries(dropIn)) {
    const before = merged[name];
    merged[name] = isObject(before) && isObject(value) ? mergeDropIn(before, value) : value;
  }
  return merged;
}

/** Members of what is acted on whose times are the kubelet's defaults here, and are that alone. */
const fixedTimes: readonly (readonly [path: string, ms: number])[] = [
  ['authentication.webhook.cacheTTL', 120_000],
  ['authorization.webhook.cacheAuthorizedTTL', 300_000],
  ['authorization.webhook.cacheUnauthorizedTTL', 30_000],
];

/** What of a configuration has no effect here, each with its field, what it says and why. Pure. */
export function withoutEffect(configuration: JsonObject): readonly string[] {
  const times = fixedTimes.flatMap(([path, ms]) => {
    const text = at(configuration, path);
    // 0 is the default, as for the kubelet.
    if (typeof text !== 'string' || [0, ms].includes(parseDurationMs(text))) return [];
    return [`${path}: ${JSON.stringify(text)} has no effect: answers are kept for ${ms / 1000} s`];
  });
  const gates = examineGates(configuration).notices;
  return [...fieldsWithoutEffect(configuration, configurationFields), ...times, ...gates];
}
