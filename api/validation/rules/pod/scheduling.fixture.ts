import { invalid, oneOfAt, ruleAt, says } from '#api/validation/rules/row.fixture.ts';
import type { RuleRow } from '#api/validation/rules/rule-table.fixture.ts';
import { selectorRows } from '#api/validation/rules/selector-rows.fixture.ts';

const required = 'requiredDuringSchedulingIgnoredDuringExecution';
const preferred = 'preferredDuringSchedulingIgnoredDuringExecution';

/** Rows that need more of the object around them. */
function beside(rows: readonly RuleRow[], edits: Readonly<Record<string, unknown>>): readonly RuleRow[] {
  return rows.map((row) => ({
    ...row,
    passes: { ...edits, ...row.passes },
    fails: { ...edits, ...row.fails },
  }));
}

function nodeTermRows(term: string): readonly RuleRow[] {
  const e = `${term}.matchExpressions[0]`;
  const f = `${term}.matchFields[0]`;
  return [
    ruleAt(`${e}.key`, 'a qualified name', { passes: 'a/b', fails: 'a b' }, invalid('a b', says.qualified), {
      [`${e}.operator`]: 'Exists',
    }),
    ruleAt(
      `${e}.operator`,
      'one of six',
      { passes: 'DoesNotExist', fails: 'X' },
      invalid('X', 'not a valid selector operator'),
      { [`${e}.key`]: 'a' },
    ),
    ruleAt(
      `${e}.values`,
      'some for In and NotIn',
      { passes: ['b'], fails: [] },
      "Required value: must be specified when `operator` is 'In' or 'NotIn'",
      { [e]: { key: 'a', operator: 'In' } },
    ),
    ruleAt(
      `${e}.values`,
      'none for Exists and DoesNotExist',
      { passes: [], fails: ['b'] },
      "Forbidden: may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
      { [e]: { key: 'a', operator: 'Exists' } },
    ),
    ruleAt(
      `${e}.values`,
      'one for Gt and Lt',
      { passes: ['1'], fails: ['1', '2'] },
      "Required value: must be specified single value when `operator` is 'Lt' or 'Gt'",
      { [e]: { key: 'a', operator: 'Gt' } },
    ),
    ...(term.includes(required)
      ? [
          ruleAt(
            `${e}.values`,
            'values of labels',
            { fails: ['b c'] },
            [`${e}.values[0]: ${invalid('b c', says.labelValue)}`],
            { [e]: { key: 'a', operator: 'In' } },
          ),
        ]
      : [
          ruleAt(
            `${e}.values`,
            'anything else',
            { passes: ['b c'], fails: [] },
            "Required value: must be specified when `operator` is 'In' or 'NotIn'",
            { [e]: { key: 'a', operator: 'NotIn' } },
          ),
        ]),
    ruleAt(
      `${f}.key`,
      'the name',
      { passes: 'metadata.name', fails: 'x' },
      invalid('x', 'not a valid field selector key'),
      { [f]: { operator: 'In', values: ['n'] } },
    ),
    ruleAt(
      `${f}.operator`,
      'one of two',
      { passes: 'NotIn', fails: 'Exists' },
      invalid('Exists', 'not a valid selector operator'),
      { [f]: { key: 'metadata.name', values: ['n'] } },
    ),
    ruleAt(
      `${f}.values`,
      'one',
      { passes: ['n'], fails: ['n', 'm'] },
      "Required value: must be only one value when `operator` is 'In' or 'NotIn' for node field selector",
      { [f]: { key: 'metadata.name', operator: 'In' } },
    ),
    ruleAt(
      `${f}.values`,
      'a name of a node',
      { fails: ['N'] },
      [`${f}.values[0]: ${invalid('N', says.subdomain)}`],
      { [f]: { key: 'metadata.name', operator: 'In' } },
    ),
  ];
}

