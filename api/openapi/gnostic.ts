import { isObject, listOf, objectOf, objectsOf } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { ProtobufWriter } from '#api/wire/protobuf-writer.ts';

/** The content type of `encodeOpenApiV2`. */
export const openApiV2ProtobufMediaType = 'application/com.github.proto-openapi.spec.v2.v1.0+protobuf';

/**
 * A swagger document as gnostic's openapi.v2.Document message (field numbers from its OpenAPIv2.proto). Yields between its parts, for
 * the caller to let others run: all at once it takes longer than a server should be busy with one thing.
 */
export function* encodeOpenApiV2(document: JsonObject): Generator<void, Uint8Array> {
  const writer = new ProtobufWriter().string(1, document['swagger']);
  const { title, version } = objectOf(document['info']);
  writer.message(2, (info) => info.string(1, title).string(2, version));
  const paths = new ProtobufWriter();
  for (const [path, item] of Object.entries(objectOf(document['paths']))) {
    named(paths, { field: 2, entries: { [path]: item }, write: writePathItem });
    yield;
  }
  const definitions = new ProtobufWriter();
  for (const [name, schema] of Object.entries(objectOf(document['definitions']))) {
    named(definitions, { field: 1, entries: { [name]: schema }, write: writeSchema });
    yield;
  }
  return writer.bytes(8, paths.finish()).bytes(9, definitions.finish()).finish();
}

type Write = (writer: ProtobufWriter, value: JsonObject) => void;

/** Maps are lists of {1 name, 2 value}. */
function named(writer: ProtobufWriter, map: { field: number; entries: unknown; write: Write }): void {
  for (const [name, value] of Object.entries(objectOf(map.entries))) {
    writer.message(map.field, (entry) => {
      entry.string(1, name).message(2, (inner) => map.write(inner, objectOf(value)));
    });
  }
}

const methods: readonly (readonly [number, string])[] = [
  [2, 'get'],
  [3, 'put'],
  [4, 'post'],
  [5, 'delete'],
  [8, 'patch'],
];

function writePathItem(writer: ProtobufWriter, item: JsonObject): void {
  for (const [field, method] of methods) {
    const operation = item[method];
    if (isObject(operation)) writer.message(field, (inner) => writeOperation(inner, operation));
  }
  writeParameters(writer, 9, item['parameters']);
}

function writeOperation(writer: ProtobufWriter, operation: JsonObject): void {
  for (const tag of listOf(operation['tags'])) writer.string(1, tag);
  writer.string(5, operation['operationId']);
  for (const mediaType of listOf(operation['produces'])) writer.string(6, mediaType);
  for (const mediaType of listOf(operation['consumes'])) writer.string(7, mediaType);
  writeParameters(writer, 8, operation['parameters']);
  writer.message(9, (responses) =>
    named(responses, { field: 1, entries: operation['responses'], write: writeResponse }),
  );
  writeExtensions(writer, 13, operation);
}

/** ParametersItem{1 Parameter{1 body | 2 non-body{3 query | 4 path}}} */
function writeParameters(writer: ProtobufWriter, field: number, parameters: unknown): void {
  for (const parameter of objectsOf(parameters)) {
    writer.message(field, (item) => item.message(1, (inner) => writeParameter(inner, parameter)));
  }
}

function writeParameter(writer: ProtobufWriter, parameter: JsonObject): void {
  const { name, in: where, required, type } = parameter;
  if (where === 'body') {
    writer.message(1, (body) => {
      body.string(2, name).string(3, where).bool(4, required);
      body.message(5, (schema) => writeSchema(schema, objectOf(parameter['schema'])));
    });
    return;
  }
  writer.message(2, (nonBody) => {
    const isPath = where === 'path';
    nonBody.message(isPath ? 4 : 3, (sub) => {
      sub
        .bool(1, required)
        .string(2, where)
        .string(4, name)
        .string(isPath ? 5 : 6, type);
    });
  });
}

/** ResponseValue{1 Response{1 description, 2 SchemaItem{1 schema}}} */
function writeResponse(writer: ProtobufWriter, response: JsonObject): void {
  writer.message(1, (inner) => {
    inner.string(1, response['description']);
    inner.message(2, (item) =>
      item.message(1, (schema) => writeSchema(schema, objectOf(response['schema']))),
    );
  });
}

function writeSchema(writer: ProtobufWriter, schema: JsonObject): void {
  writer.string(1, schema['$ref']).string(2, schema['format']).string(4, schema['description']);
  const { default: fallback, items, properties, additionalProperties, type } = schema;
  if (fallback !== undefined) writer.message(5, (any) => writeAny(any, fallback));
  for (const name of listOf(schema['required'])) writer.string(19, name);
  if (isObject(additionalProperties)) {
    writer.message(21, (item) => item.message(1, (inner) => writeSchema(inner, additionalProperties)));
  }
  if (typeof type === 'string') writer.message(22, (item) => item.string(1, type));
  if (isObject(items)) writer.message(23, (item) => item.message(1, (inner) => writeSchema(inner, items)));
  if (isObject(properties)) {
    writer.message(25, (inner) => named(inner, { field: 1, entries: properties, write: writeSchema }));
  }
  writeExtensions(writer, 31, schema);
}

/** NamedAny{1 name, 2 Any{2 yaml}}; JSON is YAML. */
function writeExtensions(writer: ProtobufWriter, field: number, holder: JsonObject): void {
  for (const [name, value] of Object.entries(holder)) {
    if (!name.startsWith('x-')) continue;
    writer.message(field, (entry) => entry.string(1, name).message(2, (any) => writeAny(any, value)));
  }
}

function writeAny(writer: ProtobufWriter, value: unknown): void {
  writer.string(2, `${JSON.stringify(value)}\n`);
}
