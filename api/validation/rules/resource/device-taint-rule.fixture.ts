import { invalid, ruleAt, says } from '#api/validation/rules/row.fixture.ts';
import type { RuleRow, RuleTable } from '#api/validation/rules/rule-table.fixture.ts';
import { driverRows, many } from './device-rows.fixture.ts';

const taint = { key: 'k', effect: 'None' };
const selector = 'spec.deviceSelector';
const condition = (index: number): object => ({
  ...{
    type: `T${index}`,
    status: 'True',
    reason: 'R',
    message: '',
    lastTransitionTime: '2026-12-02T00:00:00Z',
  },
});
const statusRow = (rule: string, values: Pick<RuleRow, 'passes' | 'fails'>, message: string): RuleRow => ({
  ...{ field: 'status.conditions', rule, from: {}, subresource: 'status', message },
  ...values,
});

export const deviceTaintRule: RuleTable = {
  apiVersion: 'resource.k8s.io/v1beta2',
  kind: 'DeviceTaintRule',
  base: { spec: { taint } },
  rows: [
    ...driverRows(`${selector}.driver`),
    ruleAt(`${selector}.pool`, 'there', { passes: 'a.b/c', fails: '' }, 'Required value'),
    ruleAt(`${selector}.pool`, 'subdomains', { passes: 'a/b', fails: 'a/B_' }, invalid('B_', says.subdomain)),
    ruleAt(`${selector}.device`, 'a label', { passes: 'a', fails: 'a.b' }, invalid('a.b', says.label)),
    ruleAt(
      'spec.taint.key',
      'a qualified name',
      { passes: 'a/b', fails: 'a b' },
      invalid('a b', says.qualified),
    ),
    ruleAt(
      'spec.taint.value',
      'the value of a label',
      { passes: 'a', fails: 'a b' },
      invalid('a b', says.labelValue),
    ),
    ruleAt('spec.taint.effect', 'there', { passes: 'NoSchedule', fails: '' }, 'Required value'),
    ruleAt(
      'spec.taint.effect',
      'one of three',
      { passes: 'NoExecute', fails: 'PreferNoSchedule' },
      'Unsupported value: "PreferNoSchedule": supported values: "NoExecute", "NoSchedule", "None"',
    ),
    statusRow(
      'at most eight',
      {
        passes: { 'status.conditions': many(8, condition) },
        fails: { 'status.conditions': many(9, condition) },
      },
      'status.conditions: Too many: 9: must have at most 8 items',
    ),
    statusRow(
      'each once',
      {
        passes: { 'status.conditions': [condition(0)] },
        fails: { 'status.conditions': [condition(0), condition(0)] },
      },
      'status.conditions[1].type: Duplicate value: "T0"',
    ),
  ],
  none: { times: ['spec.taint.timeAdded'] },
};
