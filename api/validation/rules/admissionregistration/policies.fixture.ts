import type { RuleRow, RuleTable } from '#api/validation/rules/rule-table.fixture.ts';
import { matchRows, mutableMatchRows, rule } from './match-rows.fixture.ts';
import { matchConditionRows } from './request-rule-rows.fixture.ts';

const outcome = 'validations or auditAnnotations must contain at least one item';

const variable = (name: string, expression = '1'): object => ({ 'spec.variables': [{ name, expression }] });
const paramKind = (apiVersion: string, kind: string): object => ({
  'spec.paramKind': { apiVersion, kind },
});
const paramKindRow = (
  field: string,
  text: string,
  [fails, message]: readonly [fails: readonly [apiVersion: string, kind: string], message: string],
): RuleRow => ({
  field: `spec.paramKind.${field}`,
  rule: text,
  passes: { ...paramKind('rules.example.com/v1', 'ReplicaLimit') },
  fails: { ...paramKind(...fails) },
  message: `spec.paramKind.${field}: ${message}`,
});

const commonRows: readonly RuleRow[] = [
  {
    field: 'spec.failurePolicy',
    rule: 'one of two',
    passes: { 'spec.failurePolicy': 'Ignore' },
    fails: { 'spec.failurePolicy': 'Foo' },
    message: 'spec.failurePolicy: Unsupported value: "Foo": supported values: "Fail", "Ignore"',
  },
  paramKindRow('apiVersion', 'there', [['', 'K'], 'Required value']),
  paramKindRow('apiVersion', 'a group and a version', [
    ['v1/x/y', 'K'],
    'Invalid value: "v1/x/y": unexpected GroupVersion string: v1/x/y',
  ]),
  paramKindRow('apiVersion', 'the group a DNS subdomain', [
    ['A/v1', 'K'],
    'Invalid value: "A": a lowercase RFC 1123 subdomain must consist…',
  ]),
  paramKindRow('apiVersion', 'with a version', [
    ['a.b/', 'K'],
    'Invalid value: "a.b/": version must be specified',
  ]),
  paramKindRow('apiVersion', 'which is a label of RFC 1035', [
    ['a.b/1', 'K'],
    'Invalid value: "1": a DNS-1035 label must consist…',
  ]),
  paramKindRow('kind', 'there', [['v1', ''], 'Required value']),
  paramKindRow('kind', 'a label but for its case', [
    ['v1', '1K'],
    'Invalid value: "1K": may have mixed case, but should otherwise match: a DNS-1035 label must consist…',
  ]),
  {
    field: 'spec.matchConstraints',
    rule: 'there',
    fails: { 'spec.matchConstraints': undefined },
    message: 'spec.matchConstraints: Required value',
  },
  {
    field: 'spec.matchConstraints.resourceRules',
    rule: 'some',
    fails: { 'spec.matchConstraints.resourceRules': [] },
    message: 'spec.matchConstraints.resourceRules: Required value',
  },
  ...matchConditionRows('spec.matchConditions'),
  {
    field: 'spec.variables.name',
    rule: 'there',
    passes: { ...variable('a_1') },
    fails: { ...variable('') },
    message: 'spec.variables[0].name: Required value: name is not specified',
  },
  {
    field: 'spec.variables.name',
    rule: 'an identifier of CEL',
    fails: { ...variable('a-b') },
    message: 'spec.variables[0].name: Invalid value: "a-b": must be a valid CEL identifier',
  },
  {
    field: 'spec.variables.name',
    rule: 'no word of CEL',
    passes: { ...variable('In') },
    fails: { ...variable('in') },
    message: 'spec.variables[0].name: Invalid value: "in": must be a valid CEL identifier',
  },
  {
    field: 'spec.variables.expression',
    rule: 'there',
    fails: { ...variable('a', ' ') },
    message: 'spec.variables[0].expression: Required value: expression is not specified',
  },
];

