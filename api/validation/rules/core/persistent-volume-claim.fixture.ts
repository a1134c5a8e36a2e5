import type { RuleRow, RuleTable } from '#api/validation/rules/rule-table.fixture.ts';
import { selectorRows } from '#api/validation/rules/selector-rows.fixture.ts';
import { modeRows } from './persistent-volume.fixture.ts';

const source = { kind: 'PersistentVolumeClaim', name: 'c' };
const dataRows: readonly RuleRow[] = ['dataSource', 'dataSourceRef'].flatMap((field): readonly RuleRow[] => {
  const path = `spec.${field}`;
  const one = (rule: string, name: string, fails: object, message: string): RuleRow => ({
    field: `${path}.${name}`,
    rule,
    passes: { [path]: source },
    fails: { [path]: { ...source, ...fails } },
    message: `${path}${message}`,
  });
  return [
    one('there', 'name', { name: '' }, '.name: Required value'),
    one('there', 'kind', { apiGroup: 'a.b', kind: '' }, '.kind: Required value'),
    one(
      'a claim, where no group is named',
      'kind',
      { kind: 'Foo' },
      ': Invalid value: "Foo": must be \'PersistentVolumeClaim\' when referencing the default apiGroup',
    ),
    one(
      'a DNS subdomain',
      'apiGroup',
      { apiGroup: 'A' },
      '.apiGroup: Invalid value: "A": a lowercase RFC 1123 subdomain must consist…',
    ),
  ];
});
const size = 'spec.resources.requests.storage';
const annotated = 'metadata.annotations[volume.beta.kubernetes.io/storage-class]';
const bound = { 'status.phase': 'Bound', 'status.capacity': { storage: '1Gi' } };

