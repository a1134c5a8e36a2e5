/** Reads a cluster, and shows it a file: lists, and writes that are dry runs, which it does not keep. */
import type { PersistentVolume, Pod, PodGroup, PriorityClass, StorageClass } from '#api/generated/objects.ts';
import { objectKey, type JsonObject } from '#api/meta/object.ts';
import {
  csiDrivers,
  csiNodes,
  csiStorageCapacities,
  namespaces,
  nodes,
  persistentVolumeClaims,
  persistentVolumes,
  podDisruptionBudgets,
  podGroups,
  pods,
  priorityClasses,
  replicaSets,
  resourceQuotas,
  services,
  storageClasses,
  type KindRef,
} from '#api/schema/kind-ref.ts';
import { objectsOfDocument, splitDocuments } from '#api/wire/documents.ts';
import { at, isObject, objectOf, stringOf, typed } from '#api/wire/json.ts';
import { describeError, isPodwrightError, PodwrightError } from '#base/errors.ts';
import { describeRefusal, isNotFound } from '#client/api-error.ts';
import type { ApiClient } from '#client/client.ts';
import { discoverKindsOf } from '#client/discover-kinds.ts';
import { listAll } from '#client/list-all.ts';
import { expand, type Expanded } from './expand.ts';
import type { Answered, Observed, WantedPod } from './observed.ts';
import { withNewClass, withoutNewClass } from './of-file.ts';

/** An object of the file, and its kind as the server has it; undefined: it has none of that name. */
export interface Given {
  readonly kind: KindRef<JsonObject> | undefined;
  readonly object: JsonObject;
  /** `Deployment default/web` */
  readonly name: string;
}

/** @throws E_INVALID for what is no object of Kubernetes, E_API */
export async function readGiven(
  text: string,
  {
    client,
    source,
    namespace,
  }: { readonly client: ApiClient; readonly source: string; readonly namespace: string },
): Promise<readonly Given[]> {
  const known = new Map<string, Promise<readonly KindRef<unknown>[]>>();
  const kindsOf = (version: string): Promise<readonly KindRef<unknown>[]> => {
    const found = known.get(version) ?? discoverKindsOf(client, version).catch(orNone);
    known.set(version, found);
    return found;
  };
  const given: Given[] = [];
  for (const [index, document] of splitDocuments(text).entries())
    for (const { value, apiVersion = '', kind: kindName = '' } of bodiesOf(
      document,
      `${source}, document ${index + 1}`,
    )) {
      if (!isObject(value) || apiVersion === '' || kindName === '')
        throw new PodwrightError(
          'E_INVALID',
          `plan ${source}, document ${index + 1}: apiVersion and kind must be set`,
        );
      const found = (await kindsOf(apiVersion)).find(({ kind }) => kind === kindName);
      const kind = found === undefined ? undefined : refOf(found);
      const own = stringOf(at(value, 'metadata.namespace')) || namespace;
      const metadata = at(value, 'metadata');
      const object =
        kind?.namespaced === true
          ? { ...value, metadata: { ...(isObject(metadata) ? metadata : {}), namespace: own } }
          : value;
      const name = stringOf(at(value, 'metadata.name')) || `${stringOf(at(value, 'metadata.generateName'))}*`;
      given.push({ kind, object, name: `${kindName} ${kind?.namespaced === false ? '' : `${own}/`}${name}` });
    }
  if (given.length === 0) throw new PodwrightError('E_INVALID', `plan ${source}: there is nothing in it`);
  return given;
}

function refOf({ group, version, kind, resource, namespaced }: KindRef<unknown>): KindRef<JsonObject> {
  return { group, version, kind, resource, namespaced };
}

function bodiesOf(document: string, place: string): ReturnType<typeof objectsOfDocument> {
  try {
    return objectsOfDocument(document);
  } catch (error) {
    throw new PodwrightError('E_INVALID', `plan ${place}: ${describeError(error)}`);
  }
}

function orNone(error: unknown): readonly never[] {
  if (isNotFound(error)) return [];
  throw error;
}

