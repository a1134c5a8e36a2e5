import {
  duplicateField,
  forbiddenField,
  invalidField,
  requiredField,
  type FieldError,
} from '#api/errors/field-error.ts';
import { at, isObject, objectOf, stringOf } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { missingErrors } from '#api/validation/field.ts';
import { dnsLabel, dnsSubdomain, formatErrors } from '#api/validation/format.ts';
import { fieldRefErrors, fileFields, resourceFieldErrors } from './env.ts';
import { claimTemplateErrors } from './claim-template.ts';
import { filePathErrors, modeErrors } from './paths.ts';
import { projectedErrors } from './projected.ts';
import { keyFileErrors, placeRules, type SourceRule } from './volume-sources.ts';

/** What a pod's volumes come to. */
export interface VolumesFound {
  readonly errors: readonly FieldError[];
  /** By name, those without a fault: what mounts another one does not find it. */
  readonly volumes: ReadonlyMap<string, JsonObject>;
}

/** Complaints about volumes; `podName` is that of a pod, whose ephemeral claims are called after it (ValidateVolumes). */
export function checkVolumes(list: readonly JsonObject[], path: string, podName: string): VolumesFound {
  const volumes = new Map<string, JsonObject>();
  const made = new Set(
    list.flatMap(({ name, ephemeral }) =>
      podName !== '' && ephemeral !== undefined ? [`${podName}-${stringOf(name)}`] : [],
    ),
  );
  const errors = list.flatMap((volume, index) => {
    const field = `${path}[${index}]`;
    const name = stringOf(volume['name']);
    const own = [
      ...sourceErrors(volume, field, podName),
      ...(name === '' ? [requiredField(`${field}.name`)] : formatErrors(`${field}.name`, name, dnsLabel)),
      ...(volumes.has(name) ? [duplicateField(`${field}.name`, name)] : []),
    ];
    if (own.length === 0) volumes.set(name, volume);
    const claim = stringOf(at(volume, 'persistentVolumeClaim.claimName'));
    const detail = 'must not reference a PVC that gets created for an ephemeral volume';
    return made.has(claim)
      ? [...own, invalidField(`${field}.persistentVolumeClaim.claimName`, claim, detail)]
      : own;
  });
  return { errors, volumes };
}

/** Kinds of volumes in the order in which upstream looks for them: the first is the one that counts. */
const order = [
  'emptyDir',
  'hostPath',
  'gitRepo',
  'gcePersistentDisk',
  'awsElasticBlockStore',
  'secret',
  'nfs',
  'iscsi',
  'glusterfs',
  'flocker',
  'persistentVolumeClaim',
  'rbd',
  'cinder',
  'cephfs',
  'quobyte',
  'downwardAPI',
  'fc',
  'flexVolume',
  'configMap',
  'azureFile',
  'vsphereVolume',
  'photonPersistentDisk',
  'portworxVolume',
  'azureDisk',
  'storageos',
  'projected',
  'scaleIO',
  'csi',
  'ephemeral',
  'image',
];

/** Where upstream names another place than the field. */
const faultPlaces: Readonly<Record<string, string>> = { gcePersistentDisk: 'persistentDisk' };
const secondPlaces: Readonly<Record<string, string>> = { cephfs: 'cephFS', downwardAPI: 'downwarAPI' };

const fileRules: Readonly<Record<string, SourceRule>> = {
  secret: (source, path) => [
    ...missingErrors(source, ['secretName'], path),
    ...keyFileErrors(source, path, keyToPathErrors),
  ],
  configMap: (source, path) => [
    ...missingErrors(source, ['name'], path),
    ...keyFileErrors(source, path, keyToPathErrors),
  ],
  // Upstream names no item.
  downwardAPI: (source, path) => keyFileErrors(source, path, (item) => podFileErrors(item, path)),
  projected: (source, path) => projectedErrors(source, path, { keyToPathErrors, podFileErrors }),
  ephemeral: (source, path) =>
    claimTemplateErrors(source['volumeClaimTemplate'], `${path}.volumeClaimTemplate`),
};

function sourceErrors(volume: JsonObject, path: string, podName: string): readonly FieldError[] {
  const [first, ...more] = order.filter((kind) => isObject(volume[kind]));
  if (first === undefined) return [requiredField(path, 'must specify a volume type')];
  const rule = fileRules[first] ?? placeRules[first];
  const source = objectOf(volume[first]);
  const name = stringOf(volume['name']);
  return [
    ...(rule?.(source, `${path}.${faultPlaces[first] ?? first}`) ?? []),
    ...(first === 'ephemeral' ? claimNameErrors(name, podName, `${path}.name`) : []),
    ...more.map((kind) =>
      forbiddenField(`${path}.${secondPlaces[kind] ?? kind}`, 'may not specify more than 1 volume type'),
    ),
    ...portalErrors(volume['iscsi'], name, `${path}.name`),
  ];
}

/** The claim of an ephemeral volume is called after the pod and the volume. */
function claimNameErrors(name: string, podName: string, field: string): readonly FieldError[] {
  if (podName === '' || name === '') return [];
  const claim = `${podName}-${name}`;
  return dnsSubdomain(claim).map((detail) =>
    invalidField(field, name, `PVC name ${JSON.stringify(claim)}: ${detail}`),
  );
}

function portalErrors(iscsi: unknown, name: string, field: string): readonly FieldError[] {
  if (!isObject(iscsi) || iscsi['initiatorName'] === undefined) return [];
  const isLong = Buffer.byteLength(`${name}:${stringOf(iscsi['targetPortal'])}`) > 64;
  const detail =
    'Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters if iscsi.initiatorName is specified.';
  return isLong ? [invalidField(field, name, detail)] : [];
}

/** A key as a file (validateKeyToPath). */
function keyToPathErrors(item: JsonObject, path: string): readonly FieldError[] {
  return [
    ...missingErrors(item, ['key', 'path'], path),
    ...filePathErrors(stringOf(item['path']), `${path}.path`),
    ...modeErrors(item['mode'], `${path}.mode`),
  ];
}

/** A field of the pod, or an amount of a container, as a file (validateDownwardAPIVolumeFile). */
function podFileErrors(item: JsonObject, path: string): readonly FieldError[] {
  const { fieldRef, resourceFieldRef } = item;
  const both = 'fieldRef and resourceFieldRef can not be specified simultaneously';
  return [
    ...missingErrors(item, ['path'], path),
    ...filePathErrors(stringOf(item['path']), `${path}.path`),
    ...(isObject(fieldRef) ? fieldRefErrors(fieldRef, fileFields, `${path}.fieldRef`) : []),
    ...(isObject(fieldRef) && isObject(resourceFieldRef) ? [invalidField(path, 'resource', both)] : []),
    ...(!isObject(fieldRef) && isObject(resourceFieldRef)
      ? resourceFieldErrors(resourceFieldRef, `${path}.resourceFieldRef`, true)
      : []),
    ...(isObject(fieldRef) || isObject(resourceFieldRef)
      ? []
      : [requiredField(path, 'one of fieldRef and resourceFieldRef is required')]),
    ...modeErrors(item['mode'], `${path}.mode`),
  ];
}
