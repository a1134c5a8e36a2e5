import type { RuleRow } from './rule-table.fixture.ts';

/** Rules of a NodeSelector; `path` is where it is, `with` what the object needs beside. */
export function nodeSelectorRows(path: string): readonly RuleRow[] {
  const terms = `${path}.nodeSelectorTerms`;
  const row = (
    list: 'matchExpressions' | 'matchFields',
    name: string,
    {
      rule,
      passes,
      fails,
      message,
    }: { readonly rule: string; readonly passes: object; readonly fails: object; readonly message: string },
  ): RuleRow => ({
    field: `${terms}.${list}.${name}`,
    rule,
    passes: { [terms]: [{ [list]: [passes] }] },
    fails: { [terms]: [{ [list]: [fails] }] },
    message: `${terms}[0].${list}[0].${message}`,
  });
  const label = { key: 'a.b/c', operator: 'In', values: ['d'] };
  const field = { key: 'metadata.name', operator: 'In', values: ['n'] };
  return [
    {
      field: terms,
      rule: 'some',
      passes: { [terms]: [{ matchExpressions: [label] }] },
      fails: { [terms]: [] },
      message: `${terms}: Required value: must have at least one node selector term`,
    },
    row('matchExpressions', 'key', {
      rule: 'a qualified name',
      passes: label,
      fails: { ...label, key: 'a b' },
      message: 'key: Invalid value: "a b": name part must consist of…',
    }),
    row('matchExpressions', 'operator', {
      rule: 'one of six',
      passes: { key: 'a', operator: 'Exists' },
      fails: { key: 'a', operator: 'Foo' },
      message: 'operator: Invalid value: "Foo": not a valid selector operator',
    }),
    row('matchExpressions', 'values', {
      rule: 'some for In and NotIn',
      passes: { ...label, operator: 'NotIn' },
      fails: { key: 'a', operator: 'In' },
      message: "values: Required value: must be specified when `operator` is 'In' or 'NotIn'",
    }),
    row('matchExpressions', 'values', {
      rule: 'none for Exists and DoesNotExist',
      passes: { key: 'a', operator: 'DoesNotExist' },
      fails: { ...label, operator: 'Exists' },
      message: "values: Forbidden: may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
    }),
    row('matchExpressions', 'values', {
      rule: 'one for Lt and Gt',
      passes: { key: 'a', operator: 'Gt', values: ['1'] },
      fails: { key: 'a', operator: 'Lt', values: ['1', '2'] },
      message: "values: Required value: must be specified single value when `operator` is 'Lt' or 'Gt'",
    }),
    row('matchExpressions', 'values', {
      rule: 'values of labels',
      passes: label,
      fails: { ...label, values: ['a b'] },
      message: 'values[0]: Invalid value: "a b": a valid label must be…',
    }),
    row('matchFields', 'key', {
      rule: 'the name',
      passes: field,
      fails: { ...field, key: 'spec.x' },
      message: 'key: Invalid value: "spec.x": not a valid field selector key',
    }),
    row('matchFields', 'operator', {
      rule: 'one of two',
      passes: { ...field, operator: 'NotIn' },
      fails: { ...field, operator: 'Exists' },
      message: 'operator: Invalid value: "Exists": not a valid selector operator',
    }),
    row('matchFields', 'values', {
      rule: 'one',
      passes: field,
      fails: { ...field, values: ['n', 'm'] },
      message:
        "values: Required value: must be only one value when `operator` is 'In' or 'NotIn' for node field selector",
    }),
    row('matchFields', 'values', {
      rule: 'a name of a node',
      passes: field,
      fails: { ...field, values: ['N'] },
      message: 'values[0]: Invalid value: "N": a lowercase RFC 1123 subdomain must consist…',
    }),
  ];
}
