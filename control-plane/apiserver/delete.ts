import { decodeBodyOf } from '#api/body.ts';
import { forbiddenField, invalidField, notSupportedField } from '#api/field-error.ts';
import { at, isObject, listOf, numberOf, objectOf, stringOf, withPath } from '#api/json.ts';
import { formatGroupVersion, type Kind } from '#api/kinds.ts';
import type { JsonObject } from '#api/object.ts';
import { queryBoolean } from '#api/query.ts';
import { conflict, forbidden, invalidOptions, notFound, successStatus } from '#api/status.ts';
import { markDeleted } from '#api/strategy.ts';
import { formatTime } from '#api/time.ts';
import { isPodwrightError } from '#base/errors.ts';
import { parseListOptions } from './list-options.ts';
import { negotiate } from './negotiate.ts';
import { readPage } from './read.ts';
import type { Decision, Entry } from './registry.ts';
import type { ApiRequest, ApiResponse } from './request.ts';
import { objectResponse, styleOf } from './respond.ts';
import { integerOf } from './query.ts';
import type { ResourceRoute } from './route.ts';
import type { ServerContext } from './server-context.ts';
import { isFinished } from './update.ts';

/** What a DELETE asks for, from its body or its query. */
export interface DeleteOptions {
  readonly gracePeriodSeconds?: number | undefined;
  readonly propagationPolicy?: 'Background' | 'Foreground' | 'Orphan' | undefined;
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

/** Kinds whose DELETE answers with the object even when it is gone at once (ReturnDeletedObject of their stores). */
const answersWithObject: ReadonlySet<string> = new Set(
  'Pod Service PersistentVolume PersistentVolumeClaim PodTemplate ResourceQuota ServiceAccount'.split(' '),
);
const immortalNamespaces: ReadonlySet<string> = new Set(['default', 'kube-system', 'kube-public']);

/** DELETE of one object. */
export async function deleteOne(
  context: ServerContext,
  route: ResourceRoute,
  request: ApiRequest,
): Promise<ApiResponse> {
  const { kind, namespace, name } = route;
  const options = await readDeleteOptions(request);
  const { object, isGone } = await deleteObject(context, { kind, namespace, name, options });
  const style = styleOf(request, negotiate(request.headers['accept'], []));
  if (!isGone || answersWithObject.has(kind.kind)) return objectResponse(200, object, style);
  const uid = stringOf(at(object, 'metadata.uid'));
  const details = { name, ...(kind.group === '' ? {} : { group: kind.group }), kind: kind.resource, uid };
  return objectResponse(200, { ...successStatus(details) }, style);
}

/** DELETE of a collection: each object as if by itself; answers with the list of them. */
export async function deleteCollection(
  context: ServerContext,
  route: ResourceRoute,
  request: ApiRequest,
): Promise<ApiResponse> {
  const { kind } = route;
  const options = await readDeleteOptions(request);
  const listed = parseListOptions({ ...route, verb: 'list' }, request.query);
  const page = await readPage(context, route, listed);
  const items: JsonObject[] = [];
  for (const value of page.values) {
    const found = context.registry.objectOf(kind, value);
    const name = stringOf(at(found, 'metadata.name'));
    const namespace = stringOf(at(found, 'metadata.namespace'));
    try {
      items.push((await deleteObject(context, { kind, namespace, name, options })).object);
    } catch (error) {
      if (!isPodwrightError(error, 'E_API') || error.detail['reason'] !== 'NotFound') throw error; // Somebody else was faster.
    }
  }
  const bare = items.map(({ kind: _kind, apiVersion: _apiVersion, ...item }) => item);
  const list = {
    kind: `${kind.kind}List`,
    apiVersion: formatGroupVersion(kind),
    metadata: page.metadata,
    items: bare,
  };
  return objectResponse(200, list, styleOf(request, negotiate(request.headers['accept'], [])));
}

/** Deletes, or begins to where finalizers or grace keep the object. */
export async function deleteObject(
  context: ServerContext,
  input: {
    readonly kind: Kind;
    readonly namespace: string;
    readonly name: string;
    readonly options: DeleteOptions;
  },
): Promise<Deletion> {
  const { kind, namespace, name, options } = input;
  if (kind.kind === 'Namespace' && immortalNamespaces.has(name)) {
    throw forbidden(kind, name, 'this namespace may not be deleted');
  }
  const { decision, previous, entry } = await context.registry.change(kind, { namespace, name }, (current) =>
    decideDeletion({ kind, name, options, nowMs: context.clock.now() }, current),
  );
  if (decision.write === 'remove') context.allocators.release(kind, previous?.object ?? {});
  const isPut = decision.write === 'put' && entry !== undefined;
  return { object: isPut ? entry.object : decision.object, isGone: decision.isGone };
}

function decideDeletion(
  input: {
    readonly kind: Kind;
    readonly name: string;
    readonly options: DeleteOptions;
    readonly nowMs: number;
  },
  current: Entry | undefined,
): Decision & Deletion {
  const { kind, name, options, nowMs } = input;
  if (current === undefined) throw notFound(kind, name);
  checkPreconditions(kind, current, options);
  const { object } = current;
  const next = planDeletion(kind, object, options, nowMs);
  const isGone = next !== object && isFinished(kind, next);
  if (next === object || options.dryRun) return { write: 'nothing', object: next, isGone };
  if (!isGone) return { write: 'put', object: next, isGone };
  // Kinds without grace go as they are; a pod shows when it was told to go.
  return { write: 'remove', object: kind.kind === 'Pod' ? next : object, isGone };
}

/**
 * The object as its deletion goes on: with deletionTimestamp, grace, and the finalizer of the propagation asked for. The very
 * same object when it already goes and nothing about that changes.
 */
export function planDeletion(
  kind: Kind,
  object: JsonObject,
  options: DeleteOptions,
  nowMs: number,
): JsonObject {
  const graceSeconds = graceOf(kind, object, options);
  const finalizers = finalizersOf(object, options);
  if (at(object, 'metadata.deletionTimestamp') !== undefined) return shortenGrace(kind, object, graceSeconds);
  const withFinalizers = withPath(
    object,
    'metadata.finalizers',
    finalizers.length === 0 ? undefined : finalizers,
  );
  const marked = markDeleted(withFinalizers, { now: nowMs, gracePeriodSeconds: graceSeconds });
  if (kind.kind !== 'Namespace') return marked;
  // A namespace goes when its content is gone: spec.finalizers stand for that.
  const { deletionGracePeriodSeconds: _none, ...metadata } = objectOf(marked['metadata']);
  return withPath({ ...marked, metadata }, 'status.phase', 'Terminating');
}

/** A second deletion can only make the grace shorter. */
function shortenGrace(kind: Kind, object: JsonObject, graceSeconds: number): JsonObject {
  const before = at(object, 'metadata.deletionGracePeriodSeconds');
  if (kind.kind !== 'Pod' || typeof before !== 'number' || graceSeconds >= before) {
    // Finished and still there: only a crash between two writes leaves that, and this is the cure.
    return isFinished(kind, object) ? { ...object } : object;
  }
  const began = Date.parse(stringOf(at(object, 'metadata.deletionTimestamp'))) - before * 1000;
  const metadata = {
    ...objectOf(object['metadata']),
    deletionTimestamp: formatTime(began + graceSeconds * 1000),
    deletionGracePeriodSeconds: graceSeconds,
  };
  return { ...object, metadata };
}

const defaultGraceSeconds = 30;

/** Only pods that run somewhere need time to go. */
function graceOf(kind: Kind, object: JsonObject, options: DeleteOptions): number {
  if (kind.kind !== 'Pod') return 0;
  const phase = at(object, 'status.phase');
  if (stringOf(at(object, 'spec.nodeName')) === '' || phase === 'Succeeded' || phase === 'Failed') return 0;
  const own = at(object, 'spec.terminationGracePeriodSeconds');
  const seconds = options.gracePeriodSeconds ?? (typeof own === 'number' ? own : defaultGraceSeconds);
  return seconds < 0 ? 1 : seconds;
}

function finalizersOf(object: JsonObject, options: DeleteOptions): readonly unknown[] {
  const present = listOf(at(object, 'metadata.finalizers'));
  if (options.propagationPolicy === undefined) return present;
  const others = present.filter((finalizer) => finalizer !== 'orphan' && finalizer !== 'foregroundDeletion');
  switch (options.propagationPolicy) {
    case 'Orphan':
      return [...others, 'orphan'];
    case 'Foreground':
      return [...others, 'foregroundDeletion'];
    case 'Background':
    default:
      return others;
  }
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
export async function readDeleteOptions(request: ApiRequest): Promise<DeleteOptions> {
  const bytes = await request.readBody();
  const { query } = request;
  if (bytes.byteLength > 0) {
    const { value } = decodeBodyOf('DeleteOptions', bytes, request.headers['content-type']);
    return parseDeleteOptions(objectOf(value));
  }
  return parseDeleteOptions({
    gracePeriodSeconds: integerOf(query, 'gracePeriodSeconds'),
    propagationPolicy: query.get('propagationPolicy') ?? undefined,
    orphanDependents: queryBoolean(query, 'orphanDependents'),
    dryRun: query.getAll('dryRun'),
  });
}

/** Reads DeleteOptions. @throws {E_API} 422 naming every field that is wrong */
export function parseDeleteOptions(value: JsonObject): DeleteOptions {
  const { gracePeriodSeconds, propagationPolicy, orphanDependents, dryRun, preconditions } = value;
  const policies = ['Background', 'Foreground', 'Orphan'] as const;
  const policy = policies.find((known) => known === propagationPolicy);
  const dryRuns = listOf(dryRun);
  const errors = [
    ...(dryRuns.some((text) => text !== 'All') ? [notSupportedField('dryRun', dryRuns, ['All'])] : []),
    ...(stringOf(propagationPolicy) !== '' && policy === undefined
      ? [notSupportedField('propagationPolicy', propagationPolicy, [...policies])]
      : []),
    ...(policy !== undefined && typeof orphanDependents === 'boolean'
      ? [forbiddenField('propagationPolicy', 'orphanDependents and deletionPropagation cannot be both set')]
      : []),
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
