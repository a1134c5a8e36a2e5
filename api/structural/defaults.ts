import type { JsonObject } from '#api/meta/object.ts';
import { cloneJson, isObject, setOwn, type Draft } from '#api/wire/json.ts';
import { schemaOfMember, type StructuralSchema } from './structural-schema.ts';

/**
 * Fills in the defaults of the schema, on writes as on reads. A null where the schema allows none counts as absent: it gets the default,
 * or goes. Where null is allowed it stays, and so it does in lists without a default. The same object where nothing changes; repeated, it
 * changes nothing.
 */
export function fillDefaults(schema: StructuralSchema, object: JsonObject): JsonObject {
  return fillMembers(schema, object);
}

/** The same of a part of an object, such as a default, whose own parts may have defaults. */
export function fillValue(schema: StructuralSchema, value: unknown): unknown {
  if (Array.isArray(value)) return schema.items === undefined ? value : fillItems(schema.items, value);
  return isObject(value) ? fillMembers(schema, value) : value;
}

function fillItems(schema: StructuralSchema, list: readonly unknown[]): readonly unknown[] {
  let copy: unknown[] | undefined;
  list.forEach((item, index) => {
    const given = item === null && !schema.nullable ? (cloneJson(schema.default) ?? null) : item;
    const filled = fillValue(schema, given);
    if (filled === item) return;
    copy ??= [...list];
    copy[index] = filled;
  });
  return copy ?? list;
}

function fillMembers(schema: StructuralSchema, object: JsonObject): JsonObject {
  const { properties } = schema;
  if (properties === undefined && typeof schema.additionalProperties !== 'object') return object;
  let copy: Draft | undefined;
  const change = (): Draft => (copy ??= copyOf(object));
  for (const key of Object.keys(object)) {
    const member = schemaOfMember(schema, key);
    if (member === undefined) continue;
    const value = object[key];
    const isMissing = value === null && !member.nullable;
    if (isMissing && member.default === undefined) {
      delete change()[key];
      continue;
    }
    const filled = fillValue(member, isMissing ? cloneJson(member.default) : value);
    if (filled !== value) setOwn(change(), key, filled);
  }
  for (const [name, member] of properties ?? []) {
    if (member.default === undefined || Object.hasOwn(object, name)) continue;
    setOwn(change(), name, fillValue(member, cloneJson(member.default)));
  }
  return copy ?? object;
}

function copyOf(object: JsonObject): Draft {
  const copy: Draft = {};
  for (const key of Object.keys(object)) setOwn(copy, key, object[key]);
  return copy;
}
