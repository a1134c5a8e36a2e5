import { nodeSelectorRows } from '#api/validation/rules/node-selector-rows.fixture.ts';
import type { RuleRow, RuleTable } from '#api/validation/rules/rule-table.fixture.ts';

const csi = { driver: 'a.b', volumeHandle: 'h' };

/** A volume of one kind, the base's without. */
function volume(field: string, source: unknown): Readonly<Record<string, unknown>> {
  return { 'spec.csi': undefined, [`spec.${field}`]: source };
}

/** `source` passes; with the edits it does not. */
function sourceRow(
  field: string,
  source: object,
  [edits, message, label = field]: readonly [edits: object, message: string, label?: string],
): RuleRow {
  const [name = ''] = Object.keys(edits);
  const inner = /^secretRef\.\w+/.exec(message)?.[0];
  return {
    field: `spec.${field}.${inner ?? name}`,
    rule: message.replace(/^[^:]*: /, ''),
    passes: volume(field, source),
    fails: volume(field, { ...source, ...edits }),
    message: `spec.${label}${message.startsWith(':') ? '' : '.'}${message}`,
  };
}

const required = (
  field: string,
  source: Readonly<Record<string, unknown>>,
  names: readonly string[],
  label = field,
): readonly RuleRow[] =>
  names.map((name) =>
    sourceRow(field, source, [
      { [name]: Array.isArray(source[name]) ? [] : '' },
      `${name}: Required value`,
      label,
    ]),
  );

const partition = 'partition: Invalid value: 256: must be between 1 and 255, inclusive';
const unit = 'lun: Invalid value: 256: must be between 0 and 255, inclusive';
const disk = { volumeID: 'v' };
const gce = { pdName: 'p' };
const glusterfs = { endpoints: 'e', path: 'p' };
const nfs = { server: 's', path: '/p' };
const quobyte = { registry: 'r:1,[::1]:2', volume: 'v' };
const iscsi = { targetPortal: 'p', iqn: 'iqn.2001-04.com.example:storage', lun: 0 };
const cinder = { volumeID: 'v', secretRef: { name: 'n', namespace: 'm' } };
const azureFile = { secretName: 's', shareName: 'h' };
const azureDisk = { diskName: 'd', diskURI: 'https://a.blob.core.windows.net/c/d.vhd', kind: 'Shared' };
const scaleIO = { gateway: 'g', system: 's', volumeName: 'v', secretRef: { name: 'n' } };
const storageos = { volumeName: 'v', secretRef: { name: 'n', namespace: 'm' } };
const pairs = 'must be a host:port pair or multiple pairs separated by commas';

