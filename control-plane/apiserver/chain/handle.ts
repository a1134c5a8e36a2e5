import { parseDurationMs } from '#api/duration.ts';
import { describeError } from '#base/errors.ts';
import { badRequest, forbidden, resourceNotFound, statusError, tooManyRequests } from '#api/status.ts';
import { authenticate } from '#control-plane/apiserver/auth/authenticate.ts';
import { impersonationOf, type Impersonation } from '#control-plane/apiserver/auth/impersonate.ts';
import { authorize, describeDenial, type Attributes } from '#control-plane/apiserver/auth/authorize.ts';
import { postObject } from '#control-plane/apiserver/create.ts';
import { deleteCollection, deleteOne } from '#control-plane/apiserver/delete.ts';
import { checkNodeWrite } from '#control-plane/apiserver/auth/node-restriction.ts';
import { observeRequest } from '#control-plane/apiserver/metrics.ts';
import { handlePath } from '#control-plane/apiserver/paths.ts';
import { patchObject } from '#control-plane/apiserver/patch.ts';
import { getObject, listObjects } from '#control-plane/apiserver/read.ts';
import type {
  ApiRequest,
  ApiResponse,
  AuthorizedRequest,
  Caller,
  User,
} from '#control-plane/apiserver/request.ts';
import { compress, errorResponse } from '#control-plane/apiserver/respond.ts';
import { isLongRunning, parseRoute, type ResourceRoute, type Route } from '#control-plane/apiserver/route.ts';
import type { ServerContext } from '#control-plane/apiserver/server-context.ts';
import { handleSubresource } from '#control-plane/apiserver/subresources/handle-subresource.ts';
import { slowSeconds, tellRefusal, tellSlow } from '#control-plane/apiserver/tell-request.ts';
import { putObject } from '#control-plane/apiserver/update.ts';
import { handleVirtual, isVirtual } from '#control-plane/apiserver/virtual.ts';
import { watchObjects } from '#control-plane/apiserver/watch.ts';

/** The whole chain, for any transport: route, authenticate, impersonate, authorize, handle. Never throws. */
export async function handle(context: ServerContext, request: ApiRequest): Promise<ApiResponse> {
  try {
    using _place = takePlace(context);

    return await observed(context, request);
  } catch (error) {
    return errorResponse(error);
  }
}

/** A place among the requests that are worked on, upgrades among them, until it is disposed of. @throws {E_API} 429 */
export function takePlace(context: ServerContext): Disposable {
  let places = placesOf.get(context);
  if (places === undefined) placesOf.set(context, (places = new Places()));
  places.take();
  return places;
}

/** Requests worked on at once; a watch or log counts only until it has begun. Clients retry on 429 with Retry-After. */
const inFlightMax = 1000;

/** Disposed of once for each place that was taken. */
class Places implements Disposable {
  #taken = 0;

  take(): void {
    if (this.#taken >= inFlightMax) throw tooManyRequests('Too many requests, please try again later.', 1);
    this.#taken++;
  }

  [Symbol.dispose](): void {
    this.#taken--;
  }
}
const placesOf = new WeakMap<ServerContext, Places>();

async function observed(context: ServerContext, request: ApiRequest): Promise<ApiResponse> {
  const startMs = context.clock.monotonic();
  let route: Route | undefined;
  const response = await answer(context, request, (parsed) => (route = parsed));
  const { verb, kind } =
    route?.kind === 'resource' ? route.route : { verb: methodLabel(request.method), kind: undefined };
  const seconds = (context.clock.monotonic() - startMs) / 1000;
  observeRequest(context, { verb, resource: kind?.resource ?? '', code: response.status, seconds });
  if (seconds >= slowSeconds) tellSlow(context, request, { verb, status: response.status, seconds });
  return response;
}

const methods: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);

/** Clients may make up methods; labels are few. */
function methodLabel(method: string): string {
  return methods.has(method) ? method.toLowerCase() : 'other';
}

