import { randomUUID } from 'node:crypto';
import { mediaTypeOf } from '#api/wire/body.ts';
import { parseYaml } from '#api/wire/yaml.ts';
import { at, isObject, stringOf } from '#api/wire/json.ts';
import { rulesOf } from '#api/kinds/rules-of.ts';
import type { JsonObject } from '#api/meta/object.ts';
import type { Clock } from '#base/clock.ts';
import { describeError } from '#base/errors.ts';
import { annotationOf, noUses, type TokenUse } from '#control-plane/apiserver/chain/authn/token-uses.ts';
import type { Attributes, Decision } from '#control-plane/apiserver/chain/authz/authorizer.ts';
import { isLongRunning, type Route } from '#control-plane/apiserver/chain/route.ts';
import type {
  ApiRequest,
  ApiResponse,
  AuthorizedRequest,
  BodyRecord,
  ByteSink,
  User,
} from '#control-plane/apiserver/serve/request.ts';
import { goJsonText, goText, renderEvent, requestJson, type AuditEvent } from './event.ts';
import type { Ruling, Stage } from './policy.ts';
import { redactBody, withoutManagedFields } from './redact.ts';
import { sourceIpsOf } from './source-ips.ts';

/** Takes an event, at once or when it is written: whether the request may go on, which waits for it or does not. */
export type Write = (event: AuditEvent, isAwaited: boolean) => boolean | Promise<boolean>;

export interface RecordParts {
  readonly request: ApiRequest;
  /** undefined for a path that leads to no kind. */
  readonly route: Route | undefined;
  readonly attributes: Attributes;
  /** undefined: they did not say who they are, or it was not true. */
  readonly user: User | undefined;
  readonly ruling: Ruling;
  readonly receivedMs: number;
  readonly clock: Pick<Clock, 'now'>;
  readonly write: Write;
  /** Whether a request begins only when it is written that it came. */
  readonly isAwaited: boolean;
}

const userAgentLengthMax = 1024; // As kube-apiserver cuts it.
const truncatedSuffix = '...TRUNCATED';
/** Of the id that a client gives its request. */
const auditIdLengthMax = 64;
/** Bytes of an answer that comes in pieces (a long list) up to which it is written. */
const responseBytesMax = 16 * 1024 * 1024;

/** The id under which a request is recorded and answered. */
export function auditIdOf(request: ApiRequest): string {
  const given = request.headers['audit-id'] ?? '';
  return given === '' ? randomUUID() : given.slice(0, auditIdLengthMax);
}

/** Which object is meant; '' for what is not known. */
interface Identity {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly revision: string;
}

/** When it comes, nothing is noted of a request. */
const noAnnotations: ReadonlyMap<string, string> = new Map();

/** What is recorded of one request, from its arrival to the end of its answer. */
export class RequestRecord implements BodyRecord {
  readonly auditId: string;
  readonly #parts: RecordParts;
  #asked: Parameters<typeof requestJson>[0];
  #requestJson: string | undefined;
  /** What the path says, and what is known by now. */
  readonly #identityAsked: Identity;
  #identity: Identity;
  #annotations = new Map<string, string>();
  #of: Pick<AuthorizedRequest, 'annotations'> | undefined;
  #requestObject: string | undefined;
  #responseObject: string | undefined;
  #responseStatus: string | undefined;
  #code = 0;
  #panic: string | undefined;
  #isArrivalOwed = false;
  #isOver = false;

