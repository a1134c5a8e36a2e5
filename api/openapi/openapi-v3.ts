import { createHash } from 'node:crypto';
import type { JsonObject } from '#api/meta/object.ts';
import { operationsOf, rootPath, type Operation } from './operation.ts';
import { schemaRef, schemasOf } from './schema.ts';
import type { ServedVersion } from '#api/schema/served-version.ts';
import type { TypeRef } from '#api/schema/type-source.ts';

/** The version of Kubernetes whose API this is. */
export const kubernetesVersion = 'v1.36.2';

/** One document as its text. */
export interface OpenApiDocument {
  readonly text: string;
  /** SHA-512 of the text in upper-case hex: the `hash` of its URL and its ETag. */
  readonly hash: string;
}

/** The answer of `/openapi/v3`: where each document is, by its hash. */
export function openApiV3Index(documents: ReadonlyMap<ServedVersion, { readonly hash: string }>): JsonObject {
  const paths = [...documents].map(([version, { hash }]) => {
    const path = rootPath(version).slice(1);
    return [path, { serverRelativeURL: `/openapi/v3/${path}?hash=${hash}` }] as const;
  });
  return { paths: Object.fromEntries(paths) };
}

/** The document of a group version. Made anew by each call: keep it. */
export function openApiV3Document(served: ServedVersion): OpenApiDocument {
  const text = JSON.stringify(renderDocument(served));
  return { text, hash: createHash('sha512').update(text).digest('hex').toUpperCase() };
}

function renderDocument(served: ServedVersion): JsonObject {
  const operations = operationsOf(served);
  const types = operations
    .flatMap(({ request, response }) => [request, response])
    .filter((type) => type !== undefined);
  return {
    openapi: '3.0.0',
    info: { title: 'Kubernetes', version: kubernetesVersion },
    paths: renderPaths(operations),
    components: { schemas: schemasOf(types, 'v3') },
  };
}

function renderPaths(operations: readonly Operation[]): JsonObject {
  const byPath = Map.groupBy(operations, ({ path }) => path);
  return Object.fromEntries(
    [...byPath].map(([path, ops]) => [
      path,
      {
        ...Object.fromEntries(ops.map((operation) => [operation.method, renderOperation(operation)])),
        ...parametersOf((ops[0]?.pathParameters ?? []).map((name) => parameter(name, 'path', 'string'))),
      },
    ]),
  );
}

function renderOperation(operation: Operation): JsonObject {
  const { action, group, version, kind, operationId, query } = operation;
  return {
    tags: [rootPath(operation).slice(1).replaceAll(/[/.]/g, '_')],
    operationId,
    ...parametersOf(query.map(({ name, type }) => parameter(name, 'query', type))),
    ...requestBody(operation),
    responses: {
      [action === 'post' ? '201' : '200']: {
        description: 'OK',
        ...content(operation.response, ['application/json']),
      },
    },
    'x-kubernetes-action': action,
    'x-kubernetes-group-version-kind': { group, kind, version },
  };
}

function requestBody({ action, request, patchTypes }: Operation): JsonObject {
  if (action === 'patch') {
    const schema = { type: 'object' };
    const entries = patchTypes.map((mediaType) => [mediaType, { schema }]);
    return { requestBody: { content: Object.fromEntries(entries), required: true } };
  }
  return request === undefined ? {} : { requestBody: content(request, ['*/*']) };
}

function content(type: TypeRef | undefined, mediaTypes: readonly string[]): JsonObject {
  const schema = (type && schemaRef(type, 'v3')) ?? { type: 'string' };
  return { content: Object.fromEntries(mediaTypes.map((mediaType) => [mediaType, { schema }])) };
}

/** Typed readers do not keep a list that is empty: after them, the document would be another. */
function parametersOf(parameters: readonly JsonObject[]): JsonObject {
  return parameters.length === 0 ? {} : { parameters };
}

function parameter(name: string, where: 'path' | 'query', type: string): JsonObject {
  return {
    name,
    in: where,
    ...(where === 'path' ? { required: true } : {}),
    schema: { type, uniqueItems: true },
  };
}
