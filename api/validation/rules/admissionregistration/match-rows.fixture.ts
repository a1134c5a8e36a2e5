import type { RuleRow } from '#api/validation/rules/rule-table.fixture.ts';
import { selectorRows } from '#api/validation/rules/selector-rows.fixture.ts';
import { namedRuleRows } from './request-rule-rows.fixture.ts';

/** What a policy is asked about. */
export const rule: object = {
  operations: ['CREATE'],
  apiGroups: [''],
  apiVersions: ['v1'],
  resources: ['configmaps'],
};

/** The rules of MatchResources at `path`, where one rule of either list is written down. */
export function matchRows(path: string): readonly RuleRow[] {
  const excluded = `${path}.excludeResourceRules`;
  return [
    {
      field: `${path}.matchPolicy`,
      rule: 'one of two',
      passes: { [`${path}.matchPolicy`]: 'Exact' },
      fails: { [`${path}.matchPolicy`]: 'Foo' },
      message: `${path}.matchPolicy: Unsupported value: "Foo": supported values: "Equivalent", "Exact"`,
    },
    ...selectorRows(`${path}.namespaceSelector`),
    ...selectorRows(`${path}.objectSelector`),
    ...namedRuleRows(`${path}.resourceRules[0]`),
    ...namedRuleRows(`${excluded}[0]`).map((row) => ({
      ...row,
      passes: { [`${excluded}[0]`]: rule, ...row.passes },
      fails: { [`${excluded}[0]`]: rule, ...row.fails },
    })),
  ];
}

/** The same where DELETE is none of the operations, which two rows then complain of as well. */
export function mutableMatchRows(path: string): readonly RuleRow[] {
  const choices = 'supported values: "*", "CONNECT", "CREATE", "UPDATE"';
  const rows = matchRows(path).map((row) =>
    row.field === `${path}.resourceRules.operations` && row.rule === 'each a known one'
      ? {
          ...row,
          message: [
            ...[row.message].flat(),
            `${path}.resourceRules.operations: Unsupported value: "FOO": ${choices}`,
          ],
        }
      : row,
  );
  return [
    ...rows,
    {
      field: `${path}.resourceRules.operations`,
      rule: 'none that cannot be changed',
      passes: { [`${path}.resourceRules[0].operations`]: ['CONNECT'] },
      fails: { [`${path}.resourceRules[0].operations`]: ['DELETE'] },
      message: `${path}.resourceRules.operations: Unsupported value: "DELETE": ${choices}`,
    },
  ];
}
