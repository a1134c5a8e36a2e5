import { cloneJson, isObject, type Draft } from '#api/wire/json.ts';
import { containerOf, type TypeRef } from '#api/schema/type-source.ts';

/**
 * Fills in what the types say is there when nothing was given, in place: what stands in what was filled in, too. Like rules, it makes
 * no parent for a default.
 */
export function fillSchemaDefaults({ schema, typeName }: TypeRef, draft: Draft): void {
  for (const [name, field] of schema.find(typeName)?.fields ?? []) {
    if (draft[name] === undefined && field.default !== undefined) draft[name] = cloneJson(field.default);
    if (draft[name] !== undefined) fillValue({ schema, typeName: field.type }, draft[name]);
  }
}

function fillValue({ schema, typeName }: TypeRef, value: unknown): void {
  if (typeof value !== 'object' || value === null) return;
  const { shape, item } = containerOf(typeName);
  if (shape === 'one') {
    if (isObject(value)) fillSchemaDefaults({ schema, typeName }, value);
    return;
  }
  for (const child of Object.values(value)) fillValue({ schema, typeName: item }, child);
}