const condition = (expression: string): object => ({ 'spec.matchConditions': [{ name: 'a', expression }] });
const expressionRows: readonly RuleRow[] = [
  {
    field: 'spec.matchConditions.expression',
    rule: 'a bool',
    passes: { ...condition('request.dryRun') },
    fails: { ...condition('1') },
    message: 'spec.matchConditions[0].expression: Invalid value: "1": must evaluate to bool but got int',
  },
  {
    field: 'spec.variables.expression',
    rule: 'in order',
    passes: { ...variable('a', 'object') },
    fails: { ...variable('a', 'b') },
    message: `spec.variables[0].expression: Invalid value: "b": compilation failed: ERROR: <input>:1:1: undeclared reference to 'b' (in container '')…`,
  },
];
const validation = 'spec.validations[0]';
const annotations = 'spec.auditAnnotations';
const statusOf = (condition: object): object => ({
  'status.conditions': [
    {
      type: 'T',
      status: 'True',
      reason: 'R',
      message: 'm',
      lastTransitionTime: '2026-01-01T00:00:00Z',
      ...condition,
    },
  ],
});
const statusRow = (
  field: string,
  text: string,
  [passes, fails, message]: readonly [passes: object, fails: object, message: string],
): RuleRow => ({
  field: `status.conditions.${field}`,
  rule: text,
  from: {},
  subresource: 'status',
  passes: { ...statusOf(passes) },
  fails: { ...statusOf(fails) },
  message: `status.conditions[0].${field}: ${message}`,
});

