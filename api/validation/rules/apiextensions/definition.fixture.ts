import type { RuleRow, RuleTable } from '#api/validation/rules/rule-table.fixture.ts';

const schema = { openAPIV3Schema: { type: 'object' } };
const v1 = { name: 'v1', served: true, storage: true, schema };
const v2 = { ...v1, name: 'v2', storage: false };
const version = 'spec.versions[0]';
const columns = `${version}.additionalPrinterColumns`;
const column = { name: 'C', type: 'string', jsonPath: '.spec.a' };
const whole = 'spec.versions.schema.openAPIV3Schema';
const properties = { s: { type: 'string' }, l: { type: 'array', items: { type: 'string' } } };
const withSpec = (spec: object): object => ({
  [`${version}.schema`]: { openAPIV3Schema: { type: 'object', properties: { spec } } },
});
const schemaRow = (
  [field, rule]: readonly [field: string, rule: string],
  [passes, fails]: readonly [passes: object, fails: object],
  message: string,
): RuleRow => ({
  field: `${whole}.${field}`,
  rule,
  passes: { ...withSpec(passes) },
  fails: { ...withSpec(fails) },
  message: `spec.validation.openAPIV3Schema.properties[spec]${message}`,
});
const scaleRow = (field: string, [good, bad, under]: readonly [string, string, string]): RuleRow => {
  const scale = { specReplicasPath: '.spec.a', statusReplicasPath: '.status.a' };
  return {
    field: `spec.versions.subresources.scale.${field}`,
    rule: `a path under ${under}`,
    passes: { [`${version}.subresources`]: { scale: { ...scale, [field]: good } } },
    fails: { [`${version}.subresources`]: { scale: { ...scale, [field]: bad } } },
    message: `spec.subresources.scale.${field}: Invalid value: "${bad}": should be a json path under ${under}`,
  };
};
const selectable = (jsonPath: string): object => ({
  ...withSpec({ type: 'object', properties }),
  [`${version}.selectableFields`]: [{ jsonPath }],
});
const webhook = 'spec.conversion';
const client = { url: 'https://h/x' };
const conversion = (edits: object, clientConfig: unknown = client): object => ({
  [webhook]: {
    strategy: 'Webhook',
    webhook: { clientConfig, conversionReviewVersions: ['v1'], ...edits },
  },
});
const named = (group: string, annotations: object): object => ({
  'metadata.name': `ws.${group}`,
  'spec.group': group,
  'metadata.annotations': annotations,
});

const nameRow = (field: string, value: string, message: string): RuleRow => ({
  field: `spec.names.${field}`,
  rule: 'a label of RFC 1035',
  fails: { [`spec.names.${field}`]: value },
  message: `spec.names.${field}: Invalid value: ${JSON.stringify(value)}: ${message}`,
});
const columnRow = (field: string, value: string, message: string, path = field): RuleRow => ({
  field: `spec.versions.additionalPrinterColumns.${field}`,
  rule: message,
  passes: { [columns]: [{ ...column, format: 'int32' }] },
  fails: { [columns]: [{ ...column, [field]: value }] },
  message: `spec.additionalPrinterColumns[0].${path}: ${message}`,
});
const conversionRow = (
  field: string,
  rule: string,
  [fails, message]: readonly [fails: object, message: string],
): RuleRow => ({
  field: `${webhook}.${field}`,
  rule,
  passes: { ...conversion({}) },
  fails: { ...fails },
  message: `${webhook}.${message}`,
});
const service = (edits: object): object =>
  conversion({}, { service: { namespace: 'n', name: 's', ...edits } });

