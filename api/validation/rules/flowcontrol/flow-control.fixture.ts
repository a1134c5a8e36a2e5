import type { RuleRow, RuleTable } from '#api/validation/rules/rule-table.fixture.ts';

const conditionRows: readonly RuleRow[] = [
  {
    field: 'status.conditions',
    rule: 'each with a type',
    from: {},
    subresource: 'status',
    passes: { 'status.conditions': [{ type: 'A' }, { type: 'B' }] },
    fails: { 'status.conditions': [{ status: 'True' }] },
    message: 'status.conditions[0].type: Required value: must not be empty',
  },
  {
    field: 'status.conditions',
    rule: 'each type once',
    from: {},
    subresource: 'status',
    fails: { 'status.conditions': [{ type: 'A' }, { type: 'A' }] },
    message: 'status.conditions[1].type: Duplicate value: "A"',
  },
];

const precedenceRow = (value: number, message: string): RuleRow => ({
  field: 'spec.matchingPrecedence',
  rule: `2 to 10000, not ${value}`,
  passes: { 'spec.matchingPrecedence': value > 1 ? 10_000 : 2 },
  fails: { 'spec.matchingPrecedence': value },
  message: `spec.matchingPrecedence: Invalid value: ${value}: ${message}`,
});

const rule = 'spec.rules[0]';
const subject = `${rule}.subjects[0]`;
const resources = `${rule}.resourceRules[0]`;
const urls = `${rule}.nonResourceRules[0]`;
const user = { kind: 'User', user: { name: 'u' } };
const account = (name: string, namespace: string): object => ({
  kind: 'ServiceAccount',
  serviceAccount: { name, namespace },
});
const verbs =
  'supported values: "create", "delete", "deletecollection", "get", "list", "patch", "proxy", "update", "watch"';

const subjectRow = (
  field: string,
  text: string,
  [passes, fails, message]: readonly [passes: object, fails: object, message: string | readonly string[]],
): RuleRow => ({
  field: `spec.rules.subjects.${field}`,
  rule: text,
  passes: { [subject]: passes },
  fails: { [subject]: fails },
  message: [message].flat().map((each) => `${subject}.${each}`),
});

const verbRows = (path: string, field: string): readonly RuleRow[] => [
  {
    field,
    rule: 'some',
    fails: { [`${path}.verbs`]: [] },
    message: `${path}.verbs: Required value: verbs must contain at least one value`,
  },
  {
    field,
    rule: 'nothing beside *',
    passes: { [`${path}.verbs`]: ['*'] },
    fails: { [`${path}.verbs`]: ['*', 'get'] },
    message: `${path}.verbs: Invalid value: ["*","get"]: if '*' is present, must not specify other verbs`,
  },
  {
    field,
    rule: 'known ones',
    passes: { [`${path}.verbs`]: ['get', 'proxy'] },
    fails: { [`${path}.verbs`]: ['Foo'] },
    message: `${path}.verbs: Unsupported value: ["Foo"]: ${verbs}`,
  },
];

const listRows = (name: string, one: string, several: string): readonly RuleRow[] => [
  {
    field: `spec.rules.resourceRules.${name}`,
    rule: 'some',
    fails: { [`${resources}.${name}`]: [] },
    message: `${resources}.${name}: Required value: resource rules must supply at least one ${one}`,
  },
  {
    field: `spec.rules.resourceRules.${name}`,
    rule: 'nothing beside *',
    passes: { [`${resources}.${name}`]: ['*'] },
    fails: { [`${resources}.${name}`]: ['*', 'x'] },
    message: `${resources}.${name}: Invalid value: ["*","x"]: if '*' is present, must not specify other ${several}`,
  },
];

const urlRow = (url: string, message: string): RuleRow => ({
  field: 'spec.rules.nonResourceRules.nonResourceURLs',
  rule: message,
  passes: { [`${urls}.nonResourceURLs`]: ['/', '/a/*'] },
  fails: { [`${urls}.nonResourceURLs`]: [url] },
  message: `${urls}.nonResourceURLs[0]: Invalid value: ${JSON.stringify(url)}: ${message}`,
});