export const validatingAdmissionPolicy: RuleTable = {
  apiVersion: 'admissionregistration.k8s.io/v1',
  kind: 'ValidatingAdmissionPolicy',
  base: { spec: { matchConstraints: { resourceRules: [rule] }, validations: [{ expression: 'true' }] } },
  rows: [
    ...commonRows,
    ...expressionRows,
    ...matchRows('spec.matchConstraints'),
    {
      field: 'spec.validations',
      rule: 'some, or audit annotations',
      passes: { 'spec.validations': [], [annotations]: [{ key: 'a', valueExpression: '"x"' }] },
      fails: { 'spec.validations': [] },
      message: [`spec.validations: Required value: ${outcome}`, `${annotations}: Required value: ${outcome}`],
    },
    {
      field: 'spec.validations.expression',
      rule: 'there',
      fails: { [`${validation}.expression`]: ' ' },
      message: `${validation}.expression: Required value: expression is not specified`,
    },
    {
      field: 'spec.validations.messageExpression',
      rule: 'no blanks alone',
      passes: { [`${validation}.messageExpression`]: '"x"' },
      fails: { [`${validation}.messageExpression`]: ' ' },
      message: `${validation}.messageExpression: Invalid value: " ": must be non-empty if specified`,
    },
    {
      field: 'spec.validations.expression',
      rule: 'a bool',
      fails: { [`${validation}.expression`]: '1' },
      message: `${validation}.expression: Invalid value: "1": must evaluate to bool but got int`,
    },
    {
      field: 'spec.validations.messageExpression',
      rule: 'a text',
      fails: { [`${validation}.messageExpression`]: '1' },
      message: `${validation}.messageExpression: Invalid value: "1": must evaluate to string but got int`,
    },
    {
      field: 'spec.validations.message',
      rule: 'no blanks alone',
      passes: { [`${validation}.message`]: 'm\n' },
      fails: { [`${validation}.message`]: ' ' },
      message: `${validation}.message: Invalid value: " ": must be non-empty if specified`,
    },
    {
      field: 'spec.validations.message',
      rule: 'one line',
      fails: { [`${validation}.message`]: 'a\nb' },
      message: `${validation}.message: Invalid value: "a\\nb": must not contain line breaks`,
    },
    {
      field: 'spec.validations.reason',
      rule: 'one of three',
      passes: { [`${validation}.reason`]: 'Forbidden' },
      fails: { [`${validation}.reason`]: 'Foo' },
      message: `${validation}.reason: Unsupported value: "Foo": supported values: "Forbidden", "Invalid", "RequestEntityTooLarge"`,
    },
    {
      field: 'spec.auditAnnotations.key',
      rule: "a name below the policy's",
      fails: { [annotations]: [{ key: 'a b', valueExpression: '"x"' }] },
      message: `${annotations}[0].key: Invalid value: "x/a b": name part must consist of…`,
    },
    {
      field: 'spec.auditAnnotations.key',
      rule: 'each once',
      passes: {
        [annotations]: [
          { key: 'a', valueExpression: '"x"' },
          { key: 'b', valueExpression: '"x"' },
        ],
      },
      fails: {
        [annotations]: [
          { key: 'a', valueExpression: '"x"' },
          { key: 'a', valueExpression: '"x"' },
        ],
      },
      message: `${annotations}[1].key: Duplicate value: "a"`,
    },
    {
      field: 'spec.auditAnnotations.key',
      rule: 'at most 20',
      passes: {
        [annotations]: Array.from({ length: 20 }, (_, index) => ({
          key: `k${index}`,
          valueExpression: '""',
        })),
      },
      fails: {
        [annotations]: Array.from({ length: 21 }, (_, index) => ({
          key: `k${index}`,
          valueExpression: '""',
        })),
      },
      message: `must not have more than 20 auditAnnotations…`,
    },
    {
      field: 'spec.auditAnnotations.valueExpression',
      rule: 'there',
      fails: { [annotations]: [{ key: 'a', valueExpression: '' }] },
      message: `${annotations}[0].valueExpression: Required value: valueExpression is not specified`,
    },
    {
      field: 'spec.auditAnnotations.valueExpression',
      rule: 'a text or null',
      passes: { [annotations]: [{ key: 'a', valueExpression: 'null' }] },
      fails: { [annotations]: [{ key: 'a', valueExpression: '1' }] },
      message: `${annotations}[0].valueExpression: Invalid value: "1": must evaluate to one of [string null_type] but got int`,
    },
    {
      field: 'spec.auditAnnotations.valueExpression',
      rule: 'at most 5 KiB',
      passes: { [annotations]: [{ key: 'a', valueExpression: `"${'x'.repeat(5118)}"` }] },
      fails: { [annotations]: [{ key: 'a', valueExpression: `"${'x'.repeat(5119)}"` }] },
      message: `${annotations}[0].valueExpression: Required value: must not exceed 5120 bytes in length`,
    },
    {
      field: 'status.typeChecking.expressionWarnings.fieldRef',
      rule: 'there',
      from: {},
      subresource: 'status',
      passes: { 'status.typeChecking.expressionWarnings': [{ fieldRef: 'spec.x', warning: 'w' }] },
      fails: { 'status.typeChecking.expressionWarnings': [{ fieldRef: '', warning: '' }] },
      message: [
        'status.typeChecking.expressionWarnings[0].warning: Required value',
        'status.typeChecking.expressionWarnings[0].fieldRef: Required value',
      ],
    },
    statusRow('type', 'a qualified name', [
      { type: 'a.b/C' },
      { type: 'a b' },
      'Invalid value: "a b": name part must consist of…',
    ]),
    statusRow('status', 'one of three', [
      { status: 'Unknown' },
      { status: 'Foo' },
      'Unsupported value: "Foo": supported values: "False", "True", "Unknown"',
    ]),
    statusRow('observedGeneration', 'not negative', [
      { observedGeneration: 1 },
      { observedGeneration: -1 },
      'Invalid value: -1: must be greater than or equal to zero',
    ]),
    statusRow('lastTransitionTime', 'there', [
      {},
      { lastTransitionTime: undefined },
      'Required value: must be set',
    ]),
    statusRow('reason', 'there', [{ reason: 'A,B' }, { reason: '' }, 'Required value: must be set']),
    statusRow('reason', 'a word', [
      { reason: 'A:B' },
      { reason: 'A B' },
      'Invalid value: "A B": a condition reason must start…',
    ]),
    statusRow('reason', 'at most 1 KiB', [
      { reason: 'A'.repeat(1024) },
      { reason: 'A'.repeat(1025) },
      'Too long: may not be more than 1024 bytes',
    ]),
    statusRow('message', 'at most 32 KiB', [
      { message: 'a'.repeat(32_768) },
      { message: 'a'.repeat(32_769) },
      'Too long: may not be more than 32768 bytes',
    ]),
  ],
};

