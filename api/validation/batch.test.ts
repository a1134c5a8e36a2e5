import { describe, expect, it } from 'vitest';
import { decodeObject } from '#api/wire/decode.ts';
import { applyDefaults } from '#api/defaults/defaults.ts';
import { renderFieldError, type FieldError } from '#api/errors/field-error.ts';
import { findKindByName } from '#api/schema/kinds.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { prepareCreate, prepareUpdate } from '#api/strategy/strategy.ts';
import { validateCreate, validateUpdate } from './validation.ts';

const kind = findKindByName('batch/v1', 'Job') ?? expect.unreachable();
const pod = { restartPolicy: 'Never', containers: [{ name: 'c', image: 'i' }] };
const indexed = { completionMode: 'Indexed', completions: 3, parallelism: 3 };

function jobOf(spec: JsonObject, podSpec: JsonObject = {}): JsonObject {
  const template = { spec: { ...pod, ...podSpec } };
  return { apiVersion: 'batch/v1', kind: 'Job', metadata: { name: 'j' }, spec: { template, ...spec } };
}

function create(object: JsonObject): JsonObject {
  const decoded = applyDefaults(kind, decodeObject(kind, object).object);
  return prepareCreate(kind, decoded, { now: 0, uid: 'u', namespace: 'default' });
}

function texts(errors: readonly FieldError[]): readonly string[] {
  return errors.map((error) => `${error.field}: ${renderFieldError(error)}`);
}

const codes = (values: readonly number[], more: JsonObject = {}) => ({
  podFailurePolicy: { rules: [{ action: 'Count', onExitCodes: { operator: 'In', values, ...more } }] },
});
const success = (...rules: readonly JsonObject[]) => ({ ...indexed, successPolicy: { rules } });
const at = 'spec.podFailurePolicy.rules[0]';

const rows: readonly {
  readonly name: string;
  readonly spec?: JsonObject;
  readonly podSpec?: JsonObject;
  readonly want: readonly string[];
}[] = [
  { name: 'nothing', want: [] },
  {
    name: 'pods that always restart',
    podSpec: { restartPolicy: 'Always' },
    want: ['spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"'],
  },
  {
    name: 'a podFailurePolicy with restarts on the node',
    spec: codes([1]),
    podSpec: { restartPolicy: 'OnFailure' },
    want: [
      'spec.template.spec.restartPolicy: Invalid value: "OnFailure": only "Never" is supported when podFailurePolicy is specified',
    ],
  },
  {
    name: 'a podFailurePolicy that cannot see how pods end',
    spec: { ...codes([1]), podReplacementPolicy: 'TerminatingOrFailed' },
    want: ['spec.podReplacementPolicy: Unsupported value: "TerminatingOrFailed": supported values: "Failed"'],
  },
  {
    name: 'exit codes out of order, twice, and 0',
    spec: codes([2, 1, 1, 0]),
    want: [
      `${at}.onExitCodes.values[2]: Duplicate value: 1`,
      `${at}.onExitCodes.values[3]: Invalid value: 0: must not be 0 for the In operator`,
      `${at}.onExitCodes.values: Invalid value: [2,1,1,0]: must be ordered`,
    ],
  },
  {
    name: 'exit codes of nobody',
    spec: codes([1], { containerName: 'x' }),
    want: [
      `${at}.onExitCodes.containerName: Invalid value: "x": must be one of the container or initContainer names in the pod template`,
    ],
  },
  {
    name: 'a rule of nothing',
    spec: { podFailurePolicy: { rules: [{ action: 'Ignore' }] } },
    want: [`${at}: Invalid value: specifying one of OnExitCodes and OnPodConditions is required`],
  },
  {
    name: 'FailIndex without a limit per index',
    spec: { podFailurePolicy: { rules: [{ action: 'FailIndex', onPodConditions: [{ type: 'A' }] }] } },
    want: [`${at}.action: Invalid value: "FailIndex": requires the backoffLimitPerIndex to be set`],
  },
  {
    name: 'fields of Indexed jobs elsewhere',
    spec: { backoffLimitPerIndex: 1, successPolicy: { rules: [{ succeededCount: 1 }] } },
    want: [
      'spec.backoffLimitPerIndex: Invalid value: 1: requires indexed completion mode',
      'spec.successPolicy: Invalid value: {"Rules":[{"SucceededIndexes":null,"SucceededCount":1}]}: requires indexed completion mode',
    ],
  },
  {
    name: 'maxFailedIndexes alone, and too many',
    spec: { ...indexed, maxFailedIndexes: 4 },
    want: [
      'spec.backoffLimitPerIndex: Required value: when maxFailedIndexes is specified',
      'spec.maxFailedIndexes: Invalid value: 4: must be less than or equal to completions',
    ],
  },
  {
    name: 'a successPolicy of no rules',
    spec: success(),
    want: [
      'spec.successPolicy.rules: Required value: at least one rules must be specified when the successPolicy is specified',
    ],
  },
  {
    name: 'a successPolicy beyond completions',
    spec: success(
      {},
      { succeededIndexes: '0-3' },
      { succeededCount: 4 },
      { succeededIndexes: '0,1', succeededCount: 3 },
    ),
    want: [
      'spec.successPolicy.rules[0]: Required value: at least one of succeededCount or succeededIndexes must be specified',
      'spec.successPolicy.rules[1].succeededIndexes: Invalid value: "0-3": error parsing succeededIndexes: too large index: "3"',
      'spec.successPolicy.rules[2].succeededCount: Invalid value: 4: must be less than or equal to 3 (the number of specified completions)',
      'spec.successPolicy.rules[3].succeededCount: Invalid value: 3: must be less than or equal to 2 (the number of indexes in the specified succeededIndexes field)',
    ],
  },
  {
    name: 'indexes that are none',
    spec: success({ succeededIndexes: '1,0' }, { succeededIndexes: 'a' }, { succeededIndexes: '0-1-2' }),
    want: [
      'spec.successPolicy.rules[0].succeededIndexes: Invalid value: "1,0": error parsing succeededIndexes: non-increasing order, previous: 1, current: 0',
      'spec.successPolicy.rules[1].succeededIndexes: Invalid value: "a": error parsing succeededIndexes: cannot convert string to integer for index: "a"',
      `spec.successPolicy.rules[2].succeededIndexes: Invalid value: "0-1-2": error parsing succeededIndexes: the fragment "0-1-2" violates the requirement that an index interval can have at most two parts separated by '-'`,
    ],
  },
  {
    name: 'a manager without a domain',
    spec: { managedBy: 'me' },
    want: ['spec.managedBy: Invalid value: "me": must be a domain-prefixed path (such as "acme.io/foo")'],
  },
  {
    name: 'a manager whose path is none of HTTP',
    spec: { managedBy: 'acme.io/a b' },
    want: [
      `spec.managedBy: Invalid value: "a b": Invalid path (regex used for validation is '[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+')`,
    ],
  },
];

