import { randomUUID } from 'node:crypto';
import { sortedObject } from '#api/custom/sorted-json.ts';
import { decodeBodyOf } from '#api/wire/body.ts';
import { decodeRequest } from '#api/wire/decode-request.ts';
import { applyDefaults } from '#api/defaults/defaults.ts';
import { at, stringOf, withPath } from '#api/wire/json.ts';
import { effectWarnings } from '#api/kinds/kind-effects.ts';
import type { Kind } from '#api/schema/kinds.ts';
import { rulesOf } from '#api/kinds/rules-of.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { alreadyExists, bareError, forbidden, invalid } from '#api/errors/status.ts';
import { withOwnersOf, withoutOwners } from '#api/patch/apply/manage.ts';
import { prepareCreate } from '#api/strategy/strategy.ts';
import { objectWarnings } from '#api/warnings/warnings.ts';
import { validateCreate } from '#api/validation/validation.ts';
import { checkAccessTo } from '#control-plane/apiserver/chain/authorize-request.ts';
import { Held } from '#control-plane/apiserver/chain/admission/held.ts';
import {
  admissionFor,
  admit,
  validate,
  type Admission,
} from '#control-plane/apiserver/chain/admission/run-admission.ts';
import { randomSuffix } from './name-suffix.ts';
import { afterAdmission, managerOfRequest, manageWrite, orWithoutOwners } from './owners.ts';
import { duplicatesGiven, withOwnersOnce } from './owner-references.ts';
import { checkNamespaceOf } from './place.ts';
import { workOnBody } from '#control-plane/apiserver/serve/large-body.ts';
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
import { namespaceFaults } from './namespace-faults.ts';
import { negotiateObjects, oneOf, transformObject, transformOf } from './transform.ts';
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
  /** As whom metadata.managedFields has who makes it; undefined: the object says who owns it. */
  readonly manager?: string;
  /** Called between two steps of a large one. */
  readonly pause?: (() => Promise<void>) | undefined;
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
    if (pause !== undefined) await pause();
    const { object: given, warnings } = decodeRequest(kind, body, options.fieldValidation);
    request.record?.saw(given);
    const object = withOwnersOnce(given, request, duplicatesGiven);
    checkNamespaceOf(kind, namespace, object);
    checkMayCreate(kind, stringOf(at(object, 'metadata.name')));
    if (pause !== undefined) await pause();
    const written = await createObject(context, {
      kind,
      namespace,
      object,
      user: request.user,
      scope: request,
      dryRun: options.dryRun,
      manager: managerOfRequest(options, request),
      pause,
    });
    const told = [...warnings, ...effectWarnings(kind, object)];
    return writtenResponse(context, { status: 201, kind, written, warnings: told }, request);
  });
}

/** @throws {E_API} 403 for an object of a definition that goes, whose objects are being removed */
function checkMayCreate(kind: Kind, name: string): void {
  if (kind.custom === undefined || kind.verbs.includes('create')) return;
  throw forbidden(kind, name, 'create not allowed while custom resource definition is terminating');
}

/** Who changes what is not there makes it, and has to be allowed to. @throws {E_API} 403 */
export async function checkCreateAccess(
  { authorizer }: ServerContext,
  { kind, namespace, name }: ResourceRoute,
  user: User,
): Promise<void> {
  const { group, version, resource } = kind;
  const asked = { group, version, resource, subresource: '', namespace, name };
  await checkAccessTo(authorizer, { kind: 'resource', user, verb: 'create', ...asked }, undefined);
}

/** The whole way of a new object, from decoded to durable. */
export function createObject(context: ServerContext, input: CreateInput): Promise<Written> {
  const { manager, ...rest } = input;
  if (manager === undefined) return createOnce(context, input);
  return orWithoutOwners(
    () => createOnce(context, input),
    () => createOnce(context, { ...rest, object: withoutOwners(input.object) }),
  );
}

