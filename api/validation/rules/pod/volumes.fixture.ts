import { persistentVolumeClaim } from '#api/validation/rules/core/persistent-volume-claim.fixture.ts';
import { invalid, neededAt, oneOfAt, ruleAt, says } from '#api/validation/rules/row.fixture.ts';
import type { RuleRow, TablePart } from '#api/validation/rules/rule-table.fixture.ts';
import { keyRows, podFileRows, projectedRows } from './projected.fixture.ts';

const v = 'spec.volumes[0]';
const named = { [`${v}.name`]: 'v' };

/** Rows of a source, beside the name of its volume. */
function withName(rows: readonly RuleRow[]): readonly RuleRow[] {
  return rows.map((row) => ({
    ...row,
    ...(row.passes === undefined ? {} : { passes: { ...named, ...row.passes } }),
    fails: { ...named, ...row.fails },
  }));
}

const needed: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  awsElasticBlockStore: { volumeID: 'x' },
  azureFile: { secretName: 's', shareName: 's' },
  cinder: { volumeID: 'x' },
  glusterfs: { endpoints: 'e', path: 'p' },
  persistentVolumeClaim: { claimName: 'c' },
  photonPersistentDisk: { pdID: 'x' },
  portworxVolume: { volumeID: 'x' },
  rbd: { image: 'i', monitors: ['m'] },
  scaleIO: { gateway: 'g', system: 's', volumeName: 'v', secretRef: {} },
  vsphereVolume: { volumePath: 'p' },
  cephfs: { monitors: ['m'] },
  image: { reference: 'r' },
  quobyte: { registry: 'h:1', volume: 'v' },
  storageos: { volumeName: 'v' },
};

const needRows = Object.entries(needed).flatMap(([kind, given]) =>
  neededAt(`${v}.${kind}`, given)
    .filter(({ field }) => !field.endsWith('.secretRef'))
    .map((row) =>
      row.field.endsWith('.registry')
        ? {
            ...row,
            message: `${v}.quobyte.registry: Required value: must be a host:port pair or multiple pairs separated by commas`,
          }
        : row,
    ),
);

