import { randomUUID } from 'node:crypto';
import { decodeBodyOf } from '#api/wire/body.ts';
import { decodeRequest } from '#api/wire/decode-request.ts';
import { applyDefaults } from '#api/defaults/defaults.ts';
import { at, stringOf } from '#api/wire/json.ts';
import { effectWarnings } from '#api/kinds/kind-effects.ts';
import type { Kind } from '#api/schema/kinds.ts';
import { rulesOf } from '#api/kinds/rules-of.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { alreadyExists, badRequest, invalid } from '#api/errors/status.ts';
import { prepareCreate } from '#api/strategy/strategy.ts';
import { objectWarnings } from '#api/warnings/warnings.ts';
import { validateCreate } from '#api/validation/validation.ts';
import { Held } from '#control-plane/apiserver/chain/admission/held.ts';
import {
  admissionFor,
  admit,
  validate,
  type Admission,
} from '#control-plane/apiserver/chain/admission/run-admission.ts';
import { randomSuffix } from './name-suffix.ts';
import { workOnBody } from '#control-plane/apiserver/serve/large-body.ts';
import { negotiate } from '#control-plane/apiserver/serve/negotiate.ts';
import { Shown, typedShape } from '#control-plane/apiserver/objects/object-bytes.ts';
import type { Complete, Entry } from '#control-plane/apiserver/objects/registry.ts';
import type {
  ApiRequest,
  ApiResponse,
  AuthorizedRequest,
  RequestScope,
  User,
} from '#control-plane/apiserver/serve/request.ts';
import { bytesResponse, objectResponse, styleOf } from '#control-plane/apiserver/serve/respond.ts';
import type { ResourceRoute } from '#control-plane/apiserver/chain/route.ts';
import type { ServerContext } from '#control-plane/apiserver/server-context.ts';
import { transformNames, transformObject, transformOf } from './transform.ts';
import { parseWriteOptions, warningHeaders } from './write-options.ts';

/** What a write came to: `entry` is absent when it was a dry run. */
export interface Written {
  readonly object: JsonObject;
  readonly entry: Entry | undefined;
}

export interface CreateInput {
  readonly kind: Kind;
  /** '' for cluster-scoped kinds. */
  readonly namespace: string;
  /** Decoded, with kind and apiVersion. */
  readonly object: JsonObject;
  readonly user: User;
  readonly scope?: RequestScope;
  readonly dryRun: boolean;
  /** Called between two steps of a large one. */
  readonly pause?: () => Promise<void>;
}

/** Tries at a generated name before the server gives up (kube-apiserver's own number). */
const generateTriesMax = 8;

/** Times that an object is validated again as somebody else wrote what it is to be written beside (a quota of its namespace). */
const besideTriesMax = 100;

/** POST to a collection. */
export async function postObject(
  context: ServerContext,
  route: ResourceRoute,
  request: AuthorizedRequest,
): Promise<ApiResponse> {
  const { kind, namespace } = route;
  const options = parseWriteOptions('CreateOptions', request.query);
  const bytes = await request.readBody();
  return workOnBody({ bytes: bytes.byteLength, request }, async ({ pause }) => {
    const body = decodeBodyOf(kind.kind, bytes, request.headers['content-type']);
    await pause();
    const { object, warnings } = decodeRequest(kind, body, options.fieldValidation);
    checkNamespaceOf(kind, namespace, object);
    await pause();
    const written = await createObject(context, {
      kind,
      namespace,
      object,
      user: request.user,
      scope: request,
      dryRun: options.dryRun,
      pause,
    });
    const told = [...warnings, ...effectWarnings(kind, object)];
    return writtenResponse(context, { status: 201, kind, written, warnings: told }, request);
  });
}

