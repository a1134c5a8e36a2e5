import type { Clock } from '#base/clock.ts';
import { PodwrightError } from '#base/errors.ts';
import { apiVersionOf, objectPath, type KindRef } from '#api/schema/kind-ref.ts';
import type { KubeObject } from '#api/meta/object.ts';
import { isObject, listOf, objectOf, stringOf } from '#api/wire/json.ts';
import type { Status } from '#api/generated/objects.ts';
import { apiError } from './api-error.ts';
import type {
  ApiClient,
  ListOptions,
  ListResult,
  PatchKind,
  WatchEvent,
  WatchOptions,
  WriteOptions,
} from './client.ts';
import { jsonLines } from './json-lines.ts';
import { impersonationHeaders, type Impersonation } from './requests/impersonation.ts';
import { retryAfterMs } from './requests/retry-after.ts';
import { parseWarnings } from './requests/warning-header.ts';
import type { Transport, TransportResponse } from './transport.ts';

export interface ApiClientOptions {
  /** Not owned: whoever made it closes it. */
  readonly transport: Transport;
  readonly userAgent: string;
  /** As whom managedFields know this client, where a write does not say. Default: the first word of the user agent. */
  readonly fieldManager?: string | undefined;
  /** As whom everything is asked. */
  readonly impersonate?: Impersonation | undefined;
  /** Told of each Warning header, in order. */
  readonly onWarning?: ((text: string) => void) | undefined;
  /**
   * How often what a busy server refused with Retry-After is asked again, after the time that it says, at most a minute. Without,
   * the refusal is the answer: control loops come again by themselves.
   */
  readonly busyRetries?: { readonly triesMax: number; readonly clock: Pick<Clock, 'sleep'> } | undefined;
}

/** Of one object, or of the place of a new one. @throws {E_INVALID} without the namespace that objects of the kind are in */
function placedPath(kind: KindRef<unknown>, where: Parameters<typeof objectPath>[1]): string {
  if (kind.namespaced && (where.namespace ?? '') === '') {
    const what = where.name === undefined ? kind.resource : `${kind.resource} ${JSON.stringify(where.name)}`;
    throw new PodwrightError(
      'E_INVALID',
      `find ${what}: no namespace was given, and ${kind.kind}s are in one`,
    );
  }
  return objectPath(kind, where);
}

/** A typed client of any API server that the transport reaches. */
export function createApiClient(options: ApiClientOptions): ApiClient {
  const { transport } = options;
  const headers = { 'user-agent': options.userAgent, ...impersonationHeaders(options.impersonate) };
  const call = createCall(options, headers);
  const writeQuery = (write: WriteOptions): Query => queryOf(write, options.fieldManager);
  const callJson = async (...[method, path, more]: Parameters<typeof call>): Promise<unknown> => {
    const { status, text } = await call(method, path, more);
    if (status >= 400) throw failure(`${method} ${path}`, status, text);
    return text === '' ? {} : parseJson(`${method} ${path}`, text);
  };
  return {
    get: async <T>(kind: KindRef<T>, where: object, options: { readonly subresource?: string } = {}) =>
      (await callJson('GET', placedPath(kind, { ...where, ...options }))) as T,
    list: async <T>(kind: KindRef<T>, options: ListOptions = {}) => {
      const path = withQuery(objectPath(kind, { namespace: options.namespace }), listQuery(options));
      const accept = options.metadataOnly === true ? metadataListAccept : undefined;
      return listResult<T>(await callJson('GET', path, accept === undefined ? {} : { accept }));
    },
    create: async (kind, object, options = {}) => {
      const { where, subresource } = options;
      const namespace = options.namespace ?? where?.namespace ?? metadataOf(object).namespace;
      const path = placedPath(kind, { namespace, name: where?.name, subresource });
      return (await callJson('POST', withQuery(path, writeQuery(options)), {
        body: typed(kind, object),
      })) as typeof object;
    },
    update: async (kind, object, options = {}) => {
      const { namespace, name } = metadataOf(object);
      const path = placedPath(kind, { namespace, name: name ?? '', subresource: options.subresource });
      return (await callJson('PUT', withQuery(path, writeQuery(options)), {
        body: typed(kind, object),
      })) as typeof object;
    },
    patch: async <T>(...[kind, where, patch]: Parameters<ApiClient['patch']>) => {
      const path = placedPath(kind, { ...where, subresource: patch.subresource });
      return (await callJson('PATCH', withQuery(path, writeQuery(patch)), {
        body: patch.body,
        contentType: patchContentTypes[patch.kind],
      })) as T;
    },
    apply: async (kind, object, options) => {
      const { namespace, name = '' } = metadataOf(object);
      const path = placedPath(kind, { namespace, name, subresource: options.subresource });
      const force = options.force === true ? { force: 'true' } : {};
      return (await callJson('PATCH', withQuery(path, { ...writeQuery(options), ...force }), {
        body: typed(kind, object),
        contentType: 'application/apply-patch+yaml', // JSON is YAML.
      })) as typeof object;
    },
    delete: async (kind, where, options) => {
      const body =
        options === undefined ? undefined : { kind: 'DeleteOptions', apiVersion: 'v1', ...options };
      await callJson('DELETE', placedPath(kind, where), body === undefined ? {} : { body });
    },
    watch: <T>(kind: KindRef<T>, options: WatchOptions, signal: AbortSignal) =>
      watchEvents<T>(transport, { headers, kind, options, signal }),
    raw: async (method, path, body, accept) => {
      const more = { ...(body === undefined ? {} : { body }), ...(accept === undefined ? {} : { accept }) };
      const { status, text } = await call(method, path, more);
      return { status, body: text };
    },
    stream: (path, signal) => streamBody(transport, { path, headers, signal }),
  };
}

