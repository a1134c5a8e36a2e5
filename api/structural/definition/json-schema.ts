import type { JsonObject } from '#api/meta/object.ts';
import { isObject, listOf, objectOf } from '#api/wire/json.ts';

/** A schema within another, as its JSON, and what errors call its place: `…properties[spec].items`. */
export interface SchemaPart {
  readonly json: JsonObject;
  readonly path: string;
}

const maps = ['properties', 'patternProperties', 'definitions', 'dependencies'] as const;

/** Where schemas are within one: alone, in a list, in a map. */
const places: ReadonlyMap<string, 'one' | 'list' | 'map'> = new Map<string, 'one' | 'list' | 'map'>([
  ['items', 'one'],
  ['additionalProperties', 'one'],
  ['additionalItems', 'one'],
  ['not', 'one'],
  ['allOf', 'list'],
  ['anyOf', 'list'],
  ['oneOf', 'list'],
  ...maps.map((name) => [name, 'map'] as const),
]);

/** All schemas directly within one, whatever they are there for. */
export function schemasWithin(json: JsonObject): readonly JsonObject[] {
  const found: JsonObject[] = [];
  for (const name of Object.keys(json)) {
    const value = json[name];
    if (typeof value !== 'object' || value === null || !places.has(name)) continue;
    if (Array.isArray(value)) found.push(...value.filter(isObject));
    else if (places.get(name) === 'map') found.push(...Object.values(value).filter(isObject));
    else found.push(value as JsonObject);
  }
  return found;
}

/** The schemas of `properties`, or of another map of them. */
export function propertiesOf(
  { json, path }: SchemaPart,
  name: (typeof maps)[number] = 'properties',
): readonly SchemaPart[] {
  const map = objectOf(json[name]);
  return Object.keys(map).flatMap((key) => part(map[key], `${path}.${name}[${key}]`));
}

/** The schemas of one of the lists: allOf, anyOf, oneOf. */
export function alternativesOf(
  { json, path }: SchemaPart,
  name: 'allOf' | 'anyOf' | 'oneOf',
): readonly SchemaPart[] {
  return listOf(json[name]).flatMap((each, index) => part(each, `${path}.${name}[${index}]`));
}

/** The schema under a name, if there is one. */
export function partAt(
  { json, path }: SchemaPart,
  name: 'items' | 'additionalProperties' | 'not',
): SchemaPart | undefined {
  return part(json[name], `${path}.${name}`)[0];
}

function part(json: unknown, path: string): readonly SchemaPart[] {
  return isObject(json) ? [{ json, path }] : [];
}

/** Whether a member says something: Go's zero values say nothing. */
export function isSaid(value: unknown): boolean {
  if (value === undefined || value === null || value === false || value === '') return false;
  return typeof value !== 'object' || Object.keys(value).length > 0;
}

/** Whether any schema in it, and itself, is so. */
export function someSchema(json: JsonObject, isSo: (json: JsonObject) => boolean): boolean {
  const left = [json];
  for (let next = left.pop(); next !== undefined; next = left.pop()) {
    if (isSo(next)) return true;
    left.push(...schemasWithin(next));
  }
  return false;
}

/** Levels of schemas within one another, as far as they are counted. */
export function depthOf(json: JsonObject): number {
  let depth = 0;
  let level: readonly JsonObject[] = [json];
  while (level.length > 0 && depth < depthCounted) {
    depth++;
    level = level.flatMap(schemasWithin);
  }
  return depth;
}

const depthCounted = 1000;
