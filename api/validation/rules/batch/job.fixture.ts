import { ownOfPods, podTemplateAt } from '#api/validation/rules/pod/template.fixture.ts';
import { oneOfAt, ruleAt, says } from '#api/validation/rules/row.fixture.ts';
import type { Edits, RuleRow, RuleTable } from '#api/validation/rules/rule-table.fixture.ts';
import { selectorRows } from '#api/validation/rules/selector-rows.fixture.ts';
import { jobStatusRows } from './job-status.fixture.ts';

/** The template of a Job's pods. */
export const podOfJob: object = { spec: { restartPolicy: 'Never', containers: [{ name: 'c', image: 'i' }] } };
const indexed: Edits = { 'spec.completionMode': 'Indexed', 'spec.completions': 3 };
const labels = 'spec.template.metadata.labels';
const own: Edits = {
  'spec.manualSelector': true,
  'spec.selector': { matchLabels: { a: 'b' } },
  [labels]: { a: 'b' },
};

const less = (value: number, max: string): string =>
  `Invalid value: ${value}: must be less than or equal to ${max}`;

const countRows: readonly RuleRow[] = [
  ...['parallelism', 'completions', 'activeDeadlineSeconds', 'backoffLimit', 'ttlSecondsAfterFinished'].map(
    (name) =>
      ruleAt(
        `spec.${name}`,
        'not negative',
        { passes: 0, fails: -1 },
        `Invalid value: -1: ${says.notNegative}`,
      ),
  ),
  ...['backoffLimitPerIndex', 'maxFailedIndexes'].map((name) =>
    ruleAt(
      `spec.${name}`,
      'not negative',
      { passes: 0, fails: -1 },
      `Invalid value: -1: ${says.notNegative}`,
      {
        ...indexed,
        'spec.backoffLimitPerIndex': 1,
      },
    ),
  ),
];

const indexRows: readonly RuleRow[] = [
  oneOfAt('spec.completionMode', ['NonIndexed', 'Indexed']),
  ruleAt(
    'spec.completions',
    'there for Indexed',
    { passes: 3, fails: undefined },
    'Required value: when completion mode is Indexed',
    { 'spec.completionMode': 'Indexed', 'spec.parallelism': 1 },
  ),
  ruleAt(
    'spec.parallelism',
    'at most 100000 for Indexed',
    { passes: 100_000, fails: 100_001 },
    less(100_001, '100000 when completion mode is Indexed'),
    indexed,
  ),
  ruleAt(
    'spec.maxFailedIndexes',
    'not more than completions',
    { passes: 3, fails: 4 },
    less(4, 'completions'),
    { ...indexed, 'spec.backoffLimitPerIndex': 1 },
  ),
  ruleAt(
    'spec.maxFailedIndexes',
    'there beside more than 100000 completions and a limit of each',
    { passes: 1, fails: undefined },
    'Required value: must be specified when completions is above 100000',
    { ...indexed, 'spec.completions': 100_001, 'spec.backoffLimitPerIndex': 1 },
  ),
  ...['parallelism', 'maxFailedIndexes'].map((name) =>
    ruleAt(
      `spec.${name}`,
      'at most 10000 beside more than 100000 completions and a limit of each',
      { passes: 10_000, fails: 10_001 },
      less(10_001, '10000 when completions are above 100000 and used with backoff limit per index'),
      {
        ...indexed,
        'spec.completions': 100_001,
        'spec.backoffLimitPerIndex': 1,
        'spec.maxFailedIndexes': 1,
      },
    ),
  ),
  ruleAt(
    'spec.backoffLimitPerIndex',
    'there beside maxFailedIndexes',
    { passes: 1, fails: undefined },
    'Required value: when maxFailedIndexes is specified',
    { ...indexed, 'spec.maxFailedIndexes': 1 },
  ),
  ruleAt(
    'spec.backoffLimitPerIndex',
    'for Indexed',
    { fails: 1 },
    'Invalid value: 1: requires indexed completion mode',
  ),
  ruleAt('spec.maxFailedIndexes', 'for Indexed', { fails: 1 }, [
    'spec.backoffLimitPerIndex: Required value: when maxFailedIndexes is specified',
    'spec.maxFailedIndexes: Invalid value: 1: requires indexed completion mode',
  ]),
];

