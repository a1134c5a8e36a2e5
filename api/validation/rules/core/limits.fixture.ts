import type { RuleTable } from '#api/validation/rules/rule-table.fixture.ts';

const limit = { type: 'Container', max: { cpu: '2' } };
const storage = { type: 'PersistentVolumeClaim', max: { storage: '5Gi' } };
const at = (item: object): { readonly 'spec.limits': readonly object[] } => ({ 'spec.limits': [item] });

export const limitRange: RuleTable = {
  apiVersion: 'v1',
  kind: 'LimitRange',
  base: { spec: { limits: [limit] } },
  rows: [
    {
      field: 'spec.limits.type',
      rule: 'a standard limit type, or a qualified name',
      passes: at({ ...limit, type: 'example.com/disk' }),
      fails: at({ ...limit, type: 'Foo' }),
      message: 'spec.limits[0].type: Invalid value: "Foo": must be a standard limit type or fully qualified',
    },
    {
      field: 'spec.limits.type',
      rule: 'once',
      passes: { 'spec.limits': [limit, { type: 'Pod', max: { cpu: '3' } }] },
      fails: { 'spec.limits': [limit, limit] },
      message: 'spec.limits[1].type: Duplicate value: "Container"',
    },
    {
      field: 'spec.limits.max',
      rule: 'resources of containers, for Pod and Container',
      passes: at({ type: 'Pod', max: { 'hugepages-2Mi': '2Mi', 'example.com/gpu': '1' } }),
      fails: at({ type: 'Pod', max: { storage: '1' } }),
      message:
        'spec.limits[0].max[storage]: Invalid value: "storage": must be a standard resource for containers',
    },
    {
      field: 'spec.limits.max',
      rule: 'extended resources can be counted by a quota',
      fails: at({ type: 'Pod', max: { 'requests.example.com/gpu': '1' } }),
      message:
        'spec.limits[0].max[requests.example.com/gpu]: Invalid value: "requests.example.com/gpu": doesn\'t follow extended resource name standard',
    },
    {
      field: 'spec.limits.max',
      rule: 'claims are limited in storage',
      passes: at(storage),
      fails: at({ type: 'PersistentVolumeClaim', max: {}, default: { storage: '1Gi' } }),
      message:
        'spec.limits[0].limits: Required value: either minimum or maximum storage value is required, but neither was provided',
    },
    {
      field: 'spec.limits.min',
      rule: 'not above max, nor above what is given by default',
      passes: at({ type: 'Container', min: { cpu: '2' }, max: { cpu: '2' } }),
      fails: at({ type: 'Container', min: { cpu: '2' }, max: { cpu: '1' } }),
      message: [
        'spec.limits[0].min[cpu]: Invalid value: "2": min value 2 is greater than max value 1',
        'spec.limits[0].defaultRequest[cpu]: Invalid value: "1": min value 2 is greater than default request value 1',
        'spec.limits[0].default[cpu]: Invalid value: "2": min value 2 is greater than default value 1',
      ],
    },
    {
      field: 'spec.limits.min',
      rule: 'names of resources',
      passes: at({ ...storage, min: { storage: '1Gi' } }),
      fails: at({ ...storage, min: { foo: '1Gi' } }),
      message:
        'spec.limits[0].min[foo]: Invalid value: "foo": must be a standard resource type or fully qualified',
    },
    {
      field: 'spec.limits.default',
      rule: 'not above max',
      passes: at({ ...limit, default: { cpu: '1' } }),
      fails: at({ ...limit, default: { cpu: '3' }, defaultRequest: { cpu: '1' } }),
      message: 'spec.limits[0].default[cpu]: Invalid value: "2": default value 3 is greater than max value 2',
    },
    {
      field: 'spec.limits.default',
      rule: 'of containers',
      fails: at({ type: 'Pod', default: { cpu: '1' } }),
      message: "spec.limits[0].default: Forbidden: may not be specified when `type` is 'Pod'",
    },
    {
      field: 'spec.limits.defaultRequest',
      rule: 'of containers',
      fails: at({ type: 'Pod', defaultRequest: { cpu: '1' } }),
      message: "spec.limits[0].defaultRequest: Forbidden: may not be specified when `type` is 'Pod'",
    },
    {
      field: 'spec.limits.defaultRequest',
      rule: 'not above max, nor above the default limit',
      passes: at({ ...limit, default: { cpu: '1' }, defaultRequest: { cpu: '1' } }),
      fails: at({ ...limit, default: { cpu: '1' }, defaultRequest: { cpu: '3' } }),
      message: [
        'spec.limits[0].defaultRequest[cpu]: Invalid value: "3": default request value 3 is greater than max value 2',
        'spec.limits[0].defaultRequest[cpu]: Invalid value: "3": default request value 3 is greater than default limit value 1',
      ],
    },
    {
      field: 'spec.limits.defaultRequest',
      rule: 'the default limit, where nothing may be overcommitted',
      passes: at({ type: 'Container', default: { 'a.b/c': '2' }, defaultRequest: { 'a.b/c': '2' } }),
      fails: at({ type: 'Container', default: { 'a.b/c': '2' }, defaultRequest: { 'a.b/c': '1' } }),
      message:
        'spec.limits[0].defaultRequest[a.b/c]: Invalid value: "1": default value 2 must equal to defaultRequest value 1 in a.b/c',
    },
    {
      field: 'spec.limits.maxLimitRequestRatio',
      rule: 'at least 1',
      passes: at({ type: 'Container', maxLimitRequestRatio: { cpu: '1' } }),
      fails: at({ type: 'Container', maxLimitRequestRatio: { cpu: '500m' } }),
      message: 'spec.limits[0].maxLimitRequestRatio[cpu]: Invalid value: "500m": ratio 500m is less than 1',
    },
    {
      field: 'spec.limits.maxLimitRequestRatio',
      rule: 'not beyond what max and min allow',
      passes: at({ type: 'Pod', max: { cpu: '2' }, min: { cpu: '1' }, maxLimitRequestRatio: { cpu: '2' } }),
      fails: at({ type: 'Pod', max: { cpu: '2' }, min: { cpu: '1' }, maxLimitRequestRatio: { cpu: '3' } }),
      message:
        'spec.limits[0].maxLimitRequestRatio[cpu]: Invalid value: "3": ratio 3 is greater than max/min = 2.000000',
    },
  ],
};

