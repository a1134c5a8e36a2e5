/**
 * Values that a schema of a definition allows, made by the schema alone: the least that may be, or the least with a certain part within.
 * What rules of CEL ask is not known here; who needs it brings `company`.
 */
import type { JsonSchema } from './json-schema.ts';
import { sampleText } from './sample-text.ts';

export interface SampleOptions {
  /** Another value for each. */
  readonly index?: number;
  /** What has to be within: names of members, `[]` an element of a list, `{}` a member that no property names. */
  readonly path?: readonly string[];
  /** What stands at the end of `path` instead of a value that is allowed. */
  readonly leaf?: { readonly value: unknown };
  /** Members that rules of an object's schema are content with, where `wanted` (a member, if any) is to be there. */
  readonly company?: (schema: JsonSchema, wanted: string | undefined) => JsonObject | undefined;
}

type JsonObject = Readonly<Record<string, unknown>>;

/** @throws where a pattern is of none of the forms that `sampleText` knows */
export function sampleValue(schema: JsonSchema, options: SampleOptions = {}): unknown {
  const { index = 0, path = [], leaf } = options;
  if (path.length === 0 && leaf !== undefined) return leaf.value;
  if (path.length === 0 && schema.enum !== undefined) return schema.enum[index % schema.enum.length];
  if (path.length === 0 && schema.default !== undefined && index === 0) return schema.default;
  if (schema['x-kubernetes-int-or-string'] === true) return sampleIntOrString(schema, index);
  switch (schema.type) {
    case 'string':
      return textOf(schema, index);
    case 'integer':
    case 'number':
      return sampleNumber(schema, index);
    case 'boolean':
      return true;
    case 'array':
      return sampleList(schema, options);
    case 'object':
      return sampleObject(schema, options);
    default:
      return path.length > 0 ? sampleObject(schema, options) : {};
  }
}

function textOf(schema: JsonSchema, index: number): string {
  const text = sampleText(schema, index);
  if (text === undefined) throw new Error(`find a text number ${index} of ${JSON.stringify(schema)}`);
  return text;
}

function sampleIntOrString(schema: JsonSchema, index: number): unknown {
  return schema.pattern === undefined ? index + 1 : textOf(schema, index);
}

function sampleNumber(schema: JsonSchema, index: number): number {
  const { minimum, maximum = Infinity, multipleOf = 1 } = schema;
  const above = schema.exclusiveMinimum === true ? multipleOf : 0;
  const least = minimum === undefined ? Math.min(multipleOf, maximum) : minimum + above;
  const highest = schema.exclusiveMaximum === true ? maximum - multipleOf : maximum;
  const first = Number.isFinite(least) ? Math.ceil(least / multipleOf) * multipleOf : multipleOf;
  return Math.min(first + index * multipleOf, highest);
}

function sampleList({ items = {}, minItems = 0 }: JsonSchema, options: SampleOptions): readonly unknown[] {
  const { path = [], index = 0 } = options;
  const count = Math.max(minItems, path.length > 0 ? 1 : 0);
  return Array.from({ length: count }, (_none, place) =>
    sampleValue(
      items,
      place === 0 ? { ...options, path: path.slice(1) } : { ...offPath(options), index: index + place },
    ),
  );
}

function sampleObject(schema: JsonSchema, options: SampleOptions): JsonObject {
  const { index = 0, path: [head, ...rest] = [] } = options;
  const within = (name: string): SampleOptions =>
    name === head ? { ...options, path: rest } : offPath(options);
  const properties = schema.properties ?? {};
  const named = [
    ...new Set([...requiredOf(schema, head), ...(head === undefined || head === '{}' ? [] : [head])]),
  ];
  const missing = Math.max((schema.minProperties ?? 0) - named.length, 0);
  const more = Object.keys(properties)
    .filter((name) => !named.includes(name))
    .slice(0, missing);
  const known = [...named, ...more].map(
    (name) => [name, sampleValue(properties[name] ?? {}, within(name))] as const,
  );
  const others = othersOf(schema, head === '{}' ? 1 : missing - more.length, within('{}'));
  const made = { ...embeddedParts(schema, index), ...Object.fromEntries(known), ...others };
  const company = options.company?.(schema, head);
  return company === undefined ? made : { ...made, ...company, ...pick(made, head) };
}

function offPath({ index = 0, company }: SampleOptions): SampleOptions {
  return { index, ...(company === undefined ? {} : { company }) };
}

function pick(object: JsonObject, name: string | undefined): JsonObject {
  return name === undefined || !Object.hasOwn(object, name) ? {} : { [name]: object[name] };
}

/** What has to be there: of alternatives the first, or that which asks for the member that is wanted. */
function requiredOf(schema: JsonSchema, wanted: string | undefined): readonly string[] {
  const alternatives = schema.oneOf ?? schema.anyOf ?? [];
  const chosen =
    alternatives.find(({ required = [] }) => required.some((name) => name === wanted)) ?? alternatives[0];
  return [...(schema.required ?? []), ...(chosen?.required ?? [])];
}

function othersOf(schema: JsonSchema, count: number, options: SampleOptions): JsonObject {
  const { additionalProperties } = schema;
  if (typeof additionalProperties !== 'object' || count <= 0) return {};
  const names = Array.from({ length: count }, (_none, place) => `member-${place}`);
  return Object.fromEntries(names.map((name) => [name, sampleValue(additionalProperties, options)]));
}

function embeddedParts(schema: JsonSchema, index: number): JsonObject {
  if (schema['x-kubernetes-embedded-resource'] !== true) return {};
  return { apiVersion: 'example.com/v1', kind: 'Sample', metadata: { name: `sample-${index}` } };
}

/** All parts of a schema down to a depth, each by its path. */
export function pathsOf(schema: JsonSchema, depth: number): readonly (readonly string[])[] {
  if (depth === 0) return [];
  const below = (name: string, part: JsonSchema): readonly (readonly string[])[] => [
    [name],
    ...pathsOf(part, depth - 1).map((path) => [name, ...path]),
  ];
  const { properties = {}, items, additionalProperties } = schema;
  return [
    ...Object.entries(properties).flatMap(([name, part]) => below(name, part)),
    ...(items === undefined ? [] : below('[]', items)),
    ...(typeof additionalProperties === 'object' ? below('{}', additionalProperties) : []),
  ];
}

/** The schema at a path. */
export function partOf(schema: JsonSchema, path: readonly string[]): JsonSchema {
  return path.reduce<JsonSchema>((at, name) => {
    if (name === '[]') return at.items ?? {};
    if (name === '{}') return typeof at.additionalProperties === 'object' ? at.additionalProperties : {};
    return at.properties?.[name] ?? {};
  }, schema);
}

/** A value that the schema does not allow; undefined where all is. */
export function wrongValue(schema: JsonSchema): { readonly value: unknown } | undefined {
  if (schema['x-kubernetes-int-or-string'] === true) return { value: true };
  switch (schema.type) {
    case undefined:
      return undefined;
    case 'string':
      return { value: schema.enum === undefined ? 7 : 'none-of-these' };
    case 'integer':
      return { value: schema.maximum === undefined ? 1.5 : schema.maximum + 1 };
    default:
      return { value: 'a text' };
  }
}