const rule = 'spec.podFailurePolicy.rules[0]';
const codes = `${rule}.onExitCodes`;
const patterns = `${rule}.onPodConditions`;
const onCodes: Edits = {
  'spec.podFailurePolicy': { rules: [{ action: 'Ignore', onExitCodes: { operator: 'In', values: [1] } }] },
};
const onConditions: Edits = {
  'spec.podFailurePolicy': { rules: [{ action: 'Ignore', onPodConditions: [{ type: 'A' }] }] },
};

/** What is wrong with the action or the trigger of a rule. */
const failureRows: readonly RuleRow[] = [
  ruleAt(
    'spec.podFailurePolicy.rules',
    'at most 20',
    {
      passes: Array.from({ length: 20 }, () => ({ action: 'Ignore', onPodConditions: [{ type: 'A' }] })),
      fails: Array.from({ length: 21 }, () => ({ action: 'Ignore', onPodConditions: [{ type: 'A' }] })),
    },
    'Too many: 21: must have at most 20 items',
  ),
  ruleAt(
    `${rule}.action`,
    'there',
    { passes: 'Count', fails: '' },
    'Required value: valid values: ["Count" "FailIndex" "FailJob" "Ignore"]',
    onCodes,
  ),
  oneOfAt(`${rule}.action`, ['Count', 'FailIndex', 'FailJob', 'Ignore'], {
    ...onCodes,
    ...indexed,
    'spec.backoffLimitPerIndex': 1,
  }),
  ruleAt(
    `${rule}.action`,
    'FailIndex beside a limit of each',
    { passes: 'FailJob', fails: 'FailIndex' },
    'Invalid value: "FailIndex": requires the backoffLimitPerIndex to be set',
    { ...onCodes, ...indexed },
  ),
  ruleAt(
    rule,
    'one of two triggers',
    { passes: { action: 'Count', onPodConditions: [{ type: 'A' }] }, fails: { action: 'Count' } },
    [`${rule}: Invalid value: specifying one of OnExitCodes and OnPodConditions is required`],
    onCodes,
  ),
  ruleAt(
    patterns,
    'not beside exit codes',
    { fails: [{ type: 'A' }] },
    [`${rule}: Invalid value: specifying both OnExitCodes and OnPodConditions is not supported`],
    onCodes,
  ),
  ruleAt(
    patterns,
    'at most 20',
    {
      passes: Array.from({ length: 20 }, () => ({ type: 'A' })),
      fails: Array.from({ length: 21 }, () => ({ type: 'A' })),
    },
    'Too many: 21: must have at most 20 items',
    onConditions,
  ),
  ruleAt(
    `${patterns}[0].type`,
    'a qualified name',
    { passes: 'a/B', fails: 'a b' },
    `Invalid value: "a b": ${says.qualified}`,
    onConditions,
  ),
  oneOfAt(`${patterns}[0].status`, ['False', 'True', 'Unknown'], onConditions),
];

