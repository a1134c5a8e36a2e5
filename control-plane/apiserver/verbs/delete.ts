import assert from 'node:assert/strict';
import { asStoredKind } from '#api/custom/custom-kinds.ts';
import { builtInTypes } from '#api/schema/built-in-types.ts';
import { decodeBodyOf } from '#api/wire/body.ts';
import { decodeObject } from '#api/wire/decode.ts';
import { hasGrace, isFinished, planDeletion, type DeletionWishes } from '#api/strategy/deletion.ts';
import { invalidField, notSupportedField } from '#api/errors/field-error.ts';
import { at, isObject, listOf, numberOf, stringOf } from '#api/wire/json.ts';
import type { Kind } from '#api/schema/kinds.ts';
import { rulesOf } from '#api/kinds/rules-of.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { queryBoolean } from '#api/wire/query.ts';
import { badRequest, conflict, invalidOptions, notFound, successStatus } from '#api/errors/status.ts';
import { isPodwrightError } from '#base/errors.ts';
import { nextTurn, TurnTime } from '#base/time-slice.ts';
import {
  admissionFor,
  admit,
  admitAtOnce,
  validate,
  validateAtOnce,
  type Admission,
} from '#control-plane/apiserver/chain/admission/run-admission.ts';
import { parseListOptions } from './list-options.ts';
import { negotiate } from '#control-plane/apiserver/serve/negotiate.ts';
import { listOfStored } from './list-body.ts';
import { readPage } from './read.ts';
import { encodeStored, type StoredBytes } from '#control-plane/apiserver/objects/object-bytes.ts';
import type { Changed, Decision, Entry } from '#control-plane/apiserver/objects/registry.ts';
import { nameInKey, namespaceInKey } from '#control-plane/apiserver/objects/storage-key.ts';
import type {
  ApiResponse,
  AuthorizedRequest,
  RequestScope,
  User,
} from '#control-plane/apiserver/serve/request.ts';
import { objectResponse, streamedResponse, styleOf } from '#control-plane/apiserver/serve/respond.ts';
import { integerOf } from './query.ts';
import type { ResourceRoute } from '#control-plane/apiserver/chain/route.ts';
import type { ServerContext } from '#control-plane/apiserver/server-context.ts';
import { asSent } from './create.ts';
import { writeObject } from './write.ts';

/** What a DELETE asks for, from its body or its query. */
export interface DeleteOptions extends DeletionWishes {
  readonly preconditions: {
    readonly uid?: string | undefined;
    readonly resourceVersion?: string | undefined;
  };
  readonly dryRun: boolean;
}

export const plainDelete: DeleteOptions = { preconditions: {}, dryRun: false };

/** What a deletion came to: the object is gone, or has begun to go. */
export interface Deletion {
  readonly object: JsonObject;
  readonly isGone: boolean;
}

/** DELETE of one object. */
export async function deleteOne(
  context: ServerContext,
  route: ResourceRoute,
  request: AuthorizedRequest,
): Promise<ApiResponse> {
  const { kind, namespace, name } = route;
  const options = await readDeleteOptions(request);
  warnOfDependents(kind, options, request);
  const { object, isGone } = await deleteObject(context, {
    ...{ kind, namespace, name, options },
    user: request.user,
    scope: request,
  });
  const style = styleOf(request, negotiate(request.headers['accept'], []));
  if (!isGone || rulesOf(kind).answersDeleteWithObject === true)
    return objectResponse(200, asSent(kind, object), style);
  const uid = stringOf(at(object, 'metadata.uid'));
  const details = { name, ...(kind.group === '' ? {} : { group: kind.group }), kind: kind.resource, uid };
  return objectResponse(200, { ...successStatus(details) }, style);
}

/** Objects of a collection that go at once: they share what a write costs the disk. */
const deletedAtOnce = 64;