async function answer(
  context: ServerContext,
  request: ApiRequest,
  onRoute: (route: Route) => void,
): Promise<ApiResponse> {
  try {
    const user = await authenticate(context, request);
    const route = parseRoute(context.kinds, request);
    onRoute(route);
    if (!isLongRunning(route)) checkTimeout(request.query.get('timeout'));
    const authorized = new RequestOfUser(request, admitUser(request, route, user));
    const response =
      route.kind === 'path'
        ? await handlePath(context, authorized)
        : await handleResource(context, route.route, authorized);
    return compress(request, response);
  } catch (error) {
    const response = errorResponse(error);
    tellRefusal(context, request, { status: response.status, error });
    return response;
  }
}

/** @throws {E_API} 400 for a timeout that is no duration */
function checkTimeout(text: string | null): void {
  if (text === null || text === '') return;
  try {
    parseDurationMs(text);
  } catch (error) {
    throw badRequest(`invalid timeout specified in the request URL - ${describeError(error)}`);
  }
}

/** Not by spreading the request, which would make the signal of one that has no use for it. */
class RequestOfUser implements AuthorizedRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: ApiRequest['headers'];
  readonly caller: Caller;
  readonly user: User;
  readonly #request: ApiRequest;

  constructor(request: ApiRequest, user: User) {
    this.method = request.method;
    this.path = request.path;
    this.query = request.query;
    this.headers = request.headers;
    this.caller = request.caller;
    this.user = user;
    this.#request = request;
  }

  get signal(): AbortSignal {
    return this.#request.signal;
  }

  readBody(): Promise<Uint8Array> {
    return this.#request.readBody();
  }
}

/** The user as whom the request is done. @throws {E_API} 403 */
export function admitUser(request: ApiRequest, route: Route, user: User): User {
  const impersonation = impersonationOf(request);
  if (impersonation !== undefined) checkImpersonation(request, route, { user, impersonation });
  const effective = impersonation?.user ?? user;
  const attributes = attributesOf(request, route, effective);
  if (!authorize(attributes).allowed) throw denial(attributes);
  return effective;
}

/** @throws {E_API} 403 where the user lacks one of the rights that it takes, in the words of constrained impersonation */
function checkImpersonation(
  request: ApiRequest,
  route: Route,
  { user, impersonation }: { readonly user: User; readonly impersonation: Impersonation },
): void {
  const mayBe = impersonation.needed.every(
    (needed) => authorize({ ...needed, kind: 'resource', user, verb: 'impersonate' }).allowed,
  );
  if (mayBe) return;
  const attributes = attributesOf(request, route, user);
  throw denial({ ...attributes, verb: `impersonate-on:${impersonation.mode}:${attributes.verb}` });
}

function attributesOf(request: ApiRequest, route: Route, user: User): Attributes {
  if (route.kind === 'path')
    return { kind: 'path', user, verb: request.method.toLowerCase(), path: request.path };
  const { verb, kind, subresource, namespace, name } = route.route;
  const { group, resource } = kind;
  return {
    kind: 'resource',
    user,
    verb,
    group,
    resource,
    subresource: subresource?.name ?? '',
    namespace,
    name,
  };
}

function denial(attributes: Attributes): Error {
  const cause = describeDenial(attributes);
  if (attributes.kind === 'path') return statusError(403, 'Forbidden', `forbidden: ${cause}`, {});
  return forbidden({ group: attributes.group, resource: attributes.resource }, attributes.name, cause);
}

function isWrite(verb: string): boolean {
  return verb === 'update' || verb === 'patch' || verb === 'delete';
}

async function handleResource(
  context: ServerContext,
  route: ResourceRoute,
  request: AuthorizedRequest,
): Promise<ApiResponse> {
  if (isVirtual(route.kind)) return handleVirtual(context, route, request);
  if (isWrite(route.verb) && route.name !== '') checkNodeWrite(request.user, route);
  if (route.subresource !== undefined) return handleSubresource(context, route, request);
  switch (route.verb) {
    case 'get':
      return getObject(context, route, request);
    case 'list':
      return listObjects(context, route, request);
    case 'watch':
      return watchObjects(context, route, request);
    case 'create':
      return postObject(context, route, request);
    case 'update':
      return putObject(context, route, request);
    case 'patch':
      return patchObject(context, route, request);
    case 'delete':
      return deleteOne(context, route, request);
    case 'deletecollection':
      return deleteCollection(context, route, request);
    default:
      throw resourceNotFound();
  }
}
