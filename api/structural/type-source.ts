import type { JsonObject } from '#api/meta/object.ts';
import { builtInTypes } from '#api/schema/built-in-types.ts';
import type {
  GroupVersionKind,
  MergeRule,
  SchemaField,
  SchemaType,
  TypeSource,
} from '#api/schema/type-source.ts';
import { isObject } from '#api/wire/json.ts';
import { decodeCustom } from './decode-custom.ts';
import { fillDefaults } from './defaults.ts';
import { listDocument, objectDocument, type Dialect, type PublishedKind } from './open-api.ts';
import { isEmbedded, isIntOrString, preservesUnknown, type StructuralSchema } from './structural-schema.ts';

/** A version of a custom kind, as its types are made of it. */
export interface KindSchema extends GroupVersionKind {
  /** Asked when something is first wanted of it: most kinds of a cluster are never used. */
  readonly schema: () => StructuralSchema;
  /** What documents of OpenAPI show; without, they show no more than types tell. */
  readonly published?: {
    readonly listKind: string;
    readonly plural: string;
    /** `openAPIV3Schema` as it is stored. Asked for each document, and not kept. */
    readonly json: () => JsonObject;
    /** `selectableFields`: their `jsonPath`s. */
    readonly selectablePaths: readonly string[];
  };
}

/** The name of the type of a custom kind's objects in its source. */
export function typeNameOfKind({ group, version, kind }: GroupVersionKind): string {
  return `${group}.${version}.${kind}`;
}

/** The name of a custom kind in OpenAPI documents: `com.example.crd.v1.Tab`. */
export function publicNameOf({ group, version, kind }: GroupVersionKind): string {
  return [...group.split('.').toReversed(), version, kind].join('.');
}

/**
 * The types of a custom kind. Objects within it have names made of where they are (`example.com.v1.Tab.spec.parts[]`), which are known
 * once what holds them was asked for. Objects are read by their schema as a whole, for what is of another type is for validation to say.
 */
export function typeSourceOf(kind: KindSchema): TypeSource {
  const rootName = typeNameOfKind(kind);
  const types = new Map<string, SchemaType>();
  const makers = new Map<string, () => SchemaType>([
    [rootName, () => rootType(kind, scope)],
    [`${rootName}List`, () => listType(kind)],
  ]);
  const scope: Scope = {
    add: (name, make) => {
      if (!makers.has(name)) makers.set(name, make);
    },
  };
  return {
    fillsDefaults: true,
    find: (name) => {
      const known = types.get(name);
      if (known !== undefined) return known;
      const made = makers.get(name)?.();
      if (made === undefined) return builtInTypes.find(name);
      types.set(name, made);
      return made;
    },
    textsOf: (name) => builtInTypes.textsOf?.(name),
    decode: (name, input, literals) =>
      name === rootName && isObject(input) ? decodeCustom(kind.schema(), input, literals) : undefined,
    fillDefaults: (name, object: JsonObject) =>
      name === rootName ? fillDefaults(kind.schema(), object) : undefined,
  };
}

interface Scope {
  /** Makes a type known under its name. */
  readonly add: (name: string, make: () => SchemaType) => void;
}

function rootType(kind: KindSchema, scope: Scope): SchemaType {
  const { group, version, kind: name } = kind;
  const type = structType(kind.schema(), typeNameOfKind(kind), scope, true);
  return {
    ...type,
    publicName: publicNameOf(kind),
    kinds: [{ group, version, kind: name }],
    ...documentOf(kind, objectDocument, ['meta.v1.ObjectMeta']),
  };
}

function documentOf(
  kind: KindSchema,
  render: (published: PublishedKind, dialect: Dialect) => JsonObject,
  refersTo: readonly string[],
): Pick<SchemaType, 'document'> {
  const { group, version, kind: name, published } = kind;
  if (published === undefined) return {};
  const named = { group, version, kind: name, publicName: publicNameOf(kind) };
  return {
    document: {
      render: (dialect) => render({ ...named, ...published, json: published.json() }, dialect),
      refersTo,
    },
  };
}