describe('validateCreate() of a Job', () => {
  it.each(rows)('$name', ({ spec = {}, podSpec, want }) => {
    expect(texts(validateCreate(kind, create(jobOf(spec, podSpec))))).toEqual(want);
  });
});

const cronKind = findKindByName('batch/v1', 'CronJob') ?? expect.unreachable();

describe('validateCreate() of a CronJob', () => {
  it.each([
    { name: 'nothing', spec: { schedule: '@hourly', timeZone: 'Europe/Berlin' }, want: [] },
    { name: 'no schedule', spec: { schedule: '' }, want: ['spec.schedule: Required value'] },
    {
      name: 'a schedule that is none',
      spec: { schedule: '* * * * 7' },
      want: ['spec.schedule: Invalid value: "* * * * 7": end of range (7) above maximum (6): 7'],
    },
    {
      name: 'a zone in the schedule',
      spec: { schedule: 'TZ=UTC * * * * *' },
      want: [
        'spec.schedule: Invalid value: "TZ=UTC * * * * *": cannot use TZ or CRON_TZ in schedule, use timeZone field instead',
      ],
    },
    {
      name: 'a zone that is none, and numbers below 0',
      spec: { schedule: '@daily', timeZone: 'X/Y', startingDeadlineSeconds: -1 },
      want: [
        'spec.startingDeadlineSeconds: Invalid value: -1: must be greater than or equal to 0',
        'spec.timeZone: Invalid value: "X/Y": unknown time zone X/Y',
      ],
    },
    {
      name: 'a selector of the jobs',
      spec: { schedule: '@daily', jobTemplate: { spec: { selector: {}, template: { spec: pod } } } },
      want: ['spec.jobTemplate.spec.selector: Invalid value: {}: `selector` will be auto-generated'],
    },
  ])('$name', ({ spec, want }) => {
    const jobTemplate = { spec: { template: { spec: pod } } };
    const object = {
      apiVersion: 'batch/v1',
      kind: 'CronJob',
      metadata: { name: 'c' },
      spec: { jobTemplate, ...spec },
    };
    const decoded = applyDefaults(cronKind, decodeObject(cronKind, object).object);
    const created = prepareCreate(cronKind, decoded, { now: 0, uid: 'u', namespace: 'default' });
    expect(texts(validateCreate(cronKind, created))).toEqual(want);
  });
});