/** The whole way of a new object, from decoded to durable. */
export async function createObject(context: ServerContext, input: CreateInput): Promise<Written> {
  const { kind, namespace } = input;
  const given = stringOf(at(input.object, 'metadata.name'));
  const admission = admissionFor(context, {
    ...{ operation: 'create', verb: 'create', kind, subresource: '', namespace, name: given },
    ...{ user: input.user, scope: input.scope, dryRun: input.dryRun },
  });
  const defaulted = applyDefaults(kind, input.object);
  await input.pause?.();
  const admitted = await admit(context, admission, { object: defaulted });
  // After all who may change the object: who asked for it is nobody else's to say.
  const signed = rulesOf(kind).signRequester?.(admitted, input.user) ?? admitted;
  await input.pause?.();
  for (let tries = 1; ; tries++) {
    const prepared = prepareCreate(kind, signed, {
      now: context.clock.now(),
      uid: randomUUID(),
      ...(kind.namespaced ? { namespace } : {}),
      ...(given === '' ? { nameSuffix: randomSuffix() } : {}),
    });
    await input.pause?.();
    const object = applyNameDefaults(kind, prepared, given);
    const created = await insert(context, { ...input, object, admission });
    if (created !== undefined) return created;
    if (given !== '' || tries === generateTriesMax)
      throw alreadyExists(kind, stringOf(at(object, 'metadata.name')));
  }
}

/** Some defaults follow from the name (a Namespace's own label): a generated one is known only now. */
function applyNameDefaults(kind: Kind, object: JsonObject, given: string): JsonObject {
  return given === '' && rulesOf(kind).defaultsFollowName === true ? applyDefaults(kind, object) : object;
}

/**
 * Stores the object if it is valid and nobody who validates objects against, with what they took for it.
 * @returns undefined when the name is taken.
 */
async function insert(
  context: ServerContext,
  input: Pick<CreateInput, 'kind' | 'object' | 'scope' | 'dryRun' | 'pause'> & {
    readonly admission: Admission;
  },
): Promise<Written | undefined> {
  const { kind, object, dryRun: isDryRun, admission } = input;
  // What the allocator adds is valid by its making.
  const errors = validateCreate(kind, object);
  if (errors.length > 0) throw invalid(kind, stringOf(at(object, 'metadata.name')), errors);
  for (const text of objectWarnings(kind, object)) input.scope?.warn(text);
  await input.pause?.();
  const complete: Complete = (given, isClaimed) => context.allocators.allocate(kind, given, isClaimed);
  for (let tries = 1; ; tries++) {
    using held = new Held();

    await validate(context, admission, { object, held });
    const { beside } = held;
    const created = await context.registry.create(kind, object, { isDryRun, complete, beside });
    if (created.outcome === 'created')
      return created.entry === undefined ? created : writtenEntry(created.entry);
    if (created.outcome === 'nameTaken') return undefined;
    if (beside !== undefined && tries === besideTriesMax) throw beside.conflict();
  }
}

/** What was written, without reading it again before somebody asks. */
export function writtenEntry(entry: Entry): Written {
  return {
    get object() {
      return entry.object;
    },
    entry,
  };
}

/** @throws {E_API} 400 when the object names another namespace than the URL */
export function checkNamespaceOf(kind: Kind, namespace: string, object: JsonObject): void {
  const own = stringOf(at(object, 'metadata.namespace'));
  if (own === '' || own === namespace) return;
  if (!kind.namespaced) throw badRequest('namespace is not allowed on this type');
  throw badRequest('the namespace of the provided object does not match the namespace sent on the request');
}

/** What a write answers with: the object as it is now, in the shape that was asked for. */
export function writtenResponse(
  context: ServerContext,
  result: {
    readonly status: number;
    readonly kind: Kind;
    readonly written: Written;
    readonly warnings?: readonly string[];
  },
  request: ApiRequest,
): ApiResponse {
  const { status, kind, written, warnings = [] } = result;
  const representation = negotiate(request.headers['accept'], transformNames);
  const transform = transformOf(representation, request.query);
  const style = styleOf(request, representation);
  const headers = warningHeaders(warnings);
  if (transform !== undefined) {
    return objectResponse(
      status,
      transformObject(kind, transform, written.object, context.clock.now()),
      style,
      headers,
    );
  }
  if (written.entry === undefined) return objectResponse(status, written.object, style, headers);
  return bytesResponse(
    status,
    new Shown(typedShape(kind), context.registry.storedOf(kind, written.entry.value)).toBytes(),
    style,
    headers,
  );
}
