import {
  forbiddenField,
  invalidField,
  notSupportedField,
  requiredField,
  type FieldError,
} from '#api/errors/field-error.ts';
import { at, isObject, listOf, numberOf, objectOf, objectsOf, stringOf } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { tryParseQuantity } from '#api/meta/quantity.ts';
import { givenChoiceErrors, missingErrors, tooLongErrors } from '#api/validation/field.ts';
import { dnsLabel, dnsSubdomain, formatErrors, requiredText } from '#api/validation/format.ts';
import { pullPolicyErrors } from './container.ts';
import { hostPathErrors, localPathErrors, modeErrors } from './paths.ts';

/** Complaints about what is behind a volume, at its place. */
export type SourceRule = (source: JsonObject, path: string) => readonly FieldError[];

const needs =
  (...names: readonly string[]): SourceRule =>
  (source, path) =>
    missingErrors(source, names, path);

/** Partitions are counted from 1; 0, which is the whole disk, is let pass. */
const disk =
  (name: string): SourceRule =>
  (source, path) => [
    ...missingErrors(source, [name], path),
    ...(numberOf(source['partition']) < 0 || numberOf(source['partition']) > 255
      ? [invalidField(`${path}.partition`, source['partition'], 'must be between 1 and 255, inclusive')]
      : []),
  ];

const monitors: SourceRule = (source, path) =>
  listOf(source['monitors']).length === 0 ? [requiredField(`${path}.monitors`)] : [];

/** A Secret, if one is named. */
const secretRef: SourceRule = (source, path) => {
  const { secretRef: reference } = source;
  return isObject(reference) ? missingErrors(reference, ['name'], `${path}.secretRef`) : [];
};

const all =
  (...rules: readonly SourceRule[]): SourceRule =>
  (source, path) =>
    rules.flatMap((rule) => rule(source, path));

/** The kinds of volumes that are a disk or a server somewhere, or a directory of the node. */
export const placeRules: Readonly<Record<string, SourceRule>> = {
  emptyDir: (source, path) =>
    (tryParseQuantity(source['sizeLimit'])?.nanos ?? 0n) < 0n
      ? [forbiddenField(`${path}.sizeLimit`, 'SizeLimit field must be a valid resource quantity')]
      : [],
  hostPath: hostPathErrors,
  gitRepo: (source, path) => [
    ...missingErrors(source, ['repository'], path),
    ...localPathErrors(stringOf(source['directory']), `${path}.directory`),
  ],
  gcePersistentDisk: disk('pdName'),
  awsElasticBlockStore: disk('volumeID'),
  nfs: (source, path) => [
    ...missingErrors(source, ['server', 'path'], path),
    ...(stringOf(source['path']).startsWith('/')
      ? []
      : [invalidField(`${path}.path`, source['path'] ?? '', 'must be an absolute path')]),
  ],
  iscsi: iscsiErrors,
  glusterfs: needs('endpoints', 'path'),
  flocker: flockerErrors,
  persistentVolumeClaim: needs('claimName'),
  rbd: all(monitors, needs('image')),
  cinder: all(needs('volumeID'), secretRef),
  cephfs: monitors,
  quobyte: quobyteErrors,
  fc: fcErrors,
  flexVolume: flexErrors,
  azureFile: needs('secretName', 'shareName'),
  vsphereVolume: needs('volumePath'),
  photonPersistentDisk: needs('pdID'),
  portworxVolume: needs('volumeID'),
  azureDisk: azureDiskErrors,
  storageos: all(
    (source, path) => requiredText(source, 'volumeName', path, dnsLabel),
    (source, path) => {
      const namespace = stringOf(source['volumeNamespace']);
      return namespace === '' ? [] : formatErrors(`${path}.volumeNamespace`, namespace, dnsLabel);
    },
    secretRef,
  ),
  scaleIO: needs('gateway', 'system', 'volumeName'),
  csi: csiErrors,
  image: (source, path) => [
    ...missingErrors(source, ['reference'], path),
    ...pullPolicyErrors(source['pullPolicy'], `${path}.pullPolicy`),
  ],
};

/** Names of an initiator by its three schemes (RFC 3720 section 3.2.6). */
const initiators: Readonly<Record<string, RegExp>> = {
  iqn: /^iqn\.\d{4}-\d{2}\.[A-Za-z0-9\-.]+:[^,;*&$|\s]+$/,
  eui: /^eui.[A-Za-z0-9]{16}$/,
  naa: /^naa.[A-Za-z0-9]{32}$/,
};

function initiatorErrors(name: string, field: string): readonly FieldError[] {
  const pattern = initiators[name.slice(0, 3)];
  if (pattern === undefined) {
    return [invalidField(field, name, 'must be valid format starting with iqn, eui, or naa')];
  }
  return pattern.test(name) ? [] : [invalidField(field, name, 'must be valid format')];
}

function iscsiErrors(source: JsonObject, path: string): readonly FieldError[] {
  const [iqn, lun] = [stringOf(source['iqn']), numberOf(source['lun'])];
  const initiator = source['initiatorName'];
  const hasSecrets = source['chapAuthDiscovery'] === true || source['chapAuthSession'] === true;
  return [
    ...missingErrors(source, ['targetPortal', 'iqn'], path),
    ...(iqn === '' ? [] : initiatorErrors(iqn, `${path}.iqn`)),
    ...(lun < 0 || lun > 255
      ? [invalidField(`${path}.lun`, lun, 'must be between 0 and 255, inclusive')]
      : []),
    ...(hasSecrets && source['secretRef'] === undefined ? [requiredField(`${path}.secretRef`)] : []),
    ...(typeof initiator === 'string' ? initiatorErrors(initiator, `${path}.initiatorname`) : []),
  ];
}

