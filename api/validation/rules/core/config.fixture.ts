import type { RuleRow, RuleTable } from '#api/validation/rules/rule-table.fixture.ts';

const immutableText = 'Forbidden: field is immutable when `immutable` is set';

const owner = { apiVersion: 'v1', kind: 'Pod', name: 'p', uid: 'u' };
const owners = 'metadata.ownerReferences';
/** Of what is said of owners, which of all kinds is the same. */
const ownerRows: readonly RuleRow[] = (
  [
    ['kind', ''],
    ['name', ''],
    ['uid', ''],
    ['apiVersion', ''],
    ['apiVersion', 'a/'],
    ['apiVersion', 'a/b/c'],
  ] as const
).map(([field, fails]) => ({
  field: owners,
  rule: `${field}, not ${JSON.stringify(fails)}`,
  passes: { [owners]: [{ ...owner, apiVersion: 'a.b/v1' }] },
  fails: { [owners]: [owner, { ...owner, [field]: fails }] },
  message: `${owners}.${field}: Invalid value: "${fails}": ${field === 'apiVersion' ? 'version ' : ''}must not be empty`,
}));

export const configMap: RuleTable = {
  apiVersion: 'v1',
  kind: 'ConfigMap',
  base: { data: { a: 'b' } },
  rows: [
    {
      field: 'data',
      rule: 'keys of letters, digits, -, _ and .',
      passes: { 'data[a.B_c-1]': 'x' },
      fails: { 'data[a b]': 'x' },
      message: 'data[a b]: Invalid value: "a b": a valid config key must consist of…',
    },
    {
      field: 'data',
      rule: 'keys that are no way up',
      passes: { data: { '.a': 'x' } },
      fails: { data: { '..a': 'x' } },
      message: `data[..a]: Invalid value: "..a": must not start with '..'`,
    },
    {
      field: 'data',
      rule: 'at most 1 MiB',
      passes: { data: { a: 'x'.repeat(1_048_576) } },
      fails: { data: { a: 'x'.repeat(1_048_577) } },
      message: '[]: Too long: may not be more than 1048576 bytes',
    },
    {
      field: 'data',
      rule: 'stay when immutable',
      from: { immutable: true },
      passes: { 'metadata.labels': { a: 'b' } },
      fails: { 'data[a]': 'c' },
      message: `data: ${immutableText}`,
    },
    {
      field: 'immutable',
      rule: 'stays',
      from: { immutable: true },
      fails: { immutable: false },
      message: `immutable: ${immutableText}`,
    },
    {
      field: 'binaryData',
      rule: 'keys of its own',
      passes: { 'binaryData[b]': '' },
      fails: { 'binaryData[a]': '' },
      message: 'data[a]: Duplicate value: "a"',
    },
    {
      field: 'binaryData',
      rule: 'stay when immutable',
      from: { immutable: true, 'binaryData[b]': '' },
      fails: { 'binaryData[b]': 'AAAA' },
      message: `binaryData: ${immutableText}`,
    },
    ...ownerRows,
    {
      field: owners,
      rule: 'no Event',
      passes: { [owners]: [{ ...owner, apiVersion: 'events.k8s.io/v1', kind: 'Event' }] },
      fails: { [owners]: [{ ...owner, kind: 'Event' }] },
      message: `${owners}: Invalid value: {"apiVersion":"v1","kind":"Event","name":"p","uid":"u"}: /v1, Kind=Event is disallowed from being an owner`,
    },
  ],
};

const typed = (type: string, data: object): { readonly type: string; readonly data: object } => ({
  type: `kubernetes.io/${type}`,
  data,
});

