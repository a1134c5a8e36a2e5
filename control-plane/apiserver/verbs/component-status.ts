import { formatGroupVersion, type Kind } from '#api/schema/kinds.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { notFound } from '#api/errors/status.ts';
import { negotiate } from '#control-plane/apiserver/serve/negotiate.ts';
import type { ApiRequest, ApiResponse } from '#control-plane/apiserver/serve/request.ts';
import { objectResponse, styleOf } from '#control-plane/apiserver/serve/respond.ts';
import type { ResourceRoute } from '#control-plane/apiserver/chain/route.ts';
import {
  renderPartial,
  renderRow,
  renderTable,
  transformNames,
  transformObject,
  listOf,
  oneOf,
  transformOf,
  type Transform,
} from './transform.ts';

const components = ['scheduler', 'controller-manager', 'etcd-0'];

/** GET of componentstatuses. All parts run in this process: if it answers, they run. */
export function readComponentStatus(
  { kind, name }: ResourceRoute,
  request: ApiRequest,
  nowMs: number,
): ApiResponse {
  const representation = negotiate(request.headers['accept'], transformNames);
  const style = styleOf(request, representation);
  const transform = transformOf(representation, request.query, name === '' ? listOf(kind) : oneOf(kind));
  if (name === '') return objectResponse(200, statusesOf(kind, transform, nowMs), style);
  if (!components.includes(name)) throw notFound(kind, name);
  const object = { kind: kind.kind, apiVersion: formatGroupVersion(kind), ...statusOf(name) };
  const shown = transform === undefined ? object : transformObject(kind, transform, object, nowMs);
  return objectResponse(200, shown, style);
}

function statusesOf(kind: Kind, transform: Transform | undefined, nowMs: number): JsonObject {
  const statuses = components.map(statusOf);
  switch (transform?.kind) {
    case undefined:
      return {
        kind: `${kind.kind}List`,
        apiVersion: formatGroupVersion(kind),
        metadata: {},
        items: statuses,
      };
    case 'table': {
      const table = { kind, transform, nowMs };
      return renderTable(
        table,
        {},
        statuses.map((status) => renderRow(table, status)),
      );
    }
    case 'partial': {
      const items = statuses.map((status) => renderPartial(transform, status));
      return { kind: 'PartialObjectMetadataList', apiVersion: transform.apiVersion, metadata: {}, items };
    }
  }
}

function statusOf(component: string): JsonObject {
  return {
    metadata: { name: component },
    conditions: [{ type: 'Healthy', status: 'True', message: 'ok' }],
  };
}
