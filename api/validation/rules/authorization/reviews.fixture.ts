import type { RuleRow, RuleTable } from '#api/validation/rules/rule-table.fixture.ts';

const resource = 'spec.resourceAttributes';
const path = 'spec.nonResourceAttributes';
const shown = '{"Path":"/x","Verb":"get"}';

const attributeRows: readonly RuleRow[] = [
  {
    field: path,
    rule: 'not both',
    passes: { [resource]: undefined, [path]: { path: '/x', verb: 'get' } },
    fails: { [path]: { path: '/x', verb: 'get' } },
    message: `${path}: Invalid value: ${shown}: cannot be specified in combination with resourceAttributes`,
  },
  {
    field: resource,
    rule: 'one of the two',
    fails: { [resource]: undefined },
    message: `${resource}: Invalid value: null: exactly one of nonResourceAttributes or resourceAttributes must be specified`,
  },
];

const selectorRows: readonly RuleRow[] = ['fieldSelector', 'labelSelector'].flatMap(
  (name): readonly RuleRow[] => {
    const at = `${resource}.${name}`;
    const one = (requirement: object): object => ({ [at]: { requirements: [requirement] } });
    return [
      {
        field: `${at}.rawSelector`,
        rule: 'not beside requirements',
        passes: { [at]: { rawSelector: 'a=b' } },
        fails: {
          [at]: { rawSelector: 'a=b', requirements: [{ key: 'a', operator: 'In', values: ['b'] }] },
        },
        message: `${at}.rawSelector: Invalid value: "a=b": may not specified at the same time as requirements`,
      },
      {
        field: `${at}.requirements.key`,
        rule: 'some, where there is no text',
        fails: { [at]: {} },
        message: `${at}.requirements: Required value: when ${at} is specified, requirements or rawSelector is required`,
      },
      {
        field: `${at}.requirements.values`,
        rule: 'some for In and NotIn',
        passes: { ...one({ key: 'a', operator: 'NotIn', values: ['b'] }) },
        fails: { ...one({ key: 'a', operator: 'In' }) },
        message: `${at}.requirements[0].values: Required value: must be specified when \`operator\` is 'In' or 'NotIn'`,
      },
      {
        field: `${at}.requirements.operator`,
        rule: 'any; none has values for Exists',
        passes: { ...one({ key: 'a', operator: 'Foo', values: ['b'] }) },
        fails: { ...one({ key: 'a', operator: 'Exists', values: ['b'] }) },
        message: `${at}.requirements[0].values: Forbidden: may not be specified when \`operator\` is 'Exists' or 'DoesNotExist'`,
      },
    ];
  },
);
const field = `${resource}.fieldSelector.requirements`;
const label = `${resource}.labelSelector.requirements`;
const partRows: readonly RuleRow[] = [
  {
    field: `${field}.key`,
    rule: 'there',
    fails: { [field]: [{ operator: 'Exists' }] },
    message: `${field}[0].key: Required value: must be specified`,
  },
  {
    field: `${label}.key`,
    rule: 'a qualified name',
    fails: { [label]: [{ key: 'a b', operator: 'Exists' }] },
    message: `${label}[0].key: Invalid value: "a b": name part must consist of…`,
  },
  {
    field: `${label}.values`,
    rule: 'values of labels',
    fails: { [label]: [{ key: 'a', operator: 'In', values: ['b c'] }] },
    message: `${label}[0].values[0]: Invalid value: "b c": a valid label must be…`,
  },
  {
    field: 'metadata',
    rule: 'empty',
    fails: { 'metadata.name': 'x' },
    message: 'metadata: Invalid value: {"name":"x"…',
  },
];

const userRow: RuleRow = {
  field: 'spec.user',
  rule: 'there, or groups',
  passes: { 'spec.user': '', 'spec.groups': ['g'] },
  fails: { 'spec.user': '' },
  message: 'spec.user: Invalid value: "": at least one of user or group must be specified',
};
const apiVersion = 'authorization.k8s.io/v1';
const base = { metadata: {}, spec: { user: 'u', resourceAttributes: { verb: 'list', namespace: 'n' } } };
const asked = ['group', 'name', 'namespace', 'resource', 'subresource', 'verb', 'version'].map(
  (name) => `${resource}.${name}`,
);
const question = {
  'what is asked, whether it is there or not': [...asked, `${path}.*`],
};
const subject = { 'of whom it is asked': ['spec.groups', 'spec.extra', 'spec.uid'] };

export const subjectAccessReview: RuleTable = {
  apiVersion,
  kind: 'SubjectAccessReview',
  base,
  rows: [...attributeRows, userRow, ...selectorRows, ...partRows],
  none: { ...question, ...subject },
};

export const localSubjectAccessReview: RuleTable = {
  apiVersion,
  kind: 'LocalSubjectAccessReview',
  base: { ...base, metadata: { namespace: 'n' } },
  rows: [
    {
      field: path,
      rule: 'not here',
      fails: { [resource]: undefined, [path]: { path: '/x', verb: 'get' } },
      message: `${path}: Invalid value: ${shown}: disallowed on this kind of request`,
    },
    {
      field: `${resource}.namespace`,
      rule: "the review's",
      fails: { [`${resource}.namespace`]: 'm' },
      message: `${resource}.namespace: Invalid value: "m": must match metadata.namespace`,
    },
    userRow,
    ...selectorRows,
    ...partRows,
  ],
  none: { ...question, ...subject },
};

export const selfSubjectAccessReview: RuleTable = {
  apiVersion,
  kind: 'SelfSubjectAccessReview',
  base: { metadata: {}, spec: { resourceAttributes: { verb: 'list' } } },
  rows: [...attributeRows, ...selectorRows, ...partRows],
  none: question,
};

export const selfSubjectRulesReview: RuleTable = {
  apiVersion,
  kind: 'SelfSubjectRulesReview',
  base: { spec: { namespace: 'n' } },
  rows: [],
  none: { 'must be there: 400 where it is not (control-plane/apiserver/verbs)': ['spec.namespace'] },
};

export const tokenReview: RuleTable = {
  apiVersion: 'authentication.k8s.io/v1',
  kind: 'TokenReview',
  base: { spec: { token: 't' } },
  rows: [],
  none: {
    'must be there: 400 where it is not (control-plane/apiserver/verbs)': ['spec.token'],
    'names that a token is asked about': ['spec.audiences'],
  },
};

export const selfSubjectReview: RuleTable = {
  apiVersion: 'authentication.k8s.io/v1',
  kind: 'SelfSubjectReview',
  base: {},
  rows: [],
};
