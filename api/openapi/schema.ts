import { mergeFacts, schemaFacts, type FieldFact, type MergeFact } from '#api/facts.ts';
import { parseGroupVersion, schemaType } from '#api/kinds.ts';
import type { JsonObject } from '#api/object.ts';

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

const groupPrefixes: Readonly<Record<string, string>> = {
  meta: 'io.k8s.apimachinery.pkg.apis.',
  version: 'io.k8s.apimachinery.pkg.',
  apiextensions: 'io.k8s.apiextensions-apiserver.pkg.apis.',
  apiregistration: 'io.k8s.kube-aggregator.pkg.apis.',
};

/** `core.v1.Pod` as OpenAPI calls it: `io.k8s.api.core.v1.Pod`. */
export function schemaName(typeName: string): string {
  const named = namedScalars[typeName];
  return named ?? `${groupPrefixes[typeName.split('.')[0] ?? ''] ?? 'io.k8s.api.'}${typeName}`;
}

/** A reference to the schema of a type. */
export function schemaRef(typeName: string, dialect: Dialect): JsonObject {
  return { $ref: `${refPrefix[dialect]}${schemaName(typeName)}` };
}

/** The types and all that they refer to, with the names that OpenAPI gives them. */
export function schemasOf(typeNames: readonly string[], dialect: Dialect): JsonObject {
  const wanted = [...typeNames];
  const schemas = new Map<string, JsonObject>();
  for (let typeName = wanted.pop(); typeName !== undefined; typeName = wanted.pop()) {
    const name = schemaName(typeName);
    if (schemas.has(name)) continue;
    schemas.set(name, typeSchema(typeName, dialect));
    for (const fact of Object.values(schemaType(typeName)?.f ?? {})) {
      const inner = expressionOf(fact).replace(/^(\[\]|map:)+/, '');
      if (isNamed(inner)) wanted.push(inner);
    }
  }
  return Object.fromEntries([...schemas].toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

function isNamed(expression: string): boolean {
  return namedScalars[expression] !== undefined || schemaType(expression) !== undefined;
}

function typeSchema(typeName: string, dialect: Dialect): JsonObject {
  const scalar = scalarSchemas[dialect][typeName];
  if (scalar !== undefined) return scalar;
  const type = schemaType(typeName);
  const merge = mergeFacts().types[typeName] ?? {};
  if (type?.f === undefined) return type?.alias === undefined ? {} : expressionSchema(type.alias, dialect);
  const properties = Object.entries(type.f).map(([name, fact]) => [
    name,
    fieldSchema(fact, merge[name], dialect),
  ]);
  const kinds = kindsOfType(typeName);
  return {
    type: 'object',
    ...(type.r === undefined || type.r.length === 0 ? {} : { required: type.r }),
    properties: Object.fromEntries(properties) as JsonObject,
    ...mergeMarkers(merge['']),
    ...(kinds.length === 0 ? {} : { 'x-kubernetes-group-version-kind': kinds }),
  };
}

function fieldSchema(fact: FieldFact, merge: MergeFact | undefined, dialect: Dialect): JsonObject {
  const [expression, extra] = typeof fact === 'string' ? [fact, undefined] : fact;
  const schema = expressionSchema(expression, dialect);
  const markers = mergeMarkers(merge);
  const values = extra?.e === undefined ? undefined : schemaFacts().enums[extra.e];
  const siblings = {
    ...(values === undefined || dialect === 'v2' ? {} : { enum: values }),
    ...(extra?.d === undefined ? {} : { default: extra.d }),
    ...markers,
  };
  if (Object.keys(siblings).length === 0) return schema;
  // What stands beside a $ref is ignored in OpenAPI 3.0: wrap it.
  return dialect === 'v3' && schema['$ref'] !== undefined
    ? { allOf: [schema], ...siblings }
    : { ...schema, ...siblings };
}

function expressionSchema(expression: string, dialect: Dialect): JsonObject {
  if (expression.startsWith('[]'))
    return { type: 'array', items: expressionSchema(expression.slice(2), dialect) };
  if (expression.startsWith('map:')) {
    return { type: 'object', additionalProperties: expressionSchema(expression.slice(4), dialect) };
  }
  return scalarTypes[expression] ?? (isNamed(expression) ? schemaRef(expression, dialect) : {});
}

function expressionOf(fact: FieldFact): string {
  return typeof fact === 'string' ? fact : fact[0];
}

function mergeMarkers(merge: MergeFact | undefined): JsonObject {
  if (merge === undefined) return {};
  return {
    ...(merge.lk === undefined ? {} : { 'x-kubernetes-list-map-keys': merge.lk }),
    ...(merge.lt === undefined ? {} : { 'x-kubernetes-list-type': merge.lt }),
    ...(merge.mt === undefined ? {} : { 'x-kubernetes-map-type': merge.mt }),
    ...(merge.pk === undefined ? {} : { 'x-kubernetes-patch-merge-key': merge.pk }),
    ...(merge.ps === undefined ? {} : { 'x-kubernetes-patch-strategy': merge.ps }),
  };
}

let typeKinds: ReadonlyMap<string, readonly JsonObject[]> | undefined;

function kindsOfType(typeName: string): readonly JsonObject[] {
  typeKinds ??= Map.groupBy(
    Object.entries(schemaFacts().kinds).map(([key, type]) => {
      const slash = key.lastIndexOf('/');
      const { group, version } = parseGroupVersion(key.slice(0, slash).replace(/^\//, ''));
      return { type, group, kind: key.slice(slash + 1), version };
    }),
    ({ type }) => type,
  );
  return (typeKinds.get(typeName) ?? []).map(({ group, kind, version }) => ({ group, kind, version }));
}
