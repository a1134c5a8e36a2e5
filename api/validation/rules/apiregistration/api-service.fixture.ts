import type { RuleRow, RuleTable } from '#api/validation/rules/rule-table.fixture.ts';

const named = (name: string, spec: object): object => ({
  'metadata.name': name,
  ...Object.fromEntries(Object.entries(spec).map(([field, value]) => [`spec.${field}`, value])),
});
const priorityRow = (field: string, max: number, value: number): RuleRow => ({
  field: `spec.${field}`,
  rule: `1 to ${max}, not ${value}`,
  passes: { [`spec.${field}`]: max },
  fails: { [`spec.${field}`]: value },
  message: `spec.${field}: Invalid value: ${value}: must be positive and less than ${max}`,
});
const wrongName = (wanted: string): string =>
  `metadata.name: Invalid value: "v1.a.b": must be \`spec.version+"."+spec.group\`: "${wanted}"`;
const local = { 'spec.service': undefined };

export const apiService: RuleTable = {
  apiVersion: 'apiregistration.k8s.io/v1',
  kind: 'APIService',
  base: {
    metadata: { name: 'v1.a.b' },
    spec: {
      group: 'a.b',
      version: 'v1',
      groupPriorityMinimum: 1000,
      versionPriority: 10,
      service: { namespace: 'n', name: 's' },
    },
  },
  rows: [
    {
      field: 'spec.group',
      rule: 'there but for v1',
      passes: { ...named('v1.', { group: '' }) },
      fails: { ...named('v2.', { group: '', version: 'v2' }) },
      message: 'spec.group: Required value: only v1 may have an empty group and it better be legacy kube',
    },
    {
      field: 'spec.group',
      rule: 'a DNS subdomain',
      fails: { ...named('v1.A', { group: 'A' }) },
      message: 'spec.group: Invalid value: "A": a lowercase RFC 1123 subdomain must consist…',
    },
    {
      field: 'spec.version',
      rule: 'a label of RFC 1035',
      passes: { ...named('v1beta1.a.b', { version: 'v1beta1' }) },
      fails: { ...named('1.a.b', { version: '1' }) },
      message: 'spec.version: Invalid value: "1": a DNS-1035 label must consist…',
    },
    {
      field: 'spec.version',
      rule: 'in the name, before the group',
      fails: { 'spec.version': 'v2' },
      message: wrongName('v2.a.b'),
    },
    priorityRow('groupPriorityMinimum', 20_000, 0),
    priorityRow('groupPriorityMinimum', 20_000, 20_001),
    priorityRow('versionPriority', 1000, 0),
    priorityRow('versionPriority', 1000, 1001),
    ...['namespace', 'name'].map((name) => ({
      field: `spec.service.${name}`,
      rule: 'there',
      fails: { [`spec.service.${name}`]: '' },
      message: `spec.service.${name}: Required value`,
    })),
    {
      field: 'spec.service.port',
      rule: 'a port',
      passes: { 'spec.service.port': 8443 },
      fails: { 'spec.service.port': 0 },
      message:
        'spec.service.port: Invalid value: 0: port is not valid: must be between 1 and 65535, inclusive',
    },
    {
      field: 'spec.caBundle',
      rule: 'not where the server answers itself',
      passes: { ...local },
      fails: { ...local, 'spec.caBundle': 'AAAA' },
      message: 'spec.caBundle: Invalid value: "3 bytes": local APIServices may not have a caBundle',
    },
    {
      field: 'spec.insecureSkipTLSVerify',
      rule: 'not where the server answers itself',
      passes: { 'spec.insecureSkipTLSVerify': true },
      fails: { ...local, 'spec.insecureSkipTLSVerify': true },
      message:
        'spec.insecureSkipTLSVerify: Invalid value: true: local APIServices may not have insecureSkipTLSVerify',
    },
    {
      field: 'spec.insecureSkipTLSVerify',
      rule: 'not beside a bundle',
      passes: { 'spec.caBundle': 'AAAA' },
      fails: { 'spec.caBundle': 'AAAA', 'spec.insecureSkipTLSVerify': true },
      message: 'spec.insecureSkipTLSVerify: Invalid value: true: may not be true if caBundle is present',
    },
    {
      field: 'status.conditions',
      rule: 'with one of three statuses',
      from: {},
      subresource: 'status',
      passes: { 'status.conditions': [{ type: 'Available', status: 'Unknown' }] },
      fails: { 'status.conditions': [{ type: 'Available', status: 'Foo' }] },
      message:
        'status.conditions[0].status: Unsupported value: "Foo": supported values: "True", "False", "Unknown"',
    },
  ],
};
