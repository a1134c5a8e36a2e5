import { duplicateField, invalidField, type FieldError } from '#api/errors/field-error.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { goJson, isObject } from '#api/wire/json.ts';
import { formatPath, memberPart, type Path } from './path.ts';
import { childSchemas, schemaOfMember, type StructuralSchema } from './structural-schema.ts';

/** Which schemas have lists that are sets or maps somewhere below. */
const withUnique = new WeakMap<StructuralSchema, boolean>();

function hasUnique(schema: StructuralSchema): boolean {
  const known = withUnique.get(schema);
  if (known !== undefined) return known;
  const type = schema.extensions?.listType;
  const found = type === 'set' || type === 'map' || childSchemas(schema).some(hasUnique);
  withUnique.set(schema, found);
  return found;
}

/** Complaints about items that are in a set, or under their keys in a map, for the second time. */
export function listTypeErrors(schema: StructuralSchema, object: JsonObject): readonly FieldError[] {
  const errors: FieldError[] = [];
  walk(schema, object, [], errors);
  return errors;
}

function walk(schema: StructuralSchema | undefined, value: unknown, path: Path, errors: FieldError[]): void {
  if (schema === undefined || !hasUnique(schema)) return;
  if (Array.isArray(value)) {
    errors.push(...itemErrors(schema, value, path));
    value.forEach((item, index) => {
      path.push(index);
      walk(schema.items, item, path, errors);
      path.pop();
    });
    return;
  }
  if (!isObject(value)) return;
  for (const key of Object.keys(value)) {
    path.push(memberPart(schema, key));
    walk(schemaOfMember(schema, key), value[key], path, errors);
    path.pop();
  }
}

function itemErrors(
  { extensions }: StructuralSchema,
  list: readonly unknown[],
  path: Path,
): readonly FieldError[] {
  const place = (index: number): string => formatPath([...path, index]);
  if (extensions?.listType === 'set') {
    return repeated(list.map(identity)).map((index) => duplicateField(place(index), list[index]));
  }
  if (extensions?.listType !== 'map') return [];
  const odd = list.findIndex((item) => item !== null && !isObject(item));
  if (odd >= 0) {
    return [invalidField(place(odd), list[odd], 'must be an object for an array of list-type map')];
  }
  const keys = list.map((item) => keysOf(item, extensions.listMapKeys));
  return repeated(keys.map(identity)).map((index) => duplicateField(place(index), keys[index]));
}

/** The members of an item that tell it from others. */
export function keysOf(item: unknown, names: readonly string[]): JsonObject {
  if (!isObject(item)) return {};
  return Object.fromEntries(
    names.filter((name) => Object.hasOwn(item, name)).map((name) => [name, item[name]]),
  );
}

/** A text that equal values have in common. */
export function identity(value: unknown): string {
  return typeof value === 'object' && value !== null ? goJson(value) : JSON.stringify(value ?? null);
}

/** Places of the values that are there a second time; a third is not said. */
function repeated(values: readonly string[]): readonly number[] {
  const counts = new Map<string, number>();
  return values.flatMap((value, index) => {
    const count = (counts.get(value) ?? 0) + 1;
    counts.set(value, count);
    return count === 2 ? [index] : [];
  });
}