function flockerErrors(source: JsonObject, path: string): readonly FieldError[] {
  const [name, uuid] = [stringOf(source['datasetName']), stringOf(source['datasetUUID'])];
  const both = 'datasetName and datasetUUID can not be specified simultaneously';
  return [
    ...(name === '' && uuid === ''
      ? [requiredField(path, 'one of datasetName and datasetUUID is required')]
      : []),
    ...(name !== '' && uuid !== '' ? [invalidField(path, 'resource', both)] : []),
    ...(name.includes('/') ? [invalidField(`${path}.datasetName`, name, "must not contain '/'")] : []),
  ];
}

const pairText = 'must be a host:port pair or multiple pairs separated by commas';

function quobyteErrors(source: JsonObject, path: string): readonly FieldError[] {
  const registry = stringOf(source['registry']);
  const field = `${path}.registry`;
  const isLong = Buffer.byteLength(stringOf(source['tenant'])) >= 65;
  const tenant = 'must be a UUID and may not exceed a length of 64 characters';
  const pairs = isLong
    ? [requiredField(`${path}.tenant`, tenant)]
    : registry
        .split(',')
        .filter((pair) => !/^(?:\[[^\][]*\]|[^:\][]*):[^:\][]*$/.test(pair))
        .map(() => invalidField(field, registry, pairText));
  return [
    ...(registry === '' ? [requiredField(field, pairText)] : pairs),
    ...missingErrors(source, ['volume'], path),
  ];
}

function fcErrors(source: JsonObject, path: string): readonly FieldError[] {
  const [names, ids] = [listOf(source['targetWWNs']), listOf(source['wwids'])];
  const [field, lun] = [`${path}.targetWWNs`, source['lun']];
  const isOutside = typeof lun === 'number' && (lun < 0 || lun > 255);
  return [
    ...(names.length === 0 && ids.length === 0
      ? [requiredField(field, 'must specify either targetWWNs or wwids, but not both')]
      : []),
    ...(names.length > 0 && ids.length > 0
      ? [invalidField(field, names, 'targetWWNs and wwids can not be specified simultaneously')]
      : []),
    ...(names.length > 0 && lun === undefined
      ? [requiredField(`${path}.lun`, 'lun is required if targetWWNs is specified')]
      : []),
    ...(names.length > 0 && isOutside
      ? [invalidField(`${path}.lun`, lun, 'must be between 0 and 255, inclusive')]
      : []),
  ];
}

function flexErrors(source: JsonObject, path: string): readonly FieldError[] {
  const isReserved = (key: string): boolean => {
    const domain = `.${(key.split('/', 2)[0] ?? '').toLowerCase()}`;
    return domain.endsWith('.kubernetes.io') || domain.endsWith('.k8s.io');
  };
  return [
    ...missingErrors(source, ['driver'], path),
    ...Object.keys(objectOf(source['options']))
      .filter(isReserved)
      .map((key) =>
        invalidField(`${path}.options[${key}]`, key, 'kubernetes.io and k8s.io namespaces are reserved'),
      ),
  ];
}

const diskResource =
  '/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}';
const diskBlob = 'https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd';

function azureDiskErrors(source: JsonObject, path: string): readonly FieldError[] {
  const { kind } = source;
  const uri = stringOf(source['diskURI']);
  const [start, supported] = kind === 'Managed' ? ['/subscriptions/', diskResource] : ['https://', diskBlob];
  return [
    ...missingErrors(source, ['diskName', 'diskURI'], path),
    ...givenChoiceErrors(`${path}.cachingMode`, source['cachingMode'], ['None', 'ReadOnly', 'ReadWrite']),
    ...givenChoiceErrors(`${path}.kind`, kind, ['Dedicated', 'Managed', 'Shared']),
    ...(kind === undefined || uri.startsWith(start)
      ? []
      : [notSupportedField(`${path}.diskURI`, uri, [supported])]),
  ];
}

/** The name of a CSI driver (ValidateCSIDriverName). */
export function driverErrors(driver: string, field: string): readonly FieldError[] {
  if (driver === '') return [requiredField(field)];
  return [
    ...tooLongErrors(field, driver, 63),
    ...dnsSubdomain(driver.toLowerCase()).map((detail) => invalidField(field, driver, detail)),
  ];
}

function csiErrors(source: JsonObject, path: string): readonly FieldError[] {
  const { nodePublishSecretRef: reference } = source;
  const name = stringOf(at(reference, 'name'));
  const errors = driverErrors(stringOf(source['driver']), `${path}.driver`);
  if (!isObject(reference)) return errors;
  return name === ''
    ? [...errors, requiredField(`${path}.nodePublishSecretRef.name`)]
    : [...errors, ...formatErrors(`${path}.name`, name, dnsSubdomain)];
}

/** Files of keys, each with its path and mode; and the mode of all. */
export function keyFileErrors(source: JsonObject, path: string, rule: SourceRule): readonly FieldError[] {
  return [
    ...modeErrors(source['defaultMode'], `${path}.defaultMode`),
    ...objectsOf(source['items']).flatMap((item, index) => rule(item, `${path}.items[${index}]`)),
  ];
}
