import type { RuleRow } from './rule-table.fixture.ts';

/** Rules of a LabelSelector; `path` is where it is in an object, with the places in lists. */
export function selectorRows(path: string, also: readonly string[] = []): readonly RuleRow[] {
  const field = path.replaceAll(/\[\d+\]/g, '');
  const expression = `${path}.matchExpressions[0]`;
  const row = (
    name: string,
    rule: string,
    { passes, fails, message }: { readonly passes: object; readonly fails: object; readonly message: string },
  ): RuleRow => ({
    field: `${field}.matchExpressions.${name}`,
    rule,
    ...(also.length === 0 ? { passes: { [expression]: passes } } : {}),
    fails: { [expression]: fails },
    message: [message, ...also],
  });
  return [
    {
      field: `${field}.matchLabels`,
      rule: 'labels',
      fails: { [`${path}.matchLabels[b]`]: 'c d' },
      message: [
        `${path}.matchLabels: Invalid value: "c d": a valid label must be an empty string or consist…`,
        ...also,
      ],
    },
    row('key', 'a qualified name', {
      passes: { key: 'a.b/c', operator: 'DoesNotExist' },
      fails: { key: 'a b', operator: 'DoesNotExist' },
      message: `${expression}.key: Invalid value: "a b": name part must consist of…`,
    }),
    row('operator', 'one of four', {
      passes: { key: 'z', operator: 'NotIn', values: ['b'] },
      fails: { key: 'z', operator: 'Gt', values: ['1'] },
      message: `${expression}.operator: Invalid value: "Gt": not a valid selector operator`,
    }),
    row('values', 'some for In and NotIn', {
      passes: { key: 'z', operator: 'NotIn', values: [''] },
      fails: { key: 'z', operator: 'NotIn', values: [] },
      message: `${expression}.values: Required value: must be specified when \`operator\` is 'In' or 'NotIn'`,
    }),
    row('values', 'none for Exists and DoesNotExist', {
      passes: { key: 'z', operator: 'DoesNotExist' },
      fails: { key: 'z', operator: 'DoesNotExist', values: ['b'] },
      message: `${expression}.values: Forbidden: may not be specified when \`operator\` is 'Exists' or 'DoesNotExist'`,
    }),
    row('values', 'values of labels', {
      passes: { key: 'z', operator: 'NotIn', values: ['b'] },
      fails: { key: 'z', operator: 'NotIn', values: ['b c'] },
      message: `${expression}.values[0]: Invalid value: "b c": a valid label must be an empty string or consist…`,
    }),
  ];
}