const sourceRows: readonly RuleRow[] = [
  ...required('hostPath', { path: '/p' }, ['path']),
  sourceRow('hostPath', { path: '/p' }, [
    { path: '/a/../b' },
    'path: Invalid value: "/a/../b": must not contain \'..\'',
  ]),
  sourceRow('hostPath', { path: '/p', type: 'Socket' }, [
    { type: 'Foo' },
    'type: Unsupported value: "Foo": supported values: "", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"',
  ]),
  ...required('gcePersistentDisk', gce, ['pdName'], 'persistentDisk'),
  sourceRow('gcePersistentDisk', gce, [{ partition: 256 }, partition, 'persistentDisk']),
  ...required('awsElasticBlockStore', disk, ['volumeID']),
  sourceRow('awsElasticBlockStore', disk, [{ partition: 256 }, partition]),
  ...required('glusterfs', glusterfs, ['endpoints', 'path']),
  sourceRow('glusterfs', glusterfs, [
    { endpointsNamespace: '' },
    'endpointsNamespace: Invalid value: "": if the endpointnamespace is set, it must be a valid namespace name',
  ]),
  sourceRow('glusterfs', { ...glusterfs, endpointsNamespace: 'n' }, [
    { endpointsNamespace: 'a.b' },
    'endpointsNamespace: Invalid value: "a.b": a lowercase RFC 1123 label must consist…',
  ]),
  sourceRow('flocker', { datasetName: 'n' }, [
    { datasetName: '' },
    ': Required value: one of datasetName and datasetUUID is required',
  ]),
  sourceRow('flocker', { datasetName: 'n' }, [
    { datasetUUID: 'u' },
    ': Invalid value: "resource": datasetName and datasetUUID can not be specified simultaneously',
  ]),
  sourceRow('flocker', { datasetName: 'n' }, [
    { datasetName: 'a/b' },
    'datasetName: Invalid value: "a/b": must not contain \'/\'',
  ]),
  ...required('nfs', nfs, ['server']),
  sourceRow('nfs', nfs, [{ path: 'p' }, 'path: Invalid value: "p": must be an absolute path']),
  ...required('rbd', { monitors: ['m'], image: 'i' }, ['monitors', 'image']),
  sourceRow('quobyte', quobyte, [{ registry: '' }, `registry: Required value: ${pairs}`]),
  sourceRow('quobyte', quobyte, [{ registry: 'r' }, `registry: Invalid value: "r": ${pairs}`]),
  sourceRow('quobyte', { ...quobyte, tenant: 'a'.repeat(64) }, [
    { tenant: 'a'.repeat(65) },
    'tenant: Required value: must be a UUID and may not exceed a length of 64 characters',
  ]),
  ...required('quobyte', quobyte, ['volume']),
  ...required('cephfs', { monitors: ['m'] }, ['monitors']),
  ...required('iscsi', iscsi, ['targetPortal', 'iqn']),
  sourceRow('iscsi', { ...iscsi, iqn: 'naa.62004567BA64678D0123456789ABCDEF' }, [
    { iqn: 'iqn.x' },
    'iqn: Invalid value: "iqn.x": must be valid format',
  ]),
  sourceRow('iscsi', iscsi, [{ lun: 256 }, unit]),
  sourceRow('iscsi', { ...iscsi, initiatorName: 'eui.0123456789ABCDEF' }, [
    { initiatorName: 'x' },
    'initiatorname: Invalid value: "x": must be valid format',
  ]),
  sourceRow('iscsi', { ...iscsi, secretRef: { name: 'n' } }, [
    { secretRef: {} },
    'secretRef.name: Required value',
  ]),
  {
    field: 'spec.iscsi.secretRef.name',
    rule: 'there for CHAP',
    passes: volume('iscsi', { ...iscsi, chapAuthSession: true, secretRef: { name: 'n' } }),
    fails: volume('iscsi', { ...iscsi, chapAuthSession: true }),
    message: 'spec.iscsi.secretRef: Required value',
  },
  {
    field: 'spec.iscsi.targetPortal',
    rule: 'short beside the name of an initiator',
    passes: volume('iscsi', { ...iscsi, targetPortal: 'p'.repeat(62), initiatorName: iscsi.iqn }),
    fails: volume('iscsi', { ...iscsi, targetPortal: 'p'.repeat(63), initiatorName: iscsi.iqn }),
    message: `spec.iscsi.targetportal: Invalid value: "${'p'.repeat(63)}": Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters if iscsi.initiatorName is specified.`,
  },
  ...required('cinder', cinder, ['volumeID']),
  sourceRow('cinder', cinder, [{ secretRef: { namespace: 'm' } }, 'secretRef.name: Required value']),
  sourceRow('cinder', cinder, [{ secretRef: { name: 'n' } }, 'secretRef.namespace: Required value']),
  sourceRow('fc', { targetWWNs: ['w'], lun: 0 }, [
    { targetWWNs: [] },
    'targetWWNs: Required value: must specify either targetWWNs or wwids, but not both',
  ]),
  sourceRow('fc', { targetWWNs: ['w'], lun: 0 }, [
    { wwids: ['w'] },
    'targetWWNs: Invalid value: ["w"]: targetWWNs and wwids can not be specified simultaneously',
  ]),
  sourceRow('fc', { targetWWNs: ['w'], lun: 0 }, [
    { lun: undefined },
    'lun: Required value: lun is required if targetWWNs is specified',
  ]),
  sourceRow('fc', { targetWWNs: ['w'], lun: 255 }, [{ lun: 256 }, unit]),
  ...required('flexVolume', { driver: 'd' }, ['driver']),
  sourceRow('flexVolume', { driver: 'd', options: { 'a.b/c': 'd' } }, [
    { options: { 'x.k8s.io/c': 'd' } },
    'options[x.k8s.io/c]: Invalid value: "x.k8s.io/c": kubernetes.io and k8s.io namespaces are reserved',
  ]),
  ...required('azureFile', azureFile, ['secretName', 'shareName']),
  sourceRow('azureFile', { ...azureFile, secretNamespace: 'n' }, [
    { secretNamespace: '' },
    'secretNamespace: Required value',
  ]),
  ...required('vsphereVolume', { volumePath: 'p' }, ['volumePath']),
  ...required('photonPersistentDisk', { pdID: 'p' }, ['pdID']),
  ...required('portworxVolume', disk, ['volumeID']),
  ...required('azureDisk', azureDisk, ['diskName']),
  sourceRow('azureDisk', azureDisk, [
    { diskURI: 'x' },
    'diskURI: Unsupported value: "x": supported values: "https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd"',
  ]),
  sourceRow('azureDisk', azureDisk, [
    { cachingMode: 'Foo' },
    'cachingMode: Unsupported value: "Foo": supported values: "None", "ReadOnly", "ReadWrite"',
  ]),
  sourceRow('azureDisk', azureDisk, [
    { kind: 'Foo' },
    'kind: Unsupported value: "Foo": supported values: "Dedicated", "Managed", "Shared"',
  ]),
  ...required('scaleIO', scaleIO, ['gateway', 'system', 'volumeName']),
  ...required('storageos', storageos, ['volumeName']),
  sourceRow('storageos', { ...storageos, volumeNamespace: 'n' }, [
    { volumeNamespace: 'a.b' },
    'volumeNamespace: Invalid value: "a.b": a lowercase RFC 1123 label must consist…',
  ]),
  sourceRow('storageos', storageos, [{ secretRef: { namespace: 'm' } }, 'secretRef.name: Required value']),
  sourceRow('storageos', storageos, [{ secretRef: { name: 'n' } }, 'secretRef.namespace: Required value']),
  {
    field: 'spec.local.path',
    rule: 'there',
    passes: { ...volume('local', { path: '/p' }), 'spec.nodeAffinity.required.nodeSelectorTerms': [{}] },
    fails: { ...volume('local', { path: '' }), 'spec.nodeAffinity.required.nodeSelectorTerms': [{}] },
    message: 'spec.local.path: Required value',
  },
  {
    field: 'spec.local.path',
    rule: 'nowhere above',
    fails: { ...volume('local', { path: '/a/..' }), 'spec.nodeAffinity.required.nodeSelectorTerms': [{}] },
    message: 'spec.local.path: Invalid value: "/a/..": must not contain \'..\'',
  },
  {
    field: 'spec.local.path',
    rule: 'on a node',
    fails: volume('local', { path: '/p' }),
    message: 'spec.nodeAffinity: Required value: Local volume requires node affinity',
  },
  ...required('csi', csi, ['volumeHandle']),
  sourceRow('csi', csi, [
    { driver: 'a_b' },
    'driver: Invalid value: "a_b": a lowercase RFC 1123 subdomain must consist…',
  ]),
  ...['controllerPublish', 'controllerExpand', 'nodePublish', 'nodeExpand'].flatMap(
    (use): readonly RuleRow[] => {
      const field = `${use}SecretRef`;
      return [
        {
          ...sourceRow('csi', { ...csi, [field]: { name: 'a.b', namespace: 'n' } }, [
            { [field]: { name: 'A', namespace: 'n' } },
            `${field}.name: Invalid value: "A": a lowercase RFC 1123 subdomain must consist…`,
          ]),
          field: `spec.csi.${field}.name`,
        },
        {
          ...sourceRow('csi', { ...csi, [field]: { name: 'a', namespace: 'n' } }, [
            { [field]: { name: 'a', namespace: '' } },
            `${field}.namespace: Required value`,
          ]),
          field: `spec.csi.${field}.namespace`,
        },
      ];
    },
  ),
];