const expression = (requirement: object): { readonly 'spec.scopeSelector': object } => ({
  'spec.scopeSelector': { matchExpressions: [requirement] },
});
const path = 'spec.scopeSelector.matchExpressions';

export const resourceQuota: RuleTable = {
  apiVersion: 'v1',
  kind: 'ResourceQuota',
  base: { spec: { hard: { pods: '1' } } },
  rows: [
    {
      field: 'spec.hard',
      rule: 'resources that a quota counts, or qualified names',
      passes: { 'spec.hard[count/jobs.batch]': '0', 'spec.hard[requests.nvidia.com/gpu]': '0' },
      fails: { 'spec.hard[foo]': '1' },
      message: [
        'spec.hard[foo]: Invalid value: "foo": must be a standard resource type or fully qualified',
        'spec.hard[foo]: Invalid value: "foo": must be a standard resource for quota',
      ],
    },
    {
      field: 'spec.hard',
      rule: 'bare names of what a quota counts',
      passes: { 'spec.hard[requests.storage]': '1', 'spec.hard[hugepages-2Mi]': '2Mi' },
      fails: { 'spec.hard[storage]': '1' },
      message: 'spec.hard[storage]: Invalid value: "storage": must be a standard resource for quota',
    },
    {
      field: 'spec.hard',
      rule: 'not negative',
      passes: { 'spec.hard[pods]': '0' },
      fails: { 'spec.hard[pods]': '-1' },
      message: 'spec.hard[pods]: Invalid value: "-1": must be greater than or equal to 0',
    },
    {
      field: 'spec.hard',
      rule: 'whole numbers of objects',
      passes: { 'spec.hard[cpu]': '1500m' },
      fails: { 'spec.hard[pods]': '1500m' },
      message: 'spec.hard[pods]: Invalid value: "1500m": must be an integer',
    },
    {
      field: 'spec.scopes',
      rule: 'known ones',
      passes: { 'spec.scopes': ['PriorityClass'] },
      fails: { 'spec.scopes': ['Foo'] },
      message: 'spec.scopes: Invalid value: ["Foo"]: unsupported scope',
    },
    {
      field: 'spec.scopes',
      rule: 'of pods',
      passes: { 'spec.hard[requests.cpu]': '1', 'spec.scopes': ['Terminating'] },
      fails: { 'spec.hard': { services: '1' }, 'spec.scopes': ['Terminating'] },
      message: 'spec.scopes: Invalid value: ["Terminating"]: unsupported scope applied to resource',
    },
    {
      field: 'spec.scopes',
      rule: 'pods of best effort have no amounts',
      passes: { 'spec.scopes': ['BestEffort'] },
      fails: { 'spec.hard[requests.cpu]': '1', 'spec.scopes': ['BestEffort'] },
      message: 'spec.scopes: Invalid value: ["BestEffort"]: unsupported scope applied to resource',
    },
    {
      field: 'spec.scopes',
      rule: 'claims of an attributes class',
      passes: { 'spec.hard': { 'requests.storage': '1' }, 'spec.scopes': ['VolumeAttributesClass'] },
      fails: { 'spec.scopes': ['VolumeAttributesClass'] },
      message: 'spec.scopes: Invalid value: ["VolumeAttributesClass"]: unsupported scope applied to resource',
    },
    {
      field: 'spec.scopes',
      rule: 'not one and its opposite',
      fails: { 'spec.scopes': ['Terminating', 'NotTerminating'] },
      message: 'spec.scopes: Invalid value: ["Terminating","NotTerminating"]: conflicting scopes',
    },
    {
      field: 'spec.scopes',
      rule: 'stay',
      from: { 'spec.scopes': ['BestEffort'] },
      passes: { 'spec.hard[pods]': '7' },
      fails: { 'spec.scopes': ['NotBestEffort'] },
      message: 'spec.scopes: Invalid value: ["NotBestEffort"]: field is immutable',
    },
    {
      field: `${path}.scopeName`,
      rule: 'known ones',
      passes: expression({ scopeName: 'PriorityClass', operator: 'In', values: ['high'] }),
      fails: expression({ scopeName: 'Foo', operator: 'Exists' }),
      message: `${path}.scopeName: Invalid value: "Foo": unsupported scope`,
    },
    {
      field: `${path}.scopeName`,
      rule: 'of pods',
      fails: {
        'spec.hard': { services: '1' },
        ...expression({ scopeName: 'PriorityClass', operator: 'Exists' }),
      },
      message: `${path}: Invalid value: {"MatchExpressions":[{"ScopeName":"PriorityClass","Operator":"Exists","Values":null}]}: unsupported scope applied to resource`,
    },
    {
      field: `${path}.operator`,
      rule: 'Exists, of scopes without names',
      passes: expression({ scopeName: 'BestEffort', operator: 'Exists' }),
      fails: expression({ scopeName: 'BestEffort', operator: 'DoesNotExist' }),
      message: `${path}.operator: Invalid value: "DoesNotExist": must be 'Exist' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity`,
    },
    {
      field: `${path}.values`,
      rule: 'some for In and NotIn',
      fails: expression({ scopeName: 'PriorityClass', operator: 'In' }),
      message: `${path}.values: Required value: must be at least one value when \`operator\` is 'In' or 'NotIn' for scope selector`,
    },
    {
      field: `${path}.values`,
      rule: 'none for Exists and DoesNotExist',
      fails: expression({ scopeName: 'PriorityClass', operator: 'Exists', values: ['a'] }),
      message: `${path}.values: Invalid value: ["a"]: must be no value when \`operator\` is 'Exist' or 'DoesNotExist' for scope selector`,
    },
    {
      field: 'status.used',
      rule: 'not negative',
      subresource: 'status',
      from: {},
      passes: { 'status.used[pods]': '1' },
      fails: { 'status.used[pods]': '-1' },
      message: 'status.used[pods]: Invalid value: "-1": must be greater than or equal to 0',
    },
  ],
};
