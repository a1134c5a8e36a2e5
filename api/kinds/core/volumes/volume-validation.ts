import {
  forbiddenField,
  invalidField,
  notSupportedField,
  requiredField,
  type FieldError,
} from '#api/errors/field-error.ts';
import { goDifference } from '#api/errors/go-difference.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { quantityToInteger, tryParseQuantity, zeroQuantity } from '#api/meta/quantity.ts';
import { at, equalStored, isObject, objectOf, stringOf } from '#api/wire/json.ts';
import { givenChoiceErrors, immutable, when } from '#api/validation/field.ts';
import { dnsSubdomain, formatErrors } from '#api/validation/format.ts';
import { accessModeErrors } from '#api/validation/parts/claim-spec.ts';
import { nodeSelectorErrors } from '#api/validation/pod/affinity.ts';
import { volumeSources } from './volume-sources.ts';

const reclaimPolicies = ['Delete', 'Recycle', 'Retain'];
const volumeModes = ['Block', 'Filesystem'];
const sourceFields: ReadonlySet<string> = new Set(volumeSources.map(({ field }) => field));
const inline = 'in the context of inline volumes';

/** Complaints about a PersistentVolume (kubernetes pkg/apis/core/validation). */
export function validatePersistentVolume(volume: JsonObject): readonly FieldError[] {
  const spec = objectOf(volume['spec']);
  const policy = spec['persistentVolumeReclaimPolicy'];
  const className = stringOf(spec['storageClassName']);
  return [
    ...accessModeErrors(spec['accessModes'], 'spec.accessModes'),
    ...capacityErrors(objectOf(spec['capacity']), 'spec.capacity'),
    ...(policy === ''
      ? []
      : givenChoiceErrors('spec.persistentVolumeReclaimPolicy', policy, reclaimPolicies)),
    ...affinityErrors(spec['nodeAffinity'], 'spec.nodeAffinity'),
    ...sourceErrors(spec, 'spec', stringOf(at(volume, 'metadata.name'))),
    ...when(policy === 'Recycle' && isRoot(at(spec, 'hostPath.path')), () =>
      forbiddenField(
        'spec.persistentVolumeReclaimPolicy',
        "may not be 'recycle' for a hostPath mount of '/'",
      ),
    ),
    ...(className === '' ? [] : formatErrors('spec.storageClassName', className, dnsSubdomain)),
    ...givenChoiceErrors('spec.volumeMode', spec['volumeMode'], volumeModes),
    ...attributesClassErrors(spec, 'spec'),
  ];
}

/** Complaints about what an update of a PersistentVolume changes. */
export function validatePersistentVolumeUpdate(old: JsonObject, volume: JsonObject): readonly FieldError[] {
  const [before, after] = [old, volume].map((object) => objectOf(object['spec'])) as [JsonObject, JsonObject];
  const field = 'spec.persistentvolumesource';
  const given = withoutNewSecret(before, after);
  const isSame = equalStored(sourcesOf(before), sourcesOf(given));
  const wasClassed = before['volumeAttributesClassName'] !== undefined;
  return [
    ...when(!isSame, () => {
      const difference = goDifference('core.v1.PersistentVolumeSource', before, given);
      return forbiddenField(field, `${field} is immutable after creation\n${difference}`);
    }),
    ...immutable('spec.volumeMode')(old, volume).map((error) => ({ ...error, field: 'volumeMode' })),
    ...(before['nodeAffinity'] === undefined
      ? []
      : immutable('spec.nodeAffinity')(old, volume).map((error) => ({ ...error, field: 'nodeAffinity' }))),
    ...when(wasClassed && after['volumeAttributesClassName'] === undefined, () =>
      forbiddenField('spec.volumeAttributesClassName', 'update from non-nil value to nil is forbidden'),
    ),
  ];
}

