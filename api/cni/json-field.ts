import type { JsonObject } from '#api/meta/object.ts';
import { cniError, cniErrorCode } from './cni-error.ts';

/** @throws {E_INVALID} if the text is not a JSON object. */
export function parseJsonObject(text: string, what: string): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw cniError(cniErrorCode.decodingFailure, `parse ${what}: not JSON`, { cause });
  }
  return asObject(value, what);
}

export function asObject(value: unknown, what: string): JsonObject {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw cniError(cniErrorCode.decodingFailure, `parse ${what}: not a JSON object`);
  }
  return value as JsonObject;
}

/** Readers of one field of a document: absent or null is undefined; another type is an error that names the field. */
export const field = {
  string: (object: JsonObject, name: string): string | undefined => read(object, name, 'string'),
  number: (object: JsonObject, name: string): number | undefined => read(object, name, 'number'),
  boolean: (object: JsonObject, name: string): boolean | undefined => read(object, name, 'boolean'),
  object: (object: JsonObject, name: string): JsonObject | undefined => {
    const value = object[name] ?? undefined;
    return value === undefined ? undefined : asObject(value, `field ${name}`);
  },
  array: (object: JsonObject, name: string): readonly unknown[] => {
    const value = object[name] ?? [];
    if (!Array.isArray(value)) throw wrongType(name, 'an array');
    return value;
  },
  objects: (object: JsonObject, name: string): readonly JsonObject[] =>
    field.array(object, name).map((item, i) => asObject(item, `field ${name}[${i}]`)),
  strings: (object: JsonObject, name: string): readonly string[] =>
    field.array(object, name).map((item) => {
      if (typeof item !== 'string') throw wrongType(name, 'an array of strings');
      return item;
    }),
};

interface Primitive {
  readonly string: string;
  readonly number: number;
  readonly boolean: boolean;
}

function read<K extends keyof Primitive>(
  object: JsonObject,
  name: string,
  kind: K,
): Primitive[K] | undefined {
  const value = object[name] ?? undefined;
  if (value === undefined) return undefined;
  if (typeof value !== kind) throw wrongType(name, `a ${kind}`);
  return value as Primitive[K];
}

function wrongType(name: string, kind: string): Error {
  return cniError(cniErrorCode.decodingFailure, `parse field ${name}: not ${kind}`);
}