/** One request with a body of JSON, and again where a busy server asks for that. */
function createCall({ transport, onWarning, busyRetries }: ApiClientOptions, headers: Headers) {
  return async (
    method: string,
    path: string,
    more: { readonly body?: unknown; readonly contentType?: string; readonly accept?: string } = {},
  ): Promise<{ readonly status: number; readonly text: string }> => {
    const request = {
      method,
      path,
      headers: {
        accept: more.accept ?? 'application/json',
        ...headers,
        ...(more.body === undefined ? {} : { 'content-type': more.contentType ?? 'application/json' }),
      },
      body: more.body === undefined ? undefined : Buffer.from(JSON.stringify(more.body)),
    };
    for (let tries = 0; ; tries++) {
      const response = await transport.request(request);
      const text = await textOf(response);
      for (const warning of parseWarnings(response.headers['warning'])) onWarning?.(warning);
      const waitMs = retryAfterMs(response.status, response.headers['retry-after'], text);
      if (waitMs === undefined || busyRetries === undefined || tries >= busyRetries.triesMax)
        return { status: response.status, text };
      await busyRetries.clock.sleep(waitMs);
    }
  };
}

async function* streamBody(
  transport: Transport,
  {
    path,
    headers,
    signal,
  }: { readonly path: string; readonly headers: Headers; readonly signal: AbortSignal },
): AsyncGenerator<Uint8Array, void, void> {
  const response = await transport.request({ method: 'GET', path, headers, signal, stream: true });
  if (response.status >= 400) throw failure(`GET ${path}`, response.status, await textOf(response));
  if (response.body instanceof Uint8Array) yield response.body;
  else yield* response.body;
}

type Headers = Readonly<Record<string, string | readonly string[]>>;

/** Of a watch; it may have had to wait for its turn. */
const watchBeginsMsMax = 60_000;

async function* watchEvents<T>(
  transport: Transport,
  request: {
    readonly headers: Headers;
    readonly kind: KindRef<T>;
    readonly options: WatchOptions;
    readonly signal: AbortSignal;
  },
): AsyncGenerator<WatchEvent<T>, void, void> {
  const { kind, options, signal } = request;
  const path = withQuery(objectPath(kind, { namespace: options.namespace }), watchQuery(options));
  const response = await transport.request({
    method: 'GET',
    path,
    headers: {
      accept: options.metadataOnly === true ? metadataAccept : 'application/json',
      ...request.headers,
    },
    signal,
    stream: true,
    headMsMax: watchBeginsMsMax,
  });
  if (response.status >= 400) throw failure(`watch ${path}`, response.status, await textOf(response));
  for await (const event of jsonLines(response.body)) yield parseWatchEvent<T>(`watch ${path}`, event);
}

