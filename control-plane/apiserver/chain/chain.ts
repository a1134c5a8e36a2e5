import type { Readable } from 'node:stream';
import { parseDurationMs } from '#api/meta/duration.ts';
import { badRequest } from '#api/errors/status.ts';
import { describeError, isPodwrightError } from '#base/errors.ts';
import { authenticate } from './authn/authenticate.ts';
import type {
  ApiRequest,
  ApiResponse,
  AuthorizedRequest,
  Caller,
  User,
} from '#control-plane/apiserver/serve/request.ts';
import { errorResponse, withWarnings } from '#control-plane/apiserver/serve/respond.ts';
import { isLongRunning, parseRoute, type Route } from './route.ts';
import type { ServerContext } from '#control-plane/apiserver/server-context.ts';
import { slowSeconds, tellRefusal, tellSlow } from '#control-plane/apiserver/serve/tell-request.ts';
import { attributesOfPath } from './attributes.ts';
import { checkAccess, checkAccessTo, impersonate } from './authorize-request.ts';
import { labelsOf } from './request-labels.ts';

/** A request that has come through. */
export interface Passed {
  readonly route: Route;
  readonly request: AuthorizedRequest;
}

/** What is behind the chain for one way in: answers of requests, connections of upgrades. */
export interface WayIn<T extends { readonly status: number }> {
  readonly serve: (passed: Passed) => Promise<T>;
}

/**
 * What every request passes, whatever brought it: HTTP/2, HTTP/1.1, an upgrade, the process itself. Never throws.
 *
 * ```
 * cap in flight ─▶ metrics, log ─▶ authenticate ─▶ route ─▶ (audit) ─▶ impersonate ─▶ (fair queue) ─▶ authorize ─▶ serve
 * ```
 * The two in brackets have their place and are not built: audit is told of everybody whose name is known, also of who is
 * refused; the queue goes by the user as whom the request is done. Connections are capped before (`http-server.ts`).
 */
export async function passChain<T extends { readonly status: number }>(
  context: ServerContext,
  request: ApiRequest,
  way: WayIn<T>,
): Promise<T | ApiResponse> {
  try {
    using _place = context.inFlight.take(request.method);

    return await observed(context, request, way);
  } catch (error) {
    return errorResponse(error);
  }
}

async function observed<T extends { readonly status: number }>(
  context: ServerContext,
  request: ApiRequest,
  way: WayIn<T>,
): Promise<T | ApiResponse> {
  const startMs = context.clock.monotonic();
  const routed = readRoute(context, request);
  const response = await answer(context, { request, routed }, way);
  const labels = labelsOf(request, routed.route);
  const seconds = (context.clock.monotonic() - startMs) / 1000;
  const { status } = response;
  context.metrics.observeRequest({ labels, code: status, seconds, bytes: bytesOf(response) });
  if (seconds >= slowSeconds) tellSlow(context, request, { verb: labels.verb, status, seconds });
  return response;
}

/** What a path leads to, or what is wrong with it: nobody is told that before they said who they are. */
type Routed = { readonly route: Route } | { readonly route: undefined; readonly error: unknown };

function readRoute({ kinds }: ServerContext, request: ApiRequest): Routed {
  try {
    return { route: parseRoute(kinds, request) };
  } catch (error) {
    if (!isPodwrightError(error, 'E_API')) throw error;
    return { route: undefined, error };
  }
}

/** Of an answer that is there as a whole. */
function bytesOf(response: object): number | undefined {
  return 'body' in response && response.body instanceof Uint8Array ? response.body.length : undefined;
}

async function answer<T>(
  context: ServerContext,
  { request, routed }: { readonly request: ApiRequest; readonly routed: Routed },
  way: { readonly serve: (passed: Passed) => Promise<T> },
): Promise<T | ApiResponse> {
  let passed: AuthorizedRequest | undefined;
  try {
    const caller = await authenticate(context, request);
    if (routed.route === undefined) {
      await checkAccessTo(context.authorizer, attributesOfPath(request, caller));
      throw routed.error;
    }
    const { route } = routed;
    if (!isLongRunning(route)) checkTimeout(request.query.get('timeout'));
    const effective = impersonate(context.authorizer, { request, route, user: caller });
    const user = effective instanceof Promise ? await effective : effective;
    const access = checkAccess(context.authorizer, { request, route, user });
    if (access instanceof Promise) await access; // Not for nothing: most requests wait for nobody here.
    passed = new RequestOfUser(request, user);
    return await way.serve({ route, request: passed });
  } catch (error) {
    const response = withWarnings(errorResponse(error), passed?.warnings ?? none);
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

const none: readonly string[] = [];

/** Not by spreading the request, which would make the signal of one that has no use for it. */
class RequestOfUser implements AuthorizedRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: ApiRequest['headers'];
  readonly caller: Caller;
  readonly user: User;
  readonly #request: ApiRequest;
  #warnings: readonly string[] = none;

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

  get warnings(): readonly string[] {
    return this.#warnings;
  }

  warn(text: string): void {
    if (!this.#warnings.includes(text)) this.#warnings = [...this.#warnings, text];
  }

  readBody(): Promise<Uint8Array> {
    return this.#request.readBody();
  }

  get rawQuery(): string {
    return this.#request.rawQuery ?? this.query.toString();
  }

  openBody(): Readable | undefined {
    return this.#request.openBody?.();
  }
}
