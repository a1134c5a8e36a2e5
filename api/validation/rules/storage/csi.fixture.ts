import type { RuleRow, RuleTable } from '#api/validation/rules/rule-table.fixture.ts';
import { selectorRows } from '#api/validation/rules/selector-rows.fixture.ts';

const driver = 'spec.drivers[0]';
const topologyRow = (
  rule: string,
  keys: readonly string[],
  message: string | readonly string[],
): RuleRow => ({
  field: 'spec.drivers.topologyKeys',
  rule,
  passes: { [`${driver}.topologyKeys`]: ['a.b/c', 'd'] },
  fails: { [`${driver}.topologyKeys`]: keys },
  message: [message].flat().map((text) => `${driver}: ${text}`),
});

export const csiNode: RuleTable = {
  apiVersion: 'storage.k8s.io/v1',
  kind: 'CSINode',
  base: { spec: { drivers: [{ name: 'a.b', nodeID: 'n' }] } },
  rows: [
    {
      field: 'spec.drivers.name',
      rule: 'there',
      fails: { [`${driver}.name`]: '' },
      message: [
        `${driver}.name: Required value`,
        `${driver}.name: Invalid value: "": a lowercase RFC 1123 subdomain must consist…`,
      ],
    },
    {
      field: 'spec.drivers.name',
      rule: 'at most 63 bytes',
      passes: { [`${driver}.name`]: 'a'.repeat(63) },
      fails: { [`${driver}.name`]: 'a'.repeat(64) },
      message: `${driver}.name: Too long: may not be more than 63 bytes`,
    },
    {
      field: 'spec.drivers.name',
      rule: 'a DNS subdomain but for its case',
      passes: { [`${driver}.name`]: 'A.B' },
      fails: { [`${driver}.name`]: 'a_b' },
      message: `${driver}.name: Invalid value: "a_b": a lowercase RFC 1123 subdomain must consist…`,
    },
    {
      field: 'spec.drivers.name',
      rule: 'each once',
      passes: { 'spec.drivers[1]': { name: 'c.d', nodeID: 'n' } },
      fails: { 'spec.drivers[1]': { name: 'a.b', nodeID: 'n' } },
      message: 'spec.drivers[1].name: Duplicate value: "a.b"',
    },
    {
      field: 'spec.drivers.nodeID',
      rule: 'there',
      fails: { [`${driver}.nodeID`]: '' },
      message: `${driver}.nodeID: Required value`,
    },
    {
      field: 'spec.drivers.nodeID',
      rule: 'at most 256 bytes',
      passes: { [`${driver}.nodeID`]: 'a'.repeat(256) },
      fails: { [`${driver}.nodeID`]: 'a'.repeat(257) },
      message: `${driver}.nodeID: Invalid value: "${'a'.repeat(257)}": must be 256 characters or less`,
    },
    {
      field: 'spec.drivers.nodeID',
      rule: 'stays, as all of a driver but how many it attaches',
      from: {},
      passes: { [`${driver}.allocatable.count`]: 3 },
      fails: { [`${driver}.nodeID`]: 'm' },
      message:
        'spec.drivers: Invalid value: {"Name":"a.b","NodeID":"m","TopologyKeys":null,"Allocatable":null}: field is immutable',
    },
    {
      field: 'spec.drivers.allocatable.count',
      rule: 'not negative',
      passes: { [`${driver}.allocatable.count`]: 0 },
      fails: { [`${driver}.allocatable.count`]: -1 },
      message: `${driver}.allocatable.count: Invalid value: -1: must be greater than or equal to 0`,
    },
    topologyRow(
      'none empty',
      [''],
      [
        'Required value',
        'Invalid value: "": name part must be non-empty',
        'Invalid value: "": name part must consist of…',
      ],
    ),
    topologyRow('each once', ['a', 'a'], 'Duplicate value: "a"'),
    topologyRow('qualified names', ['a b'], 'Invalid value: "a b": name part must consist of…'),
  ],
};

export const csiStorageCapacity: RuleTable = {
  apiVersion: 'storage.k8s.io/v1',
  kind: 'CSIStorageCapacity',
  base: { storageClassName: 'c', nodeTopology: { matchLabels: { a: 'b' } } },
  rows: [
    ...selectorRows('nodeTopology'),
    {
      field: 'nodeTopology.matchLabels',
      rule: 'stay',
      from: {},
      fails: { 'nodeTopology.matchLabels': { a: 'c' } },
      message: 'nodeTopology: Invalid value: {"matchLabels":{"a":"c"}}: field is immutable',
    },
    {
      field: 'storageClassName',
      rule: 'a DNS subdomain',
      passes: { storageClassName: 'a.b' },
      fails: { storageClassName: 'A' },
      message: 'storageClassName: Invalid value: "A": a lowercase RFC 1123 subdomain must consist…',
    },
    {
      field: 'storageClassName',
      rule: 'stays',
      from: {},
      fails: { storageClassName: 'd' },
      message: 'storageClassName: Invalid value: "d": field is immutable',
    },
    {
      field: 'capacity',
      rule: 'not negative',
      passes: { capacity: '0' },
      fails: { capacity: '-1Gi' },
      message: 'capacity: Invalid value: "-1Gi": must be greater than or equal to 0',
    },
  ],
  none: { 'any amount': ['maximumVolumeSize'] },
};
