import type { JsonObject } from '#api/meta/object.ts';

/** A JSON object that this function made and may still change. */
export type Draft = Record<string, unknown>;

/** Whether the value is a JSON object: neither null nor a list. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** What Go's decoder calls the value in its errors. */
export function jsonKind(value: unknown): string {
  if (Array.isArray(value)) return 'array';
  return typeof value === 'boolean' ? 'bool' : typeof value;
}

/** The value as an object; anything else reads as empty. */
export function objectOf(value: unknown): JsonObject {
  return isObject(value) ? value : empty;
}

/** The value as a list; anything else reads as empty. */
export function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** The objects of a list. */
export function objectsOf(value: unknown): readonly JsonObject[] {
  return listOf(value).filter(isObject);
}

/** The value as a string; anything else reads as ''. */
export function stringOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/** The value as a number; anything else reads as 0. */
export function numberOf(value: unknown): number {
  return typeof value === 'number' ? value : 0;
}

/** The string members of a map, in order of their keys as written. */
export function stringMapOf(value: unknown): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(objectOf(value)).filter(
      (entry): entry is [string, string] => typeof entry[1] === 'string',
    ),
  );
}

/** The value at a dotted path (`spec.template.metadata`), or undefined. Keys with dots need an array. */
export function at(value: unknown, path: string | readonly string[]): unknown {
  let current = value;
  for (const key of typeof path === 'string' ? path.split('.') : path) {
    if (!isObject(current)) return undefined;
    current = current[key];
  }
  return current;
}

/** A copy of the object with the value at the path replaced; undefined removes it. */
export function withPath(object: JsonObject, path: string | readonly string[], value: unknown): JsonObject {
  const [head = '', ...rest] = typeof path === 'string' ? path.split('.') : path;
  const next = rest.length === 0 ? value : withPath(objectOf(object[head]), rest, value);
  if (next !== undefined) return { ...object, [head]: next };
  const { [head]: _removed, ...others } = object;
  return others;
}

/** A decoded object under the interface of its kind: `decodeObject` has checked that it has that shape. */
export function typed<T>(object: JsonObject): T {
  return object as T;
}

/** A deep copy that may be changed. */
export function draftOf(object: JsonObject): Draft {
  return cloneJson(object) as Draft;
}

/** A deep copy of a JSON value; several times faster than structuredClone. */
export function cloneJson(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(cloneJson);
  if (!isObject(value)) return value;
  const copy: Draft = {};
  for (const key of Object.keys(value)) setOwn(copy, key, cloneJson(value[key]));
  return copy;
}

/** The own member of a map whose keys users choose: `constructor` is one of none that does not say so. */
export function memberOf<T>(map: Readonly<Record<string, T>> | undefined, key: string): T | undefined {
  return map !== undefined && Object.hasOwn(map, key) ? map[key] : undefined;
}

/** Sets an own member even for the name `__proto__`, which plain assignment would give to the prototype. */
export function setOwn(target: Draft, key: string, value: unknown): void {
  if (key === '__proto__') {
    Object.defineProperty(target, key, { value, enumerable: true, writable: true, configurable: true });
  } else target[key] = value;
}

/** Whether two JSON values are equal; the order of members does not count, undefined members count as absent. */
export function equalJson(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (Array.isArray(a)) {
    return Array.isArray(b) && a.length === b.length && a.every((item, index) => equalJson(item, b[index]));
  }
  if (!isObject(a) || !isObject(b)) return false;
  let count = 0;
  for (const key of Object.keys(a)) {
    const value = a[key];
    if (value === undefined) continue;
    if (!Object.hasOwn(b, key) || !equalJson(value, b[key])) return false;
    count++;
  }
  for (const key of Object.keys(b)) if (b[key] !== undefined) count--;
  return count === 0;
}

/** JSON as Go's encoder writes a map: members in sorted order, and as `structJson` writes texts. */
export function goJson(value: unknown): string {
  return structJson(sorted(value));
}

/**
 * JSON with its members as they stand, and `<`, `>`, `&`, U+2028 and U+2029 in texts written as Go's encoder does: `\u003c`. Whatever
 * the API sends or stores is written so, for clients compare the bytes of parts that they do not decode (`data` of ControllerRevisions,
 * `fieldsV1`) with those that they make themselves.
 */
export function structJson(value: unknown, space?: number): string {
  const text = JSON.stringify(value, undefined, space);
  // Nearly no text has any, and looking for one character is many times as fast as matching a class.
  return escapedChars.some((char) => text.includes(char)) ? text.replaceAll(escapedChar, escapeChar) : text;
}

/** Outside of its texts JSON has none of these. */
const escapedChars = ['<', '>', '&', '\u2028', '\u2029'];
const escapedChar = /[<>&\u2028\u2029]/g;

function escapeChar(char: string): string {
  return `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.keys(value)
      .toSorted()
      .map((key) => [key, sorted(value[key])]),
  );
}

const empty: JsonObject = Object.freeze({});

/** What a message calls an object that may not have its name yet: the name, or the prefix that it will begin with. */
export function nameOrPrefix(object: JsonObject): string {
  return stringOf(at(object, 'metadata.name')) || stringOf(at(object, 'metadata.generateName'));
}

/** Whether a server stores the same of both: whoever compares what is stored with what is to be there asks this. */
export function equalStored(a: unknown, b: unknown): boolean {
  return equalJson(withoutEmpty({ value: a }), withoutEmpty({ value: b }));
}

/**
 * Without the members that a server may leave out of what it stores (Go's omitempty): null, absent, an empty text or list.
 */
export function withoutEmpty(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutEmpty);
  if (typeof value !== 'object' || value === null) return value ?? undefined;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, member]) => !isEmpty(member))
      .map(([key, member]) => [key, withoutEmpty(member)]),
  );
}

function isEmpty(member: unknown): boolean {
  return (
    member === undefined || member === null || member === '' || (Array.isArray(member) && member.length === 0)
  );
}
