import { expect } from 'vitest';
import { cms, deployments, failure, ns, type Row } from './error-rows.fixture.ts';

const optionsInvalid = (message: string, causes: readonly object[]): object =>
  failure(422, 'Invalid', `DeleteOptions.meta.k8s.io "" is invalid: ${message}`, {
    group: 'meta.k8s.io',
    kind: 'DeleteOptions',
    causes,
  });
const notPolicy = (text: string): string =>
  `Unsupported value: "${text}": supported values: "Foreground", "Background", "Orphan", "nil"`;
const both = 'Invalid value: "Orphan": orphanDependents and deletionPropagation cannot be both set';

/** Objects of a type that the path does not take. */
const typeRows: readonly Row[] = [
  {
    name: 'a version that nobody knows',
    body: { apiVersion: 'v2' },
    want: 'ConfigMap in version "v2" cannot be handled as a ConfigMap: no kind "ConfigMap" is registered for version "v2" in scheme "pkg/api/legacyscheme/scheme.go:30"',
  },
  {
    name: 'a kind that nobody knows',
    body: { apiVersion: 'example.com/v1', kind: 'Widget' },
    want: 'Widget in version "v1" cannot be handled as a ConfigMap: no kind "Widget" is registered for version "example.com/v1" in scheme "pkg/api/legacyscheme/scheme.go:30"',
  },
  {
    name: 'a version that another path serves',
    path: '/apis/autoscaling/v1/namespaces/default/horizontalpodautoscalers',
    body: { apiVersion: 'autoscaling/v2', kind: 'HorizontalPodAutoscaler' },
    want: 'the API version in the data (autoscaling/v2) does not match the expected API version (autoscaling/v1)',
  },
  {
    name: 'a version that is no longer served',
    path: deployments,
    body: { apiVersion: 'extensions/v1beta1', kind: 'Deployment' },
    want: 'the API version in the data (extensions/v1beta1) does not match the expected API version (apps/v1)',
  },
].map(({ name, path = cms, body, want }) => ({
  name,
  method: 'POST',
  path,
  options: { body: { kind: 'ConfigMap', metadata: { name: 'x' }, ...body } },
  status: 400,
  want: failure(400, 'BadRequest', want),
}));

/** What is asked of a deletion that cannot be (ValidateDeleteOptions). */
const deleteRows: readonly Row[] = [
  ...['Nope', ''].map((policy) => ({
    name: `a deletion by the policy "${policy}"`,
    method: 'DELETE',
    path: `${cms}/x?propagationPolicy=${policy}`,
    status: 422,
    want: optionsInvalid(`propagationPolicy: ${notPolicy(policy)}`, [
      { reason: 'FieldValueNotSupported', message: notPolicy(policy), field: 'propagationPolicy' },
    ]),
  })),
  {
    name: 'a deletion by a policy and its predecessor',
    method: 'DELETE',
    path: `${cms}/x`,
    options: { body: { propagationPolicy: 'Orphan', orphanDependents: true } },
    status: 422,
    want: optionsInvalid(`propagationPolicy: ${both}`, [
      { reason: 'FieldValueInvalid', message: both, field: 'propagationPolicy' },
    ]),
  },
];

const unnamed = failure(
  400,
  'BadRequest',
  'the name of the object (x based on URL) was undeterminable: name must be provided',
);
const otherName = (kind: string): object =>
  failure(400, 'BadRequest', `name in URL does not match name in ${kind} object`);

/** Objects that do not say which they are, or say another than the URL. */
const nameRows: readonly Row[] = [
  ...[`${cms}/x`, `${deployments}/x`, `${deployments}/x/status`, `${deployments}/x/scale`].map((path) => ({
    name: `PUT of ${path} without a name`,
    method: 'PUT',
    path,
    options: { body: { metadata: {} } },
    status: 400,
    want: unnamed,
  })),
  ...['', 'other'].flatMap((name) =>
    [
      ['eviction', 'Eviction', {}] as const,
      ['binding', 'Binding', { target: { kind: 'Node', name: 'n' } }] as const,
    ].map(([subresource, kind, rest]) => ({
      name: `a ${kind} of "${name}" for another pod`,
      method: 'POST',
      path: `${ns}/pods/x/${subresource}`,
      options: { body: { metadata: { name }, ...rest } },
      status: 400,
      want: otherName(kind),
    })),
  ),
  {
    name: 'a Binding of nobody',
    method: 'POST',
    path: `${ns}/bindings`,
    options: { body: { metadata: {}, target: { kind: 'Node', name: 'n' } } },
    status: 400,
    want: failure(400, 'BadRequest', 'Name parameter required.'),
  },
];

type PatchRow = readonly [type: string, body: string, cause: string, query?: string];
const patchRow =
  (status: number, want: (cause: string) => object) =>
  ([type, body, cause, query = '']: PatchRow): Row => ({
    name: `a ${type} patch of ${body}${query}`,
    method: 'PATCH',
    path: `${cms}/x${query}`,
    options: { body, headers: { 'content-type': `application/${type}-patch+json` } },
    status,
    want: want(cause),
  });

