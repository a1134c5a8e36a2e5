import type { JsonObject } from '#api/meta/object.ts';
import { isObject, listOf, objectsOf, stringOf, type Draft } from '#api/wire/json.ts';
import {
  emptySchema,
  type SchemaExtensions,
  type SchemaTypeName,
  type StructuralSchema,
  type ValidationRule,
  type ValueChecks,
} from './structural-schema.ts';

/** Levels of a schema that are read; what lies deeper says nothing. `definition-schema.ts` refuses such schemas. */
export const schemaDepthMax = 200;

const typeNames: ReadonlySet<string> = new Set(['array', 'boolean', 'integer', 'number', 'object', 'string']);
type CheckKind = 'number' | 'flag' | 'text' | 'texts' | 'values' | 'schemas' | 'schema';

/** What value checks are, by their names. */
const checkKinds: ReadonlyMap<string, CheckKind> = new Map<string, CheckKind>([
  ['maximum', 'number'],
  ['minimum', 'number'],
  ['multipleOf', 'number'],
  ['maxLength', 'number'],
  ['minLength', 'number'],
  ['maxItems', 'number'],
  ['minItems', 'number'],
  ['maxProperties', 'number'],
  ['minProperties', 'number'],
  ['exclusiveMaximum', 'flag'],
  ['exclusiveMinimum', 'flag'],
  ['uniqueItems', 'flag'],
  ['format', 'text'],
  ['pattern', 'text'],
  ['required', 'texts'],
  ['enum', 'values'],
  ['allOf', 'schemas'],
  ['anyOf', 'schemas'],
  ['oneOf', 'schemas'],
  ['not', 'schema'],
]);

/**
 * Reads `openAPIV3Schema`. Whatever is not as it should be says nothing: stored definitions may be older than the checks that refuse it
 * now. Never throws.
 */
export function parseSchema(json: unknown): StructuralSchema {
  return parse(json, { parts: new Map(), numbers: new Map(), depth: 0 });
}

interface Reading {
  /** Schemas of this document, by what they say: parts of it are often the same as others. */
  readonly parts: Map<string, StructuralSchema>;
  /** Their numbers, by which those that hold them are compared. */
  readonly numbers: Map<StructuralSchema, number>;
  readonly depth: number;
}

/** What says no more than its type is shared by all schemas. */
const plain: ReadonlyMap<string, StructuralSchema> = new Map(
  [...typeNames].map((type) => [type, { ...emptySchema, type: type as SchemaTypeName }]),
);

function parse(json: unknown, reading: Reading): StructuralSchema {
  if (!isObject(json) || reading.depth > schemaDepthMax) return emptySchema;
  const below: Reading = { ...reading, depth: reading.depth + 1 };
  const type = typeOf(json['type']);
  const { default: given, items, additionalProperties } = json;
  const made: StructuralSchema = {
    type,
    nullable: json['nullable'] === true,
    default: given ?? undefined,
    properties: parseProperties(json['properties'], below),
    items: isObject(items) ? parse(items, below) : undefined,
    additionalProperties:
      typeof additionalProperties === 'boolean'
        ? additionalProperties
        : isObject(additionalProperties)
          ? parse(additionalProperties, below)
          : undefined,
    extensions: parseExtensions(json),
    checks: parseChecks(json, below),
  };
  return shared(made, reading);
}

