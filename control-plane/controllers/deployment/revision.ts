import { createHash } from 'node:crypto';
import { at, equalJson, goJson, objectOf } from '#api/wire/json.ts';
import type { Deployment, PodTemplateSpec, ReplicaSet } from '#api/generated/objects.ts';

export const revisionAnnotation = 'deployment.kubernetes.io/revision';
export const revisionHistoryAnnotation = 'deployment.kubernetes.io/revision-history';
export const desiredReplicasAnnotation = 'deployment.kubernetes.io/desired-replicas';
export const maxReplicasAnnotation = 'deployment.kubernetes.io/max-replicas';
export const templateHashLabel = 'pod-template-hash';

/** Annotations that belong to one object and are not copied from a Deployment to its ReplicaSets. */
const ownAnnotations: ReadonlySet<string> = new Set([
  'kubectl.kubernetes.io/last-applied-configuration',
  'deprecated.deployment.rollback.to',
  revisionAnnotation,
  revisionHistoryAnnotation,
  desiredReplicasAnnotation,
  maxReplicasAnnotation,
]);

// The alphabet of apimachinery's rand.SafeEncodeString: no vowels, nothing that reads like another.
const safeAlphabet = 'bcdfghjklmnpqrstvwxz2456789';
const hashLength = 10;

/** The name of a template among those of its Deployment; `collisionCount` gives another when the name is taken. */
export function templateHash(template: PodTemplateSpec, collisionCount = 0): string {
  const text = `${goJson(withoutHash(template))}${collisionCount === 0 ? '' : collisionCount}`;
  const digest = createHash('sha256').update(text).digest();
  return [...digest.subarray(0, hashLength)].map((byte) => safeAlphabet[byte % safeAlphabet.length]).join('');
}

/** The ReplicaSet of the Deployment's present template: the oldest when there are several. */
export function findNewReplicaSet(
  deployment: Deployment,
  replicaSets: readonly ReplicaSet[],
): ReplicaSet | undefined {
  const template = deployment.spec?.template ?? {};
  const hash = templateHash(template, deployment.status?.collisionCount);
  const byAge = replicaSets.toSorted(byCreation);
  return (
    byAge.find((one) => hasTemplateOf(one, deployment)) ??
    // The server may have changed the template on its way into the ReplicaSet; the name still tells.
    byAge.find((one) => isMadeFor(one, hash))
  );
}

/** Whether the template is the Deployment's present one. */
export function hasTemplateOf({ spec }: ReplicaSet, deployment: Deployment): boolean {
  return equalJson(withoutHash(spec?.template ?? {}), withoutHash(deployment.spec?.template ?? {}));
}

/** Whether the ReplicaSet is that of the template of this hash, as far as nobody gave it another since. */
export function isMadeFor(replicaSet: ReplicaSet, hash: string): boolean {
  return replicaSet.metadata?.labels?.[templateHashLabel] === hash && !isEdited(replicaSet);
}

/** Whether somebody else than who made it wrote parts of its template: what admission does belongs to who made it. */
function isEdited({ metadata }: ReplicaSet): boolean {
  const writers = (metadata?.managedFields ?? []).flatMap(({ manager = '', fieldsV1 }) =>
    Object.keys(objectOf(at(fieldsV1, ['f:spec', 'f:template']))).length > 0 ? [manager] : [],
  );
  return new Set(writers).size > 1;
}

const revisionMax = 2n ** 63n - 1n;

/** The revision of a ReplicaSet, 0 when it has none. An int64: whoever adopts a ReplicaSet goes on from its number. */
export function revisionOf({ metadata }: { readonly metadata?: ReplicaSet['metadata'] }): bigint {
  const text = metadata?.annotations?.[revisionAnnotation] ?? '';
  const revision = /^\d{1,19}$/.test(text) ? BigInt(text) : 0n;
  return revision > revisionMax ? 0n : revision;
}

/** The highest revision of the ReplicaSets. */
function lastRevision(replicaSets: readonly ReplicaSet[]): bigint {
  return replicaSets.map(revisionOf).reduce((a, b) => (a > b ? a : b), 0n);
}

/**
 * The annotations of the new ReplicaSet: those of the Deployment, the revision, and the revisions that it had before it
 * was rolled back to.
 */
export function newReplicaSetAnnotations(
  deployment: Deployment,
  replicaSet: ReplicaSet | undefined,
  oldReplicaSets: readonly ReplicaSet[],
): Readonly<Record<string, string>> {
  const before = replicaSet?.metadata?.annotations ?? {};
  const copied = Object.entries(deployment.metadata?.annotations ?? {}).filter(
    ([name]) => !ownAnnotations.has(name),
  );
  const revision = lastRevision(oldReplicaSets) + 1n;
  const present = replicaSet === undefined ? 0n : revisionOf(replicaSet);
  const annotations = { ...before, ...Object.fromEntries(copied) };
  if (present >= revision) return annotations;
  const history = [before[revisionHistoryAnnotation], present === 0n ? undefined : String(present)];
  const earlier = history.filter((text) => text !== undefined && text !== '').join(',');
  return {
    ...annotations,
    [revisionAnnotation]: String(revision),
    ...(earlier === '' ? {} : { [revisionHistoryAnnotation]: earlier }),
  };
}

/** Older first; the name decides between two of one second. */
export function byCreation(a: ReplicaSet, b: ReplicaSet): number {
  const key = ({ metadata }: ReplicaSet): string =>
    `${metadata?.creationTimestamp ?? ''} ${metadata?.name ?? ''}`;
  return key(a) < key(b) ? -1 : 1;
}

function withoutHash(template: PodTemplateSpec): PodTemplateSpec {
  const { labels = {}, annotations = {} } = template.metadata ?? {};
  const { [templateHashLabel]: _hash, ...rest } = labels;
  return { metadata: { labels: rest, annotations }, spec: template.spec };
}
