import type { RuleRow, RuleTable } from '#api/validation/rules/rule-table.fixture.ts';
import { selectorRows } from '#api/validation/rules/selector-rows.fixture.ts';
import { matchConditionRows, requestRuleRows } from './request-rule-rows.fixture.ts';

const webhook = 'webhooks[0]';
const client = `${webhook}.clientConfig`;
const base = {
  webhooks: [
    {
      name: 'h.example.com',
      clientConfig: { url: 'https://127.0.0.1/x' },
      sideEffects: 'None',
      admissionReviewVersions: ['v1'],
      rules: [{ operations: ['CREATE'], apiGroups: [''], apiVersions: ['v1'], resources: ['configmaps'] }],
    },
  ],
};
const service = { namespace: 'a', name: 'b' };
const harmless = 'supported values: "None", "NoneOnDryRun"';

const nameRows: readonly RuleRow[] = [
  {
    field: 'webhooks.name',
    rule: 'there',
    fails: { [`${webhook}.name`]: '' },
    message: `${webhook}.name: Required value`,
  },
  {
    field: 'webhooks.name',
    rule: 'a domain',
    fails: { [`${webhook}.name`]: 'A.b.c' },
    message: `${webhook}.name: Invalid value: "A.b.c": a lowercase RFC 1123 subdomain must consist…`,
  },
  {
    field: 'webhooks.name',
    rule: 'of three parts',
    fails: { [`${webhook}.name`]: 'h' },
    message: `${webhook}.name: Invalid value: "h": should be a domain with at least three segments separated by dots`,
  },
  {
    field: 'webhooks.name',
    rule: 'each once',
    passes: { 'webhooks[1]': { ...base.webhooks[0], name: 'g.example.com' } },
    fails: { 'webhooks[1]': base.webhooks[0] },
    message: 'webhooks[1].name: Duplicate value: "h.example.com"',
  },
];

const choiceRows: readonly RuleRow[] = [
  {
    field: 'webhooks.failurePolicy',
    rule: 'one of two',
    passes: { [`${webhook}.failurePolicy`]: 'Ignore' },
    fails: { [`${webhook}.failurePolicy`]: 'Foo' },
    message: `${webhook}.failurePolicy: Unsupported value: "Foo": supported values: "Fail", "Ignore"`,
  },
  {
    field: 'webhooks.matchPolicy',
    rule: 'one of two',
    passes: { [`${webhook}.matchPolicy`]: 'Exact' },
    fails: { [`${webhook}.matchPolicy`]: 'Foo' },
    message: `${webhook}.matchPolicy: Unsupported value: "Foo": supported values: "Equivalent", "Exact"`,
  },
  {
    field: 'webhooks.sideEffects',
    rule: 'there',
    passes: { [`${webhook}.sideEffects`]: 'NoneOnDryRun' },
    fails: { [`${webhook}.sideEffects`]: undefined },
    message: `${webhook}.sideEffects: Required value: must specify one of None, NoneOnDryRun`,
  },
  {
    field: 'webhooks.sideEffects',
    rule: 'none',
    fails: { [`${webhook}.sideEffects`]: 'Some' },
    message: `${webhook}.sideEffects: Unsupported value: "Some": ${harmless}`,
  },
  {
    field: 'webhooks.sideEffects',
    rule: 'those that are stored may stay, as any that is known',
    from: { [`${webhook}.sideEffects`]: 'Some' },
    passes: { [`${webhook}.sideEffects`]: 'Unknown' },
    fails: { [`${webhook}.sideEffects`]: 'Foo' },
    message: `${webhook}.sideEffects: Unsupported value: "Foo": supported values: "None", "NoneOnDryRun", "Some", "Unknown"`,
  },
  ...[0, 31].map((seconds) => ({
    field: 'webhooks.timeoutSeconds',
    rule: `1 to 30, not ${seconds}`,
    passes: { [`${webhook}.timeoutSeconds`]: seconds === 0 ? 1 : 30 },
    fails: { [`${webhook}.timeoutSeconds`]: seconds },
    message: `${webhook}.timeoutSeconds: Invalid value: ${seconds}: the timeout value must be between 1 and 30 seconds`,
  })),
];

const versionRows: readonly RuleRow[] = [
  {
    field: 'webhooks.admissionReviewVersions',
    rule: 'some',
    fails: { [`${webhook}.admissionReviewVersions`]: [] },
    message: `${webhook}.admissionReviewVersions: Required value: must specify one of v1, v1beta1`,
  },
  {
    field: 'webhooks.admissionReviewVersions',
    rule: 'one that is known',
    passes: { [`${webhook}.admissionReviewVersions`]: ['v9', 'v1beta1'] },
    fails: { [`${webhook}.admissionReviewVersions`]: ['v9'] },
    message: `${webhook}.admissionReviewVersions: Invalid value: ["v9"]: must include at least one of v1, v1beta1`,
  },
  {
    field: 'webhooks.admissionReviewVersions',
    rule: 'each once',
    fails: { [`${webhook}.admissionReviewVersions`]: ['v1', 'v1'] },
    message: `${webhook}.admissionReviewVersions[1]: Invalid value: "v1": duplicate version`,
  },
  {
    field: 'webhooks.admissionReviewVersions',
    rule: 'labels of RFC 1035',
    fails: { [`${webhook}.admissionReviewVersions`]: ['v1', '1v'] },
    message: `${webhook}.admissionReviewVersions[1]: Invalid value: "1v": a DNS-1035 label must consist…`,
  },
];