const updates: readonly {
  readonly name: string;
  readonly spec?: JsonObject;
  readonly change: (spec: JsonObject) => JsonObject;
  readonly want: readonly (string | object)[];
}[] = [
  { name: 'parallelism may change', change: (spec) => ({ ...spec, parallelism: 2 }), want: [] },
  {
    name: 'completions may not',
    change: (spec) => ({ ...spec, completions: 2 }),
    want: ['spec.completions: Invalid value: 2: field is immutable'],
  },
  {
    name: 'an Indexed job may grow',
    spec: indexed,
    change: (spec) => ({ ...spec, completions: 5, parallelism: 5 }),
    want: [],
  },
  {
    name: 'an Indexed job grows in tandem',
    spec: indexed,
    change: (spec) => ({ ...spec, completions: 5 }),
    want: ['spec.completions: Invalid value: 5: can only be modified in tandem with spec.parallelism'],
  },
  {
    name: 'the manager stays',
    change: (spec) => ({ ...spec, managedBy: 'a.io/b' }),
    want: ['spec.managedBy: Invalid value: "a.io/b": field is immutable'],
  },
  {
    name: 'the template stays',
    change: (spec) => withPod(spec, { nodeSelector: { a: 'b' } }),
    want: [expect.stringMatching(/^spec\.template: Invalid value: .*: field is immutable$/)],
  },
  {
    name: 'where the pods go may change while suspended',
    spec: { suspend: true },
    change: (spec) => withPod(spec, { nodeSelector: { a: 'b' }, tolerations: [{ operator: 'Exists' }] }),
    want: [],
  },
  {
    name: 'what the pods run may not change while suspended',
    spec: { suspend: true },
    change: (spec) => withPod(spec, { containers: [{ name: 'c', image: 'j' }] }),
    want: [expect.stringMatching(/field is immutable$/)],
  },
];

function withPod(spec: JsonObject, change: JsonObject): JsonObject {
  const template = spec['template'] as { readonly spec: JsonObject };
  return { ...spec, template: { ...template, spec: { ...template.spec, ...change } } };
}

describe('validateUpdate() of a Job', () => {
  it.each(updates)('$name', ({ spec = {}, change, want }) => {
    const old = create(jobOf(spec));
    const changed = { ...old, spec: change(old['spec'] as JsonObject) };
    const next = prepareUpdate(kind, old, applyDefaults(kind, decodeObject(kind, changed).object));
    expect(texts(validateUpdate(kind, old, next))).toEqual(want);
  });
});

const begun = { startTime: '2026-01-01T00:00:00Z' };
const suspended = { conditions: [{ type: 'Suspended', status: 'True' }] };

it.each<{ readonly name: string; readonly status: JsonObject; readonly isFree: boolean }>([
  { name: 'never was begun', status: {}, isFree: true },
  { name: 'was begun, and does not say yet that it is suspended', status: begun, isFree: false },
  { name: 'says so', status: { ...begun, ...suspended }, isFree: true },
  { name: 'has pods, though it says so', status: { ...suspended, active: 1 }, isFree: false },
  {
    name: 'was resumed',
    status: { ...begun, conditions: [{ type: 'Suspended', status: 'False' }] },
    isFree: false,
  },
])('what pods of a suspended Job ask for may change if it $name: $isFree', ({ status, isFree }) => {
  const old: JsonObject = { ...create(jobOf({ suspend: true })), status };
  const resources = { requests: { cpu: '2' } };
  const spec = withPod(old['spec'] as JsonObject, { containers: [{ name: 'c', image: 'i', resources }] });
  const changed = applyDefaults(kind, decodeObject(kind, { ...old, spec }).object);
  const said = texts(validateUpdate(kind, old, prepareUpdate(kind, old, changed)));
  expect(said).toEqual(
    isFree ? [] : [expect.stringMatching(/^spec\.template: Invalid value: .*: field is immutable$/)],
  );
});
