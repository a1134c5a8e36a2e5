import type { JsonObject } from '#api/meta/object.ts';
import { isObject, structJson } from '#api/wire/json.ts';

/**
 * JSON as Go's encoder writes a map, members by the alphabet at every depth: how custom objects are sent. `goJson` does the same by way of
 * objects, in which JavaScript has members first whose names are numbers.
 */
export function sortedJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(sortedItem).join(',')}]`;
  if (!isObject(value)) return structJson(value);
  return `{${sortedMembers(value, Object.keys(value)).join(',')}}`;
}

/** `"name":value` of the members that are there, by the alphabet. */
export function sortedMembers(object: JsonObject, names: readonly string[]): readonly string[] {
  return names
    .toSorted()
    .flatMap((name) =>
      object[name] === undefined ? [] : [`${structJson(name)}:${sortedJson(object[name])}`],
    );
}

function sortedItem(value: unknown): string {
  return value === undefined ? 'null' : sortedJson(value);
}

/** A copy with its members by the alphabet, for what is written by others. */
export function sortedObject(object: JsonObject): JsonObject {
  return JSON.parse(sortedJson(object));
}
