import { decodeType } from './decode.ts';
import { templateGenerationAnnotation, templatePaths } from './defaults/workload.ts';
import { at, equalJson, objectOf, objectsOf, stringOf, withPath } from './json.ts';
import { findSubresource, schemaType, type Kind } from './kinds.ts';
import type { JsonObject } from './object.ts';
import { qosClass } from './pod/qos.ts';
import { keepServiceAllocations } from './strategy-service.ts';
import { updateSubresource } from './strategy-subresource.ts';
import { formatTime } from './time.ts';

/** What a new object gets from the server. */
export interface CreateContext {
  /** Milliseconds since the epoch. */
  readonly now: number;
  readonly uid: string;
  /** From the URL; undefined for cluster-scoped kinds. */
  readonly namespace?: string | undefined;
  /** Five characters for generateName (see `nameSuffixAlphabet`); without it an absent name stays absent. */
  readonly nameSuffix?: string | undefined;
}

/** The characters of generated names: no vowels, so no words (apimachinery util/rand). */
export const nameSuffixAlphabet = 'bcdfghjklmnpqrstvwxz2456789';

/** What the server sets on a new, defaulted object: identity, generation, the initial status, generated labels. */
export function prepareCreate(kind: Kind, object: JsonObject, context: CreateContext): JsonObject {
  const created = { ...object, metadata: createMetadata(kind, objectOf(object['metadata']), context) };
  const withStatus = keepsStatusOnCreate(kind) ? created : withInitialStatus(kind, created, context);
  return particularCreate[keyOf(kind)]?.(withStatus, context) ?? withStatus;
}

/**
 * The new object of an update, defaulted: what clients may not change is taken from the old one; generation is bumped when
 * anything but metadata and status changed. resourceVersion becomes the old one's (compare it before), so that an update
 * that changes nothing equals the old object (`equalJson`).
 */
export function prepareUpdate(
  kind: Kind,
  old: JsonObject,
  object: JsonObject,
  subresource?: string,
): JsonObject {
  const written =
    subresource === undefined
      ? updateMain(kind, old, object)
      : updateSubresource({ old, object: withoutForeignLabels(kind, old, object), subresource });
  const updated = {
    ...written,
    metadata: updateMetadata(objectOf(old['metadata']), objectOf(written['metadata'])),
  };
  return withGeneration(kind, old, updated);
}

/** The object as its graceful deletion begins: deletionTimestamp (when the grace will end), and a new generation. */
export function markDeleted(
  object: JsonObject,
  context: { readonly now: number; readonly gracePeriodSeconds: number },
): JsonObject {
  const metadata = objectOf(object['metadata']);
  const generation = metadata['generation'];
  return {
    ...object,
    metadata: {
      ...metadata,
      deletionTimestamp: formatTime(context.now + context.gracePeriodSeconds * 1000),
      deletionGracePeriodSeconds: context.gracePeriodSeconds,
      ...(typeof generation === 'number' ? { generation: generation + 1 } : {}),
    },
  };
}

/** Whether objects of the kind carry metadata.generation (measured; kinds without it never get one). */
export function tracksGeneration(kind: Pick<Kind, 'group' | 'kind'>): boolean {
  return !withoutGeneration.has(keyOf(kind));
}

const withoutGeneration: ReadonlySet<string> = new Set([
  ...['Service', 'ConfigMap', 'Secret', 'Namespace', 'Node', 'PersistentVolume', 'PersistentVolumeClaim'].map(
    core,
  ),
  ...['Endpoints', 'LimitRange', 'ResourceQuota', 'ServiceAccount', 'Event'].map(core),
  'apps/ControllerRevision',
  'autoscaling/HorizontalPodAutoscaler',
  'apiregistration.k8s.io/APIService',
  'certificates.k8s.io/CertificateSigningRequest',
  'coordination.k8s.io/Lease',
  'events.k8s.io/Event',
  'networking.k8s.io/IPAddress',
  'networking.k8s.io/ServiceCIDR',
  'node.k8s.io/RuntimeClass',
  ...['Role', 'RoleBinding', 'ClusterRole', 'ClusterRoleBinding'].map(
    (kind) => `rbac.authorization.k8s.io/${kind}`,
  ),
  ...['ResourceClaim', 'ResourceClaimTemplate'].map((kind) => `resource.k8s.io/${kind}`),
  ...[
    'CSIDriver',
    'CSINode',
    'CSIStorageCapacity',
    'StorageClass',
    'VolumeAttachment',
    'VolumeAttributesClass',
  ].map((kind) => `storage.k8s.io/${kind}`),
]);

function core(kind: string): string {
  return `/${kind}`;
}

function keyOf(kind: Pick<Kind, 'group' | 'kind'>): string {
  return `${kind.group}/${kind.kind}`;
}

function createMetadata(kind: Kind, given: JsonObject, context: CreateContext): JsonObject {
  const {
    resourceVersion: _resourceVersion,
    selfLink: _selfLink,
    deletionTimestamp: _deletionTimestamp,
    deletionGracePeriodSeconds: _deletionGracePeriodSeconds,
    generation: _generation,
    ...rest
  } = given;
  const prefix = stringOf(given['generateName']);
  const isGenerated = stringOf(given['name']) === '' && prefix !== '' && context.nameSuffix !== undefined;
  return {
    ...rest,
    ...(isGenerated ? { name: `${prefix.slice(0, generateNamePrefixMax)}${context.nameSuffix}` } : {}),
    ...(kind.namespaced && context.namespace !== undefined ? { namespace: context.namespace } : {}),
    uid: context.uid,
    ...(tracksGeneration(kind) ? { generation: 1 } : {}),
    creationTimestamp: formatTime(context.now),
  };
}

