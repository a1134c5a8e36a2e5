import type { RuleRow, RuleTable } from '#api/validation/rules/rule-table.fixture.ts';

const taint = (edits: object): object => ({
  'spec.taints': [{ key: 'a', value: 'b', effect: 'NoSchedule', ...edits }],
});
const taintRow = (
  field: string,
  rule: string,
  [passes, fails, message]: readonly [passes: object, fails: object, message: string],
): RuleRow => ({
  field: `spec.taints.${field}`,
  rule,
  passes: { ...taint(passes) },
  fails: { ...taint(fails) },
  message: `metadata.taints[0].${field}: ${message}`,
});
const source = 'spec.configSource.configMap';
const reference = { namespace: 'n', name: 'm', kubeletConfigKey: 'k' };
const sourceRow = (
  field: string,
  rule: string,
  [fails, message]: readonly [fails: unknown, message: string],
): RuleRow => ({
  field: `${source}.${field}`,
  rule,
  from: {},
  passes: { [source]: reference },
  fails: { [source]: { ...reference, [field]: fails } },
  message: `${source}.${field}: ${message}`,
});
const cidrs = 'spec.podCIDRs';
const dual = `${cidrs}: Invalid value: ["10.0.0.0/24","10.0.0.0/24"]: may specify no more than one CIDR for each IP family`;

export const node: RuleTable = {
  apiVersion: 'v1',
  kind: 'Node',
  base: { spec: {} },
  rows: [
    taintRow('key', 'a qualified name', [
      { key: 'a.b/c' },
      { key: 'a b' },
      'Invalid value: "a b": name part must consist of…',
    ]),
    taintRow('value', 'the value of a label', [
      { value: '' },
      { value: 'a b' },
      'Invalid value: "a b": a valid label must be…',
    ]),
    taintRow('effect', 'there', [{ effect: 'NoExecute' }, { effect: '' }, 'Required value']),
    taintRow('effect', 'one of three', [
      { effect: 'PreferNoSchedule' },
      { effect: 'Foo' },
      'Unsupported value: "Foo": supported values: "NoSchedule", "PreferNoSchedule", "NoExecute"',
    ]),
    {
      field: 'spec.taints.key',
      rule: 'each once with an effect',
      passes: {
        'spec.taints': [
          { key: 'a', effect: 'NoSchedule' },
          { key: 'a', effect: 'NoExecute' },
        ],
      },
      fails: {
        'spec.taints': [
          { key: 'a', effect: 'NoSchedule' },
          { key: 'a', value: 'b', effect: 'NoSchedule' },
        ],
      },
      message:
        'metadata.taints[1]: Duplicate value: {"Key":"a","Value":"b","Effect":"NoSchedule","TimeAdded":null}: taints must be unique by key and effect pair',
    },
    {
      field: cidrs,
      rule: 'networks',
      passes: { [cidrs]: ['10.0.0.0/24', '2001:db8::/64'] },
      fails: { [cidrs]: ['10.0.0.1/24'] },
      message: `${cidrs}[0]: Invalid value: "10.0.0.1/24": must not have bits set beyond the prefix length`,
    },
    {
      field: cidrs,
      rule: 'others stay',
      from: { 'spec.podCIDR': '10.0.0.1/24', [cidrs]: ['10.0.0.1/24'] },
      passes: { 'spec.unschedulable': true },
      fails: { 'spec.podCIDR': '10.0.0.2/24', [cidrs]: ['10.0.0.2/24'] },
      message: `${cidrs}: Forbidden: node updates may not change podCIDR except from "" to valid`,
    },
    {
      field: cidrs,
      rule: 'one of a family, each once',
      fails: { [cidrs]: ['10.0.0.0/24', '10.0.0.0/24'] },
      message: [dual, `${cidrs}[1]: Duplicate value: "10.0.0.0/24"`],
    },
    {
      field: cidrs,
      rule: 'stay once they are there',
      from: { [cidrs]: ['10.0.0.0/24'] },
      passes: { 'spec.unschedulable': true },
      fails: { 'spec.podCIDR': '10.1.0.0/24', [cidrs]: ['10.1.0.0/24'] },
      message: `${cidrs}: Forbidden: node updates may not change podCIDR except from "" to valid`,
    },
    {
      field: 'spec.providerID',
      rule: 'stays once it is there',
      from: { 'spec.providerID': 'a' },
      fails: { 'spec.providerID': 'b' },
      message: 'spec.providerID: Forbidden: node updates may not change providerID except from "" to valid',
    },
    {
      field: 'spec.externalID',
      rule: 'stays',
      from: {},
      passes: { 'spec.providerID': 'b' },
      fails: { 'spec.externalID': 'b' },
      message: 'spec.externalID: Forbidden: may not be updated',
    },
    sourceRow('namespace', 'there', ['', 'Required value: namespace must be set']),
    sourceRow('namespace', 'a DNS label', ['a.b', 'Invalid value: "a.b": a lowercase RFC 1123 label…']),
    sourceRow('name', 'there', ['', 'Required value: name must be set']),
    sourceRow('name', 'a DNS subdomain', ['A', 'Invalid value: "A": a lowercase RFC 1123 subdomain…']),
    sourceRow('kubeletConfigKey', 'there', ['', 'Required value: kubeletConfigKey must be set']),
    sourceRow('kubeletConfigKey', 'a key', ['a b', 'Invalid value: "a b": a valid config key must…']),
    sourceRow('uid', 'not in a spec', ['u', 'Forbidden: uid must not be set in spec']),
    sourceRow('resourceVersion', 'not in a spec', [
      '1',
      'Forbidden: resourceVersion must not be set in spec',
    ]),
    {
      field: 'status.capacity',
      rule: 'not negative',
      passes: { 'status.capacity': { cpu: '100m', pods: '1' } },
      fails: { 'status.capacity': { cpu: '-1' }, 'status.allocatable': { cpu: '1' } },
      message: 'status.capacity.cpu: Invalid value: "-1": must be greater than or equal to 0',
    },
    {
      field: 'status.allocatable',
      rule: 'whole where it counts',
      from: {},
      subresource: 'status',
      passes: { 'status.allocatable': { pods: '1' } },
      fails: { 'status.allocatable': { pods: '100m' } },
      message: 'status.allocatable.pods: Invalid value: "100m": must be an integer',
    },
    {
      field: 'status.addresses',
      rule: 'each once',
      from: {},
      subresource: 'status',
      passes: {
        'status.addresses': [
          { type: 'InternalIP', address: 'a' },
          { type: 'Hostname', address: 'a' },
        ],
      },
      fails: {
        'status.addresses': [
          { type: 'InternalIP', address: 'a' },
          { type: 'InternalIP', address: 'a' },
        ],
      },
      message: 'status.addresses[1]: Duplicate value: {"Type":"InternalIP","Address":"a"}',
    },
    {
      field: 'status.config',
      rule: 'with the version of what was read',
      from: {},
      subresource: 'status',
      passes: {
        'status.config.active.configMap': { ...reference, uid: 'u', resourceVersion: '1' },
      },
      fails: { 'status.config.active.configMap': { ...reference, uid: 'u' } },
      message:
        'status.config.active.configMap.resourceVersion: Required value: resourceVersion must be set in status',
    },
  ],
  none: { 'written by the list beside it': ['spec.podCIDR'], times: ['spec.taints.timeAdded'] },
};
