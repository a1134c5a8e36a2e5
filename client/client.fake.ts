import assert from 'node:assert/strict';
import { isFinished, planDeletion, type DeletionWishes } from '#api/strategy/deletion.ts';
import { formatTime } from '#api/meta/time.ts';
import { decodeObject } from '#api/wire/decode.ts';
import { equalJson, listOf, objectOf, stringOf } from '#api/wire/json.ts';
import { apiVersionOf, type KindRef } from '#api/schema/kind-ref.ts';
import { findKind, type Kind } from '#api/schema/kinds.ts';
import { rulesOf } from '#api/kinds/rules-of.ts';
import { objectKey, type JsonObject, type KubeObject } from '#api/meta/object.ts';
import type { DeleteOptions, ObjectMeta } from '#api/generated/objects.ts';
import { applyJsonPatch } from '#api/patch/json-patch.ts';
import { applyMergePatch } from '#api/patch/merge-patch.ts';
import { applyStrategicPatch } from '#api/patch/strategic-patch.ts';
import { matchesFields, parseFieldSelector } from '#api/meta/field-selector.ts';
import { matchesLabels, parseLabelSelector } from '#api/meta/selector.ts';
import * as failure from '#api/errors/status.ts';
import { prepareUpdate, tracksGeneration } from '#api/strategy/strategy.ts';
import type { Writer } from '#api/patch/apply/manage.ts';
import type { Clock } from '#base/clock.ts';
import type { ApiClient, ApplyOptions, ListOptions, ObjectRef, ListResult, WriteOptions } from './client.ts';
import { answerDiscovery } from './fake-discovery.ts';
import { createFakeLog, type FakeLog } from './fake-log.ts';
import { applied, owned } from './fake-owners.ts';

export type FakeVerb = 'get' | 'list' | 'watch' | 'create' | 'update' | 'patch' | 'apply' | 'delete' | 'raw';

export interface FakeRequest {
  readonly verb: FakeVerb;
  readonly resource: string; // `deployments`, or the path of a raw request
  readonly name: string;
  readonly subresource: string | undefined;
}

/** An API server in memory, as one client sees it, with what tests need beyond. */
export interface FakeApiClient extends ApiClient {
  /** Stores the object as it is, status included, with what a server sets where absent. */
  seed<T extends KubeObject>(kind: KindRef<T>, object: T): T;
  all<T>(kind: KindRef<T>): readonly T[];
  /** Called before each request; an error that it returns is the answer. */
  intercept: (request: FakeRequest) => Error | undefined;
  /** Ends all watches; `asError` breaks them. */
  endWatches(asError?: Error): void;
  /** Forgets all history: watches from before get 410. */
  compact(): void;
  /** Every write done, as `verb resource/subresource namespace/name`. */
  readonly writes: readonly string[];
}