/** DELETE of a collection: each object as if by itself; answers with the list of them, when all have gone or begun to go. */
export async function deleteCollection(
  context: ServerContext,
  route: ResourceRoute,
  request: AuthorizedRequest,
): Promise<ApiResponse> {
  const { kind } = route;
  const { user } = request;
  const options = await readDeleteOptions(request);
  warnOfDependents(kind, options, request);
  const listed = parseListOptions({ ...route, verb: 'list' }, request.query);
  const page = await readPage(context, route, listed);
  const gone: (StoredBytes | undefined)[] = [];
  let next = 0;
  let failure: unknown;
  const time = new TurnTime();
  const work = async (): Promise<void> => {
    while (next < page.values.length && failure === undefined && !request.signal.aborted) {
      const at = next++;
      const key = page.values[at]?.key ?? '';
      const [name, namespace] = [nameInKey(key), kind.namespaced ? namespaceInKey(key) : ''];
      while (!time.isLeft()) await nextTurn();
      try {
        const input = { kind, namespace, name, options, user, scope: request, isOfMany: true };
        gone[at] = await storedAfter(context, kind, await changeToDelete(context, input));
      } catch (error) {
        if (isPodwrightError(error, 'E_API') && error.detail['reason'] === 'NotFound') continue; // Somebody else was faster.
        failure ??= error;
      }
    }
  };
  await Promise.all(Array.from({ length: deletedAtOnce }, work));
  if (failure !== undefined) throw failure;
  const stored = gone.filter((each) => each !== undefined);
  const style = styleOf(request, negotiate(request.headers['accept'], []));
  return streamedResponse(
    listOfStored({ kind, transform: undefined, metadata: page.metadata }, stored),
    style,
  );
}

/** What is shown of an object that goes: as it is stored now, or as it last was. */
async function storedAfter(
  { registry }: ServerContext,
  kind: Kind,
  { decision, previous, entry }: Changed<Decision & Deletion>,
): Promise<StoredBytes> {
  const put = decision.write === 'put' ? entry : previous;
  if (kind.custom !== undefined && put !== undefined) {
    await registry.entryOf(kind, put.value);
    return registry.storedOf(kind, put.value);
  }
  if (decision.write === 'put' && entry !== undefined) return registry.storedOf(kind, entry.value);
  assert(previous !== undefined);
  if (decision.object === previous.object) return registry.storedOf(kind, previous.value);
  return { value: encodeStored(decision.object), modRevision: previous.value.modRevision };
}

export interface DeleteInput {
  readonly kind: Kind;
  readonly namespace: string;
  readonly name: string;
  readonly options: DeleteOptions;
  /** Who asks; undefined where the server does what follows from a request that was admitted. */
  readonly user: User | undefined;
  readonly scope?: RequestScope;
  /** Whether it goes with its collection. */
  readonly isOfMany?: boolean;
}

/** Deletes, or begins to where finalizers or grace keep the object. See writeObject. */
export async function deleteObject(context: ServerContext, input: DeleteInput): Promise<Deletion> {
  const { decision, entry } = await changeToDelete(context, input);
  const isPut = decision.write === 'put' && entry !== undefined;
  if (!isPut) return { object: decision.object, isGone: decision.isGone };
  const shown =
    input.kind.custom === undefined ? entry : await context.registry.entryOf(input.kind, entry.value);
  return { object: shown?.object ?? decision.object, isGone: decision.isGone };
}