const placeRows: readonly RuleRow[] = [
  ruleAt(
    `${v}.emptyDir.sizeLimit`,
    'not negative',
    { passes: '0', fails: '-1' },
    'Forbidden: SizeLimit field must be a valid resource quantity',
  ),
  ruleAt(`${v}.hostPath.path`, 'there', { passes: '/a', fails: '' }, 'Required value'),
  ruleAt(
    `${v}.hostPath.path`,
    'without steps up',
    { fails: '/a/..' },
    invalid('/a/..', "must not contain '..'"),
  ),
  oneOfAt(
    `${v}.hostPath.type`,
    ['', 'BlockDevice', 'CharDevice', 'Directory', 'DirectoryOrCreate', 'File', 'FileOrCreate', 'Socket'],
    { [`${v}.hostPath.path`]: '/a' },
  ),
  ruleAt(`${v}.gitRepo.repository`, 'there', { passes: 'r', fails: '' }, 'Required value'),
  ruleAt(
    `${v}.gitRepo.directory`,
    'within the volume',
    { passes: 'a', fails: '/a' },
    invalid('/a', 'must be a relative path'),
    { [`${v}.gitRepo.repository`]: 'r' },
  ),
  ruleAt(`${v}.gcePersistentDisk.pdName`, 'there', { passes: 'x', fails: '' }, [
    `${v}.persistentDisk.pdName: Required value`,
  ]),
  ruleAt(
    `${v}.gcePersistentDisk.partition`,
    'one of 255',
    { passes: 255, fails: 256 },
    [`${v}.persistentDisk.partition: Invalid value: 256: must be between 1 and 255, inclusive`],
    { [`${v}.gcePersistentDisk.pdName`]: 'x' },
  ),
  ruleAt(
    `${v}.awsElasticBlockStore.partition`,
    'one of 255',
    { passes: 0, fails: -1 },
    invalid(-1, 'must be between 1 and 255, inclusive'),
    { [`${v}.awsElasticBlockStore.volumeID`]: 'x' },
  ),
  ruleAt(`${v}.nfs.server`, 'there', { passes: 's', fails: '' }, 'Required value', {
    [`${v}.nfs.path`]: '/',
  }),
  ruleAt(
    `${v}.nfs.path`,
    'from the top',
    { passes: '/a', fails: 'a' },
    invalid('a', 'must be an absolute path'),
    { [`${v}.nfs.server`]: 's' },
  ),
  ruleAt(`${v}.iscsi.targetPortal`, 'there', { passes: 'p', fails: '' }, 'Required value', {
    [`${v}.iscsi`]: { iqn: 'iqn.2001-04.com.example:a', lun: 0 },
  }),
  ruleAt(
    `${v}.iscsi.iqn`,
    'a name',
    { passes: 'eui.0123456789abcdef', fails: 'iqn.x' },
    invalid('iqn.x', 'must be valid format'),
    { [`${v}.iscsi`]: { targetPortal: 'p', lun: 0 } },
  ),
  ruleAt(
    `${v}.iscsi.iqn`,
    'of three schemes',
    { passes: `naa.${'0'.repeat(32)}`, fails: 'x' },
    invalid('x', 'must be valid format starting with iqn, eui, or naa'),
    { [`${v}.iscsi`]: { targetPortal: 'p', lun: 0 } },
  ),
  ruleAt(
    `${v}.iscsi.lun`,
    'one of 256',
    { passes: 255, fails: 256 },
    invalid(256, 'must be between 0 and 255, inclusive'),
    { [`${v}.iscsi`]: { targetPortal: 'p', iqn: 'iqn.2001-04.com.example:a' } },
  ),
  ruleAt(
    `${v}.iscsi.secretRef`,
    'where one proves who one is',
    { passes: { name: 's' }, fails: undefined },
    'Required value',
    {
      [`${v}.iscsi`]: { targetPortal: 'p', iqn: 'iqn.2001-04.com.example:a', lun: 0, chapAuthSession: true },
    },
  ),
  ruleAt(
    `${v}.iscsi.initiatorName`,
    'a name',
    { passes: 'iqn.2001-04.com.example:b', fails: 'x' },
    [`${v}.iscsi.initiatorname: Invalid value: "x": must be valid format starting with iqn, eui, or naa`],
    { [`${v}.iscsi`]: { targetPortal: 'p', iqn: 'iqn.2001-04.com.example:a', lun: 0 } },
  ),
  ruleAt(
    `${v}.flocker`,
    'one of two',
    { passes: { datasetName: 'n' }, fails: {} },
    'Required value: one of datasetName and datasetUUID is required',
  ),
  ruleAt(
    `${v}.flocker.datasetUUID`,
    'not beside a name',
    { passes: '', fails: 'u' },
    [
      `${v}.flocker: Invalid value: "resource": datasetName and datasetUUID can not be specified simultaneously`,
    ],
    { [`${v}.flocker.datasetName`]: 'n' },
  ),
  ruleAt(
    `${v}.flocker.datasetName`,
    'without a slash',
    { passes: 'a', fails: 'a/b' },
    invalid('a/b', "must not contain '/'"),
  ),
  ruleAt(
    `${v}.quobyte.registry`,
    'pairs',
    { passes: 'h:1,[::1]:2', fails: 'h' },
    invalid('h', 'must be a host:port pair or multiple pairs separated by commas'),
    { [`${v}.quobyte.volume`]: 'v' },
  ),
  ruleAt(
    `${v}.quobyte.tenant`,
    'no longer than 64',
    { passes: 'x'.repeat(64), fails: 'x'.repeat(65) },
    'Required value: must be a UUID and may not exceed a length of 64 characters',
    { [`${v}.quobyte`]: { registry: 'h:1', volume: 'v' } },
  ),
  ruleAt(`${v}.fc`, 'one of two', { passes: { wwids: ['w'] }, fails: {} }, [
    `${v}.fc.targetWWNs: Required value: must specify either targetWWNs or wwids, but not both`,
  ]),
  ruleAt(
    `${v}.fc.wwids`,
    'not beside targetWWNs',
    { passes: [], fails: ['w'] },
    [`${v}.fc.targetWWNs: Invalid value: ["t"]: targetWWNs and wwids can not be specified simultaneously`],
    { [`${v}.fc`]: { targetWWNs: ['t'], lun: 0 } },
  ),
  ruleAt(`${v}.fc.targetWWNs`, 'with a lun', { fails: ['t'] }, [
    `${v}.fc.lun: Required value: lun is required if targetWWNs is specified`,
  ]),
  ruleAt(
    `${v}.fc.lun`,
    'one of 256',
    { passes: 0, fails: -1 },
    invalid(-1, 'must be between 0 and 255, inclusive'),
    { [`${v}.fc.targetWWNs`]: ['t'] },
  ),
  ruleAt(`${v}.flexVolume.driver`, 'there', { passes: 'd', fails: '' }, 'Required value'),
  ruleAt(
    `${v}.flexVolume.options`,
    'none of Kubernetes',
    { passes: { 'a.b/c': 'x' }, fails: { 'a.k8s.io/b': 'x' } },
    [
      `${v}.flexVolume.options[a.k8s.io/b]: Invalid value: "a.k8s.io/b": kubernetes.io and k8s.io namespaces are reserved`,
    ],
    { [`${v}.flexVolume.driver`]: 'd' },
  ),
  ...['diskName', 'diskURI'].map((name) =>
    ruleAt(
      `${v}.azureDisk.${name}`,
      'there',
      { fails: '' },
      name === 'diskURI'
        ? [
            `${v}.azureDisk.diskURI: Required value`,
            `${v}.azureDisk.diskURI: Unsupported value: "": supported values: "https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd"`,
          ]
        : 'Required value',
      { [`${v}.azureDisk`]: { diskName: 'd', diskURI: 'https://x' } },
    ),
  ),
  ruleAt(
    `${v}.azureDisk.diskURI`,
    'of the kind',
    { passes: '/subscriptions/x', fails: 'https://x' },
    'Unsupported value: "https://x": supported values: "/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}"',
    { [`${v}.azureDisk`]: { diskName: 'd', kind: 'Managed' } },
  ),
  oneOfAt(`${v}.azureDisk.cachingMode`, ['None', 'ReadOnly', 'ReadWrite'], {
    [`${v}.azureDisk`]: { diskName: 'd', diskURI: 'https://x' },
  }),
  oneOfAt(`${v}.azureDisk.kind`, ['Dedicated', 'Managed', 'Shared'], {
    [`${v}.azureDisk`]: { diskName: 'd', diskURI: 'https://x' },
  }),
  ...['cinder', 'storageos'].map((kind) =>
    ruleAt(`${v}.${kind}.secretRef.name`, 'there', { passes: 's', fails: '' }, 'Required value', {
      [`${v}.${kind}`]: kind === 'cinder' ? { volumeID: 'x' } : { volumeName: 'v' },
    }),
  ),
  ruleAt(`${v}.storageos.volumeName`, 'a label', { fails: 'V' }, invalid('V', says.label)),
  ruleAt(`${v}.storageos.volumeNamespace`, 'a label', { passes: 'n', fails: 'N' }, invalid('N', says.label), {
    [`${v}.storageos.volumeName`]: 'v',
  }),
  ruleAt(`${v}.csi.driver`, 'a name', { passes: 'A.b', fails: 'a_b' }, invalid('a_b', says.subdomain)),
  ruleAt(
    `${v}.csi.driver`,
    'no longer than 63',
    { fails: 'x'.repeat(64) },
    'Too long: may not be more than 63 bytes',
  ),
  ruleAt(`${v}.csi.nodePublishSecretRef.name`, 'there', { passes: 's', fails: '' }, 'Required value', {
    [`${v}.csi.driver`]: 'd',
  }),
  ruleAt(
    `${v}.csi.nodePublishSecretRef.name`,
    'a name',
    { fails: 'S' },
    [`${v}.csi.name: ${invalid('S', says.subdomain)}`],
    { [`${v}.csi.driver`]: 'd' },
  ),
  oneOfAt(`${v}.image.pullPolicy`, ['Always', 'IfNotPresent', 'Never'], { [`${v}.image.reference`]: 'r' }),
];

