import type { JsonObject } from '#api/meta/object.ts';
import { isObject, listOf, objectOf, objectsOf, stringOf, type Draft } from '#api/wire/json.ts';

/** A version of a custom kind, as OpenAPI documents show it. */
export interface PublishedKind {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  readonly listKind: string;
  readonly plural: string;
  /** `openAPIV3Schema`, as it is stored. */
  readonly json: JsonObject;
  /** Paths of `selectableFields`: `.spec.color`. */
  readonly selectablePaths: readonly string[];
  /** The name of the kind in documents. */
  readonly publicName: string;
}

export type Dialect = 'v2' | 'v3';

const prefixes: Readonly<Record<Dialect, string>> = { v2: '#/definitions/', v3: '#/components/schemas/' };
const meta = 'io.k8s.apimachinery.pkg.apis.meta.v1.';
const conventions = 'https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md';

const apiVersion = {
  description: `APIVersion defines the versioned schema of this representation of an object. Servers should convert recognized schemas to the latest internal value, and may reject unrecognized values. More info: ${conventions}#resources`,
  type: 'string',
};
const kindText = {
  description: `Kind is a string value representing the REST resource this object represents. Servers may infer this from the endpoint the client submits requests to. Cannot be updated. In CamelCase. More info: ${conventions}#types-kinds`,
  type: 'string',
};

/** What stands in a schema as it stands in a definition. Examples and names of other schemas are left out. */
const copied: readonly string[] = [
  'type',
  'format',
  'title',
  'description',
  'externalDocs',
  'default',
  'maximum',
  'exclusiveMaximum',
  'minimum',
  'exclusiveMinimum',
  'maxLength',
  'minLength',
  'pattern',
  'maxItems',
  'minItems',
  'uniqueItems',
  'multipleOf',
  'enum',
  'maxProperties',
  'minProperties',
  'required',
  'x-kubernetes-preserve-unknown-fields',
  'x-kubernetes-embedded-resource',
  'x-kubernetes-int-or-string',
  'x-kubernetes-list-map-keys',
  'x-kubernetes-list-type',
  'x-kubernetes-map-type',
  'x-kubernetes-validations',
];

/**
 * The schema of a custom kind's objects (apiextensions-apiserver pkg/controller/openapi/builder). In v2 goes what v2, and kubectl which
 * reads it, cannot hold: allOf and the like, null, and whatever is beside unknown fields.
 */
export function objectDocument(kind: PublishedKind, dialect: Dialect): JsonObject {
  const { json } = kind;
  const isOpen = json['x-kubernetes-preserve-unknown-fields'] === true;
  const schema =
    dialect === 'v2' && isOpen
      ? { type: 'object' }
      : withMeta(publish(json, dialect), dialect, "Standard object's metadata. More info: ", 'ObjectMeta');
  return { ...schema, ...kindMembers(kind, kind.kind) };
}

/** The schema of lists of the kind. */
export function listDocument(kind: PublishedKind, dialect: Dialect): JsonObject {
  const items = {
    description: `List of ${kind.plural}. More info: ${conventions}`,
    type: 'array',
    items: { $ref: `${prefixes[dialect]}${kind.publicName}` },
  };
  const list = {
    description: `${kind.listKind} is a list of ${kind.kind}`,
    type: 'object',
    required: ['items'],
    properties: { items },
  };
  return {
    ...withMeta(list, dialect, 'Standard list metadata. More info: ', 'ListMeta'),
    ...kindMembers(kind, kind.listKind),
  };
}

function kindMembers({ group, version, selectablePaths }: PublishedKind, kind: string): JsonObject {
  const fields = selectablePaths.map((path) => ({ fieldPath: path.replace(/^\./, '') }));
  return {
    'x-kubernetes-group-version-kind': [{ group, kind, version }],
    ...(fields.length === 0 ? {} : { 'x-kubernetes-selectable-fields': fields }),
  };
}