export const flowSchema: RuleTable = {
  apiVersion: 'flowcontrol.apiserver.k8s.io/v1',
  kind: 'FlowSchema',
  base: {
    spec: {
      priorityLevelConfiguration: { name: 'l' },
      distinguisherMethod: { type: 'ByUser' },
      rules: [
        {
          subjects: [user],
          resourceRules: [{ verbs: ['get'], apiGroups: [''], resources: ['pods'], namespaces: ['n'] }],
          nonResourceRules: [{ verbs: ['get'], nonResourceURLs: ['/a'] }],
        },
      ],
    },
  },
  rows: [
    precedenceRow(-1, 'must be a positive value'),
    precedenceRow(1, "only the schema named 'exempt' may have matchingPrecedence 1"),
    precedenceRow(10_001, 'must not be greater than 10000'),
    {
      field: 'spec.distinguisherMethod.type',
      rule: 'one of two',
      passes: { 'spec.distinguisherMethod.type': 'ByNamespace' },
      fails: { 'spec.distinguisherMethod.type': 'Foo' },
      message:
        'spec.distinguisherMethod.type: Unsupported value: {"Type":"Foo"}: supported values: "ByNamespace", "ByUser"',
    },
    {
      field: 'spec.priorityLevelConfiguration.name',
      rule: 'there',
      fails: { 'spec.priorityLevelConfiguration.name': '' },
      message: 'spec.priorityLevelConfiguration.name: Required value: must reference a priority level',
    },
    {
      field: 'spec.priorityLevelConfiguration.name',
      rule: 'a DNS subdomain',
      passes: { 'spec.priorityLevelConfiguration.name': 'a.b' },
      fails: { 'spec.priorityLevelConfiguration.name': 'A' },
      message:
        'spec.priorityLevelConfiguration.name: Invalid value: "A": a lowercase RFC 1123 subdomain must consist…',
    },
    {
      field: 'spec.rules.subjects',
      rule: 'some',
      fails: { [`${rule}.subjects`]: [] },
      message: `${rule}.subjects: Required value: subjects must contain at least one value`,
    },
    {
      field: 'spec.rules',
      rule: 'about resources or URLs',
      passes: { [`${rule}.nonResourceRules`]: [] },
      fails: { [`${rule}.nonResourceRules`]: [], [`${rule}.resourceRules`]: [] },
      message: `${rule}: Required value: at least one of resourceRules and nonResourceRules has to be non-empty`,
    },
    subjectRow('kind', 'one of three', [
      { kind: 'Group', group: { name: 'g' } },
      { kind: 'Foo' },
      'kind: Unsupported value: "Foo": supported values: "Group", "ServiceAccount", "User"',
    ]),
    subjectRow('user.name', 'there for its kind', [
      user,
      { kind: 'User' },
      "user: Required value: user is required when subject kind is 'User'",
    ]),
    subjectRow('user.name', 'not empty', [user, { kind: 'User', user: {} }, 'user.name: Required value']),
    subjectRow('group.name', 'there for its kind', [
      { kind: 'Group', group: { name: 'g' } },
      { kind: 'Group', user: { name: 'u' } },
      [
        "group: Required value: group is required when subject kind is 'Group'",
        "user: Forbidden: user is forbidden when subject kind is not 'User'",
      ],
    ]),
    subjectRow('serviceAccount.name', 'not for another kind', [
      user,
      { ...user, serviceAccount: { name: 'a', namespace: 'n' } },
      "serviceAccount: Forbidden: serviceAccount is forbidden when subject kind is not 'ServiceAccount'",
    ]),
    subjectRow('serviceAccount.name', 'a name, or all', [
      account('*', 'n'),
      account('A', 'n'),
      'serviceAccount.name: Invalid value: "A": a lowercase RFC 1123 subdomain must consist…',
    ]),
    subjectRow('serviceAccount.namespace', 'there', [
      account('a', 'n'),
      account('a', ''),
      'serviceAccount.namespace: Required value: must specify namespace for service account',
    ]),
    subjectRow('serviceAccount.namespace', 'a DNS label', [
      account('a', 'n'),
      account('a', 'n.m'),
      'serviceAccount.namespace: Invalid value: "n.m": a lowercase RFC 1123 label must consist…',
    ]),
    ...verbRows(resources, 'spec.rules.resourceRules.verbs'),
    ...listRows('apiGroups', 'api group', 'api groups'),
    ...listRows('resources', 'resource', 'resources'),
    {
      field: 'spec.rules.resourceRules.namespaces',
      rule: 'some, but for what has none',
      passes: { [`${resources}.namespaces`]: [], [`${resources}.clusterScope`]: true },
      fails: { [`${resources}.namespaces`]: [] },
      message: `${resources}.namespaces: Required value: resource rules that are not cluster scoped must supply at least one namespace`,
    },
    {
      field: 'spec.rules.resourceRules.namespaces',
      rule: 'nothing beside *',
      passes: { [`${resources}.namespaces`]: ['*'] },
      fails: { [`${resources}.namespaces`]: ['*', 'n'] },
      message: `${resources}.namespaces: Invalid value: ["*","n"]: if '*' is present, must not specify other namespaces`,
    },
    {
      field: 'spec.rules.resourceRules.namespaces',
      rule: 'DNS labels',
      fails: { [`${resources}.namespaces`]: ['a.b'] },
      message: `${resources}.namespaces[0]: Invalid value: "a.b": each member of this list must be '*' or a DNS-1123 label; a lowercase RFC 1123 label must consist…`,
    },
    ...verbRows(urls, 'spec.rules.nonResourceRules.verbs'),
    {
      field: 'spec.rules.nonResourceRules.nonResourceURLs',
      rule: 'some',
      fails: { [`${urls}.nonResourceURLs`]: [] },
      message: `${urls}.nonResourceURLs: Required value: nonResourceURLs must contain at least one value`,
    },
    {
      field: 'spec.rules.nonResourceRules.nonResourceURLs',
      rule: 'nothing beside *',
      passes: { [`${urls}.nonResourceURLs`]: ['*'] },
      fails: { [`${urls}.nonResourceURLs`]: ['*', '/a'] },
      message: `${urls}.nonResourceURLs: Invalid value: ["*","/a"]: if '*' is present, must not specify other non-resource URLs`,
    },
    urlRow('', 'must not be empty'),
    urlRow('a', 'must start with slash'),
    urlRow('/a b', 'must not contain white-space'),
    urlRow('/a//b', 'must not contain double slash'),
    urlRow('/a*', 'wildcard can only do suffix matching'),
    {
      field: 'spec',
      rule: 'that of the two that must be is fixed',
      fails: { 'metadata.name': 'catch-all' },
      message: "spec of 'catch-all' must equal the fixed value…",
    },
    ...conditionRows,
  ],
};