const t = `${v}.ephemeral.volumeClaimTemplate`;
const spec = { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } };

const claimRows: readonly RuleRow[] = [
  ruleAt(`${v}.ephemeral`, 'a template', { fails: {} }, [`${t}: Required value`]),
  ruleAt(
    `${t}.metadata.labels`,
    'labels',
    { passes: { a: 'b' }, fails: { a: 'b c' } },
    invalid('b c', says.labelValue),
    { [`${t}.spec`]: spec },
  ),
  ruleAt(
    `${t}.metadata.annotations`,
    'keys',
    { passes: { 'A/b': '' }, fails: { 'a b': '' } },
    invalid('a b', says.qualified),
    { [`${t}.spec`]: spec },
  ),
  ruleAt(`${t}.metadata.name`, 'none', { fails: 'n' }, 'Forbidden: cannot be set', { [`${t}.spec`]: spec }),
];

/** A claim that a pod brings for one of its volumes. */
export const claimPart: TablePart = {
  of: persistentVolumeClaim,
  at: `${t}.spec`,
  beside: { [`${v}.name`]: 'v' },
};

export const volumeRows: readonly RuleRow[] = [
  ruleAt(`${v}.name`, 'there', { passes: 'v', fails: '' }, 'Required value', { [`${v}.emptyDir`]: {} }),
  ruleAt(`${v}.name`, 'a label', { fails: 'V' }, invalid('V', says.label), { [`${v}.emptyDir`]: {} }),
  ruleAt(
    'spec.volumes',
    'each name once',
    {
      fails: [
        { name: 'v', emptyDir: {} },
        { name: 'v', emptyDir: {} },
      ],
    },
    ['spec.volumes[1].name: Duplicate value: "v"'],
  ),
  ruleAt(
    'spec.volumes',
    'no more',
    { fails: [{ name: 'v', emptyDir: {}, nfs: { server: 's', path: '/' } }] },
    [`${v}.nfs: Forbidden: may not specify more than 1 volume type`],
  ),
  ...withName([
    ...needRows,
    ...placeRows,
    ...keyRows(`${v}.configMap`, 'name', false),
    ...keyRows(`${v}.secret`, 'secretName', false),
    ruleAt(
      `${v}.downwardAPI.defaultMode`,
      'permission bits',
      { passes: 0o600, fails: 512 },
      invalid(512, says.mode),
    ),
    ...podFileRows(`${v}.downwardAPI`),
    ...projectedRows,
    ...claimRows,
  ]),
];

