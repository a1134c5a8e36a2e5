import type { JsonObject } from '#api/meta/object.ts';
import { kubernetesVersion } from './openapi-v3.ts';
import { metaType, operationsOf, rootPath, type Operation } from './operation.ts';
import { schemaRef, schemasOf } from './schema.ts';
import type { ServedVersion } from '#api/schema/served-version.ts';

export { encodeOpenApiV2, openApiV2ProtobufMediaType } from './gnostic.ts';

/** The swagger 2.0 document of `/openapi/v2`, over all group versions. Made anew by each call: keep it. */
export function openApiV2Document(served: readonly ServedVersion[]): JsonObject {
  const operations = served.flatMap(operationsOf);
  const types = operations
    .flatMap(({ request, response }) => [request, response])
    .filter((type) => type !== undefined);
  const byPath = Map.groupBy(operations, ({ path }) => path);
  return {
    swagger: '2.0',
    info: { title: 'Kubernetes', version: kubernetesVersion },
    paths: Object.fromEntries([...byPath].map(([path, ops]) => [path, renderPath(ops)])),
    definitions: schemasOf(types, 'v2'),
  };
}

function renderPath(operations: readonly Operation[]): JsonObject {
  return {
    ...Object.fromEntries(operations.map((operation) => [operation.method, renderOperation(operation)])),
    parameters: (operations[0]?.pathParameters ?? []).map((name) => ({
      name,
      in: 'path',
      required: true,
      type: 'string',
    })),
  };
}

function renderOperation(operation: Operation): JsonObject {
  const { action, group, version, kind, operationId, query, request, response } = operation;
  const body = action === 'patch' ? metaType('Patch') : request;
  const schema = (body && schemaRef(body, 'v2')) ?? { type: 'object' };
  return {
    tags: [rootPath(operation).slice(1).replaceAll(/[/.]/g, '_')],
    operationId,
    consumes: action === 'patch' ? operation.patchTypes : ['*/*'],
    produces: ['application/json'],
    parameters: [
      ...(body === undefined ? [] : [{ name: 'body', in: 'body', required: action !== 'delete', schema }]),
      ...query.map(({ name, type }) => ({ name, in: 'query', type })),
    ],
    responses: {
      [action === 'post' ? '201' : '200']: {
        description: 'OK',
        schema: (response && schemaRef(response, 'v2')) ?? { type: 'string' },
      },
    },
    'x-kubernetes-action': action,
    'x-kubernetes-group-version-kind': { group, kind, version },
  };
}