/** Deterministic: names and uids are counted, time is the clock's. */
export function createFakeApiClient(clock: Clock): FakeApiClient {
  const log = createFakeLog();
  const writes: string[] = [];
  const server = createServer(log, clock);
  const fake: FakeApiClient = {
    intercept: () => undefined,
    writes,
    seed: <T extends KubeObject>(kind: KindRef<T>, object: T) =>
      server.put(kind, server.initial(kind, objectOf(object), object.metadata?.namespace)) as unknown as T,
    all: <T>(kind: KindRef<T>) => log.list(idOf(kind)).items as unknown as readonly T[],
    endWatches: (asError) => log.endWatches(asError),
    compact: () => log.compact(),
    get: async <T>(kind: KindRef<T>, where: ObjectRef, options: { readonly subresource?: string } = {}) => {
      await ask('get', kind, { ...where, ...options });
      return server.find(kind, where) as T;
    },
    list: async <T>(kind: KindRef<T>, options: ListOptions = {}) => {
      await ask('list', kind, {});
      return listPage<T>(log, kind, options);
    },
    create: async (kind, object, options = {}) => {
      const { where, subresource } = options;
      const namespace = options.namespace ?? where?.namespace ?? metadataOf(object).namespace;
      const name = where?.name ?? metadataOf(object).name ?? '';
      await ask('create', kind, { namespace, name, subresource });
      const made = objectOf(object);
      if (subresource === undefined) return server.create(kind, made, namespace) as typeof object;
      return server.createSub(kind, { namespace, name }, subresource, made) as typeof object;
    },
    update: async (kind, object, options = {}) => {
      const { subresource } = options;
      const { namespace, name = '' } = metadataOf(object);
      await ask('update', kind, { namespace, name, subresource });
      return server.update(kind, objectOf(object), options) as typeof object;
    },
    patch: async <T>(...[kind, where, patch]: Parameters<ApiClient['patch']>) => {
      const { subresource } = patch;
      await ask('patch', kind, { ...where, subresource });
      return server.patch(kind, where, patch) as T;
    },
    apply: async (kind, object, options) => {
      const { namespace, name = '' } = metadataOf(object);
      await ask('apply', kind, { namespace, name, subresource: options.subresource });
      return server.apply(kind, objectOf(object), options) as typeof object;
    },
    delete: async (kind, where, options = {}) => {
      await ask('delete', kind, where);
      server.remove(kind, where, options);
    },
    watch: async function* <T>(...[kind, options, signal]: Parameters<ApiClient['watch']>) {
      await ask('watch', kind, {});
      yield* log.watch<T>(idOf(kind), { ...options, matches: matcher(kind, options) }, signal);
    },
    ...rawVerbs((request) => fake.intercept(request)),
  };
  const ask = async (
    verb: FakeVerb,
    kind: KindRef<unknown>,
    target: Partial<ObjectRef> & { readonly subresource?: string | undefined },
  ): Promise<void> => {
    await Promise.resolve(); // As over a wire: never done when the call returns.
    const { namespace, name = '', subresource } = target;
    const error = fake.intercept({ verb, resource: kind.resource, name, subresource });
    if (error !== undefined) throw error;
    if (!['create', 'update', 'patch', 'apply', 'delete'].includes(verb)) return;
    const path = [kind.resource, ...(subresource === undefined ? [] : [subresource])].join('/');
    writes.push(`${verb} ${path} ${objectKey({ metadata: { namespace, name } })}`);
  };
  return fake;
}

/** What asks by path: of discovery only. */
function rawVerbs(intercept: FakeApiClient['intercept']): Pick<ApiClient, 'raw' | 'stream'> {
  const refusal = (path: string): Error | undefined =>
    intercept({ verb: 'raw', resource: path, name: '', subresource: undefined });
  return {
    raw: async (method, path) => {
      const error = refusal(path);
      if (error !== undefined) throw error;
      const body = method === 'GET' ? answerDiscovery(path) : undefined;
      return body === undefined ? { status: 404, body: '404 page not found' } : { status: 200, body };
    },
    // oxlint-disable-next-line require-yield -- What there is to be read in pieces, the fake has not.
    stream: async function* (path) {
      throw refusal(path) ?? failure.resourceNotFound();
    },
  };
}

/** Whether the stored object is the one that a write names, where it names one. */
function isMeant(
  object: JsonObject,
  named: { readonly uid?: string | undefined; readonly resourceVersion?: string | undefined },
): boolean {
  const { uid, resourceVersion } = metadataOf(object);
  return (named.uid ?? uid) === uid && (named.resourceVersion ?? resourceVersion) === resourceVersion;
}

function listPage<T>(log: FakeLog, kind: KindRef<T>, options: ListOptions): ListResult<T> {
  const at = options.continue === undefined ? undefined : continueAt(options);
  const { items, version } = log.list(idOf(kind), at);
  const matching = items.filter(matcher(kind, options)).map((item) => withoutType(item, options));
  const from = options.continue === undefined ? 0 : Number(options.continue.split(':')[1]);
  const to = from + (options.limit ?? Number.POSITIVE_INFINITY);
  return {
    items: matching.slice(from, to) as readonly unknown[] as readonly T[],
    resourceVersion: String(version),
    continue: to < matching.length ? `${version}:${to}` : undefined,
  };
}

