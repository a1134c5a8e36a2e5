import { invalid, ruleAt } from '#api/validation/rules/row.fixture.ts';
import type { RuleRow, RuleTable } from '#api/validation/rules/rule-table.fixture.ts';

const conditions = 'status.conditions';
const revision = 'status.resourceVersion';
const said = (...types: readonly string[]): readonly object[] =>
  types.map((type) => ({
    ...{ type, status: 'True', reason: 'R', message: '', lastTransitionTime: '2026-12-02T00:00:00Z' },
  }));
/** As Go has them: in the order of the struct. */
const shown = (types: readonly string[]): string =>
  `[${types
    .map(
      (type) =>
        `{"type":"${type}","status":"True","lastTransitionTime":"2026-12-02T00:00:00Z","reason":"R","message":""}`,
    )
    .join(',')}]`;
const written = (
  rule: string,
  row: Pick<RuleRow, 'field' | 'from' | 'passes' | 'fails' | 'message'>,
): RuleRow => ({
  rule,
  subresource: 'status',
  ...row,
});
const both = (types: readonly [string, string], message: string): RuleRow =>
  written(`not ${types.join(' and ')}`, {
    field: conditions,
    from: {},
    passes: { [conditions]: said(types[0]) },
    fails: { [conditions]: said(...types) },
    message: `${conditions}: Invalid value: ${shown(types)}: ${message}`,
  });
const forGood = (type: string, word: string): RuleRow =>
  written(`${type} for good`, {
    field: conditions,
    from: { [conditions]: said(type) },
    passes: { [conditions]: said(type) },
    fails: { [conditions]: [] },
    message: `${conditions}: Invalid value: []: ${word} condition cannot be set to false once it is true`,
  });

export const storageVersionMigration: RuleTable = {
  apiVersion: 'storagemigration.k8s.io/v1beta1',
  kind: 'StorageVersionMigration',
  base: { spec: { resource: { resource: 'things', group: 'a.b' } } },
  rows: [
    ruleAt(
      'spec.resource.resource',
      'there',
      { fails: '' },
      'Required value: resource is required to be set',
    ),
    ruleAt(
      'spec.resource.resource',
      'a label of RFC 1035',
      { passes: 'things', fails: 'Things' },
      'Invalid value: "Things": a DNS-1035 label must consist of…',
    ),
    ruleAt(
      'spec.resource.group',
      'the core group is none',
      { passes: '', fails: 'a_b' },
      'Invalid value: "a_b": a lowercase RFC 1123 subdomain…',
    ),
    {
      ...ruleAt(
        'spec',
        'stays',
        { fails: { resource: { resource: 'others', group: 'a.b' } } },
        'Invalid value: …',
      ),
      from: {},
      passes: { 'metadata.labels': { a: 'b' } },
    },
    written('a number', {
      field: revision,
      from: {},
      passes: { [revision]: '12' },
      fails: { [revision]: '012' },
      message: `${revision}: ${invalid('012', 'resource version is not well formed: 012')}`,
    }),
    written('stays', {
      field: revision,
      from: { [revision]: '12' },
      passes: { [revision]: '12' },
      fails: { [revision]: '13' },
      message: `${revision}: ${invalid('13', 'field is immutable')}`,
    }),
    both(['Succeeded', 'Failed'], 'Both success and failed conditions cannot be true at the same time'),
    both(['Succeeded', 'Running'], 'Running condition cannot be true when success condition is true'),
    both(['Failed', 'Running'], 'Running condition cannot be true when failed condition is true'),
    forGood('Succeeded', 'Success'),
    forGood('Failed', 'Failed'),
  ],
};