async function createOnce(context: ServerContext, input: CreateInput): Promise<Written> {
  const { kind, namespace } = input;
  const given = stringOf(at(input.object, 'metadata.name'));
  const admission = admissionFor(context, {
    ...{ operation: 'create', verb: 'create', kind, subresource: '', namespace, name: given },
    ...{ user: input.user, scope: input.scope, dryRun: input.dryRun },
  });
  const defaulted = applyDefaults(kind, input.object);
  if (input.pause !== undefined) await input.pause();
  const { manager } = input;
  // Before admission: what that adds is nobody's.
  const owned =
    manager === undefined
      ? defaulted
      : manageWrite(context, { kind, manager }, { live: undefined, next: defaulted });
  if (input.pause !== undefined) await input.pause();
  const admitted = await admitInPlace(context, admission, {
    ...{ kind, namespace, object: admission.mayWait ? owned : withoutOwners(defaulted) },
  });
  // After all who may change the object: who asked for it is nobody else's to say.
  const named = admission.mayWait
    ? afterAdmission(admitted, owned, input.scope)
    : withOwnersOf(admitted, owned);
  const signed = rulesOf(kind).signRequester?.(named, input.user) ?? named;
  for (const text of rulesOf(kind).earlyWarnings?.(signed) ?? []) input.scope?.warn(text);
  if (input.pause !== undefined) await input.pause();
  for (let tries = 1; ; tries++) {
    const prepared = prepareCreate(kind, signed, {
      now: context.clock.now(),
      uid: randomUUID(),
      ...(kind.namespaced ? { namespace } : {}),
      ...(given === '' ? { nameSuffix: randomSuffix() } : {}),
    });
    if (input.pause !== undefined) await input.pause();
    const object = applyNameDefaults(kind, prepared, given);
    const revision = stringOf(at(signed, 'metadata.resourceVersion'));
    const created = await insert(context, { ...input, object, admission, revision });
    if (created !== undefined) return created;
    if (given !== '' || tries === generateTriesMax)
      throw alreadyExists(kind, stringOf(at(object, 'metadata.name')));
  }
}

/** As `admit`; others than the server's own plugins see the object in its namespace, and may not take it elsewhere. @throws {E_API} 400 */
async function admitInPlace(
  context: ServerContext,
  admission: Admission,
  { kind, namespace, object }: Pick<CreateInput, 'kind' | 'namespace' | 'object'>,
): Promise<JsonObject> {
  if (!admission.mayWait || !kind.namespaced) return admit(context, admission, { object });
  const admitted = await admit(context, admission, {
    object: withPath(object, 'metadata.namespace', namespace),
  });
  checkNamespaceOf(kind, namespace, admitted);
  return admitted;
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
    /** What the object came with. */
    readonly revision: string;
  },
): Promise<Written | undefined> {
  const { kind, object, dryRun: isDryRun, admission, revision } = input;
  // What the allocator adds is valid by its making.
  const errors = [...validateCreate(kind, object), ...namespaceFaults(context, kind, object)];
  if (errors.length > 0) throw invalid(kind, stringOf(at(object, 'metadata.name')), errors);
  for (const text of objectWarnings(kind, object)) input.scope?.warn(text);
  if (input.pause !== undefined) await input.pause();
  const complete: Complete = (given, isClaimed) => context.allocators.allocate(kind, given, isClaimed);
  for (let tries = 1; ; tries++) {
    using held = new Held();

    await validate(context, admission, { object, held });
    if (!isDryRun) checkIsNew(revision);
    const { beside } = held;
    const created = await context.registry.create(kind, object, { isDryRun, complete, beside });
    if (created.outcome === 'created')
      return created.entry === undefined ? created : writtenEntry(created.entry);
    if (created.outcome === 'nameTaken') return undefined;
    if (beside !== undefined && tries === besideTriesMax) throw beside.conflict();
  }
}

/** @throws {E_API} 500 for an object that was stored before: where it came from, it may be out of date (ErrResourceVersionSetOnCreate) */
function checkIsNew(revision: string): void {
  if (/^\d*[1-9]\d*$/.test(revision))
    throw bareError('resourceVersion should not be set on objects to be created');
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

/** An object that is not stored, with its members in the order in which its kind is sent. */
export function asSent(kind: Kind, object: JsonObject): JsonObject {
  return kind.custom === undefined ? object : sortedObject(object);
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
  const representation = negotiateObjects(kind, request.headers['accept']);
  const transform = transformOf(representation, request.query, oneOf(kind));
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
  if (written.entry === undefined)
    return objectResponse(status, asSent(kind, written.object), style, headers);
  return bytesResponse(
    status,
    new Shown(typedShape(kind), context.registry.storedOf(kind, written.entry.value)).toBytes(),
    style,
    headers,
  );
}
