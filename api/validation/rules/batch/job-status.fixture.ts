import { ruleAt, says } from '#api/validation/rules/row.fixture.ts';
import type { Edits, RuleRow } from '#api/validation/rules/rule-table.fixture.ts';

const start = '2024-01-01T00:00:00Z';
const end = '2024-01-01T00:01:00Z';
const is = (...types: readonly string[]): readonly object[] =>
  types.map((type) => ({ type, status: 'True' }));
const started: Edits = { 'status.startTime': start };
const complete: Edits = {
  ...started,
  'status.completionTime': end,
  'status.conditions': is('SuccessCriteriaMet', 'Complete'),
};
const indexed: Edits = { 'spec.completionMode': 'Indexed', 'spec.completions': 3 };
const hidden = (detail: string): readonly string[] => [`status.conditions: Invalid value: cannot ${detail}`];

/** A write of the status of a Job that was as `from` says. */
function writing(row: RuleRow, from: Edits = {}): RuleRow {
  return { ...row, from, subresource: 'status' };
}

const countRows: readonly RuleRow[] = [
  ...(
    [
      ['active', ['status.ready: Invalid value: 0: cannot set more ready pods than active']],
      ['succeeded', ['status.succeeded: Invalid value: -1: cannot decrease the succeeded counter']],
      ['failed', ['status.failed: Invalid value: -1: cannot decrease the failed counter']],
      ['terminating', []],
    ] as const
  ).map(([name, also]) =>
    ruleAt(`status.${name}`, 'not negative', { passes: 0, fails: -1 }, [
      `status.${name}: Invalid value: -1: ${says.notNegative}`,
      ...also,
    ]),
  ),
  ruleAt('status.ready', 'not negative', { passes: 0, fails: -1 }, `Invalid value: -1: ${says.notNegative}`, {
    'status.active': 0,
  }),
  ...['succeeded', 'failed'].flatMap((name) => [
    ruleAt(
      `status.uncountedTerminatedPods.${name}[0]`,
      'not empty',
      { passes: 'a', fails: '' },
      'Invalid value: "": must not be empty',
    ),
    ruleAt(`status.uncountedTerminatedPods.${name}`, 'each once', { passes: ['a', 'b'], fails: ['a', 'a'] }, [
      `status.uncountedTerminatedPods.${name}[1]: Duplicate value: "a"`,
    ]),
  ]),
  ruleAt(
    'status.ready',
    'not more than active',
    { passes: 1, fails: 2 },
    'Invalid value: 2: cannot set more ready pods than active',
    {
      'status.active': 1,
    },
  ),
].map((row) => writing(row));

const field = 'status.conditions';
const failed: Edits = { ...started, [field]: is('FailureTarget', 'Failed') };

const conditionRows: readonly RuleRow[] = [
  writing(
    ruleAt(
      field,
      'Complete or Failed',
      {
        passes: is('SuccessCriteriaMet', 'Complete'),
        fails: is('SuccessCriteriaMet', 'FailureTarget', 'Complete', 'Failed'),
      },
      [
        ...hidden('set Complete=True and Failed=true conditions'),
        ...hidden('set Complete=True and FailureTarget=true conditions'),
        ...hidden('set SuccessCriteriaMet=True and Failed=true conditions'),
        ...hidden('set SuccessCriteriaMet=True and FailureTarget=true conditions'),
      ],
      complete,
    ),
  ),
  writing(
    ruleAt(
      field,
      'Failed after FailureTarget',
      { passes: is('FailureTarget', 'Failed'), fails: is('Failed') },
      hidden('set Failed=True condition without the FailureTarget=true condition'),
      started,
    ),
  ),
  writing(
    ruleAt(
      field,
      'Complete after SuccessCriteriaMet',
      { passes: is('SuccessCriteriaMet', 'Complete'), fails: is('Complete') },
      hidden('set Complete=True condition without the SuccessCriteriaMet=true condition'),
      complete,
    ),
  ),
  writing(
    ruleAt(
      'status.completionTime',
      'there for Complete',
      { passes: end, fails: undefined },
      'Required value: completionTime is required for Complete jobs',
      complete,
    ),
  ),
  writing(
    ruleAt(
      'status.completionTime',
      'for Complete only',
      { passes: undefined, fails: end },
      `Invalid value: "${end}": cannot set completionTime when there is no Complete=True condition`,
      started,
    ),
  ),
  writing(
    ruleAt(
      'status.completionTime',
      'not before the start',
      { passes: start, fails: '2023-01-01T00:00:00Z' },
      'Invalid value: "2023-01-01T00:00:00Z": must be equal to or after `startTime`',
      complete,
    ),
  ),
  writing(
    ruleAt(
      'status.startTime',
      'there for what is over',
      { passes: start, fails: undefined },
      'Required value: startTime is required for finished job',
      complete,
    ),
  ),
  writing(
    ruleAt(
      'status.active',
      'none of what is over',
      { passes: 0, fails: 1 },
      'Invalid value: 1: active>0 is invalid for finished job',
      complete,
    ),
  ),
  writing(
    ruleAt(
      'status.terminating',
      'none of what is over',
      { passes: 0, fails: 1 },
      'Invalid value: 1: terminating>0 is invalid for finished job',
      complete,
    ),
  ),
  writing(
    ruleAt(
      'status.uncountedTerminatedPods',
      'none of what is over',
      { passes: {}, fails: { failed: ['a'] } },
      'Invalid value: {"Succeeded":null,"Failed":["a"]}: must be empty for finished job',
      complete,
    ),
  ),
  writing({
    ...ruleAt(
      field,
      'SuccessCriteriaMet not beside FailureTarget',
      { passes: is('SuccessCriteriaMet'), fails: is('SuccessCriteriaMet', 'FailureTarget') },
      hidden('set SuccessCriteriaMet=True and FailureTarget=true conditions'),
      started,
    ),
  }),
];

