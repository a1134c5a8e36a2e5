import { at, objectOf, objectsOf } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { nodeTermWarnings } from './node-labels.ts';
import { claimSpecWarnings, goneVolumeWarnings } from './pod.ts';

const betaStorageClass = 'volume.beta.kubernetes.io/storage-class';

/** Kinds of volumes that a claim of theirs is not told of (pkg/api/persistentvolume/util.go). */
const untold: ReadonlySet<string> = new Set(['flocker', 'quobyte']);

/** Warnings of a PersistentVolume. */
export function persistentVolumeWarnings(volume: JsonObject): readonly string[] {
  const spec = objectOf(volume['spec']);
  return [
    ...annotationWarnings(volume),
    ...(spec['persistentVolumeReclaimPolicy'] === 'Recycle'
      ? [
          'spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the recommended approach is to use dynamic provisioning.',
        ]
      : []),
    ...objectsOf(at(spec, 'nodeAffinity.required.nodeSelectorTerms')).flatMap((term, index) =>
      nodeTermWarnings(term, `spec.nodeAffinity.required.nodeSelectorTerms[${index}]`),
    ),
    ...goneVolumeWarnings(spec, 'spec', untold),
  ];
}

/** Warnings of a PersistentVolumeClaim (pkg/api/persistentvolumeclaim/util.go). */
export function claimWarnings(claim: JsonObject): readonly string[] {
  return [...annotationWarnings(claim), ...claimSpecWarnings(objectOf(claim['spec']), 'spec')];
}

function annotationWarnings(object: JsonObject): readonly string[] {
  return at(object, ['metadata', 'annotations', betaStorageClass]) === undefined
    ? []
    : [
        `metadata.annotations[${betaStorageClass}]: deprecated since v1.8; use "storageClassName" attribute instead`,
      ];
}