const codeRows: readonly RuleRow[] = [
  ruleAt(
    `${codes}.operator`,
    'there',
    { passes: 'NotIn', fails: '' },
    'Required value: valid values: ["In" "NotIn"]',
    onCodes,
  ),
  oneOfAt(`${codes}.operator`, ['In', 'NotIn'], onCodes),
  ruleAt(
    `${codes}.containerName`,
    'one of the pod',
    { passes: 'c', fails: 'd' },
    'Invalid value: "d": must be one of the container or initContainer names in the pod template',
    onCodes,
  ),
  ruleAt(
    `${codes}.values`,
    'some',
    { passes: [2], fails: [] },
    'Invalid value: []: at least one value is required',
    onCodes,
  ),
  ruleAt(
    `${codes}.values`,
    'at most 255',
    {
      passes: Array.from({ length: 255 }, (_, index) => index + 1),
      fails: Array.from({ length: 256 }, (_, index) => index + 1),
    },
    'Too many: 256: must have at most 255 items',
    onCodes,
  ),
  ruleAt(
    `${codes}.values[0]`,
    'not 0 in In',
    { passes: 1, fails: 0 },
    'Invalid value: 0: must not be 0 for the In operator',
    onCodes,
  ),
  ruleAt(
    `${codes}.values`,
    'each once',
    { fails: [1, 1] },
    [`${codes}.values[1]: Duplicate value: 1`],
    onCodes,
  ),
  ruleAt(
    `${codes}.values`,
    'in order',
    { passes: [1, 2], fails: [2, 1] },
    'Invalid value: [2,1]: must be ordered',
    onCodes,
  ),
];

const success = 'spec.successPolicy.rules';
const succeeds: Edits = { ...indexed, [`${success}[0].succeededCount`]: 1 };
const parsing = (text: string, detail: string): string =>
  `Invalid value: ${JSON.stringify(text)}: error parsing succeededIndexes: ${detail}`;

const successRows: readonly RuleRow[] = [
  ruleAt('spec.successPolicy', 'for Indexed', { fails: { rules: [{ succeededCount: 1 }] } }, [
    'spec.successPolicy: Invalid value: {"Rules":[{"SucceededIndexes":null,"SucceededCount":1}]}: requires indexed completion mode',
  ]),
  ruleAt(
    success,
    'some',
    { fails: [] },
    'Required value: at least one rules must be specified when the successPolicy is specified',
    indexed,
  ),
  ruleAt(
    success,
    'at most 20',
    {
      passes: Array.from({ length: 20 }, () => ({ succeededCount: 1 })),
      fails: Array.from({ length: 21 }, () => ({ succeededCount: 1 })),
    },
    'Too many: 21: must have at most 20 items',
    indexed,
  ),
  ruleAt(
    `${success}[0]`,
    'a count or indexes',
    { passes: { succeededIndexes: '0-2' }, fails: {} },
    'Required value: at least one of succeededCount or succeededIndexes must be specified',
    indexed,
  ),
  ruleAt(
    `${success}[0].succeededCount`,
    'not negative',
    { passes: 0, fails: -1 },
    `Invalid value: -1: ${says.notNegative}`,
    succeeds,
  ),
  ruleAt(
    `${success}[0].succeededCount`,
    'at most completions',
    { passes: 3, fails: 4 },
    less(4, '3 (the number of specified completions)'),
    succeeds,
  ),
  ruleAt(
    `${success}[0].succeededCount`,
    'at most the indexes',
    { passes: 2, fails: 3 },
    less(3, '2 (the number of indexes in the specified succeededIndexes field)'),
    { ...indexed, [`${success}[0].succeededIndexes`]: '0,2' },
  ),
  ...(
    [
      ['numbers', 'a', 'cannot convert string to integer for index: "a"'],
      ['below completions', '3', 'too large index: "3"'],
      ['rising within', '2-1', 'non-increasing order, previous: 2, current: 1'],
      ['rising', '1,0', 'non-increasing order, previous: 1, current: 0'],
      [
        'of two parts',
        '0-1-2',
        `the fragment "0-1-2" violates the requirement that an index interval can have at most two parts separated by '-'`,
      ],
    ] as const
  ).map(([name, fails, detail]) =>
    ruleAt(
      `${success}[0].succeededIndexes`,
      name,
      { passes: '0-1,2', fails },
      parsing(fails, detail),
      indexed,
    ),
  ),
];

