import { invalid, ruleAt } from '#api/validation/rules/row.fixture.ts';
import type { RuleTable } from '#api/validation/rules/rule-table.fixture.ts';
import { many, opaqueRows, selectorRows } from './device-rows.fixture.ts';

const opaque = { driver: 'd', parameters: { a: 'b'.repeat(10_240) } };

export const deviceClass: RuleTable = {
  apiVersion: 'resource.k8s.io/v1',
  kind: 'DeviceClass',
  base: {
    spec: {
      selectors: [{ cel: { expression: 'device.driver == "d"' } }],
      config: [{ opaque: { driver: 'd', parameters: { x: 1 } } }],
    },
  },
  rows: [
    ...selectorRows('spec.selectors'),
    {
      field: 'spec.selectors.cel.expression',
      rule: 'not compiled again as long as it stays',
      from: { 'spec.selectors[0].cel.expression': '1' },
      passes: { 'spec.selectors[0].cel.expression': '1', 'spec.extendedResourceName': 'a.b/c' },
      fails: { 'spec.selectors[0].cel.expression': '2' },
      message: `spec.selectors[0].cel.expression: ${invalid('2', 'must evaluate to bool or the unknown type, not int')}`,
    },
    ruleAt(
      'spec.config',
      'at most 32',
      {
        passes: many(32, () => ({ opaque: { driver: 'd', parameters: {} } })),
        fails: many(33, () => ({ opaque: { driver: 'd', parameters: {} } })),
      },
      'Too many: 33: must have at most 32 items',
    ),
    ...opaqueRows('spec.config[0]'),
    {
      field: 'spec.config.opaque.parameters',
      rule: 'of whatever length as long as they stay',
      from: { 'spec.config': [{ opaque }] },
      passes: { 'spec.extendedResourceName': 'a.b/c' },
      fails: { 'spec.config': [{ opaque: { ...opaque, driver: 'e' } }] },
      message: 'spec.config[0].opaque.parameters: Too long: may not be more than 10240 bytes',
    },
    ruleAt(
      'spec.extendedResourceName',
      'one of an extended resource',
      { passes: 'a.b/c', fails: 'cpu' },
      invalid('cpu', 'must be a valid extended resource name'),
    ),
  ],
};