export const customResourceDefinition: RuleTable = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  base: {
    metadata: { name: 'ws.a.b' },
    spec: { group: 'a.b', scope: 'Namespaced', names: { plural: 'ws', kind: 'W' }, versions: [v1] },
  },
  rows: [
    {
      field: 'metadata.name',
      rule: 'the plural and the group',
      fails: { 'metadata.name': 'foo.a.b' },
      message: 'metadata.name: Invalid value: "foo.a.b": must be spec.names.plural+"."+spec.group',
    },
    {
      field: 'metadata.name',
      rule: 'complained of first',
      fails: { 'metadata.name': 'foo.a.b', 'spec.scope': 'Foo' },
      message: [
        'metadata.name: Invalid value: "foo.a.b": must be spec.names.plural+"."+spec.group',
        'spec.scope: Unsupported value: "Foo": supported values: "Cluster", "Namespaced"',
      ],
    },
    {
      field: 'status.acceptedNames',
      rule: 'labels of RFC 1035',
      subresource: 'status',
      from: {},
      passes: { 'status.acceptedNames': { plural: 'ws', kind: 'W' } },
      fails: { 'status.acceptedNames': { plural: 'W', kind: 'W', listKind: 'W' } },
      message: [
        'status.acceptedNames.plural: Invalid value: "W": a DNS-1035 label must consist…',
        'status.acceptedNames.listKind: Invalid value: "W": kind and listKind may not be the same',
      ],
    },
    {
      field: 'spec.group',
      rule: 'a domain',
      passes: { ...named('c.d', {}) },
      fails: { ...named('g', {}) },
      message: 'spec.group: Invalid value: "g": should be a domain with at least one dot',
    },
    {
      field: 'spec.group',
      rule: "Kubernetes' own with approval alone",
      passes: { ...named('x.k8s.io', { 'api-approved.kubernetes.io': 'https://a.b/c' }) },
      fails: { ...named('x.k8s.io', {}) },
      message:
        'metadata.annotations[api-approved.kubernetes.io]: Required value: protected groups must have approval annotation "api-approved.kubernetes.io", see https://github.com/kubernetes/enhancements/pull/1111',
    },
    {
      field: 'spec.group',
      rule: 'or with the reason why there is none',
      passes: { ...named('x.k8s.io', { 'api-approved.kubernetes.io': 'unapproved, a test' }) },
      fails: { ...named('x.k8s.io', { 'api-approved.kubernetes.io': 'nope' }) },
      message:
        'metadata.annotations[api-approved.kubernetes.io]: Invalid value: "nope": protected groups must have approval annotation…',
    },
    {
      field: 'spec.group',
      rule: 'stays',
      from: {},
      fails: { 'spec.group': 'c.d' },
      message: 'spec.group: Invalid value: "c.d": field is immutable',
    },
    {
      field: 'spec.scope',
      rule: 'there',
      fails: { 'spec.scope': '' },
      message: 'spec.scope: Required value',
    },
    {
      field: 'spec.scope',
      rule: 'one of two',
      passes: { 'spec.scope': 'Cluster' },
      fails: { 'spec.scope': 'Foo' },
      message: 'spec.scope: Unsupported value: "Foo": supported values: "Cluster", "Namespaced"',
    },
    {
      field: 'spec.scope',
      rule: 'stays once there may be objects',
      from: { 'status.conditions': [{ type: 'Established', status: 'True' }] },
      fails: { 'spec.scope': 'Cluster' },
      message: 'spec.scope: Invalid value: "Cluster": field is immutable',
    },
    {
      field: 'spec.versions.name',
      rule: 'a label of RFC 1035',
      passes: { 'spec.versions': [v1, v2] },
      fails: { 'spec.versions': [v1, { ...v2, name: '2' }] },
      message: 'spec.versions[1].name: Invalid value: "2": a DNS-1035 label must consist…',
    },
    {
      field: 'spec.versions.name',
      rule: 'each once',
      fails: { 'spec.versions': [v1, { ...v1, storage: false }] },
      message: 'must contain unique version names…',
    },
    {
      field: 'spec.versions.name',
      rule: 'one that objects are stored in',
      fails: { 'spec.versions': [{ ...v1, storage: false }] },
      message: [
        'must have exactly one version marked as storage version…',
        'status.storedVersions: Invalid value: null: must have at least one stored version',
      ],
    },
    {
      field: 'spec.versions.name',
      rule: 'and no other',
      fails: { 'spec.versions': [v1, { ...v2, storage: true }] },
      message: [
        'must have exactly one version marked as storage version…',
        'status.storedVersions: Invalid value: ["v1"]: must have the storage version v2',
      ],
    },
    {
      field: 'spec.versions.name',
      rule: 'those that objects may be stored in stay',
      from: {},
      passes: {
        'spec.versions': [
          { ...v1, storage: false },
          { ...v2, storage: true },
        ],
      },
      fails: { 'spec.versions': [{ ...v2, storage: true }] },
      message:
        'status.storedVersions[0]: Invalid value: "v1": missing from spec.versions; v1 was previously a storage version, and must remain in…',
    },
    {
      field: 'spec.versions.schema.openAPIV3Schema',
      rule: 'there',
      fails: { [`${version}.schema`]: undefined },
      message: `${version}.schema.openAPIV3Schema: Required value`,
    },
    {
      field: 'spec.versions.deprecationWarning',
      rule: 'of deprecated ones',
      passes: { [`${version}.deprecated`]: true, [`${version}.deprecationWarning`]: 'w' },
      fails: { [`${version}.deprecationWarning`]: 'w' },
      message: `${version}.deprecationWarning: Invalid value: "w": can only be set for deprecated versions`,
    },
    {
      field: 'spec.names.plural',
      rule: 'there',
      fails: { 'metadata.name': '.a.b', 'spec.names.plural': '' },
      message: [
        'metadata.name: Invalid value: ".a.b": a lowercase RFC 1123 subdomain must consist…',
        'spec.names.plural: Required value',
      ],
    },
    {
      field: 'spec.names.plural',
      rule: 'a label of RFC 1035',
      fails: { 'metadata.name': '1s.a.b', 'spec.names.plural': '1s' },
      message: 'spec.names.plural: Invalid value: "1s": a DNS-1035 label must consist…',
    },
    nameRow('singular', 'A', 'a DNS-1035 label must consist…'),
    {
      field: 'spec.names.kind',
      rule: 'a label of RFC 1035 but for its case',
      passes: { 'spec.names.kind': 'aB' },
      fails: { 'spec.names.kind': '1K', 'spec.names.singular': 'k', 'spec.names.listKind': 'KList' },
      message:
        'spec.names.kind: Invalid value: "1K": may have mixed case, but should otherwise match: a DNS-1035 label must consist…',
    },
    nameRow('listKind', 'a b', 'may have mixed case, but should otherwise match: a DNS-1035 label must…'),
    nameRow('listKind', 'W', 'kind and listKind may not be the same'),
    ...['shortNames', 'categories'].map((name) => ({
      field: `spec.names.${name}`,
      rule: 'labels of RFC 1035',
      passes: { [`spec.names.${name}`]: ['a', 'b'] },
      fails: { [`spec.names.${name}`]: ['a', 'B'] },
      message: `spec.names.${name}[1]: Invalid value: "B": a DNS-1035 label must consist…`,
    })),
    columnRow('name', '', 'Required value'),
    columnRow('type', '', 'Required value: must be one of boolean,date,integer,number,string'),
    columnRow('type', 'Foo', 'Invalid value: "Foo": must be one of boolean,date,integer,number,string'),
    columnRow(
      'format',
      'Foo',
      'Invalid value: "Foo": must be one of byte,date,date-time,double,float,int32,int64,password',
    ),
    columnRow('jsonPath', '', 'Required value', 'JSONPath'),
    columnRow(
      'jsonPath',
      'spec.a',
      'Invalid value: "spec.a": must be a simple json path starting with .',
      'JSONPath',
    ),
    scaleRow('specReplicasPath', ['.spec.b', '.status.b', '.spec']),
    scaleRow('statusReplicasPath', ['.status.b', '.spec.b', '.status']),
    scaleRow('labelSelectorPath', ['.spec.b', '.metadata.b', 'either .spec or .status']),
    {
      field: 'spec.versions.selectableFields.jsonPath',
      rule: 'a field of the schema',
      passes: { ...selectable('.spec.s') },
      fails: { ...selectable('.spec.z') },
      message:
        'spec.selectableFields[0].jsonPath: Invalid value: ".spec.z": is an invalid path: does not refer to a valid field',
    },
    {
      field: 'spec.versions.selectableFields.jsonPath',
      rule: 'of one value',
      fails: { ...selectable('.spec.l') },
      message: 'spec.selectableFields[0].jsonPath: Invalid value: ".spec.l": must point to a field of type…',
    },
    schemaRow(
      ['type', 'there'],
      [{ type: 'object' }, { properties }],
      '.type: Required value: must not be empty for specified object fields',
    ),
    schemaRow(
      ['default', 'valid by its own schema'],
      [
        { type: 'string', default: 'a' },
        { type: 'string', default: 1 },
      ],
      '.default: Invalid value: "integer":  in body must be of type string: "integer"',
    ),
    schemaRow(
      ['items', 'of arrays'],
      [{ type: 'array', items: { type: 'string' } }, { type: 'array' }],
      '.items: Required value: must be specified',
    ),
    schemaRow(
      ['pattern', 'a regular expression'],
      [
        { type: 'string', pattern: '^a' },
        { type: 'string', pattern: '[' },
      ],
      '.pattern: Invalid value: "[": must be a valid regular expression, but isn\'t: error parsing regexp…',
    ),
    schemaRow(
      ['x-kubernetes-list-map-keys', 'of lists that are maps'],
      [
        { type: 'array', items: { type: 'string' }, 'x-kubernetes-list-type': 'set' },
        { type: 'array', items: { type: 'object' }, 'x-kubernetes-list-type': 'map' },
      ],
      '.x-kubernetes-list-map-keys: Required value: must not be empty if x-kubernetes-list-type is map',
    ),
    {
      field: `${webhook}.strategy`,
      rule: 'one of two',
      fails: { [`${webhook}.strategy`]: 'Foo' },
      message: `${webhook}.strategy: Unsupported value: "Foo": supported values: "None", "Webhook"`,
    },
    conversionRow('webhook.clientConfig', 'there for its strategy', [
      { [webhook]: { strategy: 'Webhook', webhook: { conversionReviewVersions: ['v1'] } } },
      'webhookClientConfig: Required value: required when strategy is set to Webhook',
    ]),
    conversionRow('webhook.clientConfig', 'not for the other', [
      { [webhook]: { strategy: 'None', webhook: { clientConfig: client } } },
      'webhookClientConfig: Forbidden: should not be set when strategy is not set to Webhook',
    ]),
    conversionRow('webhook.clientConfig.url', 'or a Service', [
      conversion({}, {}),
      'webhookClientConfig: Required value: exactly one of url or service is required',
    ]),
    conversionRow('webhook.clientConfig.url', 'https', [
      conversion({}, { url: 'http://h' }),
      'webhookClientConfig.url: Invalid value: "http": \'https\' is the only allowed URL scheme…',
    ]),
    conversionRow('webhook.clientConfig.service.name', 'there; called by the name of the other', [
      service({ name: '' }),
      'webhookClientConfig.service.namespace: Required value',
    ]),
    conversionRow('webhook.clientConfig.service.namespace', 'there; called by the name of the other', [
      service({ namespace: '' }),
      'webhookClientConfig.service.name: Required value',
    ]),
    conversionRow('webhook.clientConfig.service.port', 'a port', [
      service({ port: 0 }),
      'webhookClientConfig.service.port: Invalid value: 0: port is not valid: must be between…',
    ]),
    conversionRow('webhook.clientConfig.service.path', 'begins with a slash', [
      service({ path: 'no' }),
      'webhookClientConfig.service.path: Invalid value: "no": must start with a \'/\'',
    ]),
    conversionRow('webhook.conversionReviewVersions', 'some', [
      conversion({ conversionReviewVersions: [] }),
      'conversionReviewVersions: Required value',
    ]),
    conversionRow('webhook.conversionReviewVersions', 'one that is known', [
      conversion({ conversionReviewVersions: ['v9'] }),
      'conversionReviewVersions: Invalid value: ["v9"]: must include at least one of v1, v1beta1',
    ]),
    conversionRow('webhook.conversionReviewVersions', 'each once', [
      conversion({ conversionReviewVersions: ['v1', 'v1'] }),
      'conversionReviewVersions[1]: Invalid value: "v1": duplicate version',
    ]),
    {
      field: 'spec.preserveUnknownFields',
      rule: 'not any more',
      fails: { 'spec.preserveUnknownFields': true },
      message: 'spec.preserveUnknownFields: Invalid value: true: cannot set to true, set…',
    },
  ],
  none: {
    'free text, and whatever order': [
      'spec.versions.additionalPrinterColumns.description',
      'spec.versions.additionalPrinterColumns.priority',
    ],
    'read when the webhook is asked': ['spec.conversion.webhook.clientConfig.caBundle'],
    'rows of api/structural/definition/schema-probes.txt': ['spec.versions.schema.openAPIV3Schema.*'],
    'only that it is there counts': ['spec.versions.subresources.status'],
  },
};