/** Fields of volumes that nobody checks, by reason. */
export const volumeNone: Readonly<Record<string, readonly string[]>> = {
  'handed to the driver as they are': [
    'awsElasticBlockStore.fsType',
    'azureDisk.fsType',
    'cephfs.path',
    'cephfs.secretFile',
    'cephfs.secretRef.*',
    'cephfs.user',
    'cinder.fsType',
    'csi.fsType',
    'csi.volumeAttributes',
    'emptyDir.medium',
    'fc.fsType',
    'flexVolume.fsType',
    'flexVolume.secretRef.*',
    'gcePersistentDisk.fsType',
    'gitRepo.revision',
    'iscsi.fsType',
    'iscsi.iscsiInterface',
    'iscsi.portals',
    'iscsi.secretRef.name',
    'photonPersistentDisk.fsType',
    'portworxVolume.fsType',
    'quobyte.group',
    'quobyte.user',
    'rbd.fsType',
    'rbd.keyring',
    'rbd.pool',
    'rbd.secretRef.*',
    'rbd.user',
    'scaleIO.fsType',
    'scaleIO.protectionDomain',
    'scaleIO.secretRef.*',
    'scaleIO.storageMode',
    'scaleIO.storagePool',
    'storageos.fsType',
    'vsphereVolume.fsType',
    'vsphereVolume.storagePolicyID',
    'vsphereVolume.storagePolicyName',
    'projected.sources.serviceAccountToken.audience',
  ].map((name) => `spec.volumes.${name}`),
  'of features that are off in a 1.36': [
    'spec.volumes.projected.sources.clusterTrustBundle.*',
    'spec.volumes.projected.sources.podCertificate.*',
  ],
  'as in metadata that may not be set': ['spec.volumes.ephemeral.volumeClaimTemplate.metadata.*'],
};