function podTermRows(term: string): readonly RuleRow[] {
  return beside(
    [
      ...selectorRows(`${term}.labelSelector`),
      ...selectorRows(`${term}.namespaceSelector`),
      ruleAt(`${term}.namespaces`, 'names', { passes: ['n'], fails: ['N'] }, [
        `${term}.namespace: ${invalid('N', says.label)}`,
      ]),
      ruleAt(`${term}.topologyKey`, 'there', { passes: 'a/b', fails: '' }, [
        `${term}.topologyKey: Required value: can not be empty`,
        `${term}.topologyKey: Invalid value: "": name part must be non-empty`,
        `${term}.topologyKey: Invalid value: "": ${says.qualified}`,
      ]),
      ...['matchLabelKeys', 'mismatchLabelKeys'].flatMap((name) => [
        ruleAt(
          `${term}.${name}`,
          'with a selector',
          { fails: ['k'] },
          'Forbidden: must not be specified when labelSelector is not set',
        ),
        ruleAt(
          `${term}.${name}`,
          'keys of labels',
          { passes: ['k'], fails: ['k k'] },
          [`${term}.${name}[0]: ${invalid('k k', says.qualified)}`],
          { [`${term}.labelSelector`]: {} },
        ),
      ]),
      ruleAt(
        `${term}.matchLabelKeys`,
        'not those of mismatchLabelKeys',
        { fails: ['k'] },
        [
          `${term}.matchLabelKeys[0]: Invalid value: "k": exists in both matchLabelKeys and mismatchLabelKeys`,
        ],
        { [`${term}.labelSelector`]: {}, [`${term}.mismatchLabelKeys`]: ['k'] },
      ),
      ruleAt(
        `${term}.matchLabelKeys`,
        'none of the selector',
        { passes: ['m'], fails: ['k'] },
        [`${term}[0]: Invalid value: "k": exists in both matchLabelKeys and labelSelector`],
        { [`${term}.labelSelector.matchLabels`]: { k: 'v' }, 'metadata.labels': { k: 'v' } },
      ),
    ],
    { [`${term}.topologyKey`]: 'k' },
  );
}

const weight = (term: string, rest: Readonly<Record<string, unknown>>): RuleRow =>
  ruleAt(
    `${term}.weight`,
    '1 to 100',
    { passes: 100, fails: 101 },
    invalid(101, 'must be in the range 1-100'),
    rest,
  );

const node = 'spec.affinity.nodeAffinity';

const affinityRows: readonly RuleRow[] = [
  ruleAt(
    `${node}.${required}.nodeSelectorTerms`,
    'some',
    { passes: [{}], fails: [] },
    'Required value: must have at least one node selector term',
  ),
  ...nodeTermRows(`${node}.${required}.nodeSelectorTerms[0]`),
  ...beside(nodeTermRows(`${node}.${preferred}[0].preference`), { [`${node}.${preferred}[0].weight`]: 1 }),
  weight(`${node}.${preferred}[0]`, { [`${node}.${preferred}[0].preference`]: {} }),
  ...['podAffinity', 'podAntiAffinity'].flatMap((name) => {
    const path = `spec.affinity.${name}`;
    return [
      ...podTermRows(`${path}.${required}[0]`),
      ...beside(podTermRows(`${path}.${preferred}[0].podAffinityTerm`), {
        [`${path}.${preferred}[0].weight`]: 1,
      }),
      weight(`${path}.${preferred}[0]`, { [`${path}.${preferred}[0].podAffinityTerm.topologyKey`]: 'k' }),
    ];
  }),
];

const t = 'spec.tolerations[0]';

const tolerationRows: readonly RuleRow[] = [
  ruleAt(`${t}.key`, 'a qualified name', { passes: 'a/b', fails: 'a b' }, invalid('a b', says.qualified), {
    [`${t}.operator`]: 'Exists',
  }),
  ruleAt(
    `${t}.operator`,
    'one of two',
    { passes: 'Exists', fails: 'X' },
    'Unsupported value: "X": supported values: "Equal", "Exists"',
    { [`${t}.key`]: 'a' },
  ),
  ruleAt(
    `${t}.operator`,
    'none of an alpha feature',
    { fails: 'Lt' },
    'Unsupported value: "Lt": supported values: "Equal", "Exists", "Lt", "Gt"',
    { [`${t}.key`]: 'a' },
  ),
  ruleAt(
    `${t}.operator`,
    'Exists without a key',
    { passes: 'Exists', fails: 'Equal' },
    invalid(
      'Equal',
      'operator must be Exists when `key` is empty, which means "match all values and all keys"',
    ),
  ),
  ruleAt(
    `${t}.value`,
    'a value of a label',
    { passes: 'b', fails: 'b c' },
    [`${t}.operator: ${invalid('b c', says.labelValue)}`],
    { [`${t}.key`]: 'a' },
  ),
  ruleAt(
    `${t}.value`,
    'none for Exists',
    { passes: '', fails: 'b' },
    [`${t}.operator: Invalid value: "b": value must be empty when \`operator\` is 'Exists'`],
    { [t]: { key: 'a', operator: 'Exists' } },
  ),
  oneOfAt(`${t}.effect`, ['NoSchedule', 'PreferNoSchedule', 'NoExecute'], { [`${t}.operator`]: 'Exists' }),
  ruleAt(
    `${t}.tolerationSeconds`,
    'of NoExecute',
    { passes: undefined, fails: 5 },
    [
      `${t}.effect: Invalid value: "NoSchedule": effect must be 'NoExecute' when \`tolerationSeconds\` is set`,
    ],
    { [t]: { operator: 'Exists', effect: 'NoSchedule' } },
  ),
];

