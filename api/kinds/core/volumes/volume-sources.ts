import { invalidField, notSupportedField, requiredField, type FieldError } from '#api/errors/field-error.ts';
import { isObject, listOf, objectOf, stringOf } from '#api/wire/json.ts';
import { givenChoiceErrors, when } from '#api/validation/field.ts';
import { backstepErrors, hostPathErrors } from '#api/validation/pod/paths.ts';
import { dnsLabel, formatErrors, requiredText } from '#api/validation/format.ts';
import { csiDriverNameErrors } from '#api/kinds/storage/csi-validation.ts';
import { all, namedSecret, needs, partition, secret, unit, type SourceRule } from './source-errors.ts';

/** What is behind a PersistentVolume: its rule, and what complaints call it where that is not its field. */
export interface VolumeSource {
  readonly field: string;
  readonly rule: SourceRule;
  /** Of what is wrong within. */
  readonly label?: string;
  /** Of being one too many; null: it never is. */
  readonly extra?: string | null;
}

const local: SourceRule = (source, path) => {
  const place = stringOf(source['path']);
  return place === '' ? [requiredField(`${path}.path`)] : backstepErrors(place, `${path}.path`);
};

const nfs: SourceRule = (source, path) =>
  when(!stringOf(source['path']).startsWith('/'), () =>
    invalidField(`${path}.path`, stringOf(source['path']), 'must be an absolute path'),
  );

const endpointsNamespace: SourceRule = ({ endpointsNamespace: namespace }, path) => {
  const field = `${path}.endpointsNamespace`;
  const empty = 'if the endpointnamespace is set, it must be a valid namespace name';
  if (namespace === undefined) return [];
  return namespace === ''
    ? [invalidField(field, '', empty)]
    : formatErrors(field, stringOf(namespace), dnsLabel);
};

const flocker: SourceRule = (source, path) => {
  const [name, uuid] = [stringOf(source['datasetName']), stringOf(source['datasetUUID'])];
  const both = 'datasetName and datasetUUID can not be specified simultaneously';
  return [
    ...when(name === '' && uuid === '', () =>
      requiredField(path, 'one of datasetName and datasetUUID is required'),
    ),
    ...when(name !== '' && uuid !== '', () => invalidField(path, 'resource', both)),
    ...when(name.includes('/'), () => invalidField(`${path}.datasetName`, name, "must not contain '/'")),
  ];
};

const quobyte: SourceRule = (source, path, volume) => {
  const registry = stringOf(source['registry']);
  const field = `${path}.registry`;
  const detail = 'must be a host:port pair or multiple pairs separated by commas';
  const tenant = 'must be a UUID and may not exceed a length of 64 characters';
  const isPair = (pair: string): boolean => /^(?:\[[^\][]*\]|[^:\][]*):[^:\][]*$/.test(pair);
  const rest =
    Buffer.byteLength(stringOf(source['tenant'])) > 64
      ? [requiredField(`${path}.tenant`, tenant)]
      : registry
          .split(',')
          .filter((pair) => !isPair(pair))
          .map(() => invalidField(field, registry, detail));
  return [
    ...(registry === '' ? [requiredField(field, detail)] : rest),
    ...needs('volume')(source, path, volume),
  ];
};

/** Names by their three schemes (RFC 3720 section 3.2.6). */
const initiatorNames: ReadonlyMap<string, RegExp> = new Map([
  ['iqn', /^iqn\.\d{4}-\d{2}\.[A-Za-z0-9\-.]+:[^,;*&$|\s]+$/],
  ['eui', /^eui.[A-Za-z0-9]{16}$/],
  ['naa', /^naa.[A-Za-z0-9]{32}$/],
]);

function initiatorErrors(name: string, field: string): readonly FieldError[] {
  const isName = initiatorNames.get(name.slice(0, 3))?.test(name) === true;
  return when(!isName, () => invalidField(field, name, 'must be valid format'));
}

const iscsi: SourceRule = (source, path, volume) => {
  const [portal, iqn] = [stringOf(source['targetPortal']), stringOf(source['iqn'])];
  const { initiatorName: initiator } = source;
  const hasSecrets = source['chapAuthDiscovery'] === true || source['chapAuthSession'] === true;
  const long =
    'Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters if iscsi.initiatorName is specified.';
  const isLong = initiator !== undefined && Buffer.byteLength(`${volume}:${portal}`) > 64;
  return [
    ...needs('targetPortal')(source, path, volume),
    ...when(isLong, () => invalidField(`${path}.targetportal`, portal, long)),
    ...(iqn === '' ? [requiredField(`${path}.iqn`)] : initiatorErrors(iqn, `${path}.iqn`)),
    ...unit(source, path, volume),
    ...when(hasSecrets && !isObject(source['secretRef']), () => requiredField(`${path}.secretRef`)),
    ...secret('name')(source, path, volume),
    ...(initiator === undefined ? [] : initiatorErrors(stringOf(initiator), `${path}.initiatorname`)),
  ];
};

