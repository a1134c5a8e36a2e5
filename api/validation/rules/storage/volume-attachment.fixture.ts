import type { RuleRow, RuleTable } from '#api/validation/rules/rule-table.fixture.ts';

const csi = { driver: 'a.b', volumeHandle: 'h' };
const inline = 'spec.source.inlineVolumeSpec';
const inlineSource = { accessModes: ['ReadWriteOnce'], csi };
const inlineRow = (field: string, value: unknown, message: string): RuleRow => ({
  field: `${inline}.${field}`,
  rule: 'not here',
  passes: { 'spec.source': { inlineVolumeSpec: inlineSource } },
  fails: { 'spec.source': { inlineVolumeSpec: { ...inlineSource, [field]: value } } },
  message: `${inline}.${field}: ${message}`,
});
const unwanted = 'Forbidden: may not be specified in the context of inline volumes';
const one = 'must specify exactly one of inlineVolumeSpec and persistentVolumeName';

export const volumeAttachment: RuleTable = {
  apiVersion: 'storage.k8s.io/v1',
  kind: 'VolumeAttachment',
  base: { spec: { attacher: 'a.b', nodeName: 'n', source: { persistentVolumeName: 'v' } } },
  rows: [
    {
      field: 'spec.attacher',
      rule: 'there',
      fails: { 'spec.attacher': '' },
      message: [
        'spec.attacher: Required value',
        'spec.attacher: Required value',
        'spec.attacher: Invalid value: "": a lowercase RFC 1123 subdomain must consist…',
      ],
    },
    {
      field: 'spec.attacher',
      rule: 'a name of a driver',
      passes: { 'spec.attacher': 'A.B' },
      fails: { 'spec.attacher': 'a_b' },
      message: 'spec.attacher: Invalid value: "a_b": a lowercase RFC 1123 subdomain must consist…',
    },
    {
      field: 'spec.source.persistentVolumeName',
      rule: 'there, or the volume itself',
      passes: { 'spec.source': { inlineVolumeSpec: inlineSource } },
      fails: { 'spec.source': {} },
      message: `spec.source: Required value: ${one}`,
    },
    {
      field: 'spec.source.persistentVolumeName',
      rule: 'not both',
      fails: { [inline]: inlineSource },
      message: `spec.source: Forbidden: ${one}`,
    },
    {
      field: 'spec.source.persistentVolumeName',
      rule: 'a DNS subdomain',
      passes: { 'spec.source.persistentVolumeName': 'a.b' },
      fails: { 'spec.source.persistentVolumeName': 'A' },
      message:
        'spec.source.persistentVolumeName: Invalid value: "A": a lowercase RFC 1123 subdomain must consist…',
    },
    {
      field: 'spec.nodeName',
      rule: 'a name of a node',
      passes: { 'spec.nodeName': 'a.b' },
      fails: { 'spec.nodeName': '' },
      message: 'spec.nodeName: Invalid value: "": a lowercase RFC 1123 subdomain must consist…',
    },
    {
      field: `${inline}.csi`,
      rule: 'there',
      fails: {
        'spec.source': { inlineVolumeSpec: { accessModes: ['ReadWriteOnce'], hostPath: { path: '/' } } },
      },
      message: `${inline}.csi: Required value: has to be specified in the context of inline volumes`,
    },
    {
      field: `${inline}.accessModes`,
      rule: 'some',
      fails: { 'spec.source': { inlineVolumeSpec: { csi } } },
      message: `${inline}.accessModes: Required value`,
    },
    inlineRow('claimRef', {}, unwanted),
    inlineRow('capacity', { storage: '1Gi' }, unwanted),
    inlineRow('nodeAffinity', {}, unwanted),
    inlineRow('storageClassName', 'c', unwanted),
    inlineRow(
      'persistentVolumeReclaimPolicy',
      'Delete',
      'Forbidden: may only be Retain in the context of inline volumes',
    ),
    inlineRow(
      'volumeMode',
      'Block',
      'Forbidden: may not specify volumeMode other than Filesystem in the context of inline volumes',
    ),
    {
      field: 'spec',
      rule: 'stays',
      from: {},
      passes: { 'metadata.labels': { a: 'b' } },
      fails: { 'spec.nodeName': 'm' },
      message:
        'spec: Invalid value: {"Attacher":"a.b","Source":{"PersistentVolumeName":"v","InlineVolumeSpec":null},"NodeName":"m"}: field is immutable',
    },
    {
      field: 'status.attachError',
      rule: 'at most 1 KiB, whatever it says',
      from: {},
      subresource: 'status',
      passes: { 'status.attachError': { message: 'a'.repeat(1024) } },
      fails: { 'status.attachError': { message: 'a'.repeat(1025) } },
      message: 'status.attachError.message: Too long: may not be more than 262144 bytes',
    },
    {
      field: 'status.detachError',
      rule: 'no negative code',
      from: {},
      subresource: 'status',
      passes: { 'status.detachError': { errorCode: 5 } },
      fails: { 'status.detachError': { errorCode: -1 } },
      message: 'status.detachError.errorCode: Invalid value: -1: must be between 0 and 2147483647, inclusive',
    },
  ],
  none: { 'as a PersistentVolume has it': [`${inline}.*`] },
};