/** The schema with what all objects, or lists, have. */
function withMeta(schema: JsonObject, dialect: Dialect, text: string, type: string): JsonObject {
  const fragment = type === 'ListMeta' ? '#types-kinds' : '#metadata';
  const ref = { $ref: `${prefixes[dialect]}${meta}${type}` };
  const description = `${text}${conventions}${fragment}`;
  const metadata = dialect === 'v3' ? { description, allOf: [ref] } : { description, ...ref };
  const properties = { ...objectOf(schema['properties']), apiVersion, kind: kindText, metadata };
  const sorted = Object.entries(properties).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return { ...schema, properties: Object.fromEntries(sorted) };
}

function publish(json: JsonObject, dialect: Dialect): JsonObject {
  const made: Draft = {};
  for (const name of copied) {
    const value = json[name];
    if (value !== undefined && value !== null && value !== false && value !== '') made[name] = value;
  }
  const isOpen = json['x-kubernetes-preserve-unknown-fields'] === true;
  const isUntyped = dialect === 'v2' && (json['nullable'] === true || isOpen);
  if (json['default'] === false) made['default'] = false;
  if (dialect === 'v3') addV3(made, json);
  if (!isUntyped) addStructure(made, json, dialect);
  publishOthers(made, json, dialect);
  if (dialect === 'v2') dropFromV2(made, json, isUntyped);
  const isEmbedded = json['x-kubernetes-embedded-resource'] === true;
  const isShown = isEmbedded && !(dialect === 'v2' && isOpen);
  return isShown ? withMeta(made, dialect, "Standard object's metadata. More info: ", 'ObjectMeta') : made;
}

function addStructure(made: Draft, json: JsonObject, dialect: Dialect): void {
  const properties = Object.entries(objectOf(json['properties'])).filter(([, each]) => isObject(each));
  if (properties.length > 0) {
    made['properties'] = Object.fromEntries(
      properties
        .toSorted(([a], [b]) => (a < b ? -1 : 1))
        .map(([name, each]) => [name, publish(objectOf(each), dialect)]),
    );
  }
  if (isObject(json['items'])) made['items'] = publish(json['items'], dialect);
}

function publishOthers(made: Draft, json: JsonObject, dialect: Dialect): void {
  const others = json['additionalProperties'];
  if (isObject(others)) made['additionalProperties'] = publish(others, dialect);
  else if (typeof others === 'boolean') made['additionalProperties'] = others;
}

const integerOrString = [{ type: 'integer' }, { type: 'string' }];

function addV3(made: Draft, json: JsonObject): void {
  if (json['nullable'] === true) made['nullable'] = true;
  for (const name of ['allOf', 'anyOf', 'oneOf']) {
    const list = objectsOf(json[name]);
    if (list.length > 0) made[name] = list.map(publishNested);
  }
  if (isObject(json['not'])) made['not'] = publishNested(json['not']);
  const isPlain = json['type'] === undefined && json['anyOf'] === undefined && json['allOf'] === undefined;
  if (json['x-kubernetes-int-or-string'] === true && isPlain) made['anyOf'] = integerOrString;
}

/** Value checks are as they are. */
function publishNested(json: JsonObject): JsonObject {
  return publish(json, 'v3');
}

/** What kubectl takes for an error, or does not know. */
function dropFromV2(made: Draft, json: JsonObject, isUntyped: boolean): void {
  const isOpen = json['x-kubernetes-preserve-unknown-fields'] === true;
  const type = stringOf(json['type']);
  if (json['nullable'] === true || (type === 'array' && made['items'] === undefined)) delete made['type'];
  if (isOpen && type === 'object') delete made['type'];
  const properties = isUntyped ? {} : objectOf(json['properties']);
  const required = listOf(json['required']).filter(
    (name) => objectOf(properties[stringOf(name)])['nullable'] !== true,
  );
  const others = json['additionalProperties'];
  const isAnyNull = isObject(others) && others['nullable'] === true;
  if (required.length === 0 || isAnyNull) delete made['required'];
  else made['required'] = required;
}