function changeToDelete(context: ServerContext, input: DeleteInput): Promise<Changed<Decision & Deletion>> {
  const { namespace, name, options } = input;
  const admission = admissionOf(context, input);
  // Whatever a custom object is stored as, and whoever should convert it: it can go.
  const kind = asStoredKind(input.kind);
  return writeObject(context, {
    ...{ kind, namespace, name },
    path: admission?.mayWait === true ? 'mayWait' : 'atOnce',
    prepare: async (current, held) => {
      checkPreconditions(kind, current, options);
      if (admission === undefined) return true;
      await admit(context, admission, { object: undefined, old: current.object });
      await validate(context, admission, { old: current.object, held });
      return true;
    },
    decide: (current, _isClaimed, isAdmitted) => {
      if (current === undefined) throw notFound(kind, name);
      checkPreconditions(kind, current, options);
      const { object: old } = current;
      if (admission !== undefined && isAdmitted !== true) {
        admitAtOnce(context, admission, { object: undefined, old });
        if (!validateAtOnce(context, admission, { old })) return undefined;
      }
      return decideDeletion(kind, old, { options, nowMs: context.clock.now() });
    },
  });
}

function warnOfDependents(kind: Kind, { propagationPolicy }: DeleteOptions, scope: RequestScope): void {
  const { warning } = rulesOf(kind).propagation ?? {};
  if (warning !== undefined && propagationPolicy === undefined) scope.warn(warning);
}

function admissionOf(
  context: ServerContext,
  { kind, namespace, name, options, user, scope, isOfMany }: DeleteInput,
): Admission | undefined {
  if (user === undefined) return undefined;
  const verb = isOfMany === true ? 'deletecollection' : 'delete';
  const what = { operation: 'delete', verb, subresource: '', dryRun: options.dryRun } as const;
  return admissionFor(context, {
    ...what,
    kind,
    namespace,
    name,
    user,
    scope,
    options: shownOptions(options),
  });
}

/** DeleteOptions as they were given, for who is told of them. */
function shownOptions({
  gracePeriodSeconds,
  propagationPolicy,
  preconditions,
  dryRun,
}: DeleteOptions): JsonObject {
  const { uid, resourceVersion } = preconditions;
  const asked = {
    ...(uid === undefined ? {} : { uid }),
    ...(resourceVersion === undefined ? {} : { resourceVersion }),
  };
  return {
    ...(gracePeriodSeconds === undefined ? {} : { gracePeriodSeconds }),
    ...(Object.keys(asked).length === 0 ? {} : { preconditions: asked }),
    ...(propagationPolicy === undefined ? {} : { propagationPolicy }),
    ...(dryRun ? { dryRun: ['All'] } : {}),
  };
}

function decideDeletion(
  kind: Kind,
  object: JsonObject,
  { options, nowMs }: { readonly options: DeleteOptions; readonly nowMs: number },
): Decision & Deletion {
  const next = planDeletion(kind, object, options, nowMs);
  const isGone = next !== object && isFinished(kind, next);
  // Kinds without grace go as they are; the others (pods) show when they were told to go.
  const shown = isGone && !hasGrace(kind) ? object : next;
  const write = next === object || options.dryRun ? 'nothing' : isGone ? 'remove' : 'put';
  return { write, object: shown, isGone };
}

/** @throws {E_API} 409 when the object is not the one that the options are about */
export function checkPreconditions(kind: Kind, current: Entry, { preconditions }: DeleteOptions): void {
  const { uid, resourceVersion } = preconditions;
  const name = stringOf(at(current.object, 'metadata.name'));
  const record = stringOf(at(current.object, 'metadata.uid'));
  const named = { group: kind.group, resource: kind.kind };
  if (uid !== undefined && uid !== record) {
    const cause = `the UID in the precondition (${uid}) does not match the UID in record (${record}). The object might have been deleted and then recreated`;
    throw conflict(named, name, cause);
  }
  const revision = String(current.value.modRevision);
  if (resourceVersion !== undefined && resourceVersion !== revision) {
    const cause = `the ResourceVersion in the precondition (${resourceVersion}) does not match the ResourceVersion in record (${revision}). The object might have been modified`;
    throw conflict(named, name, cause);
  }
}