/** All that a decision asks about. @throws E_API */
export async function observe(client: ApiClient): Promise<Observed> {
  const all = async <T>(kind: KindRef<T>): Promise<readonly T[]> => (await listAll(client, kind, {})).items;
  const [theNodes, thePods, theReplicaSets, theServices, theNamespaces, budgets, quotas] = await Promise.all([
    ...([all(nodes), all(pods), all(replicaSets), all(services), all(namespaces)] as const),
    ...([all(podDisruptionBudgets), all(resourceQuotas)] as const),
  ]);
  const groups = await all(podGroups).catch(orNone); // A group that is off by default.
  const [claims, volumes, classes, theCsiNodes, drivers, capacities] = await Promise.all([
    ...([all(persistentVolumeClaims), all(persistentVolumes), all(storageClasses)] as const),
    ...([all(csiNodes), all(csiDrivers), all(csiStorageCapacities)] as const),
  ]);
  return {
    ...{ nodes: theNodes, pods: thePods, replicaSets: theReplicaSets, services: theServices },
    ...{ podGroups: groups, namespaces: theNamespaces, budgets, quotas, claims, volumes, classes },
    ...{ csiNodes: theCsiNodes, csiDrivers: drivers, capacities },
  };
}

const fieldManager = 'podwright-plan';

export interface Shown {
  readonly objects: readonly Answered[];
  readonly pods: readonly WantedPod[];
  readonly claims: Observed['claims'];
  readonly podGroups: Observed['podGroups'];
  readonly volumes: Observed['volumes'];
  readonly classes: Observed['classes'];
}

/** What the server would make of each object, and of the pods that come of it. What it is shown, it does not keep. */
export async function show(
  given: readonly Given[],
  observed: Observed,
  { client, nowMs }: { readonly client: ApiClient; readonly nowMs: number },
): Promise<Shown> {
  const made = new Set(given.map(({ name }) => name));
  const priorities = given.flatMap(({ kind, object }) =>
    kind !== undefined && isOf(kind, priorityClasses) ? [typed<PriorityClass>(object)] : [],
  );
  const objects: Answered[] = [];
  const wanted: WantedPod[] = [];
  const claims: Observed['claims'][number][] = [];
  const groups: PodGroup[] = [];
  const volumes: PersistentVolume[] = [];
  const classes: StorageClass[] = [];
  for (const one of given) {
    const { kind, object, name } = one;
    if (kind === undefined) {
      objects.push({
        object: name,
        warnings: [],
        note: 'not asked about: the server does not have its kind',
      });
      continue;
    }
    const isNew = await isNamespaceNew(one, made, observed);
    const answer = isNew ? { object } : await dryRun(client, kind, object, priorities);
    const { refusal } = answer;
    const expanded =
      refusal === undefined && answer.object !== undefined
        ? expand(kind, answer.object, { ...observed, nowMs })
        : { pods: [], claims: [] };
    const note = isNew ? 'not asked about: its namespace is made by the same file' : expanded.note;
    objects.push({
      object: name,
      warnings: [],
      ...(refusal === undefined ? {} : { refusal }),
      ...(note === undefined ? {} : { note }),
    });
    if (answer.object !== undefined) {
      if (isOf(kind, persistentVolumeClaims)) claims.push(claimOf(answer.object));
      if (isOf(kind, podGroups)) groups.push(typed<PodGroup>(answer.object));
      if (isOf(kind, persistentVolumes)) volumes.push(volumeOf(answer.object));
      if (isOf(kind, storageClasses)) classes.push(typed<StorageClass>(answer.object));
    }
    claims.push(...expanded.claims);
    const isAsked = !isNew && !isOf(kind, pods);
    wanted.push(...(await admitted(expanded, { client, of: name, isAsked, made, priorities })));
  }
  return { objects, pods: wanted, claims, podGroups: groups, volumes, classes };
}

/** Of whatever version. */
function isOf({ group, kind }: KindRef<unknown>, other: KindRef<unknown>): boolean {
  return group === other.group && kind === other.kind;
}

/** A volume that was not made yet is to be had. */
function volumeOf(object: JsonObject): PersistentVolume {
  return { ...object, status: { phase: 'Available' } };
}