const policyRows: readonly RuleRow[] = [
  oneOfAt('spec.podReplacementPolicy', ['Failed', 'TerminatingOrFailed']),
  ruleAt(
    'spec.podReplacementPolicy',
    'Failed beside a failure policy',
    { passes: 'Failed', fails: 'TerminatingOrFailed' },
    'Unsupported value: "TerminatingOrFailed": supported values: "Failed"',
    onCodes,
  ),
  ruleAt(
    'spec.managedBy',
    'a path with a domain',
    { passes: 'a.b/c', fails: 'c' },
    'Invalid value: "c": must be a domain-prefixed path (such as "acme.io/foo")',
  ),
  ruleAt(
    'spec.managedBy',
    'at most 63 bytes',
    { passes: `a.b/${'c'.repeat(59)}`, fails: `a.b/${'c'.repeat(60)}` },
    'Too long: may not be more than 63 bytes',
  ),
  ruleAt(
    'spec.template.spec.restartPolicy',
    'OnFailure or Never',
    { passes: 'OnFailure', fails: 'Always' },
    'Required value: valid values: "OnFailure", "Never"',
  ),
  ruleAt(
    'spec.template.spec.restartPolicy',
    'Never beside a failure policy',
    { passes: 'Never', fails: 'OnFailure' },
    'Invalid value: "OnFailure": only "Never" is supported when podFailurePolicy is specified',
    onCodes,
  ),
];

const selectionRows: readonly RuleRow[] = [
  ...selectorRows('spec.selector').map((row) => ({
    ...row,
    ...(row.passes === undefined ? {} : { passes: { ...own, ...row.passes } }),
    fails: { ...own, ...row.fails },
  })),
  ruleAt(
    'spec.selector',
    'there beside manualSelector',
    { passes: { matchLabels: { a: 'b' } }, fails: undefined },
    [
      'spec.selector: Required value',
      `${labels}: Invalid value: {"a":"b"}: \`selector\` does not match template \`labels\``,
    ],
    own,
  ),
  ruleAt(
    'spec.selector',
    'selects the template',
    { fails: { matchLabels: { a: 'c' } } },
    [`${labels}: Invalid value: {"a":"b"}: \`selector\` does not match template \`labels\``],
    own,
  ),
  {
    ...ruleAt('spec.selector.matchLabels[a]', 'made unless manualSelector', { fails: 'b' }, [
      'spec.selector: Invalid value: {"matchLabels":{"a":"b","batch.kubernetes.io/controller-uid":"u"}}: `selector` not auto-generated',
      `${labels}: Invalid value: {"batch.kubernetes.io/controller-uid":"u","batch.kubernetes.io/job-name":"x","controller-uid":"u","job-name":"x"}: \`selector\` does not match template \`labels\``,
    ]),
    field: 'spec.selector.matchLabels',
  },
  {
    ...ruleAt(`${labels}[job-name]`, 'of the Job', { passes: 'x', fails: 'y' }, [
      `${labels}[job-name]: Invalid value: {"batch.kubernetes.io/controller-uid":"u","batch.kubernetes.io/job-name":"x","controller-uid":"u","job-name":"y"}: must be 'x'`,
    ]),
    field: labels,
  },
  ruleAt(
    'metadata.name',
    'with the last index a label',
    { passes: 'a'.repeat(61), fails: 'a'.repeat(62) },
    `Invalid value: "${'a'.repeat(62)}": will not able to create pod with invalid DNS label: ${'a'.repeat(62)}-2`,
    indexed,
  ),
];

const staying = 'field is immutable';
/** The row as one of an update. */
const changing = (from: Edits, row: RuleRow): RuleRow => ({ ...row, from, passes: {} });

