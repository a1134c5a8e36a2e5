import { at, goJson, isObject, objectOf, stringMapOf, stringOf, withPath } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { configFault } from './check-config.ts';
import { compareObjects } from './compare.ts';
import { configSet } from './config-set.ts';
import { difference, union, type FieldSet } from './field-set.ts';
import type { Terms } from './updater.ts';

/** Of its manager alone the server looks after the annotation, and takes it for what was owned. */
export const nameOfKubectl = 'kubectl';

const annotation = 'kubectl.kubernetes.io/last-applied-configuration';

/** Bytes of all annotations of an object. */
const annotationBytesMax = 262_144;

/**
 * The fields that client-side apply said and that nobody changed since: it owned them. undefined where the object says nothing of it, or
 * nothing that can be read (apimachinery managedfields, lastAppliedManager).
 */
export function lastAppliedFields({ apiVersion, formOf }: Terms, live: JsonObject): FieldSet | undefined {
  const applied = parseConfig(stringOf(at(live, ['metadata', 'annotations', annotation])));
  const form = formOf(apiVersion);
  if (applied === undefined || form === undefined || applied['apiVersion'] !== apiVersion) return undefined;
  const { atom } = form;
  if (configFault(atom, applied) !== undefined) return undefined;
  const { added, modified, removed } = compareObjects(atom, applied, live);
  return difference(configSet(atom, applied), union(union(added, modified), removed));
}

function parseConfig(text: string): JsonObject | undefined {
  if (text === '') return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return undefined;
  }
}

/** The applied object with the annotation as client-side apply would have it, where it has one; `config` is what was applied, as it came. */
export function withLastApplied(object: JsonObject, config: JsonObject): JsonObject {
  const annotations = stringMapOf(at(object, 'metadata.annotations'));
  if ((annotations[annotation] ?? '') === '') return object;
  const given = at(config, 'metadata.annotations');
  const { [annotation]: _last, ...others } = objectOf(given);
  const applied = given === undefined ? config : withPath(config, 'metadata.annotations', others);
  const all = { ...annotations, [annotation]: `${goJson(applied)}\n` };
  const bytes = Object.entries(all).reduce((sum, pair) => sum + Buffer.byteLength(pair.join('')), 0);
  const { [annotation]: _dropped, ...rest } = all;
  return withPath(object, 'metadata.annotations', bytes > annotationBytesMax ? rest : all);
}