const mutation = 'spec.mutations[0]';
const remove = '[JSONPatch{op: "remove", path: "/a"}]';

export const mutatingAdmissionPolicy: RuleTable = {
  apiVersion: 'admissionregistration.k8s.io/v1',
  kind: 'MutatingAdmissionPolicy',
  base: {
    spec: {
      matchConstraints: { resourceRules: [rule] },
      mutations: [{ patchType: 'JSONPatch', jsonPatch: { expression: remove } }],
      reinvocationPolicy: 'Never',
    },
  },
  rows: [
    ...commonRows,
    ...expressionRows,
    ...mutableMatchRows('spec.matchConstraints'),
    {
      field: 'spec.mutations',
      rule: 'some',
      fails: { 'spec.mutations': [] },
      message: 'spec.mutations: Required value: mutations must contain at least one item',
    },
    {
      field: 'spec.mutations.patchType',
      rule: 'there',
      fails: { [mutation]: {} },
      message: `${mutation}.patchType: Required value`,
    },
    {
      field: 'spec.mutations.patchType',
      rule: 'one of two',
      fails: { [mutation]: { patchType: 'Foo' } },
      message: `${mutation}.patchType: Unsupported value: "Foo": supported values: "ApplyConfiguration", "JSONPatch"`,
    },
    ...[
      ['jsonPatch', 'JSONPatch', 'applyConfiguration', remove, 'list(JSONPatch)'],
      ['applyConfiguration', 'ApplyConfiguration', 'jsonPatch', 'Object{}', 'Object'],
    ].flatMap(([body = '', patchType = '', other = '', expression = '', type = '']) => [
      {
        field: `spec.mutations.${body}.expression`,
        rule: 'there for its type',
        fails: { [mutation]: { patchType } },
        message: `${mutation}.${body}: Required value: must be specified when patchType is ${patchType}`,
      },
      {
        field: `spec.mutations.${other}.expression`,
        rule: 'not there for the other type',
        passes: { [mutation]: { patchType, [body]: { expression } } },
        fails: { [mutation]: { patchType, [body]: { expression }, [other]: { expression } } },
        message: `${mutation}.${other}: Invalid value: "{${other}}": must not be specified when patchType is ${patchType}`,
      },
      {
        field: `spec.mutations.${body}.expression`,
        rule: 'not empty',
        fails: { [mutation]: { patchType, [body]: { expression: ' ' } } },
        message: `${mutation}.${body}.expression: Required value`,
      },
      {
        field: `spec.mutations.${body}.expression`,
        rule: 'of its type',
        passes: { [mutation]: { patchType, [body]: { expression } } },
        fails: { [mutation]: { patchType, [body]: { expression: '1' } } },
        message: `${mutation}.${body}.expression: Invalid value: "1": must evaluate to ${type} but got int`,
      },
    ]),
    {
      field: 'spec.reinvocationPolicy',
      rule: 'there',
      fails: { 'spec.reinvocationPolicy': '' },
      message: 'spec.reinvocationPolicy: Required value',
    },
    {
      field: 'spec.reinvocationPolicy',
      rule: 'one of two',
      passes: { 'spec.reinvocationPolicy': 'IfNeeded' },
      fails: { 'spec.reinvocationPolicy': 'Foo' },
      message: 'spec.reinvocationPolicy: Unsupported value: "Foo": supported values: "IfNeeded", "Never"',
    },
  ],
};