/** What the server does with a write, on whole objects. */
function createServer(log: FakeLog, clock: Clock) {
  let counter = 0;
  const find = (kind: KindRef<unknown>, where: ObjectRef): JsonObject => {
    const found = log.get(idOf(kind), objectKey({ metadata: where }));
    if (found === undefined) throw failure.notFound(kind, where.name);
    return found;
  };
  const put = (kind: KindRef<unknown>, object: JsonObject): JsonObject =>
    log.put(idOf(kind), objectKey(object), object);
  const initial = (kind: KindRef<unknown>, object: JsonObject, namespace?: string): JsonObject =>
    withIdentity(kind, object, { namespace, nowMs: clock.now(), number: ++counter });
  const create = (kind: KindRef<unknown>, object: JsonObject, namespace: string | undefined): JsonObject => {
    const { status: _ignored, ...rest } = object;
    const made = initial(kind, rest, namespace);
    const { name = '' } = metadataOf(made);
    const home = log.get('namespaces', namespace ?? '');
    if (home !== undefined && metadataOf(home).deletionTimestamp !== undefined) {
      throw failure.namespaceTerminating(kind, name, namespace ?? '');
    }
    if (log.get(idOf(kind), objectKey(made)) !== undefined) throw failure.alreadyExists(kind, name);
    return put(kind, normalized(kind, made));
  };
  const store = (kind: KindRef<unknown>, old: JsonObject, changed: JsonObject): JsonObject => {
    const next = normalized(kind, changed);
    if (equalJson(old, next)) return old;
    return isFinished(kind, next) ? log.remove(idOf(kind), objectKey(next), next) : put(kind, next);
  };
  const update = (kind: KindRef<unknown>, object: JsonObject, how: WriteOptions): JsonObject => {
    const { namespace, name = '', resourceVersion, uid } = metadataOf(object);
    const old = find(kind, { namespace, name });
    if (!isMeant(old, { uid, resourceVersion })) throw failure.conflict(kind, name);
    const next = owned(kind, { live: old, next: object }, writerOf(how, clock.now()));
    return store(kind, old, prepared(kind, old, next, how.subresource));
  };
  const apply = (kind: KindRef<unknown>, config: JsonObject, how: ApplyOptions): JsonObject => {
    const { namespace = kind.namespaced ? 'default' : undefined, name = '' } = metadataOf(config);
    const live = log.get(idOf(kind), objectKey({ metadata: { namespace, name } }));
    if (live === undefined && how.subresource !== undefined) throw failure.notFound(kind, name);
    const next = applied(kind, { live, config, isForced: how.force === true }, writerOf(how, clock.now()));
    if (live === undefined) return create(kind, next, namespace);
    if (!isMeant(live, metadataOf(config))) throw failure.conflict(kind, name);
    return store(kind, live, prepared(kind, live, next, how.subresource));
  };
  const patch = (
    kind: KindRef<unknown>,
    where: ObjectRef,
    how: Parameters<ApiClient['patch']>[2],
  ): JsonObject => {
    return update(kind, objectOf(patchOf(kind, find(kind, where), how)), how);
  };
  const createSub = (
    kind: KindRef<unknown>,
    where: ObjectRef,
    subresource: string,
    object: JsonObject,
  ): JsonObject => {
    const old = find(kind, where);
    if (subresource !== 'binding') throw failure.resourceNotFound();
    put(kind, bound(kind, old, { nodeName: objectOf(object['target'])['name'], nowMs: clock.now() }));
    return failure.successStatus() as JsonObject;
  };
  const remove = (kind: KindRef<unknown>, where: ObjectRef, options: Partial<DeleteOptions>): void => {
    const old = find(kind, where);
    if (!isMeant(old, options.preconditions ?? {})) {
      throw failure.conflict(kind, where.name, 'the precondition of the deletion does not hold');
    }
    store(kind, old, planDeletion(kind, old, wishesOf(options), clock.now()));
  };
  return { find, put, initial, create, update, apply, patch, createSub, remove };
}

function writerOf({ fieldManager = 'fake', subresource = '' }: WriteOptions, nowMs: number): Writer {
  return { manager: fieldManager, subresource, nowMs };
}

/** With what an update does not change as it was; of a kind that clients bring nobody knows what that is. */
function prepared(
  kind: KindRef<unknown>,
  old: JsonObject,
  next: JsonObject,
  subresource: string | undefined,
): JsonObject {
  const known = findKind(kind.group, kind.version, kind.resource);
  return known === undefined ? next : prepareUpdate(known, old, next, subresource);
}

/** As a server stores what it is sent: whoever compares it with what was sent would write again and again. */
function normalized(kind: KindRef<unknown>, object: JsonObject): JsonObject {
  const known = findKind(kind.group, kind.version, kind.resource);
  return known === undefined ? object : decodeObject(known, object).object;
}