export const secret: RuleTable = {
  apiVersion: 'v1',
  kind: 'Secret',
  base: { data: { a: 'Yg==' } },
  rows: [
    {
      field: 'data',
      rule: 'keys of letters, digits, -, _ and .',
      passes: { 'data[a.B_c-1]': '' },
      fails: { 'data[a b]': '' },
      message: 'data[a b]: Invalid value: "a b": a valid config key must consist of…',
    },
    {
      field: 'data',
      rule: 'at most 1 MiB',
      passes: { data: { a: 'AAAA'.repeat(349_525) } },
      fails: { data: { a: 'AAAA'.repeat(349_526) } },
      message: 'data: Too long: may not be more than 1048576 bytes',
    },
    {
      field: 'data',
      rule: 'what a dockercfg must have',
      passes: typed('dockercfg', { '.dockercfg': 'e30=' }),
      fails: typed('dockercfg', {}),
      message: 'data[.dockercfg]: Required value',
    },
    {
      field: 'data',
      rule: 'what a dockerconfigjson must have is JSON',
      passes: typed('dockerconfigjson', { '.dockerconfigjson': 'e30=' }),
      fails: typed('dockerconfigjson', { '.dockerconfigjson': 'Yg==' }),
      message:
        'data[.dockerconfigjson]: Invalid value: "<secret contents redacted>": invalid character \'b\' looking for beginning of value',
    },
    {
      field: 'data',
      rule: 'what a dockerconfigjson must have is a map, or null',
      passes: typed('dockerconfigjson', { '.dockerconfigjson': 'bnVsbA==' }),
      fails: typed('dockerconfigjson', { '.dockerconfigjson': 'W10=' }),
      message:
        'data[.dockerconfigjson]: Invalid value: "<secret contents redacted>": json: cannot unmarshal array into Go value of type map[string]interface {}',
    },
    {
      field: 'data',
      rule: 'name or password of basic-auth',
      passes: typed('basic-auth', { username: '' }),
      fails: typed('basic-auth', {}),
      message: ['data[%s][username]: Required value', 'data[%s][password]: Required value'],
    },
    {
      field: 'data',
      rule: 'a key of ssh-auth',
      passes: typed('ssh-auth', { 'ssh-privatekey': 'Yg==' }),
      fails: typed('ssh-auth', { 'ssh-privatekey': '' }),
      message: 'data[%s][ssh-privatekey]: Required value',
    },
    {
      field: 'data',
      rule: 'certificate and key of tls',
      passes: typed('tls', { 'tls.crt': '', 'tls.key': '' }),
      fails: typed('tls', {}),
      message: ['data[tls.crt]: Required value', 'data[tls.key]: Required value'],
    },
    {
      field: 'data',
      rule: 'stay when immutable',
      from: { immutable: true },
      fails: { 'data[a]': 'Yw==' },
      message: `data: ${immutableText}`,
    },
    {
      field: 'immutable',
      rule: 'stays',
      from: { immutable: true },
      fails: { immutable: false },
      message: `immutable: ${immutableText}`,
    },
    {
      field: 'type',
      rule: 'an account token names its account',
      passes: {
        type: 'kubernetes.io/service-account-token',
        'metadata.annotations[kubernetes.io/service-account.name]': 'default',
      },
      fails: { type: 'kubernetes.io/service-account-token' },
      message: 'metadata.annotations[kubernetes.io/service-account.name]: Required value',
    },
    {
      field: 'type',
      rule: 'stays',
      from: {},
      passes: { 'data[b]': '' },
      fails: { type: 'example.com/x' },
      message: 'type: Invalid value: "example.com/x": field is immutable',
    },
  ],
  none: { 'written into data before it is looked at': ['stringData'] },
};

export const namespace: RuleTable = {
  apiVersion: 'v1',
  kind: 'Namespace',
  base: {},
  rows: [
    {
      field: 'metadata.name',
      rule: 'a DNS label',
      fails: { 'metadata.name': 'a.b' },
      message: 'metadata.name: Invalid value: "a.b": a lowercase RFC 1123 label must consist…',
    },
    {
      field: 'spec.finalizers',
      rule: 'standard or qualified names',
      subresource: 'finalize',
      from: {},
      passes: { 'spec.finalizers': ['a.b/c'] },
      fails: { 'spec.finalizers': ['c'] },
      message:
        'spec.finalizers[0]: Invalid value: "c": name is neither a standard finalizer name nor is it fully qualified',
    },
    {
      field: 'status.phase',
      rule: 'Active until it is deleted',
      subresource: 'status',
      from: {},
      fails: { 'status.phase': 'Terminating' },
      message:
        'status.Phase: Invalid value: "Terminating": may only be \'Active\' if `deletionTimestamp` is empty',
    },
  ],
};

export const serviceAccount: RuleTable = {
  apiVersion: 'v1',
  kind: 'ServiceAccount',
  base: {},
  rows: [
    {
      field: 'metadata.name',
      rule: 'a DNS subdomain',
      passes: { 'metadata.name': 'a.b' },
      fails: { 'metadata.name': 'a_b' },
      message: 'metadata.name: Invalid value: "a_b": a lowercase RFC 1123 subdomain must consist…',
    },
  ],
  none: { 'names that nobody looks at until a pod is made': ['imagePullSecrets.*', 'secrets.*'] },
};