  constructor(parts: RecordParts) {
    const { request, attributes } = parts;
    this.#parts = parts;
    this.auditId = auditIdOf(request);
    const agent = request.headers['user-agent'] ?? '';
    const query = request.rawQuery ?? request.query.toString();
    this.#asked = {
      requestUri: query === '' ? request.path : `${request.path}?${query}`,
      verb: attributes.verb,
      user: parts.user,
      impersonated: undefined,
      impersonationConstraint: '',
      sourceIps: sourceIpsOf(request),
      userAgent:
        agent.length > userAgentLengthMax ? agent.slice(0, userAgentLengthMax) + truncatedSuffix : agent,
    };
    const [namespace, name] =
      attributes.kind === 'resource' ? [attributes.namespace, attributes.name] : ['', ''];
    this.#identityAsked = { namespace, name, uid: '', revision: '' };
    this.#identity = this.#identityAsked;
  }

  /**
   * Before anything is done. false: it could not be written, and the request is refused. A log that refuses nobody is not waited for: it
   * has events in their order, and no answer is given before its end is written. It is told when the turn is over: what is to be stored
   * is on its way to the disk by then.
   */
  received(): boolean | Promise<boolean> {
    const { isAwaited, ruling } = this.#parts;
    if (isAwaited || ruling.omitStages.has('RequestReceived')) return this.#emit('RequestReceived');
    this.#isArrivalOwed = true;
    setImmediate(() => this.#tellArrival());
    return true;
  }

  impersonates(user: User, constraint: string): void {
    this.#tellArrival();
    this.#asked = { ...this.#asked, impersonated: user, impersonationConstraint: constraint };
    this.#requestJson = undefined;
  }

  /** Tokens by which they said who they are. */
  used(uses: readonly TokenUse[] = noUses): void {
    for (const use of uses) {
      const annotation = annotationOf(use);
      if (annotation !== undefined) this.#annotations.set(...annotation);
    }
  }

  /** What the authorizers said. */
  decided({ decision, reason, error }: Decision): void {
    if (decision !== 'allow' && error !== undefined) {
      this.#annotations.set('authorization.k8s.io/reason', 'internal error');
      return;
    }
    this.#annotations.set('authorization.k8s.io/decision', decision === 'allow' ? 'allow' : 'forbid');
    this.#annotations.set('authorization.k8s.io/reason', reason);
  }

  /** Where others put what is to be noted. */
  follows(request: Pick<AuthorizedRequest, 'annotations'>): void {
    this.#of = request;
  }

  saw(object: JsonObject): void {
    const { namespace, name, uid, revision } = this.#identity;
    const own = (path: string): string => stringOf(at(object, path));
    this.#identity = {
      namespace: namespace || own('metadata.namespace'),
      name: name || own('metadata.name'),
      uid: uid || own('metadata.uid'),
      revision: revision || own('metadata.resourceVersion'),
    };
    this.#keepRequest(() => {
      const { kind, apiVersion, metadata, ...rest } = object;
      return { kind, apiVersion, metadata, ...rest };
    });
  }

  get keepsRequests(): boolean {
    const { level } = this.#parts.ruling;
    return level === 'Request' || level === 'RequestResponse';
  }

  sawPatch(bytes: Uint8Array): void {
    this.#keepRequest(() => parseBody(bytes));
  }

  sawResponse(response: ApiResponse): ApiResponse {
    if (this.#parts.ruling.level !== 'RequestResponse' || !this.#hasBodies() || this.#isLong())
      return response;
    const { body } = response;
    const mediaType = mediaTypeOf(stringOf(response.headers['content-type']));
    if (mediaType !== 'application/json' && mediaType !== 'application/yaml') return response;
    if (body instanceof Uint8Array) {
      this.#keepResponse(body);
      return response;
    }
    return { ...response, body: (sink) => this.#copy(body, sink) };
  }

  /** The handler failed, in a way that nobody foresaw. */
  panicked(error: unknown): void {
    this.#panic = describeError(error);
  }

  /** What is answered: noted, and completed when it has been given as a whole. */
  async answered<T extends { readonly status: number }>(response: T | ApiResponse): Promise<T | ApiResponse> {
    this.#code = response.status;
    this.#responseStatus = statusJson(response);
    if (this.#parts.user === undefined) {
      await this.#emit('ResponseStarted'); // As kube-apiserver records who is not let in at all.
      return withId(response, this.auditId);
    }
    if (this.#isLong()) await this.#emit('ResponseStarted');
    if (!('body' in response)) return response; // An upgrade, which ends with its connection.
    if (response.body instanceof Uint8Array || this.#parts.request.method === 'HEAD') {
      await this.complete();
      return withId(response, this.auditId);
    }
    const { body } = response;
    const whole = async (sink: ByteSink): Promise<void> => {
      try {
        await body(sink);
      } finally {
        await this.complete();
      }
    };
    return withId({ ...response, body: whole }, this.auditId);
  }

  /** Once, however often it is said. */
  async complete(): Promise<void> {
    if (this.#isOver) return;
    this.#isOver = true;
    if (this.#panic === undefined) {
      await this.#emit('ResponseComplete');
      return;
    }
    this.#code = 500;
    this.#responseStatus = goJsonText({
      metadata: {},
      status: 'Failure',
      message: `APIServer panic'd: ${this.#panic}`,
      reason: 'InternalError',
      code: 500,
    });
    await this.#emit('Panic');
  }

  #isLong(): boolean {
    const { route } = this.#parts;
    return route !== undefined && isLongRunning(route);
  }

  /** What goes to a node or comes from it (exec, logs, proxies) is nobody's body but theirs. */
  #hasBodies(): boolean {
    const { route } = this.#parts;
    return route?.kind === 'resource' && !isLongRunning(route);
  }

  #keepRequest(body: () => unknown): void {
    const { level } = this.#parts.ruling;
    if (level === 'Metadata' || level === 'None' || !this.#hasBodies()) return;
    try {
      this.#requestObject = this.#bodyJson(body());
    } catch {
      this.#requestObject = undefined; // Not readable: it is answered so, and says nothing here.
    }
  }

  #keepResponse(bytes: Uint8Array): void {
    if (bytes.byteLength === 0) return;
    try {
      this.#responseObject = this.#bodyJson(parseBody(bytes));
    } catch {
      this.#responseObject = undefined;
    }
  }

  async #copy(body: (sink: ByteSink) => Promise<void>, sink: ByteSink): Promise<void> {
    const pieces: Uint8Array[] = [];
    let bytes = 0;
    await body({
      write: (piece, sent) => {
        bytes += piece.byteLength;
        if (bytes <= responseBytesMax) pieces.push(Uint8Array.from(piece));
        else pieces.length = 0;
        return sink.write(piece, sent);
      },
      drained: () => sink.drained(),
      get pendingBytes() {
        return sink.pendingBytes;
      },
    });
    if (bytes <= responseBytesMax) this.#keepResponse(Buffer.concat(pieces));
    else this.#annotations.set('audit.k8s.io/truncated', 'true');
  }

  #bodyJson(body: unknown): string {
    const { ruling } = this.#parts;
    const shown = redactBody(body, this.#secretFields());
    return goJsonText(ruling.omitManagedFields ? withoutManagedFields(shown) : shown);
  }

  #secretFields(): readonly string[] {
    const { route } = this.#parts;
    if (route?.kind !== 'resource') return [];
    return rulesOf(route.route.kind).secretFields ?? [];
  }

  #tellArrival(): void {
    if (!this.#isArrivalOwed) return;
    this.#isArrivalOwed = false;
    void this.#emit('RequestReceived');
  }

  #emit(stage: Stage): boolean | Promise<boolean> {
    this.#tellArrival();
    const { ruling, receivedMs, clock, write, isAwaited } = this.#parts;
    if (ruling.omitStages.has(stage)) return true;
    const isEnd = stage !== 'RequestReceived';
    const identity = isEnd ? this.#identity : this.#identityAsked;
    return write(
      renderEvent({
        level: ruling.level,
        auditId: this.auditId,
        stage,
        ...this.#asked,
        request: (this.#requestJson ??= requestJson(this.#asked)),
        objectRef: this.#objectRef(identity),
        responseStatus: isEnd ? this.#responseStatus : undefined,
        code: this.#code,
        requestObject: isEnd ? this.#requestObject : undefined,
        responseObject: this.#responseObject,
        receivedMs,
        stageMs: isEnd ? clock.now() : receivedMs,
        annotations: isEnd ? this.#allAnnotations() : noAnnotations,
        namespace: identity.namespace,
      }),
      isEnd || isAwaited,
    );
  }

  #allAnnotations(): ReadonlyMap<string, string> {
    const others = this.#of?.annotations;
    if (others === undefined || others.size === 0) return this.#annotations;
    return new Map([...others, ...this.#annotations]);
  }

  #objectRef({ namespace, name, uid, revision }: Identity): string | undefined {
    const { attributes, route, request } = this.#parts;
    if (attributes.kind !== 'resource') return undefined;
    const { group, resource, subresource } = attributes;
    const member = (key: string, value: string): string => (value === '' ? '' : `,"${key}":${goText(value)}`);
    const version = route?.kind === 'resource' ? route.route.kind.version : versionOf(request.path);
    return (
      `{"resource":${goText(resource)}` +
      member('namespace', namespace) +
      member('name', name) +
      member('uid', uid) +
      member('apiGroup', group) +
      member('apiVersion', version) +
      member('resourceVersion', revision) +
      `${member('subresource', subresource)}}`
    );
  }
}