const limited = 'spec.limited';
const response = `${limited}.limitResponse`;
const queuing = `${response}.queuing`;
const queuingRow = (field: string, edits: object, message: string): RuleRow => ({
  field: `${queuing}.${field}`,
  rule: message,
  passes: { [queuing]: { queues: 64, handSize: 8, queueLengthLimit: 50 } },
  fails: { [queuing]: { queues: 64, handSize: 8, queueLengthLimit: 50, ...edits } },
  message: `${queuing}.${field}: ${message}`,
});
const exempt = (edits: object): object => ({
  'metadata.name': 'exempt',
  spec: { type: 'Exempt', exempt: edits },
});

export const priorityLevelConfiguration: RuleTable = {
  apiVersion: 'flowcontrol.apiserver.k8s.io/v1',
  kind: 'PriorityLevelConfiguration',
  base: { spec: { type: 'Limited', limited: { limitResponse: { type: 'Queue', queuing: {} } } } },
  rows: [
    {
      field: 'spec.type',
      rule: 'Exempt for the one of that name',
      passes: { ...exempt({}) },
      fails: { 'metadata.name': 'exempt' },
      message: [
        "spec.type: Invalid value: \"Limited\": must be 'Exempt' if and only if `name` is 'exempt'",
        'spec: Invalid value: {"Type":"Limited","Limited":{"NominalConcurrencyShares":30,…',
      ],
    },
    {
      field: 'spec.type',
      rule: 'one of two',
      fails: { 'spec.type': 'Foo' },
      message: 'spec.type: Unsupported value: "Foo": supported values: "Exempt", "Limited"',
    },
    {
      field: limited,
      rule: 'there for its type',
      fails: { [limited]: undefined },
      message: 'spec.limited: Required value: must not be empty when type is Limited',
    },
    {
      field: limited,
      rule: 'not for the other type',
      fails: { 'metadata.name': 'exempt', 'spec.type': 'Exempt' },
      message: [
        'spec.limited: Forbidden: must be nil if the type is not Limited',
        'spec: Invalid value: {"Type":"Exempt","Limited":{"NominalConcurrencyShares":30,…',
      ],
    },
    {
      field: 'spec.type',
      rule: 'of the one called exempt all but its shares',
      fails: { 'metadata.name': 'exempt', spec: { type: 'Limited', exempt: { lendablePercent: 0 } } },
      message: [
        "spec.type: Invalid value: \"Limited\": must be 'Exempt' if and only if `name` is 'exempt'",
        'spec.exempt: Forbidden: must be nil if the type is Limited',
        'spec.limited: Required value: must not be empty when type is Limited',
        'spec: Invalid value: {"Type":"Limited","Limited":null,"Exempt":{"NominalConcurrencyShares":0,"LendablePercent":0}}: spec of \'exempt\' except the \'spec.exempt\' field must equal the fixed value',
      ],
    },
    {
      field: 'spec.exempt',
      rule: 'not for the other type',
      fails: { 'spec.exempt': {} },
      message: 'spec.exempt: Forbidden: must be nil if the type is Limited',
    },
    ...[
      ['nominalConcurrencyShares', -1, 'must be a non-negative integer'] as const,
      ['lendablePercent', 101, 'must be between 0 and 100, inclusive'] as const,
    ].flatMap(([name, value, message]): readonly RuleRow[] => [
      {
        field: `${limited}.${name}`,
        rule: message,
        passes: { [`${limited}.${name}`]: 0 },
        fails: { [`${limited}.${name}`]: value },
        message: `${limited}.${name}: Invalid value: ${value}: ${message}`,
      },
      {
        field: `spec.exempt.${name}`,
        rule: message,
        passes: { ...exempt({ [name]: 10 }) },
        fails: { ...exempt({ [name]: value }) },
        message: `spec.exempt.${name}: Invalid value: ${value}: ${message}`,
      },
    ]),
    {
      field: `${limited}.borrowingLimitPercent`,
      rule: 'not negative',
      passes: { [`${limited}.borrowingLimitPercent`]: 1000 },
      fails: { [`${limited}.borrowingLimitPercent`]: -1 },
      message: `${limited}.borrowingLimitPercent: Invalid value: -1: if specified, must be a non-negative integer`,
    },
    {
      field: `${response}.type`,
      rule: 'one of two',
      passes: { [response]: { type: 'Reject' } },
      fails: { [`${response}.type`]: 'Foo' },
      message: `${response}.type: Unsupported value: "Foo": supported values: "Queue", "Reject"`,
    },
    {
      field: queuing,
      rule: 'there for queues',
      fails: { [queuing]: undefined },
      message: `${queuing}: Required value: must not be empty if limited.limitResponse.type is Limited`,
    },
    {
      field: queuing,
      rule: 'not where it rejects',
      fails: { [`${response}.type`]: 'Reject' },
      message: `${queuing}: Forbidden: must be nil if limited.limitResponse.type is not Limited`,
    },
    queuingRow('queueLengthLimit', { queueLengthLimit: -1 }, 'Invalid value: -1: must be positive'),
    queuingRow(
      'queues',
      { queues: 10_000_001, handSize: 1 },
      'Invalid value: 10000001: must not be greater than 10000000',
    ),
    queuingRow('handSize', { handSize: -1 }, 'Invalid value: -1: must be positive'),
    queuingRow('handSize', { handSize: 65 }, 'Invalid value: 65: should not be greater than queues (64)'),
    queuingRow(
      'handSize',
      { handSize: 11 },
      'Invalid value: 11: required entropy bits of deckSize 64 and handSize 11 should not be greater than 60',
    ),
    {
      field: `${queuing}.queues`,
      rule: 'positive',
      fails: { [`${queuing}.queues`]: -1 },
      message: [
        `${queuing}.queues: Invalid value: -1: must be positive`,
        `${queuing}.handSize: Invalid value: 8: should not be greater than queues (-1)`,
      ],
    },
    {
      field: 'spec',
      rule: 'that of the one that must be is fixed',
      fails: { 'metadata.name': 'catch-all' },
      message: "spec of 'catch-all' must equal the fixed value…",
    },
    ...conditionRows,
  ],
};