const updateRows: readonly RuleRow[] = [
  changing(
    { 'spec.completions': 2 },
    ruleAt('spec.completions', 'stays', { fails: 3 }, `Invalid value: 3: ${staying}`),
  ),
  {
    ...ruleAt(
      'spec.completions',
      'with parallelism, if Indexed',
      { passes: 4, fails: 5 },
      'Invalid value: 5: can only be modified in tandem with spec.parallelism',
      { 'spec.parallelism': 4 },
    ),
    from: indexed,
  },
  changing(
    own,
    ruleAt('spec.selector.matchExpressions', 'stays', { fails: [{ key: 'a', operator: 'Exists' }] }, [
      `spec.selector: Invalid value: {"matchLabels":{"a":"b"},"matchExpressions":[{"key":"a","operator":"Exists"}]}: ${staying}`,
    ]),
  ),
  changing(
    {},
    ruleAt('spec.template.spec.containers[0].image', 'stays', { fails: 'j' }, [
      'spec.template: Invalid value: {"labels":{"batch.kubernetes.io/controller-uid":"u","batch.kubernetes.io/job-name":"x","controller-uid":"u","job-name":"x"},"Spec":{"Volumes":null,"InitContainers":null,"Containers":[{"Name":"c","Image":"j","Command":null,…',
    ]),
  ),
  {
    ...changing(
      { 'spec.suspend': true },
      ruleAt('spec.template.spec.nodeSelector', 'may change of a suspended Job', { fails: { a: 'b' } }, [
        'spec.template: Invalid value: {…',
      ]),
    ),
    from: {},
    passes: {},
  },
  {
    ...ruleAt(
      'spec.template.spec.nodeSelector',
      'may change while suspended',
      { passes: { a: 'b' }, fails: { a: 'b' } },
      [],
    ),
    from: { 'spec.suspend': true },
    fails: { 'spec.template.spec.containers[0].image': 'j' },
    message: ['spec.template.spec: Invalid value: {…'],
  },
  changing(
    {},
    ruleAt('spec.completionMode', 'stays', { fails: 'Indexed' }, `Invalid value: "Indexed": ${staying}`),
  ),
  changing(
    onConditions,
    ruleAt(`${rule}.action`, 'stays', { fails: 'Count' }, [
      `spec.podFailurePolicy: Invalid value: {"Rules":[{"Action":"Count","OnExitCodes":null,"OnPodConditions":[{"Type":"A","Status":"True"}]}]}: ${staying}`,
    ]),
  ),
  changing(
    { ...indexed, 'spec.backoffLimitPerIndex': 1 },
    ruleAt('spec.backoffLimitPerIndex', 'stays', { fails: 2 }, `Invalid value: 2: ${staying}`),
  ),
  changing(
    { 'spec.managedBy': 'a.b/c' },
    ruleAt('spec.managedBy', 'stays', { fails: 'a.b/d' }, `Invalid value: "a.b/d": ${staying}`),
  ),
  changing(
    succeeds,
    ruleAt(`${success}[0].succeededCount`, 'stays', { fails: 2 }, [
      `spec.successPolicy: Invalid value: {"Rules":[{"SucceededIndexes":null,"SucceededCount":2}]}: ${staying}`,
    ]),
  ),
];

export const job: RuleTable = {
  apiVersion: 'batch/v1',
  kind: 'Job',
  // Without labels, it has those of its template.
  base: { metadata: { name: 'x', labels: { own: '' } }, spec: { template: podOfJob } },
  rows: [
    ...countRows,
    ...indexRows,
    ...failureRows,
    ...codeRows,
    ...successRows,
    ...policyRows,
    ...selectionRows,
    ...updateRows,
    ...jobStatusRows,
  ],
  parts: [
    podTemplateAt('spec.template', {
      beside: { 'spec.template.spec.restartPolicy': 'OnFailure' },
      not: { 'two of three, which the Job asks for': ['spec.restartPolicy: one of three'] },
    }),
  ],
  none: { 'as its pods have it': ownOfPods('spec.template') },
};