/** @throws {E_API} for an ERROR event. */
function parseWatchEvent<T>(what: string, event: unknown): WatchEvent<T> {
  const { type, object } = objectOf(event);
  switch (type) {
    case 'ADDED':
    case 'MODIFIED':
    case 'DELETED':
      return { type, object: object as T };
    case 'BOOKMARK': {
      const { resourceVersion = '', annotations = {} } = metadataOf(object);
      return {
        type,
        resourceVersion,
        initialEventsEnd: annotations['k8s.io/initial-events-end'] === 'true',
      };
    }
    default:
      throw apiError(what, statusFrom(object));
  }
}

const patchContentTypes: Readonly<Record<PatchKind, string>> = {
  json: 'application/json-patch+json',
  merge: 'application/merge-patch+json',
  strategic: 'application/strategic-merge-patch+json',
};

const metadataAccept = 'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1';
const metadataListAccept = 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1';

type Query = Readonly<Record<string, string | number | undefined>>;

function listQuery(options: ListOptions): Query {
  const { labelSelector, fieldSelector, limit, resourceVersion } = options;
  return { labelSelector, fieldSelector, limit, resourceVersion, continue: options.continue };
}

function watchQuery(options: WatchOptions): Query {
  const initial =
    options.sendInitialEvents === true
      ? { sendInitialEvents: 'true', resourceVersionMatch: 'NotOlderThan' }
      : {};
  const { labelSelector, fieldSelector, resourceVersion, timeoutSeconds } = options;
  return {
    watch: 'true',
    allowWatchBookmarks: 'true',
    ...initial,
    labelSelector,
    fieldSelector,
    resourceVersion,
    timeoutSeconds,
  };
}

function queryOf(write: WriteOptions, fieldManager: string | undefined): Query {
  return {
    ...(write.dryRun === true ? { dryRun: 'All' } : {}),
    fieldManager: write.fieldManager ?? fieldManager,
    fieldValidation: write.fieldValidation,
  };
}

function withQuery(path: string, query: Query): string {
  const pairs = Object.entries(query).filter(([, value]) => value !== undefined);
  if (pairs.length === 0) return path;
  return `${path}?${pairs.map(([name, value]) => `${name}=${encodeURIComponent(String(value))}`).join('&')}`;
}

function listResult<T>(body: unknown): ListResult<T> {
  const { items, metadata } = objectOf(body);
  const { resourceVersion, continue: next } = objectOf(metadata);
  return {
    items: listOf(items) as readonly T[],
    resourceVersion: stringOf(resourceVersion),
    continue: next === undefined || next === '' ? undefined : stringOf(next),
  };
}

/** Items of lists carry no kind and apiVersion, but a body should. */
function typed<T>(kind: KindRef<T>, object: T): object {
  return { apiVersion: apiVersionOf(kind), kind: kind.kind, ...object };
}

function metadataOf(object: unknown): NonNullable<KubeObject['metadata']> {
  return objectOf(objectOf(object)['metadata']);
}

async function textOf(response: TransportResponse): Promise<string> {
  const { body } = response;
  if (body instanceof Uint8Array) {
    return Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('utf8');
  }
  return Buffer.concat(await Array.fromAsync(body)).toString('utf8');
}

function failure(what: string, httpCode: number, text: string): Error {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    return apiError(what, { message: text.trim().slice(0, 500) }, httpCode); // Not from an API server: a proxy, or a bare 404.
  }
  return apiError(what, statusFrom(body), httpCode);
}

function statusFrom(value: unknown): Status {
  return isObject(value) && value['kind'] === 'Status' ? value : { message: JSON.stringify(value) };
}

function parseJson(what: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw apiError(what, { message: `answer is not JSON: ${String(error)}` }, 502);
  }
}