const capacity = (amounts: object): object => ({ 'spec.capacity': amounts });
const choiceRow = (
  field: string,
  [passes, supported]: readonly [passes: string, supported: string],
): RuleRow => ({
  field,
  rule: 'a known one',
  passes: { [field]: passes },
  fails: { [field]: 'Foo' },
  message: `${field}: Unsupported value: "Foo": supported values: ${supported}`,
});
/** What a claim has too. */
export const modeRows: readonly RuleRow[] = [
  {
    field: 'spec.accessModes',
    rule: 'known ones',
    passes: { 'spec.accessModes': ['ReadWriteMany', 'ReadOnlyMany'] },
    fails: { 'spec.accessModes': ['Foo'] },
    message:
      'spec.accessModes: Unsupported value: "Foo": supported values: "ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"',
  },
  {
    field: 'spec.accessModes',
    rule: 'one pod, or others',
    passes: { 'spec.accessModes': ['ReadWriteOncePod'] },
    fails: { 'spec.accessModes': ['ReadWriteOncePod', 'ReadOnlyMany'] },
    message: 'spec.accessModes: Forbidden: may not use ReadWriteOncePod with other access modes',
  },
  choiceRow('spec.volumeMode', ['Block', '"Block", "Filesystem"']),
  {
    field: 'spec.storageClassName',
    rule: 'a DNS subdomain',
    passes: { 'spec.storageClassName': 'a.b' },
    fails: { 'spec.storageClassName': 'A' },
    message: 'spec.storageClassName: Invalid value: "A": a lowercase RFC 1123 subdomain must consist…',
  },
];

