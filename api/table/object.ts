import { at, stringOf } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { age } from './text.ts';

/** metadata.name, or ''. */
export function nameOf(object: JsonObject): string {
  return stringOf(at(object, 'metadata.name'));
}

/** The age by creationTimestamp. */
export function ageOfObject(object: JsonObject, now: number): string {
  return age(stringOf(at(object, 'metadata.creationTimestamp')), now);
}

/** The value at a path as text; `otherwise` where there is none. */
export function text(object: JsonObject, path: string, otherwise: string): string {
  const value = at(object, path);
  return value === undefined || value === null || value === '' ? otherwise : String(value);
}
