import type { RuleRow, RuleTable } from '#api/validation/rules/rule-table.fixture.ts';
import { selectorRows } from '#api/validation/rules/selector-rows.fixture.ts';
import { matchRows, mutableMatchRows, rule } from './match-rows.fixture.ts';

const reference = 'spec.paramRef';
const bindingBase = { policyName: 'p', matchResources: { resourceRules: [rule] } };
const bindingRows: readonly RuleRow[] = [
  {
    field: 'spec.policyName',
    rule: 'there',
    fails: { 'spec.policyName': '' },
    message: 'spec.policyName: Required value',
  },
  {
    field: 'spec.policyName',
    rule: 'a DNS subdomain',
    passes: { 'spec.policyName': 'a.b' },
    fails: { 'spec.policyName': 'A' },
    message: 'spec.policyName: Invalid value: "A": a lowercase RFC 1123 subdomain must consist…',
  },
  {
    field: 'spec.paramRef.name',
    rule: 'a segment of a path',
    passes: { [reference]: { name: 'a b', parameterNotFoundAction: 'Deny' } },
    fails: { [reference]: { name: 'a/b', parameterNotFoundAction: 'Deny' } },
    message: 'spec.paramRef.name: Invalid value: "a/b": may not contain \'/\'',
  },
  {
    field: 'spec.paramRef.name',
    rule: 'not beside a selector',
    fails: { [reference]: { name: 'a', selector: {}, parameterNotFoundAction: 'Deny' } },
    message: [
      'spec.paramRef.name: Forbidden: name and selector are mutually exclusive',
      'spec.paramRef.selector: Forbidden: name and selector are mutually exclusive',
    ],
  },
  {
    field: 'spec.paramRef.name',
    rule: 'or a selector',
    passes: { [reference]: { selector: {}, parameterNotFoundAction: 'Allow' } },
    fails: { [reference]: { parameterNotFoundAction: 'Deny' } },
    message: 'spec.paramRef: Required value: one of name or selector must be specified',
  },
  ...selectorRows('spec.paramRef.selector').map((row) => ({
    ...row,
    passes: {
      [`${reference}.parameterNotFoundAction`]: 'Deny',
      [`${reference}.selector`]: {},
      ...row.passes,
    },
    fails: { [`${reference}.parameterNotFoundAction`]: 'Deny', ...row.fails },
  })),
  {
    field: 'spec.paramRef.parameterNotFoundAction',
    rule: 'there',
    fails: { [reference]: { name: 'a' } },
    message: 'spec.paramRef.parameterNotFoundAction: Required value',
  },
  {
    field: 'spec.paramRef.parameterNotFoundAction',
    rule: 'one of two',
    fails: { [reference]: { name: 'a', parameterNotFoundAction: 'Foo' } },
    message:
      'spec.paramRef.parameterNotFoundAction: Unsupported value: "Foo": supported values: "Deny", "Allow"',
  },
];
const bindingNone = { 'looked at when the policy is asked': ['spec.paramRef.namespace'] };

export const validatingAdmissionPolicyBinding: RuleTable = {
  apiVersion: 'admissionregistration.k8s.io/v1',
  kind: 'ValidatingAdmissionPolicyBinding',
  base: { spec: { ...bindingBase, validationActions: ['Deny'] } },
  rows: [
    ...bindingRows,
    ...matchRows('spec.matchResources'),
    {
      field: 'spec.validationActions',
      rule: 'some',
      fails: { 'spec.validationActions': [] },
      message: 'spec.validationActions: Required value: at least one validation action is required',
    },
    {
      field: 'spec.validationActions',
      rule: 'each one of three',
      passes: { 'spec.validationActions': ['Warn', 'Audit'] },
      fails: { 'spec.validationActions': ['Foo'] },
      message:
        'spec.validationActions[0]: Unsupported value: "Foo": supported values: "Audit", "Deny", "Warn"',
    },
    {
      field: 'spec.validationActions',
      rule: 'each once',
      fails: { 'spec.validationActions': ['Warn', 'Warn'] },
      message: 'spec.validationActions[1]: Duplicate value: "Warn"',
    },
    {
      field: 'spec.validationActions',
      rule: 'not both Deny and Warn',
      fails: { 'spec.validationActions': ['Deny', 'Warn'] },
      message: 'spec.validationActions: Invalid value: ["Deny","Warn"]: must not contain both Deny and Warn…',
    },
  ],
  none: bindingNone,
};

export const mutatingAdmissionPolicyBinding: RuleTable = {
  apiVersion: 'admissionregistration.k8s.io/v1',
  kind: 'MutatingAdmissionPolicyBinding',
  base: { spec: bindingBase },
  rows: [...bindingRows, ...mutableMatchRows('spec.matchResources')],
  none: bindingNone,
};