const generateNamePrefixMax = 58; // 63, the shortest limit of a name, less the suffix.

function updateMetadata(old: JsonObject, given: JsonObject): JsonObject {
  const kept: Record<string, unknown> = { ...given };
  for (const field of serverOwned) {
    if (old[field] === undefined) delete kept[field];
    else kept[field] = old[field];
  }
  delete kept['selfLink'];
  return kept;
}

const serverOwned = [
  'name',
  'namespace',
  'uid',
  'resourceVersion',
  'creationTimestamp',
  'deletionTimestamp',
  'deletionGracePeriodSeconds',
  'generation',
  'generateName',
];

/** Kinds whose labels no subresource changes; the others take labels along with a status. */
const labelsKept: ReadonlySet<string> = new Set(['apps/Deployment']);

function withoutForeignLabels(kind: Kind, old: JsonObject, object: JsonObject): JsonObject {
  return labelsKept.has(keyOf(kind))
    ? withPath(object, 'metadata.labels', at(old, 'metadata.labels'))
    : object;
}

/** A main endpoint that has a status subresource never writes status. */
function updateMain(kind: Kind, old: JsonObject, object: JsonObject): JsonObject {
  const written =
    findSubresource(kind, 'status') === undefined ? object : withPath(object, 'status', old['status']);
  return particularUpdate[keyOf(kind)]?.(old, written) ?? written;
}

function withGeneration(kind: Kind, old: JsonObject, updated: JsonObject): JsonObject {
  const generation = at(old, 'metadata.generation');
  if (!tracksGeneration(kind) || equalJson(desiredOf(old), desiredOf(updated))) return updated;
  const next = (typeof generation === 'number' ? generation : 0) + 1;
  return withPath(updated, 'metadata.generation', next);
}

function desiredOf(object: JsonObject): JsonObject {
  const { metadata: _metadata, status: _status, kind: _kind, apiVersion: _apiVersion, ...desired } = object;
  return desired;
}

/** Kubelets register Nodes with their status; kinds without the subresource (reviews) have a status of their own. */
function keepsStatusOnCreate(kind: Kind): boolean {
  return keyOf(kind) === '/Node' || findSubresource(kind, 'status') === undefined;
}

function withInitialStatus(kind: Kind, object: JsonObject, context: CreateContext): JsonObject {
  const field = schemaType(kind.typeName)?.f?.['status'];
  if (typeof field !== 'string') return object;
  const initial = initialStatus[keyOf(kind)]?.(object, context) ?? {};
  return { ...object, status: decodeType(field, initial).object };
}

const initialStatus: Readonly<Record<string, (object: JsonObject, context: CreateContext) => JsonObject>> = {
  '/Pod': (pod) => ({ phase: 'Pending', qosClass: qosClass(pod) }),
  '/Namespace': () => ({ phase: 'Active' }),
  '/PersistentVolume': (_volume, { now }) => ({ phase: 'Pending', lastPhaseTransitionTime: formatTime(now) }),
  '/PersistentVolumeClaim': () => ({ phase: 'Pending' }),
  'apiextensions.k8s.io/CustomResourceDefinition': (definition) => ({
    conditions: [],
    acceptedNames: { plural: '', kind: '' },
    storedVersions: objectsOf(at(definition, 'spec.versions'))
      .filter((version) => version['storage'] === true)
      .map((version) => version['name']),
  }),
};

type Prepare = (object: JsonObject, context: CreateContext) => JsonObject;

const particularCreate: Readonly<Record<string, Prepare>> = {
  '/Namespace': (namespace) => withPath(namespace, 'spec.finalizers', ['kubernetes']),
  'apps/DaemonSet': (set) => withTemplateGeneration(set, 1),
  'batch/Job': labelJob,
};

const particularUpdate: Readonly<Record<string, (old: JsonObject, object: JsonObject) => JsonObject>> = {
  '/Namespace': (old, namespace) => withPath(namespace, 'spec.finalizers', at(old, 'spec.finalizers')),
  '/Service': keepServiceAllocations,
  'apps/DaemonSet': (old, set) => {
    const path = templatePaths['apps/DaemonSet'] ?? '';
    const generation = Number(at(old, ['metadata', 'annotations', templateGenerationAnnotation]) ?? 0);
    return withTemplateGeneration(set, equalJson(at(old, path), at(set, path)) ? generation : generation + 1);
  },
};

function withTemplateGeneration(set: JsonObject, generation: number): JsonObject {
  return withPath(set, ['metadata', 'annotations', templateGenerationAnnotation], String(generation));
}

/** A Job without manualSelector selects its pods by its own uid. */
function labelJob(job: JsonObject, { uid }: CreateContext): JsonObject {
  if (at(job, 'spec.manualSelector') === true) return job;
  const name = stringOf(at(job, 'metadata.name'));
  const labels = {
    'batch.kubernetes.io/controller-uid': uid,
    'batch.kubernetes.io/job-name': name,
    'controller-uid': uid,
    'job-name': name,
  };
  const merge = (object: JsonObject, path: string): JsonObject =>
    withPath(object, path, { ...objectOf(at(object, path)), ...labels });
  const labelled = merge(merge(job, 'metadata.labels'), 'spec.template.metadata.labels');
  return withPath(labelled, 'spec.selector', { matchLabels: { 'batch.kubernetes.io/controller-uid': uid } });
}