/** Complaints about a volume that is written down where it is attached: of CSI, and with no more than that needs. */
export function inlineVolumeErrors(spec: JsonObject, path: string): readonly FieldError[] {
  const { capacity, persistentVolumeReclaimPolicy: policy, volumeMode, storageClassName } = spec;
  const unwanted = (name: string): FieldError =>
    forbiddenField(`${path}.${name}`, `may not be specified ${inline}`);
  return [
    ...when(isObject(spec['claimRef']), () => unwanted('claimRef')),
    ...when(Object.keys(objectOf(capacity)).length > 0, () => unwanted('capacity')),
    ...when(!isObject(spec['csi']), () => requiredField(`${path}.csi`, `has to be specified ${inline}`)),
    ...accessModeErrors(spec['accessModes'], `${path}.accessModes`),
    ...when(stringOf(policy) !== '' && policy !== 'Retain', () =>
      forbiddenField(`${path}.persistentVolumeReclaimPolicy`, `may only be Retain ${inline}`),
    ),
    ...when(isObject(spec['nodeAffinity']), () => unwanted('nodeAffinity')),
    ...sourceErrors(spec, path, ''),
    ...when(stringOf(storageClassName) !== '', () => unwanted('storageClassName')),
    ...when(volumeMode !== undefined && volumeMode !== 'Filesystem', () =>
      forbiddenField(`${path}.volumeMode`, `may not specify volumeMode other than Filesystem ${inline}`),
    ),
  ];
}

function capacityErrors(capacity: JsonObject, field: string): readonly FieldError[] {
  const names = Object.keys(capacity);
  const isStorage = names.length === 1 && names[0] === 'storage';
  return [
    ...when(names.length === 0, () => requiredField(field)),
    ...when(!isStorage, () => notSupportedField(field, capacity, ['storage'])),
    ...names.flatMap((name) => positiveErrors(capacity[name], `${field}[${name}]`)),
  ];
}

/** An amount of something. */
export function positiveErrors(amount: unknown, field: string): readonly FieldError[] {
  const { nanos } = tryParseQuantity(amount) ?? { nanos: 0n };
  return [
    ...basicErrors(amount, field),
    ...when(nanos <= 0n, () => invalidField(field, amount, 'must be greater than zero')),
  ];
}

/** … that may be nothing as well: the whole number is shown (validateBasicResource). */
export function basicErrors(amount: unknown, field: string): readonly FieldError[] {
  const quantity = tryParseQuantity(amount) ?? zeroQuantity;
  return when(quantity.nanos < 0n, () =>
    invalidField(field, quantityToInteger(quantity), 'must be a valid resource quantity'),
  );
}

function affinityErrors(affinity: unknown, field: string): readonly FieldError[] {
  if (!isObject(affinity)) return [];
  return isObject(affinity['required'])
    ? nodeSelectorErrors(affinity['required'], `${field}.required`)
    : [requiredField(`${field}.required`, 'must specify required node constraints')];
}

/** One kind of volume, which is as that kind is to be. */
function sourceErrors(spec: JsonObject, path: string, volume: string): readonly FieldError[] {
  let count = 0;
  const errors = volumeSources.flatMap(({ field, rule, label, extra }): readonly FieldError[] => {
    const source = spec[field];
    if (!isObject(source)) return [];
    count++;
    if (count > 1 && extra !== null) {
      return [forbiddenField(`${path}.${extra ?? field}`, 'may not specify more than 1 volume type')];
    }
    const isPlaced = field !== 'local' || isObject(spec['nodeAffinity']);
    return [
      ...rule(source, `${path}.${label ?? field}`, volume),
      ...when(!isPlaced, () => requiredField(`${path}.nodeAffinity`, 'Local volume requires node affinity')),
    ];
  });
  return count === 0 ? [requiredField(path, 'must specify a volume type')] : errors;
}

function attributesClassErrors(spec: JsonObject, path: string): readonly FieldError[] {
  const name = spec['volumeAttributesClassName'];
  const field = `${path}.volumeAttributesClassName`;
  if (name === undefined) return [];
  return [
    ...(name === ''
      ? [requiredField(field, 'an empty string is disallowed')]
      : formatErrors(field, stringOf(name), dnsSubdomain)),
    ...when(!isObject(spec['csi']), () =>
      requiredField(`${path}.csi`, 'has to be specified when using volumeAttributesClassName'),
    ),
  ];
}

function isRoot(path: unknown): boolean {
  return typeof path === 'string' && path !== '' && /^(\/|\.)*$/.test(path) && path.startsWith('/');
}

function sourcesOf(spec: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(spec).filter(([field]) => sourceFields.has(field)));
}

/** A Secret for growth may be named once there is one. */
function withoutNewSecret(before: JsonObject, after: JsonObject): JsonObject {
  const isNew = isObject(before['csi']) && at(before, 'csi.controllerExpandSecretRef') === undefined;
  if (!isNew || !isObject(after['csi'])) return after;
  const { controllerExpandSecretRef: _secret, ...csi } = after['csi'];
  return { ...after, csi };
}