/** The value that is equal to this and came first: containers, probes and the like are there many times. */
function shared(made: StructuralSchema, { parts, numbers }: Reading): StructuralSchema {
  const { type, nullable, properties, items, additionalProperties, extensions, checks } = made;
  const isPlain =
    !nullable &&
    (properties ?? items ?? additionalProperties ?? extensions ?? checks ?? made.default) === undefined;
  if (isPlain) return plain.get(type) ?? emptySchema;
  const numberOf = (schema: StructuralSchema): number => {
    const known = numbers.get(schema) ?? numbers.size;
    numbers.set(schema, known);
    return known;
  };
  const { allOf, anyOf, oneOf, not, ...values } = checks ?? {};
  const key = JSON.stringify([
    [type, nullable, made.default, extensions, checks === undefined ? null : values],
    [...(properties ?? [])].map(([name, schema]) => [name, numberOf(schema)]),
    items === undefined ? null : numberOf(items),
    typeof additionalProperties === 'object' ? numberOf(additionalProperties) : [additionalProperties],
    [allOf, anyOf, oneOf, not && [not]].map((list) => list?.map(numberOf)),
  ]);
  const known = parts.get(key);
  if (known === undefined) parts.set(key, made);
  return known ?? made;
}

function typeOf(value: unknown): SchemaTypeName {
  return typeof value === 'string' && typeNames.has(value) ? (value as SchemaTypeName) : '';
}

function parseProperties(json: unknown, below: Reading): ReadonlyMap<string, StructuralSchema> | undefined {
  if (!isObject(json)) return undefined;
  const names = Object.keys(json);
  if (names.length === 0) return undefined;
  return new Map(names.map((name) => [name, parse(json[name], below)]));
}

function parseExtensions(json: JsonObject): SchemaExtensions | undefined {
  if (!Object.keys(json).some((name) => name.startsWith('x-'))) return undefined;
  const flag = (name: string): boolean => json[`x-kubernetes-${name}`] === true;
  const text = (name: string): string | undefined => stringOf(json[`x-kubernetes-${name}`]) || undefined;
  const made: SchemaExtensions = {
    preservesUnknownFields: flag('preserve-unknown-fields'),
    isEmbeddedResource: flag('embedded-resource'),
    isIntOrString: flag('int-or-string'),
    listType: text('list-type'),
    listMapKeys: listOf(json['x-kubernetes-list-map-keys']).map(stringOf),
    mapType: text('map-type'),
    rules: parseRules(json),
  };
  const says = Object.values(made).some((value) =>
    Array.isArray(value) ? value.length > 0 : Boolean(value),
  );
  return says ? made : undefined;
}

/** Of a schema itself, not of its parts: `x-kubernetes-validations`. */
export function parseRules(json: JsonObject): readonly ValidationRule[] {
  return objectsOf(json['x-kubernetes-validations']).map(parseRule);
}

function parseRule(json: JsonObject): ValidationRule {
  const { reason, optionalOldSelf } = json;
  return {
    rule: stringOf(json['rule']),
    message: stringOf(json['message']),
    messageExpression: stringOf(json['messageExpression']),
    reason: reason === undefined || reason === null ? undefined : stringOf(reason),
    fieldPath: stringOf(json['fieldPath']),
    optionalOldSelf: typeof optionalOldSelf === 'boolean' ? optionalOldSelf : undefined,
  };
}

function parseChecks(json: JsonObject, below: Reading): ValueChecks | undefined {
  let made: Draft | undefined;
  for (const name of Object.keys(json)) {
    const kind = checkKinds.get(name);
    const value = kind === undefined ? undefined : parseCheck(kind, json[name], below);
    if (value !== undefined) (made ??= {})[name] = value;
  }
  return made as ValueChecks | undefined;
}

function parseCheck(kind: CheckKind, value: unknown, below: Reading): unknown {
  switch (kind) {
    case 'number':
      return typeof value === 'number' ? value : undefined;
    case 'flag':
      return value === true ? value : undefined;
    case 'text':
      return typeof value === 'string' && value !== '' ? value : undefined;
    case 'texts':
      return someOf(listOf(value).filter((each) => typeof each === 'string'));
    case 'values':
      return someOf(listOf(value));
    case 'schemas':
      return someOf(objectsOf(value).map((each) => parse(each, below)));
    default:
      return isObject(value) ? parse(value, below) : undefined;
  }
}

function someOf<T>(list: readonly T[]): readonly T[] | undefined {
  return list.length === 0 ? undefined : list;
}
