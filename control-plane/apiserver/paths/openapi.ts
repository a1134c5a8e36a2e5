import { createHash } from 'node:crypto';
import { mergeOpenApiV2, type RemoteDocument } from '#control-plane/apiserver/aggregation/merged-openapi.ts';
import { objectOf } from '#api/wire/json.ts';
import { promisify } from 'node:util';
import { gunzip, gzip } from 'node:zlib';
import { gitVersion } from '#api/release.ts';
import { encodeOpenApiV2, openApiV2Document, openApiV2ProtobufMediaType } from '#api/openapi/openapi-v2.ts';
import { openApiV3Document, openApiV3Index } from '#api/openapi/openapi-v3.ts';
import type { ServedVersion } from '#api/schema/served-version.ts';
import { negotiate } from '#control-plane/apiserver/serve/negotiate.ts';
import { emptyBody, type ApiRequest, type ApiResponse } from '#control-plane/apiserver/serve/request.ts';
import { objectResponse, styleOf } from '#control-plane/apiserver/serve/respond.ts';
import { inSlices } from '#base/time-slice.ts';

/*
 * The documents that describe the API. Each is made when it is first asked for, in slices, and kept as long as what it is of is served:
 * compressed, for they are long (2.6 MB of v3, 1.4 and 1.2 of v2), compress to a sixth, and nearly all clients take them so.
 */
const compressed = promisify(gzip);
const plain = promisify(gunzip);

interface Packed {
  /** Upper-case hex of the text's SHA-512; '' of v2, which has no URL by it. */
  readonly hash: string;
  readonly gzip: Uint8Array;
  /** As it is sent to who takes no gzip: one for all who are being sent it, however many those are. */
  plain?: Promise<WeakRef<Uint8Array>> | undefined;
}

async function pack(bytes: string | Uint8Array, hash = ''): Promise<Packed> {
  return { hash, gzip: await compressed(bytes) };
}

/** What was unpacked last, or unpacked now; whoever is sent it keeps it. */
async function unpacked(packed: Packed): Promise<Uint8Array> {
  for (;;) {
    const unpacking = (packed.plain ??= plain(packed.gzip).then((bytes) => new WeakRef<Uint8Array>(bytes)));
    const bytes = (await unpacking).deref();
    if (bytes !== undefined) return bytes;
    if (packed.plain === unpacking) packed.plain = undefined;
  }
}

async function packedResponse(
  request: ApiRequest,
  packed: Packed,
  headers: ApiResponse['headers'],
): Promise<ApiResponse> {
  const vary = 'Accept, Accept-Encoding';
  if (request.headers['accept-encoding']?.includes('gzip') === true) {
    return { status: 200, headers: { ...headers, vary, 'content-encoding': 'gzip' }, body: packed.gzip };
  }
  return { status: 200, headers: { ...headers, vary }, body: await unpacked(packed) };
}

/** The forms of the document of `/openapi/v2`. */
interface V2Forms {
  json?: Promise<Packed>;
  protobuf?: Promise<Packed>;
}

const v2Forms = new WeakMap<readonly ServedVersion[], V2Forms>();

/** What other servers add to the documents. */
export interface RemoteOpenApi {
  /** Changes with it. */
  readonly version: number;
  readonly documents: readonly RemoteDocument[];
  /** Of OpenAPI v3: where the document of each group version is (`apis/G/V`), with its hash. */
  readonly paths: ReadonlyMap<string, string>;
}

/** By what is served, the forms with what other servers added last. */
const mergedForms = new WeakMap<
  readonly ServedVersion[],
  { readonly version: number; readonly forms: V2Forms }
>();

function v2FormsOf(served: readonly ServedVersion[], { version, documents }: RemoteOpenApi): V2Forms {
  if (documents.length === 0) {
    let forms = v2Forms.get(served);
    if (forms === undefined) v2Forms.set(served, (forms = {}));
    return forms;
  }
  let merged = mergedForms.get(served);
  if (merged?.version !== version) mergedForms.set(served, (merged = { version, forms: {} }));
  return merged.forms;
}