/** A claim that was not made yet waits. */
function claimOf(object: JsonObject): Observed['claims'][number] {
  return { ...object, status: { phase: 'Pending' } };
}

async function isNamespaceNew(
  { kind, object }: Given,
  made: ReadonlySet<string>,
  observed: Observed,
): Promise<boolean> {
  const namespace = stringOf(at(object, 'metadata.namespace'));
  const isThere = observed.namespaces.some(({ metadata }) => metadata?.name === namespace);
  return kind?.namespaced === true && !isThere && made.has(`Namespace ${namespace}`);
}

async function dryRun(
  client: ApiClient,
  kind: KindRef<JsonObject>,
  given: JsonObject,
  priorities: readonly PriorityClass[],
): Promise<{ readonly object?: JsonObject; readonly refusal?: string }> {
  const pod = isOf(kind, pods) ? typed<Pod>(given) : undefined;
  const object = pod === undefined ? given : objectOf(withoutNewClass(pod, priorities));
  try {
    const isNamed = stringOf(at(object, 'metadata.name')) !== '';
    const namespace = stringOf(at(object, 'metadata.namespace'));
    const answer = isNamed
      ? await client.apply(kind, object, { dryRun: true, force: true, fieldManager })
      : await client.create(kind, object, { dryRun: true, fieldManager, namespace });
    return {
      object: pod === undefined ? answer : objectOf(withNewClass(typed<Pod>(answer), pod, priorities)),
    };
  } catch (error) {
    if (!isPodwrightError(error, 'E_API')) throw error;
    return { refusal: describeRefusal(error) };
  }
}

interface Admitting {
  readonly client: ApiClient;
  readonly of: string;
  /** Those of a file are objects themselves, and were shown already. */
  readonly isAsked: boolean;
  /** Names of what the file makes. */
  readonly made: ReadonlySet<string>;
  readonly priorities: readonly PriorityClass[];
}

/** Pods of one template are admitted alike: the first is shown to the server, the others are as that is. */
async function admitted(
  { pods: expanded }: Expanded,
  { client, of, isAsked, made, priorities }: Admitting,
): Promise<readonly WantedPod[]> {
  const [first] = expanded;
  if (first === undefined) return [];
  if (!isAsked) return expanded.map((pod) => ({ of, pod: withUid(withNewClass(pod, pod, priorities)) }));
  const { namespace = '' } = first.metadata ?? {};
  const account = first.spec?.serviceAccountName ?? '';
  // An account that the file makes is not there yet.
  const isMade = made.has(`ServiceAccount ${namespace}/${account}`);
  const { serviceAccountName: _account, serviceAccount: _old, ...spec } = first.spec ?? { containers: [] };
  const asked = withoutNewClass(isMade ? { ...first, spec } : first, priorities);
  try {
    const told = await client.create(pods, asked, { dryRun: true, fieldManager, namespace });
    const answer = withNewClass(told, first, priorities);
    return expanded.map((pod) => ({ of, pod: asAdmitted(pod, answer) }));
  } catch (error) {
    if (!isPodwrightError(error, 'E_API')) throw error;
    const refusal = describeRefusal(error);
    return expanded.map((pod) => ({ of, pod, refusal }));
  }
}

/** By which its claims are its own. */
function withUid(pod: Pod): Pod {
  return { ...pod, metadata: { uid: objectKey(pod), ...pod.metadata } };
}

/** What admission gave the first, with what is the pod's own: its name, its volumes of claims, the node that it is meant for. */
function asAdmitted(pod: Pod, { metadata, spec }: Pod): Pod {
  if (spec === undefined) return pod;
  const { hostname, volumes, affinity } = pod.spec ?? { containers: [] };
  const own = new Set(volumes?.map(({ name }) => name));
  const added = (spec.volumes ?? []).filter(({ name }) => !own.has(name));
  return {
    ...pod,
    metadata: { ...metadata, ...pod.metadata, labels: { ...metadata?.labels, ...pod.metadata?.labels } },
    spec: {
      ...spec,
      ...(hostname === undefined ? {} : { hostname }),
      volumes: [...(volumes ?? []), ...added],
      ...(affinity === undefined ? {} : { affinity }),
    },
  };
}