const s = 'spec.topologySpreadConstraints[0]';
const spread = { maxSkew: 1, topologyKey: 'k', whenUnsatisfiable: 'DoNotSchedule' };

const spreadRows: readonly RuleRow[] = beside(
  [
    ruleAt(`${s}.maxSkew`, 'above 0', { passes: 2, fails: 0 }, invalid(0, 'must be greater than zero')),
    ruleAt(`${s}.topologyKey`, 'there', { passes: 'a b', fails: '' }, 'Required value: can not be empty'),
    oneOfAt(`${s}.whenUnsatisfiable`, ['DoNotSchedule', 'ScheduleAnyway']),
    ruleAt(
      'spec.topologySpreadConstraints',
      'each pair once',
      { passes: [spread, { ...spread, topologyKey: 'l' }], fails: [spread, spread] },
      [`${s}.{topologyKey, whenUnsatisfiable}: Duplicate value: "{k, DoNotSchedule}"`],
    ),
    ruleAt(`${s}.minDomains`, 'above 0', { passes: 1, fails: 0 }, invalid(0, 'must be greater than zero')),
    ruleAt(
      `${s}.minDomains`,
      'of DoNotSchedule',
      { fails: 1 },
      invalid(1, 'can only use minDomains if whenUnsatisfiable=DoNotSchedule, not ScheduleAnyway'),
      { [`${s}.whenUnsatisfiable`]: 'ScheduleAnyway' },
    ),
    oneOfAt(`${s}.nodeAffinityPolicy`, ['Honor', 'Ignore']),
    oneOfAt(`${s}.nodeTaintsPolicy`, ['Honor', 'Ignore']),
    ruleAt(
      `${s}.matchLabelKeys`,
      'with a selector',
      { fails: ['k'] },
      'Forbidden: must not be specified when labelSelector is not set',
    ),
    ruleAt(
      `${s}.matchLabelKeys`,
      'keys of labels',
      { passes: ['k'], fails: ['k k'] },
      [`${s}.matchLabelKeys[0]: ${invalid('k k', says.qualified)}`],
      { [`${s}.labelSelector`]: {} },
    ),
    ruleAt(
      `${s}.matchLabelKeys`,
      'none of the selector',
      { fails: ['k'] },
      [`${s}[0]: Invalid value: "k": exists in both matchLabelKeys and labelSelector`],
      { [`${s}.labelSelector.matchLabels`]: { k: 'v' }, 'metadata.labels': { k: 'v' } },
    ),
    ...selectorRows(`${s}.labelSelector`),
  ],
  { [s]: spread },
);

export const schedulingRows: readonly RuleRow[] = [
  ...affinityRows,
  ...tolerationRows,
  ...spreadRows,
  ruleAt(
    'spec.nodeSelector',
    'labels',
    { passes: { a: 'b' }, fails: { a: 'b c' } },
    invalid('b c', says.labelValue),
  ),
  ruleAt('spec.schedulingGates[0].name', 'a qualified name', { passes: 'a/b', fails: 'a b' }, [
    `spec.schedulingGates[0]: ${invalid('a b', says.qualified)}`,
  ]),
  ruleAt(
    'spec.schedulingGates',
    'each once',
    { passes: [{ name: 'a' }, { name: 'b' }], fails: [{ name: 'a' }, { name: 'a' }] },
    ['spec.schedulingGates[1]: Duplicate value: "a"'],
  ),
  ruleAt(
    'spec.nodeName',
    'not while gated',
    { fails: 'n' },
    'Forbidden: cannot be set until all schedulingGates have been cleared',
    { 'spec.schedulingGates': [{ name: 'a' }] },
  ),
  ruleAt(
    'spec.readinessGates[0].conditionType',
    'a qualified name',
    { passes: 'a/b', fails: 'a b' },
    invalid('a b', says.qualified),
  ),
];