/** @throws {E_API} 400 or 422 */
export async function readDeleteOptions(request: AuthorizedRequest): Promise<DeleteOptions> {
  const bytes = await request.readBody();
  const { query } = request;
  if (bytes.byteLength > 0) {
    const options = decodeDeleteOptions(bytes, request.headers['content-type']);
    request.record?.saw({ kind: 'DeleteOptions', apiVersion: 'meta.k8s.io/__internal', ...options });
    return parseDeleteOptions(options);
  }
  return parseDeleteOptions({
    gracePeriodSeconds: integerOf(query, 'gracePeriodSeconds'),
    propagationPolicy: query.get('propagationPolicy') ?? undefined,
    orphanDependents: queryBoolean(query, 'orphanDependents'),
    dryRun: query.getAll('dryRun'),
    preconditions: Object.fromEntries(
      ['uid', 'resourceVersion'].flatMap((name) => {
        const value = query.get(name) ?? '';
        return value === '' ? [] : [[name, value]];
      }),
    ),
  });
}

/**
 * What a body says of a deletion. What is of another type, or of another kind, is not done without: it may be what holds the deletion back.
 * @throws {E_API} 400
 */
function decodeDeleteOptions(bytes: Uint8Array, contentType: string | undefined): JsonObject {
  const body = decodeBodyOf(optionsName, bytes, contentType);
  const { value, literals, apiVersion = '', kind = optionsName } = body;
  // They are of any group and version.
  if (kind !== optionsName)
    throw badRequest(
      `no kind ${JSON.stringify(kind)} is registered for version ${JSON.stringify(apiVersion)} in scheme "pkg/apis/meta/internalversion/scheme/register.go:27"`,
    );
  if (value === null) return {};
  try {
    return decodeObject({ schema: builtInTypes, typeName: 'meta.v1.DeleteOptions' }, value, literals).object;
  } catch (error) {
    if (isPodwrightError(error, 'E_INVALID')) throw badRequest(error.message);
    throw error;
  }
}

const optionsName = 'DeleteOptions';

/** Reads DeleteOptions. @throws {E_API} 422 naming every field that is wrong */
export function parseDeleteOptions(value: JsonObject): DeleteOptions {
  const { gracePeriodSeconds, propagationPolicy, orphanDependents, dryRun, preconditions } = value;
  const policies = ['Foreground', 'Background', 'Orphan'] as const;
  const policy = policies.find((known) => known === propagationPolicy);
  const dryRuns = listOf(dryRun);
  const hasPolicy = typeof propagationPolicy === 'string';
  const both = 'orphanDependents and deletionPropagation cannot be both set';
  const errors = [
    ...(hasPolicy && typeof orphanDependents === 'boolean'
      ? [invalidField('propagationPolicy', propagationPolicy, both)]
      : []),
    ...(hasPolicy && policy === undefined
      ? [notSupportedField('propagationPolicy', propagationPolicy, [...policies, 'nil'])]
      : []),
    ...(dryRuns.some((text) => text !== 'All') ? [notSupportedField('dryRun', dryRuns, ['All'])] : []),
    ...(gracePeriodSeconds !== undefined &&
    gracePeriodSeconds !== null &&
    !Number.isInteger(gracePeriodSeconds)
      ? [invalidField('gracePeriodSeconds', gracePeriodSeconds, 'must be an integer')]
      : []),
  ];
  if (errors.length > 0) throw invalidOptions('DeleteOptions', errors);
  const conditions = isObject(preconditions) ? preconditions : {};
  return {
    gracePeriodSeconds: typeof gracePeriodSeconds === 'number' ? numberOf(gracePeriodSeconds) : undefined,
    propagationPolicy:
      policy ??
      (typeof orphanDependents === 'boolean' ? (orphanDependents ? 'Orphan' : 'Background') : undefined),
    preconditions: {
      uid: typeof conditions['uid'] === 'string' ? conditions['uid'] : undefined,
      resourceVersion:
        typeof conditions['resourceVersion'] === 'string' ? conditions['resourceVersion'] : undefined,
    },
    dryRun: dryRuns.length > 0,
  };
}
