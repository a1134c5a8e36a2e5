import type { KeyOutcome } from '#base/keyed-queue.ts';
import { unreachable } from '#base/unreachable.ts';
import { splitKey, type KubeObject } from '#api/meta/object.ts';
import { customResourceDefinitions as definitions, namespaces } from '#api/schema/kind-ref.ts';
import type { ObjectMeta, OwnerReference } from '#api/generated/objects.ts';
import { equalJson } from '#api/wire/json.ts';
import { isConflict, isNotFound } from '#client/api-error.ts';
import { runController, type Controller } from '#client/controller.ts';
import { discoverKinds, type DiscoveredKind } from '#client/discover-kinds.ts';
import type { EventRecorder } from '#client/event-recorder.ts';
import type { Change } from '#client/informer.ts';
import type { ControllerContext } from '#control-plane/controllers/controller-context.ts';
import { slowStart } from '#control-plane/controllers/pods/slow-start.ts';
import { Visits } from './visits.ts';
import { createObjectGraph, vertexId, type ObjectGraph, type Vertex } from './object-graph.ts';
import {
  foregroundFinalizer,
  isWaiting,
  orphanFinalizer,
  planGarbage,
  type GarbageAction,
  type OwnerState,
} from './plan.ts';

/** New kinds (custom resources) are found within this time. */
const discoverEveryMs = 30_000;
/** Before the caches are full nothing is decided; they are asked again after this. */
const unsyncedRetryMs = 100;
const absentOwnersMax = 1000;

interface Loop {
  readonly context: ControllerContext;
  readonly graph: ObjectGraph;
  /**
   * Owners that the server itself said are gone, each with where it was looked for: a thousand dependents do not ask a thousand times, and one
   * that names a wrong place says nothing to those that name the right one.
   */
  readonly absent: Set<string>;
  readonly recorder: EventRecorder;
}

/** Deletes what lost its owners, and serves the two deletion policies that wait for dependents. */
export function runGarbageCollector(context: ControllerContext): Controller {
  const { clock, logger, client } = context;
  const graph = createObjectGraph(context.informers, (kind, change) => {
    // Its watch has ended, and asking again would be in vain. Kinds that come, and those of other servers, are found by discovery.
    if (kind.resource === definitions.resource && kind.group === definitions.group) {
      if (change.current === undefined) graph.dropCustom(change.key);
    }
    visits.add(idsToVisit(graph, kind, change));
  });
  const visits = new Visits((id) => controller.enqueue(id));
  const recorder = context.recorder('garbage-collector-controller');
  const loop: Loop = { context, graph, absent: new Set(), recorder };
  const controller = runController({
    name: 'garbage-collector',
    clock,
    logger,
    concurrencyMax: context.syncsMax ?? 20,
    sources: [],
    reconcile: (id) => reconcile(loop, id),
  });
  const discovery = runController({
    name: 'garbage-collector-discovery',
    clock,
    logger,
    sources: [],
    reconcile: async () => {
      const found = await discoverKinds(client);
      if (found.failed.length > 0) logger.warn({ groups: found.failed }, 'discovery incomplete');
      graph.setKinds(found);
      return { kind: 'again', afterMs: discoverEveryMs };
    },
  });
  discovery.enqueue('kinds');
  return {
    ...controller,
    idle: async () => {
      await discovery.idle();
      await visits.idle();
      await controller.idle();
    },
    [Symbol.asyncDispose]: async () => {
      graph.setKinds({ kinds: [], failed: [] });
      await discovery[Symbol.asyncDispose]();
      await controller[Symbol.asyncDispose]();
    },
  };
}

/** Whom a change concerns: what went leaves its dependents and frees its owners; what is owned or held is itself looked at. */
function* idsToVisit(
  graph: ObjectGraph,
  kind: DiscoveredKind,
  { key, old, current }: Change<KubeObject>,
): Generator<string, void> {
  if (current === undefined) {
    yield* dependentIds(graph, old);
    return yield* ownerIds(graph, old);
  }
  const { ownerReferences = [], deletionTimestamp, finalizers = [] } = current.metadata ?? {};
  const isHeld =
    deletionTimestamp !== undefined &&
    (finalizers.includes(foregroundFinalizer) || finalizers.includes(orphanFinalizer));
  if (isHeld) {
    yield vertexId(kind, key);
    return yield* dependentIds(graph, current);
  }
  // A status that changes says nothing about owners.
  const isSame = JSON.stringify(old?.metadata?.ownerReferences ?? []) === JSON.stringify(ownerReferences);
  if (old !== undefined && isSame) return;
  if (ownerReferences.length > 0) yield vertexId(kind, key);
  yield* ownerIds(graph, old);
}

