import type { RuleRow, RuleTable } from '#api/validation/rules/rule-table.fixture.ts';

const time = '2026-01-01T00:00:00.000000Z';
const modern = {
  eventTime: time,
  reason: 'R',
  action: 'A',
  reportingInstance: 'i',
};
const reference = (name: string): readonly string[] =>
  ['apiVersion', 'fieldPath', 'kind', 'name', 'resourceVersion', 'uid'].map((field) => `${name}.${field}`);

const wordRow = (field: string): readonly RuleRow[] => [
  {
    field,
    rule: 'there',
    fails: { [field]: '' },
    message: `${field}: Required value`,
  },
  {
    field,
    rule: 'at most 128 bytes',
    passes: { [field]: 'a'.repeat(128) },
    fails: { [field]: 'a'.repeat(129) },
    message: `${field}: Invalid value: "": can have at most 128 characters`,
  },
];

/** What is the same under both names of the kind. */
function commonRows(names: {
  readonly about: string;
  readonly note: string;
  readonly controller: string;
}): readonly RuleRow[] {
  const { about, note, controller } = names;
  return [
    {
      field: `${about}.namespace`,
      rule: 'there, but in two namespaces',
      passes: { [`${about}.namespace`]: 'other' },
      fails: { [`${about}.namespace`]: undefined, 'metadata.namespace': 'n' },
      message: 'involvedObject.namespace: Invalid value: "": does not match event.namespace',
    },
    {
      field: controller,
      rule: 'there',
      fails: { [controller]: '' },
      message: [
        'reportingController: Required value',
        'reportingController: Invalid value: "": name part must be non-empty',
        'reportingController: Invalid value: "": name part must consist of…',
      ],
    },
    {
      field: controller,
      rule: 'a qualified name',
      passes: { [controller]: 'a.b/c' },
      fails: { [controller]: 'a b' },
      message: 'reportingController: Invalid value: "a b": name part must consist of…',
    },
    ...wordRow('reportingInstance'),
    ...wordRow('action'),
    ...wordRow('reason'),
    {
      field: note,
      rule: 'at most 1 KiB',
      passes: { [note]: 'a'.repeat(1024) },
      fails: { [note]: 'a'.repeat(1025) },
      message: 'message: Invalid value: "": can have at most 1024 characters',
    },
  ];
}

export const coreEvent: RuleTable = {
  apiVersion: 'v1',
  kind: 'Event',
  base: { ...modern, reportingComponent: 'a.b/c', involvedObject: { namespace: 'default' } },
  rows: [
    ...commonRows({ about: 'involvedObject', note: 'message', controller: 'reportingComponent' }),
    {
      field: 'eventTime',
      rule: 'without it, as older recorders have it, all else may lack',
      passes: { eventTime: undefined, reason: '', action: '', reportingInstance: '', reportingComponent: '' },
      fails: { eventTime: undefined, 'involvedObject.namespace': 'other' },
      message: 'involvedObject.namespace: Invalid value: "other": does not match event.namespace',
    },
  ],
  none: {
    'free text': ['type', 'source.*', ...reference('involvedObject')],
    'only told': ['related.*', 'series.*', 'count'],
    times: ['firstTimestamp', 'lastTimestamp'],
  },
};

const oldRow = (field: string, name: string, value: unknown): RuleRow => ({
  field,
  rule: 'not given',
  fails: { [field]: value },
  message: `${name}: Invalid value: "": needs to be unset`,
});
const fixedRow = (field: string, name: string, value: unknown, times = 1): RuleRow => ({
  field,
  rule: 'stays',
  from: {},
  passes: { series: { count: 2, lastObservedTime: time } },
  fails: { [field]: value },
  message: Array.from({ length: times }, () => `${name}: Invalid value:…`),
});

export const event: RuleTable = {
  apiVersion: 'events.k8s.io/v1',
  kind: 'Event',
  base: { ...modern, type: 'Normal', reportingController: 'a.b/c', regarding: { namespace: 'default' } },
  rows: [
    ...commonRows({ about: 'regarding', note: 'note', controller: 'reportingController' }),
    {
      field: 'eventTime',
      rule: 'there',
      fails: { eventTime: undefined },
      message: 'eventTime: Required value',
    },
    {
      field: 'type',
      rule: 'one of two',
      passes: { type: 'Warning' },
      fails: { type: 'Foo' },
      message: 'type: Invalid value: "": has invalid value: Foo',
    },
    {
      field: 'series.count',
      rule: 'two or more',
      passes: { series: { count: 2, lastObservedTime: time } },
      fails: { series: { count: 1, lastObservedTime: time } },
      message: 'series.count: Invalid value: "": should be at least 2',
    },
    {
      field: 'series.lastObservedTime',
      rule: 'there',
      fails: { series: { count: 2 } },
      message: 'series.lastObservedTime: Required value',
    },
    oldRow('deprecatedFirstTimestamp', 'firstTimestamp', '2026-01-01T00:00:00Z'),
    oldRow('deprecatedLastTimestamp', 'lastTimestamp', '2026-01-01T00:00:00Z'),
    oldRow('deprecatedCount', 'count', 1),
    oldRow('deprecatedSource.component', 'source', 'c'),
    oldRow('deprecatedSource.host', 'source', 'h'),
    {
      field: 'deprecatedCount',
      rule: 'stays, of one that was made under the older name',
      from: { deprecatedCount: 1, type: 'Odd' },
      passes: { series: { count: 2, lastObservedTime: time } },
      fails: { deprecatedCount: 2 },
      message: 'count: Invalid value: 2: field is immutable',
    },
    fixedRow('reason', 'reason', 'S', 2), // As upstream says it.
    fixedRow('action', 'action', 'B'),
    fixedRow('note', 'message', 'n'),
    fixedRow('type', 'type', 'Warning'),
    fixedRow('related.name', 'related', 'r'),
    fixedRow('reportingInstance', 'reportingInstance', 'j'),
    fixedRow('regarding.name', 'involvedObject', 'r'),
  ],
  none: {
    'only told': [
      ...reference('regarding').filter((field) => field !== 'regarding.name'),
      ...reference('related').filter((field) => field !== 'related.name'),
      'related.namespace',
    ],
  },
};

export const binding: RuleTable = {
  apiVersion: 'v1',
  kind: 'Binding',
  base: { target: { name: 'n' } },
  rows: [
    {
      field: 'target.kind',
      rule: 'a Node, or nothing',
      passes: { 'target.kind': 'Node' },
      fails: { 'target.kind': 'Pod' },
      message: 'target.kind: Unsupported value: "Pod": supported values: "Node", "<empty>"',
    },
    {
      field: 'target.name',
      rule: 'there',
      fails: { 'target.name': '' },
      message: 'target.name: Required value',
    },
  ],
  none: { 'only told': ['target.*'] },
};

export const componentStatus: RuleTable = {
  apiVersion: 'v1',
  kind: 'ComponentStatus',
  base: {},
  rows: [],
  none: { 'made up for each answer; cannot be written': ['conditions.*'] },
};
