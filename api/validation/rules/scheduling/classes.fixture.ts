import { ruleAt } from '#api/validation/rules/row.fixture.ts';
import type { RuleTable } from '#api/validation/rules/rule-table.fixture.ts';

export const priorityClass: RuleTable = {
  apiVersion: 'scheduling.k8s.io/v1',
  kind: 'PriorityClass',
  base: { value: 5 },
  rows: [
    {
      field: 'value',
      rule: 'up to a thousand million',
      passes: { value: 1_000_000_000 },
      fails: { value: 1_000_000_001 },
      message: 'value: Forbidden: maximum allowed value of a user defined priority is 1000000000',
    },
    {
      field: 'value',
      rule: 'stays',
      from: {},
      passes: { description: 'x' },
      fails: { value: 6 },
      message: 'value: Forbidden: may not be changed in an update.',
    },
    {
      field: 'metadata.name',
      rule: 'the prefix system- is for two that are known',
      passes: { 'metadata.name': 'system-node-critical', value: 2_000_001_000 },
      fails: { 'metadata.name': 'system-x' },
      message:
        "metadata.name: Forbidden: priority class names with 'system-' prefix are reserved for system use only. error: system-x is not a known system priority class",
    },
    {
      field: 'preemptionPolicy',
      rule: 'one of two',
      passes: { preemptionPolicy: 'Never' },
      fails: { preemptionPolicy: 'Foo' },
      message:
        'preemptionPolicy: Unsupported value: "Foo": supported values: "PreemptLowerPriority", "Never"',
    },
    {
      field: 'preemptionPolicy',
      rule: 'stays',
      from: {},
      fails: { preemptionPolicy: 'Never' },
      message: 'preemptionPolicy: Invalid value: "Never": field is immutable',
    },
  ],
  none: { 'free text': ['description'] },
};

export const lease: RuleTable = {
  apiVersion: 'coordination.k8s.io/v1',
  kind: 'Lease',
  base: { spec: {} },
  rows: [
    {
      field: 'spec.leaseDurationSeconds',
      rule: 'more than nothing',
      passes: { 'spec.leaseDurationSeconds': 1 },
      fails: { 'spec.leaseDurationSeconds': 0 },
      message: 'spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0',
    },
    {
      field: 'spec.leaseTransitions',
      rule: 'not negative',
      passes: { 'spec.leaseTransitions': 0 },
      fails: { 'spec.leaseTransitions': -1 },
      message: 'spec.leaseTransitions: Invalid value: -1: must be greater than or equal to 0',
    },
  ],
  none: {
    'free text': ['spec.holderIdentity'],
    times: ['spec.acquireTime', 'spec.renewTime'],
    'of a feature that is off in a 1.36, and left out': ['spec.strategy', 'spec.preferredHolder'],
  },
};

const tolerations = 'scheduling.tolerations';

