import type { RuleRow } from '#api/validation/rules/rule-table.fixture.ts';

const fieldOf = (path: string): string => path.replaceAll(/\[\d+\]/g, '');

/** Rules about which requests are meant; `path` is where the rule is, with the places in lists, `also` what is said of every one. */
export function requestRuleRows(path: string): readonly RuleRow[] {
  const field = fieldOf(path);
  const some = (name: string): RuleRow => ({
    field: `${field}.${name}`,
    rule: 'some',
    fails: { [`${path}.${name}`]: [] },
    message: `${path}.${name}: Required value`,
  });
  const alone = (name: string, what: string, other: string): RuleRow => ({
    field: `${field}.${name}`,
    rule: 'nothing beside *',
    passes: { [`${path}.${name}`]: ['*'] },
    fails: { [`${path}.${name}`]: ['*', other] },
    message: `${path}.${name}: Invalid value: ["*","${other}"]: if '*' is present, must not specify other ${what}`,
  });
  return [
    some('operations'),
    alone('operations', 'operations', 'CREATE'),
    {
      field: `${field}.operations`,
      rule: 'each a known one',
      passes: { [`${path}.operations`]: ['CREATE', 'UPDATE'] },
      fails: { [`${path}.operations`]: ['FOO'] },
      message: `${path}.operations[0]: Unsupported value: "FOO": supported values: "*", "CONNECT", "CREATE", "DELETE", "UPDATE"`,
    },
    some('apiGroups'),
    alone('apiGroups', 'API groups', 'x'),
    some('apiVersions'),
    alone('apiVersions', 'API versions', 'v1'),
    {
      field: `${field}.apiVersions`,
      rule: 'none empty',
      passes: { [`${path}.apiVersions`]: ['v1', 'v2'] },
      fails: { [`${path}.apiVersions`]: ['v1', ''] },
      message: `${path}.apiVersions[1]: Required value`,
    },
    ...resourceRows(path),
    {
      field: `${field}.scope`,
      rule: 'one of three',
      passes: { [`${path}.scope`]: 'Namespaced' },
      fails: { [`${path}.scope`]: 'Foo' },
      message: `${path}.scope: Unsupported value: "Foo": supported values: "*", "Cluster", "Namespaced"`,
    },
  ];
}

function resourceRows(path: string): readonly RuleRow[] {
  const row = (
    rule: string,
    passes: readonly string[],
    [fails, message]: readonly [fails: readonly string[], message: string],
  ): RuleRow => ({
    field: `${fieldOf(path)}.resources`,
    rule,
    passes: { [`${path}.resources`]: passes },
    fails: { [`${path}.resources`]: fails },
    message: `${path}.resources${message}`,
  });
  return [
    row('some', ['pods'], [[], ': Required value']),
    row('none empty', ['pods', 'pods/status'], [['pods', ''], '[1]: Required value']),
    row(
      'none that an earlier x/* stands for',
      ['pods/status', 'pods/*'],
      [
        ['pods/*', 'pods/status'],
        '[1]: Invalid value: "pods/status": if \'pods/*\' is present, must not specify pods/status',
      ],
    ),
    row(
      'none that an earlier */x stands for',
      ['pods/status', '*/status'],
      [
        ['*/status', 'pods/status'],
        '[1]: Invalid value: "pods/status": if \'*/status\' is present, must not specify pods/status',
      ],
    ),
    row(
      'nothing beside */*',
      ['*/*'],
      [
        ['pods', '*/*'],
        ': Invalid value: ["pods","*/*"]: if \'*/*\' is present, must not specify other resources',
      ],
    ),
    row(
      'no other without subresource beside *',
      ['*', 'pods/status'],
      [
        ['*', 'pods'],
        ': Invalid value: ["*","pods"]: if \'*\' is present, must not specify other resources without subresources',
      ],
    ),
  ];
}

/** Rules of MatchResources; `path` is where they are. */
export function namedRuleRows(path: string): readonly RuleRow[] {
  return [
    {
      field: `${fieldOf(path)}.resourceNames`,
      rule: 'segments of a path',
      passes: { [`${path}.resourceNames`]: ['a b', 'c'] },
      fails: { [`${path}.resourceNames`]: ['a/b'] },
      message: `${path}.resourceNames[0]: Invalid value: "a/b": may not contain '/'`,
    },
    {
      field: `${fieldOf(path)}.resourceNames`,
      rule: 'each once',
      fails: { [`${path}.resourceNames`]: ['a', 'b', 'a'] },
      message: `${path}.resourceNames[2]: Duplicate value: "a"`,
    },
    ...requestRuleRows(path),
  ];
}

/** Rules of the conditions under which requests are matched. */
export function matchConditionRows(path: string): readonly RuleRow[] {
  const field = fieldOf(path);
  const condition = (name: string): object => ({ name, expression: 'true' });
  return [
    {
      field: `${field}.name`,
      rule: 'there',
      passes: { [path]: [condition('a.b/c')] },
      fails: { [path]: [condition('')] },
      message: `${path}[0].name: Required value`,
    },
    {
      field: `${field}.name`,
      rule: 'a qualified name',
      fails: { [path]: [condition('A B')] },
      message: `${path}[0].name: Invalid value: "A B": name part must consist of…`,
    },
    {
      field: `${field}.name`,
      rule: 'each once',
      passes: { [path]: [condition('a'), condition('b')] },
      fails: { [path]: [condition('a'), condition('a')] },
      message: `${path}[1].name: Duplicate value: "a"`,
    },
    {
      field: `${field}.name`,
      rule: 'at most 64 conditions',
      passes: { [path]: Array.from({ length: 64 }, (_, index) => condition(`c${index}`)) },
      fails: { [path]: Array.from({ length: 65 }, (_, index) => condition(`c${index}`)) },
      message: `${path}: Too many: 65: must have at most 64 items`,
    },
    {
      field: `${field}.expression`,
      rule: 'there',
      fails: { [path]: [{ name: 'a', expression: ' ' }] },
      message: `${path}[0].expression: Required value`,
    },
  ];
}