function patchOf(kind: KindRef<unknown>, old: JsonObject, how: Parameters<ApiClient['patch']>[2]): unknown {
  switch (how.kind) {
    case 'json':
      return applyJsonPatch(old, how.body);
    case 'merge':
      return applyMergePatch(old, how.body);
    case 'strategic':
      return applyStrategicPatch(knownKind(kind), old, objectOf(how.body));
  }
}

/** What a server sets on a new object. */
function withIdentity(
  kind: KindRef<unknown>,
  object: JsonObject,
  made: { readonly namespace: string | undefined; readonly nowMs: number; readonly number: number },
): JsonObject {
  const { generateName, ...own } = metadataOf(object);
  const metadata: ObjectMeta = {
    uid: `uid-${made.number}`,
    creationTimestamp: formatTime(made.nowMs),
    ...(tracksGeneration(kind) ? { generation: 1 } : {}),
    ...own,
    ...(generateName === undefined ? {} : { generateName }),
    name: own.name ?? `${generateName ?? ''}${String(made.number).padStart(5, '0')}`,
    ...(kind.namespaced ? { namespace: made.namespace ?? 'default' } : {}),
  };
  const given = { apiVersion: apiVersionOf(kind), kind: kind.kind, ...object, metadata };
  const { prepareCreate, initialStatus } = rulesOf(kind);
  const context = { now: made.nowMs, uid: metadata.uid ?? '', namespace: made.namespace };
  const prepared = prepareCreate?.(given, context) ?? given;
  const status = initialStatus?.(prepared, context);
  return status === undefined
    ? prepared
    : { ...prepared, status: { ...status, ...objectOf(object['status']) } };
}

/** @throws {E_API} 409 for a pod that has a node */
function bound(
  kind: KindRef<unknown>,
  pod: JsonObject,
  { nodeName, nowMs }: { readonly nodeName: unknown; readonly nowMs: number },
): JsonObject {
  if (stringOf(objectOf(pod['spec'])['nodeName']) !== '')
    throw failure.conflict(kind, stringOf(metadataOf(pod).name), 'pod is already assigned to a node');
  const status = objectOf(pod['status']);
  const scheduled = { type: 'PodScheduled', status: 'True', lastTransitionTime: formatTime(nowMs) };
  const others = listOf(status['conditions']).filter(
    (condition) => objectOf(condition)['type'] !== 'PodScheduled',
  );
  return {
    ...pod,
    spec: { ...objectOf(pod['spec']), nodeName },
    status: { ...status, conditions: [...others, scheduled] },
  };
}

function wishesOf({ gracePeriodSeconds, propagationPolicy }: Partial<DeleteOptions>): DeletionWishes {
  const policies = ['Background', 'Foreground', 'Orphan'] as const;
  return { gracePeriodSeconds, propagationPolicy: policies.find((policy) => policy === propagationPolicy) };
}

function knownKind({ group, version, resource }: KindRef<unknown>): Kind {
  const kind = findKind(group, version, resource);
  assert(kind !== undefined, `${group}/${version} ${resource} is no kind`);
  return kind;
}

function matcher(kind: KindRef<unknown>, options: ListOptions): (object: JsonObject) => boolean {
  const labels = parseLabelSelector(options.labelSelector ?? '');
  const fields = parseFieldSelector(options.fieldSelector ?? '');
  const known = findKind(kind.group, kind.version, kind.resource);
  return (object) => {
    if (options.namespace !== undefined && metadataOf(object).namespace !== options.namespace) return false;
    if (!matchesLabels(labels, metadataOf(object).labels ?? {})) return false;
    return known === undefined || matchesFields(known, fields, object);
  };
}

/** Items of lists carry no kind and apiVersion. */
function withoutType(object: JsonObject, { metadataOnly = false }: ListOptions): JsonObject {
  const { kind: _kind, apiVersion: _apiVersion, ...rest } = object;
  return metadataOnly ? { metadata: rest['metadata'] } : rest;
}

function continueAt(options: ListOptions): number {
  return Number(options.continue?.split(':')[0]);
}

function metadataOf(object: unknown): ObjectMeta {
  return objectOf(objectOf(object)['metadata']);
}

function idOf(kind: KindRef<unknown>): string {
  return kind.group === '' ? kind.resource : `${kind.resource}.${kind.group}`;
}