function versionOf(path: string): string {
  const parts = path.split('/');
  return (parts[1] === 'api' ? parts[2] : parts[3]) ?? '';
}

const statusStart = Buffer.from('{"kind":"Status"');
/** A Status is small; what is longer is something else. */
const statusBytesMax = 131_072;

/** The answer in few words: of a Status these, of others the code. */
function statusJson(response: { readonly status: number } | ApiResponse): string {
  const status = 'body' in response ? statusOfBody(response.body) : undefined;
  if (status === undefined) return `{"metadata":{},"code":${response.status}}`;
  const { status: outcome, message, reason, details } = status;
  const isFailure = response.status >= 400;
  return goJsonText({
    metadata: {},
    status: outcome,
    message: isFailure ? message : undefined,
    reason,
    details,
    code: response.status,
  });
}

function statusOfBody(body: unknown): JsonObject | undefined {
  if (!(body instanceof Uint8Array) || body.byteLength > statusBytesMax) return undefined;
  if (!statusStart.equals(body.subarray(0, statusStart.length))) return undefined;
  const status: unknown = JSON.parse(textOf(body));
  return isObject(status) ? status : undefined;
}

function withId<T extends { readonly status: number }>(
  response: T | ApiResponse,
  auditId: string,
): T | ApiResponse {
  if (!('headers' in response)) return response;
  return { ...response, headers: { ...response.headers, 'audit-id': auditId } };
}

/** JSON, or YAML. */
function parseBody(bytes: Uint8Array): unknown {
  const text = textOf(bytes);
  try {
    return JSON.parse(text);
  } catch {
    return parseYaml(text).value;
  }
}

function textOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}