const objectType = 'Go value of type map[string]interface {}';
const decoding = 'error decoding patch: ';
/** What is no patch. */
const unreadPatches: readonly PatchRow[] = [
  ['merge', '', `${decoding}unexpected end of JSON input`],
  ['merge', '[]', `${decoding}json: cannot unmarshal array into ${objectType}`],
  ['merge', 'true', `${decoding}json: cannot unmarshal bool into ${objectType}`],
  ['merge', 'data: {a: b}', `${decoding}invalid character 'd' looking for beginning of value`],
  ['merge', 'null', 'Invalid JSON Patch'],
  ['strategic-merge', '{', 'unexpected end of JSON input'],
  ['strategic-merge', '3', `json: cannot unmarshal number into ${objectType}`],
  ['json', '"x"', `${decoding}json: cannot unmarshal string into Go value of type []handlers.jsonPatchOp`],
  ['json', '[1]', `${decoding}json: cannot unmarshal number into Go value of type handlers.jsonPatchOp`],
  [
    'json',
    '[{"op":1}]',
    `${decoding}json: cannot unmarshal number into Go struct field jsonPatchOp.op of type string`,
  ],
  [
    'json',
    '{}',
    'json: cannot unmarshal object into Go value of type jsonpatch.Patch',
    '?fieldValidation=Ignore',
  ],
];

const patchInvalid = (message: unknown): object => ({
  kind: 'Status',
  apiVersion: 'v1',
  metadata: {},
  status: 'Failure',
  message: expect.stringMatching(/^ "" is invalid: patch: Invalid value: "/),
  reason: 'Invalid',
  details: { causes: [{ reason: 'FieldValueInvalid', message, field: 'patch' }] },
  code: 422,
});
const strict = '?fieldValidation=Strict';

/** Patches that make no object of the kind: they are shown with what they would have made. */
const madePatches: readonly PatchRow[] = [
  [
    'merge',
    '{"data":{"a":1}}',
    'json: cannot unmarshal number into Go struct field ConfigMap.data of type string',
  ],
  ['merge', '{"bogus":1}', 'strict decoding error: unknown field "bogus"', strict],
  [
    'merge',
    '{"data":{"a":"","a":""},"bogus":1}',
    'strict decoding error: duplicate field "data.a", unknown field "bogus"',
    strict,
  ],
  [
    'json',
    '[{"op":"add","path":"/bogus","value":1,"foo":1}]',
    'strict decoding error: json patch unknown field "[0].foo", unknown field "bogus"',
    strict,
  ],
];

/** Strategic ones are shown as they are, as Go prints a map, in the words of another decoder. */
const mergedPatches: readonly PatchRow[] = [
  ['strategic-merge', '{"data":{"a":1}}', '"map[data:map[a:1]]": cannot convert int64 to string'],
  ['strategic-merge', '{"data":{"a":true}}', '"map[data:map[a:true]]": unrecognized type: string'],
  ['strategic-merge', '{"data":"b"}', '"map[data:b]": cannot restore map from string'],
  [
    'strategic-merge',
    '{"metadata":{"ownerReferences":{}}}',
    '"map[metadata:map[ownerReferences:map[]]]": cannot restore slice from map',
  ],
  ['strategic-merge', '{"immutable":"a"}', '"map[immutable:a]": unrecognized type: bool'],
  ['strategic-merge', '{"bogus":1}', '"map[bogus:1]": strict decoding error: unknown field "bogus"', strict],
];

const patchRows: readonly Row[] = [
  ...unreadPatches.map(patchRow(400, (cause) => failure(400, 'BadRequest', cause))),
  ...madePatches.map(
    patchRow(422, (cause) => patchInvalid(expect.stringMatching(new RegExp(`\\}": ${escaped(cause)}$`)))),
  ),
  ...mergedPatches.map(patchRow(422, (cause) => patchInvalid(`Invalid value: ${cause}`))),
  {
    name: 'what is no patch, of nothing',
    method: 'PATCH',
    path: `${cms}/nobody`,
    options: { body: '[', headers: { 'content-type': 'application/merge-patch+json' } },
    status: 404,
    want: failure(404, 'NotFound', 'configmaps "nobody" not found', { name: 'nobody', kind: 'configmaps' }),
  },
];

function escaped(text: string): string {
  return text.replaceAll(/[[\]().]/g, String.raw`\$&`);
}

const immutable = (field: string, value: unknown): object => {
  const message = `Invalid value: ${JSON.stringify(value)}: field is immutable`;
  return failure(422, 'Invalid', `ConfigMap "x" is invalid: metadata.${field}: ${message}`, {
    name: 'x',
    kind: 'ConfigMap',
    causes: [{ reason: 'FieldValueInvalid', message, field: `metadata.${field}` }],
  });
};

/** Changes of what only a deletion, or the store, says. */
const metadataRows: readonly Row[] = [
  ...(
    [
      ['deletionTimestamp', '2020-01-01T00:00:00Z'],
      ['deletionGracePeriodSeconds', 7],
    ] as const
  ).flatMap(([field, value]) =>
    ['PUT', 'PATCH'].map((method) => ({
      name: `${method} of a ${field}`,
      method,
      path: `${cms}/x`,
      options: {
        body: { metadata: { name: 'x', [field]: value } },
        ...(method === 'PUT' ? {} : { headers: { 'content-type': 'application/merge-patch+json' } }),
      },
      status: 422,
      want: immutable(field, value),
    })),
  ),
  {
    name: 'PUT of a resourceVersion that is none',
    method: 'PUT',
    path: `${cms}/x`,
    options: { body: { metadata: { name: 'x', resourceVersion: 'abc' } } },
    status: 500,
    want: {
      ...failure(500, '', 'strconv.ParseUint: parsing "abc": invalid syntax'),
      reason: undefined,
    },
  },
  {
    name: 'PUT of any resourceVersion',
    method: 'PUT',
    path: `${cms}/x?dryRun=All`,
    options: { body: { metadata: { name: 'x', resourceVersion: '0' } } },
    status: 200,
    want: expect.objectContaining({ kind: 'ConfigMap' }),
  },
];

/** What writes are refused for. */
export const writeRows: readonly Row[] = [
  ...typeRows,
  ...deleteRows,
  ...nameRows,
  ...patchRows,
  ...metadataRows,
];
