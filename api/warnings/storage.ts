import { at, objectOf, objectsOf, stringMapOf, stringOf } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { labelDeprecation, nodeTermWarnings } from './node-labels.ts';
import { claimSpecWarnings, goneVolumeWarnings } from './pod.ts';

const betaStorageClass = [
  'volume.beta.kubernetes.io/storage-class',
  'deprecated since v1.8; use "storageClassName" attribute instead',
] as const;
const betaMountOptions = [
  'volume.beta.kubernetes.io/mount-options',
  'deprecated since v1.31; use "mountOptions" attribute instead',
] as const;

/** Kinds of volumes that a claim of theirs is not told of (pkg/api/persistentvolume/util.go). */
const untold: ReadonlySet<string> = new Set(['flocker', 'quobyte']);

/** Warnings of a PersistentVolume. */
export function persistentVolumeWarnings(volume: JsonObject): readonly string[] {
  const spec = objectOf(volume['spec']);
  return [
    ...annotationWarnings(volume, [betaStorageClass, betaMountOptions]),
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
  return [
    ...annotationWarnings(claim, [betaStorageClass]),
    ...claimSpecWarnings(objectOf(claim['spec']), 'spec'),
  ];
}

/** Warnings of a StorageClass (pkg/api/storage/util.go). */
export function storageClassWarnings(storageClass: JsonObject): readonly string[] {
  return objectsOf(storageClass['allowedTopologies']).flatMap(({ matchLabelExpressions }, index) =>
    objectsOf(matchLabelExpressions).flatMap(({ key }, place) => {
      const text = labelDeprecation(stringOf(key));
      return text === undefined
        ? []
        : [`allowedTopologies[${index}].matchLabelExpressions[${place}].key: ${text}`];
    }),
  );
}

/** Warnings of a CSIStorageCapacity. */
export function storageCapacityWarnings(capacity: JsonObject): readonly string[] {
  const selector = objectOf(capacity['nodeTopology']);
  return [
    ...nodeTermWarnings(selector, 'nodeTopology'),
    ...Object.keys(stringMapOf(selector['matchLabels'])).flatMap((label) => {
      const text = labelDeprecation(label);
      return text === undefined ? [] : [`nodeTopology.matchLabels.${label}: ${text}`];
    }),
  ];
}

function annotationWarnings(
  object: JsonObject,
  deprecated: readonly (readonly [key: string, text: string])[],
): readonly string[] {
  return deprecated.flatMap(([key, text]) =>
    at(object, ['metadata', 'annotations', key]) === undefined
      ? []
      : [`metadata.annotations[${key}]: ${text}`],
  );
}
