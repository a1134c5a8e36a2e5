import { groupVersions } from '#api/kinds.ts';
import { encodeOpenApiV2, openApiV2Document, openApiV2ProtobufMediaType } from '#api/openapi-v2.ts';
import { openApiV3Document, openApiV3Index } from '#api/openapi-v3.ts';
import { negotiate } from './negotiate.ts';
import { emptyBody, type ApiRequest, type ApiResponse } from './request.ts';
import { objectResponse, styleOf, textResponse } from './respond.ts';
import { inSlices } from './time-slice.ts';

/*
 * The documents that describe the API. Each is made when it is first asked for, in slices, and kept as the bytes to send.
 */

let v2Json: Promise<Uint8Array> | undefined;
let v2Protobuf: Promise<Uint8Array> | undefined;

/** `/openapi/v2`, as JSON or as gnostic's protobuf. */
export async function openApiV2(request: ApiRequest): Promise<ApiResponse> {
  // kubectl writes the type with an @ in Accept and reads it without.
  const wantsProtobuf = (request.headers['accept'] ?? '').includes('proto-openapi.spec.v2');
  const contentType = wantsProtobuf ? openApiV2ProtobufMediaType : 'application/json';
  const body = wantsProtobuf
    ? (v2Protobuf ??= inSlices(protobufSteps()))
    : (v2Json ??= inSlices(jsonSteps()));
  return { status: 200, headers: { 'content-type': contentType, vary: 'Accept' }, body: await body };
}

function* protobufSteps(): Generator<void, Uint8Array> {
  const document = openApiV2Document();
  yield;
  return yield* encodeOpenApiV2(document);
}

function* jsonSteps(): Generator<void, Uint8Array> {
  const document = openApiV2Document();
  yield;
  return Buffer.from(JSON.stringify(document));
}

/** `/openapi/v3`: where the document of each group version is, by its hash. */
export async function openApiV3Paths(request: ApiRequest): Promise<ApiResponse> {
  await inSlices(groupVersions.values().map(openApiV3Document));
  return objectResponse(200, openApiV3Index(), styleOf(request, negotiate(request.headers['accept'], [])));
}

const yearMs = 31_536_000_000;

/** `/openapi/v3/apis/apps/v1` and its like. */
export function openApiV3(
  path: string,
  groupVersion: { readonly group: string; readonly version: string },
  request: ApiRequest,
): ApiResponse {
  const document = openApiV3Document(groupVersion);
  if (document === undefined) return textResponse(404, '404 page not found\n');
  const asked = request.query.get('hash');
  if (asked !== null && asked !== document.hash) {
    return { status: 301, headers: { location: `${path}?hash=${document.hash}` }, body: emptyBody };
  }
  const etag = `"${document.hash}"`;
  const immutable = {
    'cache-control': 'public, immutable',
    expires: new Date(Date.UTC(2000, 0) + 40 * yearMs).toUTCString(),
  };
  const headers = { etag, vary: 'Accept', ...(asked === null ? {} : immutable) };
  if (request.headers['if-none-match'] === etag) return { status: 304, headers, body: emptyBody };
  return {
    status: 200,
    headers: { ...headers, 'content-type': 'application/json' },
    body: Buffer.from(document.text),
  };
}
