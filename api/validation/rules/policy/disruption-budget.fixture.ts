import type { RuleTable } from '#api/validation/rules/rule-table.fixture.ts';
import { selectorRows } from '#api/validation/rules/selector-rows.fixture.ts';

const allowed = {
  ...{ type: 'DisruptionAllowed', status: 'True', message: '' },
  lastTransitionTime: '2026-01-01T00:00:00Z',
};

export const podDisruptionBudget: RuleTable = {
  apiVersion: 'policy/v1',
  kind: 'PodDisruptionBudget',
  base: { spec: { selector: { matchLabels: { a: 'b' } } } },
  rows: [
    {
      field: 'spec',
      rule: 'one of two bounds',
      passes: { 'spec.minAvailable': 1 },
      fails: { spec: { minAvailable: 1, maxUnavailable: 1 } },
      message:
        'spec: Invalid value: {"MinAvailable":1,"Selector":null,"MaxUnavailable":1,"UnhealthyPodEvictionPolicy":null}: minAvailable and maxUnavailable cannot be both set',
    },
    ...['minAvailable', 'maxUnavailable'].flatMap((name) => [
      {
        field: `spec.${name}`,
        rule: 'not negative',
        passes: { [`spec.${name}`]: 0 },
        fails: { [`spec.${name}`]: -1 },
        message: `spec.${name}: Invalid value: -1: must be greater than or equal to 0`,
      },
      {
        field: `spec.${name}`,
        rule: 'a share of a whole',
        passes: { [`spec.${name}`]: '100%' },
        fails: { [`spec.${name}`]: '101%' },
        message: `spec.${name}: Invalid value: "101%": must not be greater than 100%`,
      },
      {
        field: `spec.${name}`,
        rule: 'a number or a percentage',
        fails: { [`spec.${name}`]: 'x' },
        message: `spec.${name}: Invalid value: "x": a valid percent string must be a numeric string…`,
      },
    ]),
    {
      field: 'spec.unhealthyPodEvictionPolicy',
      rule: 'one of two',
      passes: { 'spec.unhealthyPodEvictionPolicy': 'AlwaysAllow' },
      fails: { 'spec.unhealthyPodEvictionPolicy': 'X' },
      message:
        'spec.unhealthyPodEvictionPolicy: Unsupported value: "X": supported values: "AlwaysAllow", "IfHealthyBudget"',
    },
    ...['disruptionsAllowed', 'currentHealthy', 'desiredHealthy', 'expectedPods'].map((name) => ({
      field: `status.${name}`,
      rule: 'not negative',
      subresource: 'status',
      from: {},
      passes: { [`status.${name}`]: 0 },
      fails: { [`status.${name}`]: -1 },
      message: `status.${name}: Invalid value: -1: must be greater than or equal to 0`,
    })),
    {
      field: 'status.conditions',
      rule: 'with a reason',
      subresource: 'status',
      from: {},
      passes: { 'status.conditions': [{ ...allowed, reason: 'SufficientPods' }] },
      fails: { 'status.conditions': [allowed] },
      message: 'status.conditions[0].reason: Required value: must be set',
    },
    ...selectorRows('spec.selector'),
  ],
};
