import type { JsonObject } from '#api/meta/object.ts';
import type { TypeRef } from '#api/schema/type-source.ts';
import { isObject, listOf, objectOf } from '#api/wire/json.ts';
import { atomFor, atomOf, type Atom } from './atom.ts';
import { configFault } from './check-config.ts';
import { mergeValues } from './merge.ts';
import { fieldElement, formatElement } from './path-element.ts';

/** An object with a configuration merged into it, or why that is none of the type. */
export type MergedObject =
  | { readonly object: JsonObject; readonly fault?: undefined }
  | { readonly object?: undefined; readonly fault: string };

/**
 * Merges a configuration into an object as server-side apply does, with no word about who owns what: nothing is removed, nobody has a
 * conflict. For ApplyConfiguration of a MutatingAdmissionPolicy, among others. Neither is changed; the result is neither decoded nor
 * defaulted. A fault is in upstream's words: `.spec.replicas: expected numeric (int or float), got string`.
 */
export function mergeInto(type: TypeRef, live: JsonObject, config: JsonObject): MergedObject {
  const atom = atomOf(type);
  const fault = configFault(atom, config);
  if (fault !== undefined) return { fault };
  const merged = mergeValues(atom, live, config);
  return { object: isObject(merged) ? merged : {} };
}

/**
 * Which fields of a configuration would be set as a whole, whatever else is in them, and those below, by their places in it:
 * `.spec.containers[0].args` (apiserver/pkg/admission/plugin/policy/mutating/patch, findAtomics).
 */
export function wholesIn(type: TypeRef, config: JsonObject): readonly string[] {
  const found: string[] = [];
  findWholes(atomOf(type), config, '', found);
  return found;
}

function findWholes(atom: Atom, value: unknown, path: string, found: string[]): void {
  const { map, list } = atomFor(atom, value);
  if (map?.isAtomic === true || list?.relation === 'atomic') found.push(path);
  if (map !== undefined) {
    for (const [name, member] of Object.entries(objectOf(value))) {
      const below = map.field(name);
      if (below !== undefined) findWholes(below, member, path + formatElement(fieldElement(name)), found);
    }
  } else if (list !== undefined) {
    for (const [index, item] of listOf(value).entries())
      findWholes(list.item, item, `${path}[${index}]`, found);
  }
}
