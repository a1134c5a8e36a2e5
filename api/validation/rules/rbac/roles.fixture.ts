import { selectorRows } from '#api/validation/rules/selector-rows.fixture.ts';
import type { RuleRow, RuleTable } from '#api/validation/rules/rule-table.fixture.ts';

const apiVersion = 'rbac.authorization.k8s.io/v1';
const rule = { apiGroups: [''], resources: ['pods'], verbs: ['get'] };
const urls = { nonResourceURLs: ['/healthz'], verbs: ['get'] };

const roleRows: readonly RuleRow[] = [
  {
    field: 'metadata.name',
    rule: 'a segment of a path',
    passes: { 'metadata.name': 'a:B_c' },
    fails: { 'metadata.name': 'a/b' },
    message: 'metadata.name: Invalid value: "a/b": may not contain \'/\'',
  },
  ...(
    [
      ['verbs', 'verbs must contain at least one value'],
      ['apiGroups', 'resource rules must supply at least one api group'],
      ['resources', 'resource rules must supply at least one resource'],
    ] as const
  ).map(([name, detail]) => ({
    field: `rules.${name}`,
    rule: 'some',
    passes: { [`rules[0].${name}`]: ['*'] },
    fails: { [`rules[0].${name}`]: [] },
    message: `rules[0].${name}: Required value: ${detail}`,
  })),
];

export const role: RuleTable = {
  apiVersion,
  kind: 'Role',
  base: { rules: [rule] },
  rows: [
    ...roleRows,
    {
      field: 'rules.nonResourceURLs',
      rule: 'not in a namespace',
      fails: { 'rules[0]': urls },
      message:
        'rules[0].nonResourceURLs: Invalid value: ["/healthz"]: namespaced rules cannot apply to non-resource URLs',
    },
  ],
  none: { 'free text': ['rules.resourceNames'] },
};

export const clusterRole: RuleTable = {
  apiVersion,
  kind: 'ClusterRole',
  base: { rules: [rule] },
  rows: [
    ...roleRows,
    {
      field: 'rules.nonResourceURLs',
      rule: 'not beside resources',
      passes: { 'rules[0]': urls },
      fails: { 'rules[0]': { ...rule, ...urls } },
      message:
        'rules[0].nonResourceURLs: Invalid value: ["/healthz"]: rules cannot apply to both regular resources and non-resource URLs',
    },
    {
      field: 'aggregationRule.clusterRoleSelectors',
      rule: 'some',
      passes: { 'aggregationRule.clusterRoleSelectors': [{ matchLabels: { a: 'b' } }] },
      fails: { aggregationRule: {} },
      message:
        'aggregationRule.clusterRoleSelectors: Required value: at least one clusterRoleSelector required if aggregationRule is non-nil',
    },
    ...selectorRows('aggregationRule.clusterRoleSelectors[0]'),
  ],
  none: { 'free text': ['rules.resourceNames'] },
};

const group = 'rbac.authorization.k8s.io';
const account = { kind: 'ServiceAccount', name: 's', namespace: 'n' };

function bindingTable(kind: string, kinds: string, rows: readonly RuleRow[]): RuleTable {
  return {
    apiVersion,
    kind,
    base: {
      roleRef: { apiGroup: group, kind: 'ClusterRole', name: 'r' },
      subjects: [{ kind: 'User', name: 'u' }],
    },
    rows: [
      {
        field: 'roleRef.apiGroup',
        rule: 'that of roles',
        fails: { 'roleRef.apiGroup': 'apps' },
        message: `roleRef.apiGroup: Unsupported value: "apps": supported values: "${group}"`,
      },
      {
        field: 'roleRef.kind',
        rule: 'a kind of roles',
        fails: { 'roleRef.kind': 'Pod' },
        message: `roleRef.kind: Unsupported value: "Pod": supported values: ${kinds}`,
      },
      {
        field: 'roleRef.name',
        rule: 'there',
        fails: { 'roleRef.name': '' },
        message: 'roleRef.name: Required value',
      },
      {
        field: 'roleRef.name',
        rule: 'a segment of a path',
        passes: { 'roleRef.name': 'a:b' },
        fails: { 'roleRef.name': 'a%b' },
        message: 'roleRef.name: Invalid value: "a%b": may not contain \'%\'',
      },
      {
        field: 'roleRef',
        rule: 'stays',
        from: {},
        passes: { subjects: [account] },
        fails: { 'roleRef.name': 'q' },
        message: `roleRef: Invalid value: {"APIGroup":"${group}","Kind":"ClusterRole","Name":"q"}: cannot change roleRef`,
      },
      {
        field: 'subjects.kind',
        rule: 'one of three',
        passes: { 'subjects[0]': account },
        fails: { 'subjects[0]': { kind: 'Pod', name: 'p' } },
        message:
          'subjects[0].kind: Unsupported value: "Pod": supported values: "ServiceAccount", "User", "Group"',
      },
      {
        field: 'subjects.kind',
        rule: 'there',
        fails: { 'subjects[0]': { name: 'p' } },
        message:
          'subjects[0].kind: Unsupported value: "": supported values: "ServiceAccount", "User", "Group"',
      },
      {
        field: 'subjects.name',
        rule: 'there',
        fails: { 'roleRef.kind': '', subjects: [{ kind: 'User', name: '' }] },
        message: [
          `roleRef.kind: Unsupported value: "": supported values: ${kinds}`,
          'subjects[0].name: Required value',
        ],
      },
      {
        field: 'subjects.name',
        rule: 'the name of an account, for accounts',
        passes: { 'subjects[0].name': 'A b' },
        fails: { 'subjects[0]': { ...account, name: 'A b' } },
        message: 'subjects[0].name: Invalid value: "A b": a lowercase RFC 1123 subdomain must consist…',
      },
      {
        field: 'subjects.apiGroup',
        rule: 'that of the kind',
        passes: { 'subjects[0].apiGroup': group },
        fails: { 'subjects[0]': { ...account, apiGroup: group } },
        message: `subjects[0].apiGroup: Unsupported value: "${group}": supported values: ""`,
      },
      ...rows,
    ],
    none: rows.length === 0 ? { 'that of the binding without': ['subjects.namespace'] } : {},
  };
}

export const roleBinding: RuleTable = bindingTable('RoleBinding', '"Role", "ClusterRole"', []);

export const clusterRoleBinding: RuleTable = bindingTable('ClusterRoleBinding', '"ClusterRole"', [
  {
    field: 'subjects.namespace',
    rule: 'there, for accounts',
    passes: { 'subjects[0]': account },
    fails: { 'subjects[0]': { kind: 'ServiceAccount', name: 's' } },
    message: 'subjects[0].namespace: Required value',
  },
]);