const fc: SourceRule = (source, path, volume) => {
  const [names, ids] = [listOf(source['targetWWNs']), listOf(source['wwids'])];
  const field = `${path}.targetWWNs`;
  const none = 'must specify either targetWWNs or wwids, but not both';
  const both = 'targetWWNs and wwids can not be specified simultaneously';
  return [
    ...when(names.length === 0 && ids.length === 0, () => requiredField(field, none)),
    ...when(names.length > 0 && ids.length > 0, () => invalidField(field, names, both)),
    ...when(names.length > 0 && source['lun'] === undefined, () =>
      requiredField(`${path}.lun`, 'lun is required if targetWWNs is specified'),
    ),
    ...(names.length > 0 ? unit(source, path, volume) : []),
  ];
};

const flexOptions: SourceRule = (source, path) =>
  Object.keys(objectOf(source['options']))
    .filter((key) => {
      const domain = `.${(key.split('/', 1)[0] ?? '').toLowerCase()}`;
      return domain.endsWith('.kubernetes.io') || domain.endsWith('.k8s.io');
    })
    .map((key) =>
      invalidField(`${path}.options[${key}]`, key, 'kubernetes.io and k8s.io namespaces are reserved'),
    );

const secretNamespace: SourceRule = (source, path) =>
  when(source['secretNamespace'] === '', () => requiredField(`${path}.secretNamespace`));

const managedDisk =
  '/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}';
const blobDisk = 'https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd';

const azureDisk: SourceRule = ({ cachingMode, kind, diskURI }, path) => {
  const uri = stringOf(diskURI);
  const [start, supported] = kind === 'Managed' ? ['/subscriptions/', managedDisk] : ['https://', blobDisk];
  return [
    ...givenChoiceErrors(`${path}.cachingMode`, cachingMode, ['None', 'ReadOnly', 'ReadWrite']),
    ...givenChoiceErrors(`${path}.kind`, kind, ['Dedicated', 'Managed', 'Shared']),
    ...when(kind !== undefined && !uri.startsWith(start), () =>
      notSupportedField(`${path}.diskURI`, uri, [supported]),
    ),
  ];
};

const storageos: SourceRule = (source, path) => {
  const namespace = stringOf(source['volumeNamespace']);
  return [
    ...requiredText(source, 'volumeName', path, dnsLabel),
    ...(namespace === '' ? [] : formatErrors(`${path}.volumeNamespace`, namespace, dnsLabel)),
  ];
};

const csi: SourceRule = (source, path, volume) => [
  ...csiDriverNameErrors(stringOf(source['driver']), `${path}.driver`),
  ...all(
    needs('volumeHandle'),
    ...['controllerPublish', 'controllerExpand', 'nodePublish', 'nodeExpand'].map((use) =>
      namedSecret(`${use}SecretRef`),
    ),
  )(source, path, volume),
];

/** In kube-apiserver's order (ValidatePersistentVolumeSpec of kubernetes pkg/apis/core/validation). */
export const volumeSources: readonly VolumeSource[] = [
  { field: 'hostPath', rule: hostPathErrors },
  { field: 'gcePersistentDisk', rule: all(needs('pdName'), partition), label: 'persistentDisk' },
  { field: 'awsElasticBlockStore', rule: all(needs('volumeID'), partition) },
  { field: 'glusterfs', rule: all(needs('endpoints', 'path'), endpointsNamespace) },
  { field: 'flocker', rule: flocker },
  { field: 'nfs', rule: all(needs('server', 'path'), nfs) },
  { field: 'rbd', rule: needs('monitors', 'image') },
  { field: 'quobyte', rule: quobyte },
  { field: 'cephfs', rule: needs('monitors'), extra: 'cephFS' },
  { field: 'iscsi', rule: iscsi },
  { field: 'cinder', rule: all(needs('volumeID'), secret('name', 'namespace')) },
  { field: 'fc', rule: fc },
  { field: 'flexVolume', rule: all(needs('driver'), flexOptions), extra: null },
  { field: 'azureFile', rule: all(needs('secretName', 'shareName'), secretNamespace) },
  { field: 'vsphereVolume', rule: needs('volumePath') },
  { field: 'photonPersistentDisk', rule: needs('pdID') },
  { field: 'portworxVolume', rule: needs('volumeID') },
  { field: 'azureDisk', rule: all(needs('diskName', 'diskURI'), azureDisk) },
  { field: 'scaleIO', rule: needs('gateway', 'system', 'volumeName') },
  { field: 'local', rule: local },
  { field: 'storageos', rule: all(storageos, secret('name', 'namespace')) },
  { field: 'csi', rule: csi },
];