function listType(kind: KindSchema): SchemaType {
  const { group, version } = kind;
  const listKind = kind.published?.listKind ?? `${kind.kind}List`;
  const name = typeNameOfKind(kind);
  return {
    publicName: publicNameOf({ ...kind, kind: listKind }),
    fields: new Map([
      ...wholeFields.slice(0, 2),
      ['metadata', { ...plainField, type: 'meta.v1.ListMeta' }],
      ['items', { ...plainField, type: `[]${name}` }],
    ]),
    required: ['items'],
    kinds: [{ group, version, kind: listKind }],
    ...documentOf(kind, listDocument, ['meta.v1.ListMeta', name]),
  };
}

const plainField: Omit<SchemaField, 'type'> = { omitsEmpty: false, absent: 'nothing', presence: 'optional' };
const wholeFields: readonly (readonly [string, SchemaField])[] = [
  ['apiVersion', { ...plainField, type: 'string' }],
  ['kind', { ...plainField, type: 'string' }],
  ['metadata', { ...plainField, type: 'meta.v1.ObjectMeta' }],
];

function structType(schema: StructuralSchema, name: string, scope: Scope, isWhole: boolean): SchemaType {
  const fields = new Map<string, SchemaField>(isWhole || isEmbedded(schema) ? wholeFields : []);
  for (const [key, member] of schema.properties ?? []) {
    if (!fields.has(key)) fields.set(key, fieldOf(member, `${name}.${key}`, scope));
  }
  const merge = mergeOf(schema);
  return {
    publicName: name,
    fields,
    required: schema.checks?.required ?? [],
    kinds: [],
    ...(merge === undefined ? {} : { merge }),
    ...(preservesUnknown(schema) ? { isOpen: true } : {}),
  };
}

function fieldOf(schema: StructuralSchema, name: string, scope: Scope): SchemaField {
  const merge = mergeOf(schema);
  return {
    ...plainField,
    type: typeOf(schema, name, scope),
    ...(schema.default === undefined ? {} : { default: schema.default }),
    ...(merge === undefined ? {} : { merge }),
  };
}

function typeOf(schema: StructuralSchema, name: string, scope: Scope): string {
  if (isIntOrString(schema)) return 'intstr';
  switch (schema.type) {
    case 'array':
      return schema.items === undefined ? 'any' : `[]${innerType(schema.items, `${name}[]`, scope)}`;
    case 'object':
      return objectType(schema, name, scope);
    case 'string':
      return 'string';
    case 'integer':
      return 'int64';
    case 'number':
      return 'double';
    case 'boolean':
      return 'bool';
    default:
      return 'any';
  }
}

function objectType(schema: StructuralSchema, name: string, scope: Scope): string {
  const { properties, additionalProperties } = schema;
  if (properties === undefined && typeof additionalProperties === 'object') {
    return `map:${innerType(additionalProperties, `${name}{}`, scope)}`;
  }
  if (properties === undefined && preservesUnknown(schema)) return 'any';
  if (properties === undefined && !isEmbedded(schema)) return 'object';
  scope.add(name, () => structType(schema, name, scope, false));
  return name;
}

/** The type of what is in a container: where it merges in a way of its own and is no struct, it has a name to say so. */
function innerType(schema: StructuralSchema, name: string, scope: Scope): string {
  const merge = mergeOf(schema);
  const type = typeOf(schema, name, scope);
  if (merge === undefined || type === name) return type;
  scope.add(name, () => ({
    publicName: name,
    fields: undefined,
    alias: type,
    required: [],
    kinds: [],
    merge,
  }));
  return name;
}

function mergeOf({ extensions, type }: StructuralSchema): MergeRule | undefined {
  const { listType, listMapKeys = [], mapType } = extensions ?? {};
  if (type === 'array' && (listType === 'set' || listType === 'atomic')) return { lt: listType };
  if (type === 'array' && listType === 'map') return { lt: listType, lk: listMapKeys };
  return mapType === 'atomic' || mapType === 'granular' ? { mt: mapType } : undefined;
}