const both = `${client}: Required value: exactly one of url or service is required`;
const urlRow = (rule: string, url: string, message: string): RuleRow => ({
  field: 'webhooks.clientConfig.url',
  rule,
  fails: { [`${client}.url`]: url },
  message: `${client}.url: ${message}`,
});
const serviceRow = (
  name: string,
  rule: string,
  [passes, fails, message]: readonly [passes: object, fails: object, message: string | readonly string[]],
): RuleRow => ({
  field: `webhooks.clientConfig.service.${name}`,
  rule,
  passes: { [client]: { service: { ...service, ...passes } } },
  fails: { [client]: { service: { ...service, ...fails } } },
  message: [message].flat().map((text) => `${client}.service.${text}`),
});

const clientRows: readonly RuleRow[] = [
  { field: 'webhooks.clientConfig', rule: 'there', fails: { [client]: {} }, message: both },
  {
    field: 'webhooks.clientConfig',
    rule: 'one of two',
    passes: { [client]: { service } },
    fails: { [`${client}.service`]: service },
    message: both,
  },
  urlRow(
    'https',
    'http://127.0.0.1/x',
    'Invalid value: "http": \'https\' is the only allowed URL scheme; desired format: https://host[/path]',
  ),
  urlRow(
    'with a host',
    'https:///x',
    'Invalid value: "": host must be specified; desired format: https://host[/path]',
  ),
  urlRow(
    'without a user',
    'https://u:p@127.0.0.1/x',
    'Invalid value: "u:p": user information is not permitted in the URL',
  ),
  urlRow('without a fragment', 'https://h/x#z', 'Invalid value: "z": fragments are not permitted in the URL'),
  urlRow(
    'without a query',
    'https://h/x?y=1',
    'Invalid value: "y=1": query parameters are not permitted in the URL',
  ),
  urlRow('a URL', ':x', 'Required value: url must be a valid URL: parse ":x": missing protocol scheme;…'),
  serviceRow('name', 'there; called by the name of the other', [
    {},
    { name: '' },
    'namespace: Required value',
  ]),
  serviceRow('namespace', 'there; called by the name of the other', [
    {},
    { namespace: '' },
    'name: Required value',
  ]),
  serviceRow('port', 'a port', [
    { port: 8443 },
    { port: 0 },
    'port: Invalid value: 0: port is not valid: must be between 1 and 65535, inclusive',
  ]),
  serviceRow('path', 'begins with a slash', [
    { path: '/a/b/' },
    { path: 'no' },
    'path: Invalid value: "no": must start with a \'/\'',
  ]),
  serviceRow('path', 'no empty segment', [
    { path: '/' },
    { path: '/a//b' },
    'path: Invalid value: "/a//b": segment[1] may not be empty',
  ]),
  serviceRow('path', 'segments are DNS subdomains', [
    { path: '/a.b' },
    { path: '/A' },
    'path: Invalid value: "/A": segment[0]: a lowercase RFC 1123 subdomain must consist…',
  ]),
];

const rows: readonly RuleRow[] = [
  ...nameRows,
  ...requestRuleRows(`${webhook}.rules[0]`),
  ...choiceRows,
  ...versionRows,
  ...clientRows,
  ...selectorRows(`${webhook}.namespaceSelector`),
  ...selectorRows(`${webhook}.objectSelector`),
  {
    field: 'webhooks.namespaceSelector.matchLabels',
    rule: 'those that are stored may stay as they are, and others',
    from: { [`${webhook}.namespaceSelector.matchLabels`]: { a: 'b c' } },
    passes: { [`${webhook}.timeoutSeconds`]: 3 },
    fails: { [`${webhook}.timeoutSeconds`]: 0 },
    message: `${webhook}.timeoutSeconds: Invalid value: 0: the timeout…`,
  },
  ...matchConditionRows(`${webhook}.matchConditions`),
  {
    field: 'webhooks.matchConditions.expression',
    rule: 'compiles, to a bool',
    passes: { [`${webhook}.matchConditions`]: [{ name: 'a', expression: "request.name == 'x'" }] },
    fails: { [`${webhook}.matchConditions`]: [{ name: 'a', expression: '1' }] },
    message: `${webhook}.matchConditions[0].expression: Invalid value: "1": must evaluate to bool…`,
  },
];
const none = { 'read when the webhook is asked': ['webhooks.clientConfig.caBundle'] };

export const validatingWebhookConfiguration: RuleTable = {
  apiVersion: 'admissionregistration.k8s.io/v1',
  kind: 'ValidatingWebhookConfiguration',
  base,
  rows,
  none,
};

export const mutatingWebhookConfiguration: RuleTable = {
  apiVersion: 'admissionregistration.k8s.io/v1',
  kind: 'MutatingWebhookConfiguration',
  base,
  rows: [
    ...rows,
    {
      field: 'webhooks.reinvocationPolicy',
      rule: 'one of two',
      passes: { [`${webhook}.reinvocationPolicy`]: 'IfNeeded' },
      fails: { [`${webhook}.reinvocationPolicy`]: 'Foo' },
      message: `${webhook}.reinvocationPolicy: Unsupported value: "Foo": supported values: "IfNeeded", "Never"`,
    },
  ],
  none,
};
