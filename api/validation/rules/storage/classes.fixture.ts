import type { RuleTable } from '#api/validation/rules/rule-table.fixture.ts';

const term = (key: string, values: readonly string[]): object => ({
  matchLabelExpressions: [{ key, values }],
});

export const storageClass: RuleTable = {
  apiVersion: 'storage.k8s.io/v1',
  kind: 'StorageClass',
  base: { provisioner: 'example.com/p' },
  rows: [
    {
      field: 'provisioner',
      rule: 'there',
      fails: { provisioner: '' },
      message: 'provisioner: Required value',
    },
    {
      field: 'reclaimPolicy',
      rule: 'one of two',
      passes: { reclaimPolicy: 'Retain' },
      fails: { reclaimPolicy: 'Recycle' },
      message: 'reclaimPolicy: Unsupported value: "Recycle": supported values: "Delete", "Retain"',
    },
    {
      field: 'volumeBindingMode',
      rule: 'one of two',
      passes: { volumeBindingMode: 'WaitForFirstConsumer' },
      fails: { volumeBindingMode: 'X' },
      message:
        'volumeBindingMode: Unsupported value: "X": supported values: "Immediate", "WaitForFirstConsumer"',
    },
    {
      field: 'parameters',
      rule: 'at most 512',
      passes: { parameters: { a: 'b' } },
      fails: {
        parameters: Object.fromEntries(Array.from({ length: 513 }, (_, index) => [`k${index}`, 'v'])),
      },
      message: 'parameters: Too long: may not be more than 512 bytes',
    },
    {
      field: 'parameters',
      rule: 'stay',
      from: {},
      fails: { parameters: { a: 'b' } },
      message: 'parameters: Forbidden: updates to parameters are forbidden.',
    },
    {
      field: 'allowedTopologies.matchLabelExpressions.key',
      rule: 'a qualified name',
      passes: { allowedTopologies: [term('a.b/zone', ['x'])] },
      fails: { allowedTopologies: [term('a b', ['x'])] },
      message:
        'allowedTopologies[0].matchLabelExpressions[0].key: Invalid value: "a b": name part must consist of…',
    },
    {
      field: 'allowedTopologies.matchLabelExpressions.values',
      rule: 'some',
      fails: { allowedTopologies: [term('zone', [])] },
      message: 'allowedTopologies[0].matchLabelExpressions[0].values: Required value',
    },
  ],
  none: { 'free text': ['mountOptions'] },
};

export const csiDriver: RuleTable = {
  apiVersion: 'storage.k8s.io/v1',
  kind: 'CSIDriver',
  base: { spec: {} },
  rows: [
    {
      field: 'spec.fsGroupPolicy',
      rule: 'one of three',
      passes: { 'spec.fsGroupPolicy': 'File' },
      fails: { 'spec.fsGroupPolicy': 'X' },
      message:
        'spec.fsGroupPolicy: Unsupported value: "X": supported values: "File", "None", "ReadWriteOnceWithFSType"',
    },
    {
      field: 'spec.volumeLifecycleModes',
      rule: 'one of two',
      passes: { 'spec.volumeLifecycleModes': ['Ephemeral'] },
      fails: { 'spec.volumeLifecycleModes': ['X'] },
      message:
        'spec.volumeLifecycleModes: Unsupported value: "X": supported values: "Persistent", "Ephemeral"',
    },
    {
      field: 'spec.tokenRequests.audience',
      rule: 'each once',
      passes: { 'spec.tokenRequests': [{ audience: 'a' }, { audience: 'b' }] },
      fails: { 'spec.tokenRequests': [{ audience: 'a' }, { audience: 'a' }] },
      message: 'spec.tokenRequests[1].audience: Duplicate value: "a"',
    },
    {
      field: 'spec.tokenRequests.expirationSeconds',
      rule: 'ten minutes or more',
      passes: { 'spec.tokenRequests': [{ audience: 'a', expirationSeconds: 600 }] },
      fails: { 'spec.tokenRequests': [{ audience: 'a', expirationSeconds: 599 }] },
      message:
        'spec.tokenRequests[0].expirationSeconds: Invalid value: 599: may not specify a duration less than 10 minutes',
    },
    {
      field: 'spec.nodeAllocatableUpdatePeriodSeconds',
      rule: 'ten seconds or more',
      passes: { 'spec.nodeAllocatableUpdatePeriodSeconds': 10 },
      fails: { 'spec.nodeAllocatableUpdatePeriodSeconds': 9 },
      message:
        'spec.nodeAllocatableUpdatePeriodSeconds: Invalid value: 9: must be greater than or equal to 10 seconds',
    },
    {
      field: 'spec.attachRequired',
      rule: 'stays',
      from: {},
      passes: { 'spec.podInfoOnMount': true },
      fails: { 'spec.attachRequired': false },
      message: 'spec.attachedRequired: Invalid value: false: field is immutable',
    },
  ],
};

export const volumeAttributesClass: RuleTable = {
  apiVersion: 'storage.k8s.io/v1',
  kind: 'VolumeAttributesClass',
  base: { driverName: 'example.com', parameters: { a: 'b' } },
  rows: [
    {
      field: 'driverName',
      rule: 'there',
      fails: { driverName: '' },
      message: 'driverName: Required value',
    },
    {
      field: 'parameters',
      rule: 'some',
      fails: { parameters: {} },
      message: 'parameters: Required value: must contain at least one key/value pair',
    },
  ],
};

export const ingressClass: RuleTable = {
  apiVersion: 'networking.k8s.io/v1',
  kind: 'IngressClass',
  base: { spec: { controller: 'a.b/c', parameters: { kind: 'K', name: 'n' } } },
  rows: [
    {
      field: 'spec.controller',
      rule: 'a domain and a path',
      fails: { 'spec.controller': 'nginx' },
      message:
        'spec.controller: Invalid value: "nginx": must be a domain-prefixed path (such as "acme.io/foo")',
    },
    {
      field: 'spec.controller',
      rule: 'stays',
      from: {},
      fails: { 'spec.controller': 'a.b/d' },
      message: 'spec.controller: Invalid value: "a.b/d": field is immutable',
    },
    ...['kind', 'name'].map((name) => ({
      field: `spec.parameters.${name}`,
      rule: 'there',
      fails: { [`spec.parameters.${name}`]: '' },
      message: `spec.parameters.${name}: Required value: ${name} is required`,
    })),
    {
      field: 'spec.parameters.apiGroup',
      rule: 'a DNS subdomain',
      passes: { 'spec.parameters.apiGroup': 'a.b' },
      fails: { 'spec.parameters.apiGroup': 'a_b' },
      message: 'spec.parameters.apiGroup: Invalid value: "a_b": a lowercase RFC 1123 subdomain must consist…',
    },
    {
      field: 'spec.parameters.scope',
      rule: 'one of two',
      passes: { 'spec.parameters.scope': 'Namespace', 'spec.parameters.namespace': 'n' },
      fails: { 'spec.parameters.scope': 'X' },
      message: 'spec.parameters.scope: Unsupported value: "X": supported values: "Cluster", "Namespace"',
    },
    {
      field: 'spec.parameters.namespace',
      rule: 'there, and only, for the scope Namespace',
      fails: { 'spec.parameters.scope': 'Namespace' },
      message: "spec.parameters.namespace: Required value: `parameters.scope` is set to 'Namespace'",
    },
  ],
};