export const persistentVolumeClaim: RuleTable = {
  apiVersion: 'v1',
  kind: 'PersistentVolumeClaim',
  base: { spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } } },
  rows: [
    {
      field: 'spec.accessModes',
      rule: 'some',
      fails: { 'spec.accessModes': [] },
      message: 'spec.accessModes: Required value: at least 1 access mode is required',
    },
    ...modeRows,
    ...selectorRows('spec.selector'),
    {
      field: 'spec.resources.requests',
      rule: 'of storage',
      fails: { 'spec.resources': {} },
      message: 'spec.resources[storage]: Required value',
    },
    {
      field: 'spec.resources.requests',
      rule: 'more than nothing',
      passes: { [size]: '1' },
      fails: { [size]: '0' },
      message: 'spec.resources[storage]: Invalid value: "0": must be greater than zero',
    },
    {
      field: 'spec.resources.requests',
      rule: 'grow once bound',
      from: {},
      fails: { [size]: '2Gi' },
      message: 'spec: Forbidden: spec is immutable after creation except resources.requests and…',
    },
    {
      field: 'spec.resources.requests',
      rule: 'go back, but not to less than there is',
      from: { ...bound, [size]: '3Gi' },
      passes: { [size]: '2Gi' },
      fails: { [size]: '1Gi' },
      message: 'spec.resources.requests.storage: Forbidden: field can not be less than status.capacity',
    },
    {
      field: 'spec.volumeName',
      rule: 'is given once',
      from: { 'spec.volumeName': 'a' },
      fails: { 'spec.volumeName': 'b' },
      message: [
        'spec: Forbidden: spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims\n@@ -9,7 +9,7 @@\n    "storage": "1Gi"\n   }\n  },\n- "VolumeName": "a",\n+ "VolumeName": "b",\n  "StorageClassName": null,\n  "VolumeMode": "Filesystem",\n  "DataSource": null,\n',
      ],
    },
    {
      field: 'spec.volumeName',
      rule: 'and nothing else',
      from: {},
      passes: { 'spec.volumeName': 'a', 'spec.storageClassName': 'c' },
      fails: { 'spec.accessModes': ['ReadOnlyMany'] },
      message: 'spec: Forbidden: spec is immutable after creation except…',
    },
    {
      field: 'metadata.annotations',
      rule: 'the class that one names stays',
      from: { [annotated]: 'a' },
      passes: { [annotated]: undefined, 'spec.storageClassName': 'a' },
      fails: { [annotated]: 'b' },
      message:
        'metadata.annotations.volume.beta.kubernetes.io/storage-class: Invalid value: "b": field is immutable',
    },
    {
      field: 'spec.storageClassName',
      rule: 'is given once, as the annotation has it',
      from: { [annotated]: 'a' },
      passes: { 'spec.storageClassName': 'a' },
      fails: { 'spec.storageClassName': 'b' },
      message: 'spec: Forbidden: spec is immutable after creation except…',
    },
    {
      field: 'spec.volumeMode',
      rule: 'stays',
      from: {},
      fails: { 'spec.volumeMode': 'Block' },
      message: [
        'spec: Forbidden: spec is immutable after creation except…',
        'volumeMode: Invalid value: "Block": field is immutable',
      ],
    },
    ...dataRows,
    {
      field: 'spec.dataSource',
      rule: 'what dataSourceRef says, too',
      passes: { 'spec.dataSource': source, 'spec.dataSourceRef': source },
      fails: { 'spec.dataSource': source, 'spec.dataSourceRef': { ...source, name: 'd' } },
      message: 'spec: Invalid value: {}: must match dataSourceRef',
    },
    {
      field: 'spec.dataSourceRef.namespace',
      rule: 'a DNS label',
      passes: { 'spec.dataSourceRef': { ...source, namespace: 'n' } },
      fails: { 'spec.dataSourceRef': { ...source, namespace: 'a.b' } },
      message: 'spec.dataSourceRef.namespace: Invalid value: "a.b": a lowercase RFC 1123 label must consist…',
    },
    {
      field: 'spec.dataSourceRef.namespace',
      rule: 'not beside dataSource',
      fails: { 'spec.dataSource': source, 'spec.dataSourceRef': { ...source, namespace: 'n' } },
      message: 'spec: Invalid value: {}: may not be specified when dataSourceRef.namespace is specified',
    },
    {
      field: 'spec.volumeAttributesClassName',
      rule: 'a DNS subdomain',
      passes: { 'spec.volumeAttributesClassName': 'a.b' },
      fails: { 'spec.volumeAttributesClassName': 'A' },
      message:
        'spec.volumeAttributesClassName: Invalid value: "A": a lowercase RFC 1123 subdomain must consist…',
    },
    {
      field: 'spec.volumeAttributesClassName',
      rule: 'not taken away by an empty string',
      from: { 'spec.volumeAttributesClassName': 'a' },
      passes: { 'spec.volumeAttributesClassName': undefined },
      fails: { 'spec.volumeAttributesClassName': '' },
      message:
        'spec.volumeAttributesClassName: Forbidden: update from non-nil value to an empty string is forbidden',
    },
    {
      field: 'spec.volumeAttributesClassName',
      rule: 'not taken away where the volume has had one',
      from: { 'spec.volumeAttributesClassName': 'a', 'status.currentVolumeAttributesClassName': 'b' },
      passes: { 'spec.volumeAttributesClassName': 'b' },
      fails: { 'spec.volumeAttributesClassName': undefined },
      message:
        'spec.volumeAttributesClassName: Forbidden: update to nil is forbidden when status.currentVolumeAttributesClassName is not nil',
    },
    {
      field: 'status.capacity',
      rule: 'not negative',
      from: {},
      subresource: 'status',
      passes: { 'status.capacity': { storage: '1Gi' } },
      fails: { 'status.capacity': { storage: '-1' } },
      message: 'status.capacity[storage]: Invalid value: -1: must be a valid resource quantity',
    },
    {
      field: 'status.allocatedResources',
      rule: 'of storage',
      from: {},
      subresource: 'status',
      passes: { 'status.allocatedResources': { storage: '1Gi', 'a.b/c': '1' } },
      fails: { 'status.allocatedResources': { cpu: '1', storage: '-1' } },
      message: [
        'status.allocatedResources: Unsupported value: "cpu": supported values: "storage"',
        'status.allocatedResources[storage]: Invalid value: -1: must be a valid resource quantity',
      ],
    },
    {
      field: 'status.allocatedResourceStatuses',
      rule: 'of storage',
      from: {},
      subresource: 'status',
      passes: { 'status.allocatedResourceStatuses': { 'a.b/c': 'NodeResizePending' } },
      fails: { 'status.allocatedResourceStatuses': { cpu: 'NodeResizePending' } },
      message: 'status.allocatedResourceStatus: Unsupported value: "cpu": supported values: "storage"',
    },
    {
      field: 'status.allocatedResourceStatuses',
      rule: 'known ones',
      from: {},
      subresource: 'status',
      passes: { 'status.allocatedResourceStatuses': { storage: 'NodeResizePending' } },
      fails: { 'status.allocatedResourceStatuses': { storage: 'Foo' } },
      message:
        'status.allocatedResourceStatus: Unsupported value: "storage": supported values: "ControllerResizeInProgress", "ControllerResizeInfeasible", "NodeResizeInProgress", "NodeResizeInfeasible", "NodeResizePending"',
    },
  ],
  none: { 'any amount': ['spec.resources.limits'] },
};