export const persistentVolume: RuleTable = {
  apiVersion: 'v1',
  kind: 'PersistentVolume',
  base: { spec: { accessModes: ['ReadWriteOnce'], capacity: { storage: '1Gi' }, csi } },
  rows: [
    {
      field: 'spec.accessModes',
      rule: 'some',
      fails: { 'spec.accessModes': [] },
      message: 'spec.accessModes: Required value',
    },
    ...modeRows,
    {
      field: 'spec.capacity',
      rule: 'some',
      fails: { ...capacity({}) },
      message: [
        'spec.capacity: Required value',
        'spec.capacity: Unsupported value: {}: supported values: "storage"',
      ],
    },
    {
      field: 'spec.capacity',
      rule: 'of storage alone',
      fails: { ...capacity({ storage: '1Gi', cpu: '1' }) },
      message: 'spec.capacity: Unsupported value: {"cpu":"1","storage":"1Gi"}: supported values: "storage"',
    },
    {
      field: 'spec.capacity',
      rule: 'more than nothing',
      passes: { ...capacity({ storage: '1' }) },
      fails: { ...capacity({ storage: '0' }) },
      message: 'spec.capacity[storage]: Invalid value: "0": must be greater than zero',
    },
    choiceRow('spec.persistentVolumeReclaimPolicy', ['Recycle', '"Delete", "Recycle", "Retain"']),
    {
      field: 'spec.persistentVolumeReclaimPolicy',
      rule: "not that which empties the node's root",
      passes: { ...volume('hostPath', { path: '/a' }), 'spec.persistentVolumeReclaimPolicy': 'Recycle' },
      fails: { ...volume('hostPath', { path: '/./' }), 'spec.persistentVolumeReclaimPolicy': 'Recycle' },
      message:
        "spec.persistentVolumeReclaimPolicy: Forbidden: may not be 'recycle' for a hostPath mount of '/'",
    },
    {
      field: 'spec.nodeAffinity.required',
      rule: 'there',
      fails: { 'spec.nodeAffinity': {} },
      message: 'spec.nodeAffinity.required: Required value: must specify required node constraints',
    },
    ...nodeSelectorRows('spec.nodeAffinity.required'),
    {
      field: 'spec.nodeAffinity.required',
      rule: 'stays once it is there',
      from: { 'spec.nodeAffinity.required.nodeSelectorTerms': [{}] },
      fails: { 'spec.nodeAffinity': undefined },
      message: 'nodeAffinity: Invalid value: null: field is immutable',
    },
    {
      field: 'spec',
      rule: 'of a kind of volume',
      fails: { 'spec.csi': undefined },
      message: 'spec: Required value: must specify a volume type',
    },
    {
      field: 'spec',
      rule: 'of one alone',
      passes: { 'spec.flexVolume': undefined },
      fails: { 'spec.hostPath': { path: '/a' } },
      message: 'spec.csi: Forbidden: may not specify more than 1 volume type',
    },
    {
      field: 'spec.csi',
      rule: 'stays, but for a Secret of growth that was not named',
      from: {},
      passes: { 'spec.csi.controllerExpandSecretRef': { name: 'a', namespace: 'n' } },
      fails: { 'spec.csi.volumeHandle': 'i' },
      message: [
        'spec.persistentvolumesource: Forbidden: spec.persistentvolumesource is immutable after creation\n@@ -22,7 +22,7 @@\n  "StorageOS": null,\n  "CSI": {\n   "Driver": "a.b",\n-  "VolumeHandle": "h",\n+  "VolumeHandle": "i",\n   "ReadOnly": false,\n   "FSType": "",\n   "VolumeAttributes": null,\n',
      ],
    },
    ...sourceRows,
    {
      field: 'spec.volumeMode',
      rule: 'stays',
      from: {},
      passes: { 'spec.mountOptions': ['ro'] },
      fails: { 'spec.volumeMode': 'Block' },
      message: 'volumeMode: Invalid value: "Block": field is immutable',
    },
    {
      field: 'spec.volumeAttributesClassName',
      rule: 'not empty',
      passes: { 'spec.volumeAttributesClassName': 'a.b' },
      fails: { 'spec.volumeAttributesClassName': '' },
      message: 'spec.volumeAttributesClassName: Required value: an empty string is disallowed',
    },
    {
      field: 'spec.volumeAttributesClassName',
      rule: 'of CSI',
      fails: { ...volume('hostPath', { path: '/a' }), 'spec.volumeAttributesClassName': 'a' },
      message: 'spec.csi: Required value: has to be specified when using volumeAttributesClassName',
    },
    {
      field: 'spec.volumeAttributesClassName',
      rule: 'not taken away',
      from: { 'spec.volumeAttributesClassName': 'a' },
      passes: { 'spec.volumeAttributesClassName': 'b' },
      fails: { 'spec.volumeAttributesClassName': undefined },
      message: 'spec.volumeAttributesClassName: Forbidden: update from non-nil value to nil is forbidden',
    },
  ],
  none: {
    "the volume's own words": [
      'spec.awsElasticBlockStore.fsType',
      'spec.azureDisk.fsType',
      ...['path', 'secretFile', 'user', 'secretRef.*'].map((name) => `spec.cephfs.${name}`),
      'spec.cinder.fsType',
      ...['fsType', 'nodeStageSecretRef.*', 'volumeAttributes'].map((name) => `spec.csi.${name}`),
      'spec.fc.fsType',
      ...['fsType', 'secretRef.*'].map((name) => `spec.flexVolume.${name}`),
      'spec.gcePersistentDisk.fsType',
      ...['fsType', 'iscsiInterface', 'portals', 'secretRef.namespace'].map((name) => `spec.iscsi.${name}`),
      'spec.local.fsType',
      'spec.mountOptions',
      'spec.photonPersistentDisk.fsType',
      'spec.portworxVolume.fsType',
      ...['group', 'user'].map((name) => `spec.quobyte.${name}`),
      ...['fsType', 'keyring', 'pool', 'user', 'secretRef.*'].map((name) => `spec.rbd.${name}`),
      ...['fsType', 'protectionDomain', 'storageMode', 'storagePool', 'secretRef.*'].map(
        (name) => `spec.scaleIO.${name}`,
      ),
      'spec.storageos.*',
      ...['fsType', 'storagePolicyID', 'storagePolicyName'].map((name) => `spec.vsphereVolume.${name}`),
    ],
    'written by who binds': ['spec.claimRef.*'],
  },
};