export const runtimeClass: RuleTable = {
  apiVersion: 'node.k8s.io/v1',
  kind: 'RuntimeClass',
  base: { handler: 'runc' },
  rows: [
    {
      field: 'handler',
      rule: 'a DNS label',
      passes: { handler: 'kata-2' },
      fails: { handler: 'a.b' },
      message: 'handler: Invalid value: "a.b": a lowercase RFC 1123 label must consist…',
    },
    {
      field: 'handler',
      rule: 'stays',
      from: {},
      fails: { handler: 'crun' },
      message: 'handler: Invalid value: "crun": field is immutable',
    },
    {
      field: 'overhead.podFixed',
      rule: 'resources of containers',
      passes: { 'overhead.podFixed': { memory: '1Mi' } },
      fails: { 'overhead.podFixed': { memory: '-1Mi' } },
      message: 'overhead.limits[memory]: Invalid value: "-1Mi": must be greater than or equal to 0',
    },
    {
      field: 'scheduling.nodeSelector',
      rule: 'labels',
      passes: { 'scheduling.nodeSelector': { a: 'b' } },
      fails: { 'scheduling.nodeSelector': { a: 'b c' } },
      message: 'scheduling.nodeSelector: Invalid value: "b c": a valid label must be an empty string…',
    },
    ...(
      [
        [
          'key',
          'a qualified name',
          { key: 'a b', operator: 'Exists' },
          'key: Invalid value: "a b": name part…',
        ],
        [
          'operator',
          'one of two',
          { key: 'a', operator: 'X' },
          'operator: Unsupported value: "X": supported…',
        ],
        [
          'value',
          'none for Exists',
          { key: 'a', operator: 'Exists', value: 'b' },
          'operator: Invalid value: "b"…',
        ],
        ['effect', 'one of three', { key: 'a', effect: 'X' }, 'effect: Unsupported value: "X": supported…'],
      ] as const
    ).map(([name, rule, fails, message]) => ({
      field: `${tolerations}.${name}`,
      rule,
      passes: { [tolerations]: [{ key: 'a.b/c', operator: 'Equal', value: 'd', effect: 'NoSchedule' }] },
      fails: { [tolerations]: [fails] },
      message: `${tolerations}[0].${message}`,
    })),
    {
      field: tolerations,
      rule: 'each once, whatever its seconds',
      passes: {
        [tolerations]: [
          { key: 'a', operator: 'Exists', effect: 'NoExecute' },
          { key: 'a', operator: 'Exists', effect: 'NoSchedule' },
        ],
      },
      fails: {
        [tolerations]: [
          { key: 'a', operator: 'Exists', effect: 'NoExecute' },
          { key: 'a', operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 5 },
        ],
      },
      message: `${tolerations}[1]: Duplicate value: {"Key":"a","Operator":"Exists","Value":"","Effect":"NoExecute","TolerationSeconds":5}`,
    },
  ],
  // As a pod has them: one of each shows that they are looked at.
  none: { 'a number': [`${tolerations}.tolerationSeconds`] },
};

const candidate = 'spec.binaryVersion';
export const leaseCandidate: RuleTable = {
  apiVersion: 'coordination.k8s.io/v1beta1',
  kind: 'LeaseCandidate',
  base: {
    spec: {
      leaseName: 'l',
      binaryVersion: '1.36.0',
      emulationVersion: '1.35.0',
      strategy: 'OldestEmulationVersion',
    },
  },
  rows: [
    ruleAt('spec.leaseName', 'there', { fails: '' }, 'Required value'),
    {
      ...ruleAt('spec.leaseName', 'stays', { fails: 'm' }, 'Invalid value: "m": field is immutable'),
      from: {},
      passes: { 'metadata.labels': { a: 'b' } },
    },
    ruleAt(candidate, 'there', { fails: '' }, 'Required value'),
    ruleAt(candidate, 'a version', { fails: 'v1' }, [
      `${candidate}: Invalid value: "v1": must be a valid semantic version`,
      `${candidate}: Invalid value: "v1": must be greater than or equal to \`emulationVersion\``,
    ]),
    ruleAt(
      candidate,
      'not the older one',
      { passes: '1.35.0', fails: '1.34.9' },
      'Invalid value: "1.34.9": must be greater than or equal to `emulationVersion`',
    ),
    ruleAt('spec.emulationVersion', 'a version', { passes: '1.35.0-rc.1', fails: '1.35' }, [
      'spec.emulationVersion: Invalid value: "1.35": must be a valid semantic version',
      "spec.emulationVersion: Required value: must be specified when `strategy` is 'OldestEmulationVersion'",
    ]),
    ruleAt('spec.strategy', 'there', { fails: '' }, 'Required value'),
    ruleAt('spec.strategy', 'one that is known', { passes: 'acme.io/ours', fails: 'X' }, [
      'spec.strategy.strategy: Unsupported value: "X": supported values: "OldestEmulationVersion"',
    ]),
  ],
  none: { times: ['spec.pingTime', 'spec.renewTime'] },
};