const parsing = (name: string, detail: string): string =>
  `Invalid value: "3": error parsing ${name}: ${detail}`;

const indexRows: readonly RuleRow[] = [
  writing(
    ruleAt(
      'status.completedIndexes',
      'indexes',
      { passes: '0-1', fails: '3' },
      parsing('completedIndexes', 'too large index: "3"'),
    ),
    indexed,
  ),
  writing(
    ruleAt(
      'status.failedIndexes',
      'indexes',
      { passes: '0-1', fails: '3' },
      parsing('failedIndexes', 'too large index: "3"'),
    ),
    { ...indexed, 'spec.backoffLimitPerIndex': 1 },
  ),
  writing(
    ruleAt(
      'status.completedIndexes',
      'for Indexed',
      { fails: '0' },
      'Invalid value: "0": cannot set non-empty completedIndexes when non-indexed completion mode',
    ),
  ),
  writing(
    ruleAt(
      'status.failedIndexes',
      'beside a limit of each',
      { fails: '0' },
      'Invalid value: "0": cannot set non-null failedIndexes when backoffLimitPerIndex is null',
    ),
    indexed,
  ),
  writing(
    ruleAt(
      'status.failedIndexes',
      'not those that are complete',
      { passes: '2', fails: '1-2' },
      'Invalid value: "1-2": failedIndexes and completedIndexes overlap at index: 1',
      { 'status.completedIndexes': '0-1' },
    ),
    { ...indexed, 'spec.backoffLimitPerIndex': 1 },
  ),
];

const backwardRows: readonly RuleRow[] = [
  writing(
    ruleAt(
      field,
      'Complete stays',
      { passes: is('SuccessCriteriaMet', 'Complete'), fails: is('SuccessCriteriaMet') },
      [
        `status.completionTime: Invalid value: "${end}": cannot set completionTime when there is no Complete=True condition`,
        ...hidden('disable the terminal Complete=True condition'),
      ],
    ),
    complete,
  ),
  writing(
    ruleAt(
      field,
      'Failed stays',
      { fails: is('FailureTarget') },
      hidden('disable the terminal Failed=True condition'),
    ),
    failed,
  ),
  writing(
    ruleAt(
      field,
      'FailureTarget stays',
      { fails: [] },
      hidden('disable the terminal FailureTarget=True condition'),
    ),
    { ...started, [field]: is('FailureTarget') },
  ),
  writing(
    ruleAt(
      field,
      'SuccessCriteriaMet stays',
      { fails: [] },
      hidden('disable the SuccessCriteriaMet=True condition'),
    ),
    { ...started, [field]: is('SuccessCriteriaMet') },
  ),
  ...['failed', 'succeeded'].map((name) =>
    writing(
      ruleAt(
        `status.${name}`,
        'not less than before',
        { passes: 3, fails: 1 },
        `Invalid value: 1: cannot decrease the ${name} counter`,
      ),
      { [`status.${name}`]: 2 },
    ),
  ),
  writing(
    ruleAt(
      'status.completionTime',
      'stays',
      { fails: '2024-01-01T00:02:00Z' },
      'Invalid value: "2024-01-01T00:02:00Z": field is immutable',
    ),
    complete,
  ),
  writing(
    ruleAt(
      'status.startTime',
      'stays',
      { fails: end },
      `Invalid value: "${end}": field is immutable for unsuspended job once set`,
    ),
    started,
  ),
];

/** Rules about a Job's status (ValidateJobUpdateStatus, strict as of KEP-4368). */
export const jobStatusRows: readonly RuleRow[] = [
  ...countRows,
  ...conditionRows,
  ...indexRows,
  ...backwardRows,
];
