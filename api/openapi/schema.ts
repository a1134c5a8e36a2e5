import type { JsonObject } from '#api/meta/object.ts';
import { memberOf } from '#api/wire/json.ts';
import {
  containerOf,
  type MergeRule,
  type SchemaType,
  type TypeRef,
  type TypeSource,
  type TypeTexts,
} from '#api/schema/type-source.ts';

/** Which of the two specifications a schema is written for, and where its references point. */
export type Dialect = 'v2' | 'v3';

const refPrefix: Readonly<Record<Dialect, string>> = { v2: '#/definitions/', v3: '#/components/schemas/' };

const scalarTypes: Readonly<Record<string, JsonObject>> = {
  string: { type: 'string' },
  bytes: { type: 'string', format: 'byte' },
  bool: { type: 'boolean' },
  int32: { type: 'integer', format: 'int32' },
  int64: { type: 'integer', format: 'int64' },
  double: { type: 'number', format: 'double' },
  object: { type: 'object' },
  json: {},
  any: {},
};

/** Scalars that clients know under a name of their own. */
const namedScalars: Readonly<Record<string, string>> = {
  quantity: 'io.k8s.apimachinery.pkg.api.resource.Quantity',
  intstr: 'io.k8s.apimachinery.pkg.util.intstr.IntOrString',
  time: 'io.k8s.apimachinery.pkg.apis.meta.v1.Time',
  microtime: 'io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime',
  raw: 'io.k8s.apimachinery.pkg.runtime.RawExtension',
  fieldsv1: 'io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1',
};

const scalarSchemas: Readonly<Record<Dialect, Readonly<Record<string, JsonObject>>>> = {
  v2: {
    quantity: { type: 'string' },
    intstr: { type: 'string', format: 'int-or-string' },
    time: { type: 'string', format: 'date-time' },
    microtime: { type: 'string', format: 'date-time' },
    raw: { type: 'object' },
    fieldsv1: { type: 'object' },
  },
  v3: {
    quantity: { oneOf: [{ type: 'string' }, { type: 'number' }] },
    intstr: { format: 'int-or-string', oneOf: [{ type: 'integer' }, { type: 'string' }] },
    time: { type: 'string', format: 'date-time' },
    microtime: { type: 'string', format: 'date-time' },
    raw: { type: 'object' },
    fieldsv1: { type: 'object' },
  },
};

/** A reference to the schema of a type; undefined for a type that nothing is known of. */
export function schemaRef({ schema, typeName }: TypeRef, dialect: Dialect): JsonObject | undefined {
  const name = namedScalars[typeName] ?? schema.find(typeName)?.publicName;
  return name === undefined ? undefined : { $ref: `${refPrefix[dialect]}${name}` };
}

/** The types and all that they refer to, with the names that OpenAPI gives them. Types that nothing is known of are left out. */
export function schemasOf(types: readonly TypeRef[], dialect: Dialect): JsonObject {
  const wanted = [...types];
  const schemas = new Map<string, JsonObject>();
  for (let ref = wanted.pop(); ref !== undefined; ref = wanted.pop()) {
    const { schema, typeName } = ref;
    const type = schema.find(typeName);
    const name = namedScalars[typeName] ?? type?.publicName;
    if (name === undefined || schemas.has(name)) continue;
    const texts = schema.textsOf?.(typeName) ?? {};
    const made =
      scalarSchemas[dialect][typeName] ??
      type?.document?.render(dialect) ??
      (type && typeSchema({ type, texts, schema, dialect }));
    schemas.set(name, { ...textMember(texts['']), ...made });
    for (const each of refersTo(type)) wanted.push({ schema, typeName: each.replace(/^(\[\]|map:)+/, '') });
  }
  return Object.fromEntries([...schemas].toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

/** The types of a type, as fields have them. */
function refersTo(type: SchemaType | undefined): readonly string[] {
  return type?.document?.refersTo ?? [...(type?.fields?.values() ?? [])].map((field) => field.type);
}

interface SchemaPlan {
  readonly type: SchemaType;
  readonly texts: TypeTexts;
  readonly schema: TypeSource;
  readonly dialect: Dialect;
}

function typeSchema({ type, texts, schema, dialect }: SchemaPlan): JsonObject {
  const { fields, alias, required, merge, kinds } = type;
  if (fields === undefined) return alias === undefined ? {} : expressionSchema(alias, schema, dialect);
  const properties = [...fields].map(([name, field]) => [
    name,
    fieldSchema(
      expressionSchema(field.type, schema, dialect),
      {
        ...textMember(memberOf(texts, name)),
        ...(field.allowed === undefined || dialect === 'v2' ? {} : { enum: field.allowed }),
        ...(field.default === undefined ? {} : { default: field.default }),
        ...mergeMarkers(field.merge),
      },
      dialect,
    ),
  ]);
  return {
    type: 'object',
    ...(required.length === 0 ? {} : { required }),
    properties: Object.fromEntries(properties) as JsonObject,
    ...mergeMarkers(merge),
    ...(kinds.length === 0 ? {} : { 'x-kubernetes-group-version-kind': kinds }),
  };
}

/** The schema of a field: that of its type, and what is said of the field alone. */
function fieldSchema(schema: JsonObject, siblings: JsonObject, dialect: Dialect): JsonObject {
  if (Object.keys(siblings).length === 0) return schema;
  // What stands beside a $ref is ignored in OpenAPI 3.0: wrap it.
  return dialect === 'v3' && schema['$ref'] !== undefined
    ? { allOf: [schema], ...siblings }
    : { ...schema, ...siblings };
}

function textMember(text: string | undefined): JsonObject {
  return text === undefined ? {} : { description: text };
}

function expressionSchema(expression: string, source: TypeSource, dialect: Dialect): JsonObject {
  const { shape, item } = containerOf(expression);
  if (shape === 'list') return { type: 'array', items: expressionSchema(item, source, dialect) };
  if (shape === 'map') {
    return { type: 'object', additionalProperties: expressionSchema(item, source, dialect) };
  }
  const ref = { schema: source, typeName: expression };
  return scalarTypes[expression] ?? schemaRef(ref, dialect) ?? {};
}

function mergeMarkers(merge: MergeRule | undefined): JsonObject {
  if (merge === undefined) return {};
  return {
    ...(merge.lk === undefined ? {} : { 'x-kubernetes-list-map-keys': merge.lk }),
    ...(merge.lt === undefined ? {} : { 'x-kubernetes-list-type': merge.lt }),
    ...(merge.mt === undefined ? {} : { 'x-kubernetes-map-type': merge.mt }),
    ...(merge.pk === undefined ? {} : { 'x-kubernetes-patch-merge-key': merge.pk }),
    ...(merge.ps === undefined ? {} : { 'x-kubernetes-patch-strategy': merge.ps }),
  };
}
