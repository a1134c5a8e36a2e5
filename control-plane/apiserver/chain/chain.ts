import type { Readable } from 'node:stream';
import { parseDurationMs } from '#api/meta/duration.ts';
import { badRequest, internalError } from '#api/errors/status.ts';
import { describeError, isPodwrightError } from '#base/errors.ts';
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
import { attributesOf, attributesOfPath } from './attributes.ts';
import { usesOfRefusal } from './authn/authenticate.ts';
import type { Found } from './authn/authenticator.ts';
import type { Attributes } from './authz/authorizer.ts';
import { checkAccessTo, impersonate } from './authorize-request.ts';
import { Seat } from './flow-control/seat.ts';
import type { Audit } from './audit/audit.ts';
import type { RequestRecord } from './audit/record.ts';
import { labelsOf } from './request-labels.ts';

/** A request that has come through. */
export interface Passed {
  readonly route: Route;
  readonly request: AuthorizedRequest;
  /** Ended by the chain when the request was served, unless its answer goes on. */
  readonly seat: Seat;
}

/** What is behind the chain for one way in: answers of requests, connections of upgrades. */
export interface WayIn<T extends { readonly status: number }> {
  readonly serve: (passed: Passed) => Promise<T>;
}

/**
 * What every request passes, whatever brought it: HTTP/2, HTTP/1.1, an upgrade, the process itself. Never throws.
 *
 * ```
 * cap in flight ─▶ metrics, log ─▶ authenticate ─▶ route ─▶ audit ─▶ impersonate ─▶ fair queue ─▶ authorize ─▶ serve
 * ```
 * Audit is told of everybody whose name is known, also of who is refused, and of who is not let in at all. The queue goes by the user as whom the request is done. Connections are capped before (`http-server.ts`).
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
  const asked: AskedRoute = { request, routed };
  const response =
    context.audit === undefined
      ? await answer(context, asked, way)
      : await answerRecorded(context, context.audit, asked, way);
  const labels = labelsOf(request, routed.route);
  const seconds = (context.clock.monotonic() - startMs) / 1000;
  const { status } = response;
  context.metrics.observeRequest({ labels, code: status, seconds, bytes: bytesOf(response) });
  if (seconds >= slowSeconds) tellSlow(context, request, { verb: labels.verb, status, seconds });
  return response;
}

/** What a path leads to, or what is wrong with it: nobody is told that before they said who they are. */
type Routed = { readonly route: Route } | { readonly route: undefined; readonly error: unknown };