function* dependentIds(graph: ObjectGraph, object: KubeObject | undefined): Iterable<string> {
  for (const { kind, key } of graph.dependentsOf(object?.metadata?.uid ?? '')) yield vertexId(kind, key);
}

function* ownerIds(graph: ObjectGraph, object: KubeObject | undefined): Iterable<string> {
  for (const reference of object?.metadata?.ownerReferences ?? []) {
    const kind = graph.kindOf(reference);
    if (kind !== undefined) yield vertexId(kind, ownerKeyOf(reference, object, kind));
  }
}

async function reconcile(loop: Loop, id: string): Promise<KeyOutcome | void> {
  const { graph } = loop;
  if (!graph.hasSynced) return { kind: 'again', afterMs: unsyncedRetryMs };
  const vertex = graph.get(id);
  if (vertex === undefined) return undefined;
  const references = vertex.object.metadata?.ownerReferences ?? [];
  const owners = await Promise.all(
    references.map(async (reference) => ({ reference, state: await ownerState(loop, vertex, reference) })),
  );
  const { uid = '' } = vertex.object.metadata ?? {};
  const action = planGarbage({
    object: vertex.object,
    owners,
    dependents: function* () {
      for (const { object } of graph.dependentsOf(uid)) yield object;
    },
  });
  try {
    await apply(loop, vertex, action);
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
  return undefined;
}

async function apply(
  { context, graph }: Loop,
  vertex: Vertex,
  action: ReturnType<typeof planGarbage>,
): Promise<void> {
  const { uid = '' } = vertex.object.metadata ?? {};
  switch (action.kind) {
    case 'none':
      return;
    case 'orphanDependents':
      await each([...graph.dependentsOf(uid)], (dependent) => dropOwners(context, dependent, new Set([uid])));
      return removeFinalizer(context, vertex, orphanFinalizer);
    case 'awaitDependents':
      return; // The change that made it wait has its dependents looked at (idsToVisit).
    case 'release':
      return removeFinalizer(context, vertex, foregroundFinalizer);
    case 'dropOwners':
      return dropOwners(context, vertex, action.uids);
    case 'delete': {
      context.logger.debug({ kind: vertex.kind.kind, object: vertex.key }, 'delete object without owner');
      const left = action.unblocksOwners === true ? await unblockOwners(context, vertex) : vertex;
      if (left !== undefined) await removeUnowned(context, left, action.propagationPolicy);
      return;
    }
    default:
      return unreachable(action);
  }
}

/** A vertex that nobody owns any more goes. */
async function removeUnowned(
  context: ControllerContext,
  vertex: Vertex,
  propagationPolicy: Extract<GarbageAction, { readonly kind: 'delete' }>['propagationPolicy'],
): Promise<void> {
  const { kind, key } = vertex;
  await ofSameOwners(context, vertex, ({ uid, resourceVersion }) =>
    context.client.delete(kind, splitKey(key), {
      preconditions: { uid, resourceVersion },
      propagationPolicy,
    }),
  );
}

/**
 * Writes to the version that was looked at, or to a later one of the same owners. The cache may be behind: what has other owners by now is
 * left, and looked at again when the watch tells of them. @returns undefined: it was left
 */
async function ofSameOwners<T>(
  { client }: ControllerContext,
  { kind, key, object: { metadata = {} } }: Vertex,
  write: (at: Pick<ObjectMeta, 'uid' | 'resourceVersion'>) => Promise<T>,
): Promise<T | undefined> {
  const { uid, resourceVersion, ownerReferences } = metadata;
  try {
    return await write({ uid, resourceVersion });
  } catch (error) {
    if (!isConflict(error)) throw error;
  }
  const { metadata: live = {} } = await client.get(kind, splitKey(key));
  if (live.uid !== uid || !equalJson(live.ownerReferences, ownerReferences)) return undefined;
  // Something else of it changed, as a status does all the time.
  return await write({ uid, resourceVersion: live.resourceVersion });
}

async function ownerState(loop: Loop, vertex: Vertex, reference: OwnerReference): Promise<OwnerState> {
  const { graph, context, absent } = loop;
  const kind = graph.kindOf(reference);
  if (kind === undefined) return 'unknown';
  // A cluster-scoped object cannot have a namespaced owner: such a reference names nothing.
  if (kind.namespaced && !vertex.kind.namespaced) {
    tellInvalid(loop, vertex, reference);
    return 'unknown';
  }
  const key = ownerKeyOf(reference, vertex.object, kind);
  const cached = graph.get(vertexId(kind, key))?.object;
  if (cached?.metadata?.uid === reference.uid) return stateOf(cached);
  const place = `${reference.uid} ${vertexId(kind, key)}`;
  if (absent.has(place)) return 'absent';
  // Not in the cache may mean: not yet.
  try {
    const live = await context.client.get(kind, splitKey(key));
    if (live.metadata?.uid === reference.uid) return stateOf(live);
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
  if (kind.namespaced && isElsewhere(loop, kind, reference)) tellInvalid(loop, vertex, reference);
  absent.add(place);
  if (absent.size > absentOwnersMax) for (const first of absent.values().take(1)) absent.delete(first);
  return 'absent';
}

/** Whether the owner is there, in a namespace in which nobody else's owners are. */
function isElsewhere(
  { graph, context }: Loop,
  kind: DiscoveredKind,
  { name, uid }: Pick<OwnerReference, 'name' | 'uid'>,
): boolean {
  return context.informers
    .for(namespaces)
    .list()
    .some(({ metadata }) => {
      const owner = graph.get(vertexId(kind, `${metadata?.name ?? ''}/${name}`));
      return owner?.object.metadata?.uid === uid;
    });
}

/** As kube-controller-manager has it (garbagecollector, reportInvalidNamespaceOwnerRef). */
function tellInvalid(
  { recorder }: Loop,
  { kind, object }: Vertex,
  { apiVersion, kind: ownerKind, name, uid }: OwnerReference,
): void {
  const { namespace = '' } = object.metadata ?? {};
  const owner = `[${apiVersion}/${ownerKind}, namespace: ${namespace}, name: ${name}, uid: ${uid}]`;
  const message = `ownerRef ${owner} does not exist in namespace ${JSON.stringify(namespace)}`;
  recorder.record({ kind, object }, 'Warning', 'OwnerRefInvalidNamespace', message);
}

function stateOf(object: KubeObject): OwnerState {
  return isWaiting(object) ? 'waiting' : 'present';
}

function ownerKeyOf(reference: OwnerReference, object: KubeObject | undefined, kind: DiscoveredKind): string {
  return kind.namespaced ? `${object?.metadata?.namespace ?? ''}/${reference.name}` : reference.name;
}

async function dropOwners(
  { client }: ControllerContext,
  { kind, key, object }: Vertex,
  uids: ReadonlySet<string>,
): Promise<void> {
  const { ownerReferences = [], uid, resourceVersion } = object.metadata ?? {};
  const kept = ownerReferences.filter((reference) => !uids.has(reference.uid));
  if (kept.length === ownerReferences.length) return;
  const body = { metadata: { uid, resourceVersion, ownerReferences: kept.length === 0 ? null : kept } };
  try {
    await client.patch(kind, splitKey(key), { kind: 'merge', body });
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
}

/** It holds its owners no more. */
async function unblockOwners(context: ControllerContext, vertex: Vertex): Promise<Vertex | undefined> {
  const { kind, key, object } = vertex;
  const ownerReferences = object.metadata?.ownerReferences?.map((reference) => ({
    ...reference,
    blockOwnerDeletion: false,
  }));
  const unblocked = await ofSameOwners(context, vertex, (at) =>
    context.client.patch(kind, splitKey(key), {
      kind: 'merge',
      body: { metadata: { ...at, ownerReferences } },
    }),
  );
  return unblocked && { ...vertex, object: unblocked };
}

async function removeFinalizer(
  { client }: ControllerContext,
  { kind, key, object }: Vertex,
  finalizer: string,
): Promise<void> {
  const { finalizers = [], uid, resourceVersion } = object.metadata ?? {};
  const kept = finalizers.filter((one) => one !== finalizer);
  const body = { metadata: { uid, resourceVersion, finalizers: kept.length === 0 ? null : kept } };
  await client.patch(kind, splitKey(key), { kind: 'merge', body });
}

async function each(vertices: readonly Vertex[], act: (vertex: Vertex) => Promise<void>): Promise<void> {
  const { error } = await slowStart(vertices.length, async (index) => {
    const vertex = vertices[index];
    if (vertex !== undefined) await act(vertex);
  });
  if (error !== undefined) throw error;
}
