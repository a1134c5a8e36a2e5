import { encodeOpenApiV2, openApiV2Document, openApiV2ProtobufMediaType } from '#api/openapi/openapi-v2.ts';
import { openApiV3Document, openApiV3Index } from '#api/openapi/openapi-v3.ts';
import type { ServedVersion } from '#api/schema/served-version.ts';
import { negotiate } from '#control-plane/apiserver/serve/negotiate.ts';
import { emptyBody, type ApiRequest, type ApiResponse } from '#control-plane/apiserver/serve/request.ts';
import { objectResponse, styleOf } from '#control-plane/apiserver/serve/respond.ts';
import { inSlices } from '#base/time-slice.ts';

/*
 * The documents that describe the API. Each is made when it is first asked for, in slices, and kept as long as what it is of is served.
 */

/** The forms of a document as the bytes to send. */
interface V2Bytes {
  json?: Promise<Uint8Array>;
  protobuf?: Promise<Uint8Array>;
}

const v2Bytes = new WeakMap<readonly ServedVersion[], V2Bytes>();

/** `/openapi/v2`, as JSON or as gnostic's protobuf. */
export async function openApiV2(served: readonly ServedVersion[], request: ApiRequest): Promise<ApiResponse> {
  let bytes = v2Bytes.get(served);
  if (bytes === undefined) v2Bytes.set(served, (bytes = {}));
  // kubectl writes the type with an @ in Accept and reads it without.
  const wantsProtobuf = (request.headers['accept'] ?? '').includes('proto-openapi.spec.v2');
  const contentType = wantsProtobuf ? openApiV2ProtobufMediaType : 'application/json';
  const body = wantsProtobuf
    ? (bytes.protobuf ??= inSlices(protobufSteps(served)))
    : (bytes.json ??= inSlices(jsonSteps(served)));
  return { status: 200, headers: { 'content-type': contentType, vary: 'Accept' }, body: await body };
}

function* protobufSteps(served: readonly ServedVersion[]): Generator<void, Uint8Array> {
  const document = openApiV2Document(served);
  yield;
  return yield* encodeOpenApiV2(document);
}

function* jsonSteps(served: readonly ServedVersion[]): Generator<void, Uint8Array> {
  const document = openApiV2Document(served);
  yield;
  return Buffer.from(JSON.stringify(document));
}

/** `/openapi/v3`: where the document of each group version is, by its hash. */
export async function openApiV3Paths(
  served: readonly ServedVersion[],
  request: ApiRequest,
): Promise<ApiResponse> {
  await inSlices(served.values().map(openApiV3Document));
  const style = styleOf(request, negotiate(request.headers['accept'], []));
  return objectResponse(200, openApiV3Index(served), style);
}

const yearMs = 31_536_000_000;

/** `/openapi/v3/apis/apps/v1` and its like. */
export function openApiV3(path: string, served: ServedVersion, request: ApiRequest): ApiResponse {
  const document = openApiV3Document(served);
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