function readRoute({ kinds, portPaths }: ServerContext, request: ApiRequest): Routed {
  if (portPaths !== undefined) return { route: { kind: 'path' } };
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

interface AskedRoute {
  readonly request: ApiRequest;
  readonly routed: Routed;
  /** Opens the record of the request, when it is known who asks. */
  readonly recordAs?: (user: User | undefined) => Promise<RequestRecord | undefined>;
}

/** As `answer`, and with a record of it, from here on. */
async function answerRecorded<T extends { readonly status: number }>(
  context: ServerContext,
  audit: Audit,
  { request, routed }: AskedRoute,
  way: WayIn<T>,
): Promise<T | ApiResponse> {
  const receivedMs = context.clock.now();
  let record: RequestRecord | undefined;
  const { route } = routed;
  const recordAs = async (user: User | undefined): Promise<RequestRecord | undefined> => {
    const who = user ?? nobody;
    const attributes =
      route === undefined ? attributesOfPath(request, who) : attributesOf(request, route, who);
    record = audit.open({ request, route, attributes, user, receivedMs });
    const isStored = record === undefined || user === undefined || (await record.received());
    if (isStored) return record;
    audit.rejected();
    throw internalError('failed to store audit event');
  };
  const response = await answer(context, { request, routed, recordAs }, way);
  return record === undefined ? response : record.answered(response);
}

const nobody: User = { name: '', groups: [] };

async function answer<T>(
  context: ServerContext,
  { request, routed, recordAs }: AskedRoute,
  way: { readonly serve: (passed: Passed) => Promise<T> },
): Promise<T | ApiResponse> {
  const passing: Passing = { request: undefined, seat: Seat.none, record: undefined };
  let isKnown = false;
  try {
    const finding = context.authentication.authenticate(request);
    const found = finding instanceof Promise ? await finding : finding;
    isKnown = true;
    if (recordAs !== undefined) {
      passing.record = await recordAs(found.user);
      passing.record?.used(found.uses);
    }
    return await answerUser(context, { request, routed, found, passing }, way);
  } catch (error) {
    if (!isKnown) (await recordAs?.(undefined))?.used(usesOfRefusal(error));
    else if (isUnforeseen(error)) passing.record?.panicked(error);
    const response = withWarnings(errorResponse(error), passing.request?.warnings ?? none);
    if (!isUnforeseen(error)) passing.record?.sawResponse(response);
    tellRefusal(context, request, { status: response.status, error });
    return passing.seat.answer(request, response);
  } finally {
    passing.seat[Symbol.dispose]();
  }
}

/** What a request has come to, for who answers when it fails. */
interface Passing {
  request: AuthorizedRequest | undefined;
  seat: Seat;
  record: RequestRecord | undefined;
}

async function answerUser<T>(
  context: ServerContext,
  asked: {
    readonly request: ApiRequest;
    readonly routed: Routed;
    readonly found: Found;
    readonly passing: Passing;
  },
  way: { readonly serve: (passed: Passed) => Promise<T> },
): Promise<T | ApiResponse> {
  const { request, routed, passing } = asked;
  const { record } = passing;
  const { user: caller, warnings = none } = asked.found;
  const { route } = routed;
  const startMs = context.clock.monotonic();
  const timeoutMs =
    route === undefined || isLongRunning(route) ? undefined : timeoutOf(request.query.get('timeout'));
  const attributesFor = (who: User): Attributes =>
    route === undefined ? attributesOfPath(request, who) : attributesOf(request, route, who);
  const effective = impersonate(context.authorizer, {
    ...{ request, user: caller, record },
    attributesOf: attributesFor,
  });
  const user = effective instanceof Promise ? await effective : effective;
  const attributes = attributesFor(user);
  const entering = context.flowControl.enter({ request, route, attributes });
  const entered = entering instanceof Promise ? await entering : entering; // Not for nothing: most requests wait for nobody here.
  if (!(entered instanceof Seat)) return entered;
  passing.seat = entered;
  const access = checkAccessTo(context.authorizer, attributes, record);
  if (access instanceof Promise) await access;
  if (routed.route === undefined) throw routed.error;
  const deadlineMs = timeoutMs === undefined ? undefined : startMs + timeoutMs;
  passing.request = new RequestOfUser(request, user, { seat: entered, record, deadlineMs });
  record?.follows(passing.request);
  for (const warning of warnings) passing.request.warn(warning);
  return way.serve({ route: routed.route, request: passing.request, seat: entered });
}

/** Neither an answer of ours nor the end of who asked. */
function isUnforeseen(error: unknown): boolean {
  return !isPodwrightError(error) && !(error instanceof DOMException);
}

/** What kube-apiserver gives a request at most (--request-timeout). */
const timeoutMaxMs = 60_000;

/** How long a request may take: what it says, but no longer than others. @throws {E_API} 400 for a timeout that is no duration */
function timeoutOf(text: string | null): number {
  if (text === null || text === '') return timeoutMaxMs;
  try {
    const givenMs = parseDurationMs(text);
    return givenMs > 0 ? Math.min(givenMs, timeoutMaxMs) : timeoutMaxMs;
  } catch (error) {
    throw badRequest(`invalid timeout specified in the request URL - ${describeError(error)}`);
  }
}

const none: readonly string[] = [];
const noAnnotations: ReadonlyMap<string, string> = new Map();

/** Not by spreading the request, which would make the signal of one that has no use for it. */
class RequestOfUser implements AuthorizedRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: ApiRequest['headers'];
  readonly caller: Caller;
  readonly user: User;
  readonly record: RequestRecord | undefined;
  readonly deadlineMs: number | undefined;
  readonly #request: ApiRequest;
  readonly #seat: Seat;
  #warnings: readonly string[] = none;
  #annotations: Map<string, string> | undefined;

  constructor(
    request: ApiRequest,
    user: User,
    {
      seat,
      record,
      deadlineMs,
    }: {
      readonly seat: Seat;
      readonly record: RequestRecord | undefined;
      readonly deadlineMs: number | undefined;
    },
  ) {
    this.record = record;
    this.deadlineMs = deadlineMs;
    this.method = request.method;
    this.path = request.path;
    this.query = request.query;
    this.headers = request.headers;
    this.caller = request.caller;
    this.user = user;
    this.#request = request;
    this.#seat = seat;
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

  get annotations(): ReadonlyMap<string, string> {
    return this.#annotations ?? noAnnotations;
  }

  annotate(key: string, value: string, least?: 'Request'): void {
    if (least === 'Request' && this.record?.keepsRequests !== true) return;
    this.#annotations ??= new Map();
    if (!this.#annotations.has(key)) this.#annotations.set(key, value);
  }

  begun(): void {
    this.#seat.end();
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
