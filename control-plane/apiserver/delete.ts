import { decodeBodyOf } from '#api/body.ts';
import { hasGrace, isFinished, planDeletion, type DeletionWishes } from '#api/deletion.ts';
import { forbiddenField, invalidField, notSupportedField } from '#api/field-error.ts';
import { at, isObject, listOf, numberOf, objectOf, stringOf } from '#api/json.ts';
import { formatGroupVersion, type Kind } from '#api/kinds.ts';
import { rulesOf } from '#api/kinds/rules-of.ts';
import type { JsonObject } from '#api/object.ts';
import { queryBoolean } from '#api/query.ts';
import { conflict, forbidden, invalidOptions, notFound, successStatus } from '#api/status.ts';
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
  request: ApiRequest,
): Promise<ApiResponse> {
  const { kind, namespace, name } = route;
  const options = await readDeleteOptions(request);
  const { object, isGone } = await deleteObject(context, { kind, namespace, name, options });
  const style = styleOf(request, negotiate(request.headers['accept'], []));
  if (!isGone || rulesOf(kind).answersDeleteWithObject === true) return objectResponse(200, object, style);
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
  const refusal = rulesOf(kind).refuseDeletion?.(name);
  if (refusal !== undefined) throw forbidden(kind, name, refusal);
  const { decision, entry } = await context.registry.change(kind, { namespace, name }, (current) =>
    decideDeletion({ kind, name, options, nowMs: context.clock.now() }, current),
  );
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
  // Kinds without grace go as they are; the others (pods) show when they were told to go.
  return { write: 'remove', object: hasGrace(kind) ? next : object, isGone };
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