/** `/openapi/v2`, as JSON or as gnostic's protobuf. */
export async function openApiV2(
  served: readonly ServedVersion[],
  request: ApiRequest,
  remote: RemoteOpenApi,
): Promise<ApiResponse> {
  const forms = v2FormsOf(served, remote);
  // kubectl writes the type with an @ in Accept and reads it without.
  const wantsProtobuf = (request.headers['accept'] ?? '').includes('proto-openapi.spec.v2');
  const contentType = wantsProtobuf ? openApiV2ProtobufMediaType : 'application/json';
  const packed = await (wantsProtobuf
    ? (forms.protobuf ??= inSlices(protobufSteps(served, remote)).then(pack))
    : (forms.json ??= inSlices(jsonSteps(served, remote)).then(pack)));
  return packedResponse(request, packed, { 'content-type': contentType });
}

function v2Document(
  served: readonly ServedVersion[],
  { documents }: RemoteOpenApi,
): ReturnType<typeof openApiV2Document> {
  const own = openApiV2Document(served);
  return documents.length === 0 ? own : mergeOpenApiV2(own, documents);
}

function* protobufSteps(
  served: readonly ServedVersion[],
  remote: RemoteOpenApi,
): Generator<void, Uint8Array> {
  const document = v2Document(served, remote);
  yield;
  return yield* encodeOpenApiV2(document);
}

function* jsonSteps(served: readonly ServedVersion[], remote: RemoteOpenApi): Generator<void, string> {
  const document = v2Document(served, remote);
  yield;
  return JSON.stringify(document);
}

const v3Documents = new WeakMap<ServedVersion, Promise<Packed>>();

function v3Document(served: ServedVersion): Promise<Packed> {
  let packed = v3Documents.get(served);
  if (packed === undefined) {
    const { text, hash } = openApiV3Document(served);
    v3Documents.set(served, (packed = pack(text, customHash(served) ?? hash)));
  }
  return packed;
}

/** Raised with what documents say of custom kinds: clients keep them by their hash, over releases. */
const customForm = 2;

/**
 * What stands for the document of custom kinds: what these are made of, and by whom. So the index of all documents needs none of them,
 * however many kinds clients bring. undefined: some are no custom kinds.
 */
function customHash({ kinds }: ServedVersion): string | undefined {
  const identities = kinds.map(({ custom }) => custom?.identity ?? '');
  if (identities.includes('')) return undefined;
  const made = JSON.stringify([gitVersion, customForm, identities.toSorted()]);
  return createHash('sha512').update(made).digest('hex').toUpperCase();
}

/** `/openapi/v3`: where the document of each group version is, by its hash. Makes those that nobody asked for yet. */
export async function openApiV3Paths(
  served: readonly ServedVersion[],
  request: ApiRequest,
  { paths: remotes }: RemoteOpenApi,
): Promise<ApiResponse> {
  const builtIn = served.filter((version) => customHash(version) === undefined);
  await inSlices(builtIn.values().map(v3Document));
  const documents = await Promise.all(
    served.map(async (version) => {
      const hash = customHash(version) ?? (await v3Document(version)).hash;
      return [version, { hash }] as const;
    }),
  );
  const style = styleOf(request, negotiate(request.headers['accept'], []));
  const index = openApiV3Index(new Map(documents));
  const others = [...remotes].map(([path, serverRelativeURL]) => [path, { serverRelativeURL }]);
  const paths = { ...objectOf(index['paths']), ...Object.fromEntries(others) };
  return objectResponse(200, { ...index, paths }, style);
}

const yearMs = 31_536_000_000;

/** `/openapi/v3/apis/apps/v1` and its like. */
export async function openApiV3(
  path: string,
  served: ServedVersion,
  request: ApiRequest,
): Promise<ApiResponse> {
  const document = await v3Document(served);
  const asked = request.query.get('hash');
  if (asked !== null && asked !== document.hash) {
    return { status: 301, headers: { location: `${path}?hash=${document.hash}` }, body: emptyBody };
  }
  const etag = `"${document.hash}"`;
  const immutable = {
    'cache-control': 'public, immutable',
    expires: new Date(Date.UTC(2000, 0) + 40 * yearMs).toUTCString(),
  };
  const headers = { etag, ...(asked === null ? {} : immutable) };
  if (request.headers['if-none-match'] === etag) {
    return { status: 304, headers: { ...headers, vary: 'Accept, Accept-Encoding' }, body: emptyBody };
  }
  return packedResponse(request, document, { ...headers, 'content-type': 'application/json' });
}
