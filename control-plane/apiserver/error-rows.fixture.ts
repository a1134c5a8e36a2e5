import { expect } from 'vitest';
import { deploymentNamed, podNamed, type CallOptions } from './test-server.fixture.ts';

/** Bodies are those of kube-apiserver 1.36.2, byte for byte, but for what is named otherwise. */
export interface Row {
  readonly name: string;
  readonly method?: string;
  readonly path: string;
  readonly options?: CallOptions;
  readonly status: number;
  readonly want: object;
}

export const ns: string = '/api/v1/namespaces/default';
export const cms: string = `${ns}/configmaps`;
export const deployments: string = '/apis/apps/v1/namespaces/default/deployments';
/** A Status of failure with all that is always in it. */
export const failure = (code: number, reason: string, message: string, details?: object): object => ({
  kind: 'Status',
  apiVersion: 'v1',
  metadata: {},
  status: 'Failure',
  message,
  reason,
  ...(details === undefined ? {} : { details }),
  code,
});
const notAllowed = failure(
  405,
  'MethodNotAllowed',
  'the server does not allow this method on the requested resource',
  {},
);
const modified =
  'the object has been modified; please apply your changes to the latest version and try again';
const subdomain =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";

const merge = { 'content-type': 'application/merge-patch+json' };
/** Patches that would make another object of it. */
const patchRows: readonly Row[] = [
  {
    name: 'a patch of the name',
    body: { metadata: { name: 'y' } },
    status: 400,
    want: failure(400, 'BadRequest', 'the name of the object (y) does not match the name on the URL (x)'),
  },
  {
    name: 'a patch that takes the name',
    body: { metadata: { name: null } },
    status: 400,
    want: failure(
      400,
      'BadRequest',
      'the name of the object (x based on URL) was undeterminable: name must be provided',
    ),
  },
  {
    name: 'a patch of the namespace',
    body: { metadata: { namespace: 'other' } },
    status: 400,
    want: failure(
      400,
      'BadRequest',
      'the namespace of the provided object does not match the namespace sent on the request',
    ),
  },
  {
    name: 'a patch of the kind',
    body: { kind: 'Secret' },
    status: 422,
    want: expect.objectContaining({
      reason: 'Invalid',
      message: expect.stringMatching(
        /^ "" is invalid: patch: Invalid value: .*: converting \(v1\.Secret\) to \(core\.ConfigMap\): unknown conversion$/,
      ),
    }),
  },
  {
    name: 'a patch of the version',
    body: { apiVersion: 'v2' },
    status: 422,
    want: expect.objectContaining({
      reason: 'Invalid',
      message: expect.stringMatching(
        /: no kind "ConfigMap" is registered for version "v2" in scheme "pkg\/api\/legacyscheme\/scheme\.go:30"$/,
      ),
    }),
  },
].map(({ body, ...row }) => ({
  ...row,
  method: 'PATCH',
  path: `${cms}/x`,
  options: { body, headers: merge },
}));

/** Objects that are posted to others, or are answered only, are where they are sent, too. */
const elsewhere: readonly Row[] = [
  ['a binding', `${ns}/pods/x/binding`, { metadata: { name: 'x' }, target: { name: 'n' } }],
  ['a binding by itself', `${ns}/bindings`, { metadata: { name: 'x' }, target: { name: 'n' } }],
  ['an eviction', `${ns}/pods/x/eviction`, { apiVersion: 'policy/v1', kind: 'Eviction', metadata: {} }],
  ['a request for a token', `${ns}/serviceaccounts/default/token`, { spec: {} }],
  ['a scale', `${deployments}/x/scale`, { metadata: { name: 'x' }, spec: { replicas: 1 } }],
  [
    'a review',
    '/apis/authorization.k8s.io/v1/namespaces/default/localsubjectaccessreviews',
    { spec: { user: 'u', resourceAttributes: { verb: 'get', namespace: 'default' } } },
  ],
].map(([name, path, body]): Row => {
  const { metadata = {} } = body as { readonly metadata?: object };
  return {
    name: `${String(name)} of another namespace than the URL`,
    method: String(path).endsWith('/scale') ? 'PUT' : 'POST',
    path: String(path),
    options: { body: { ...(body as object), metadata: { ...metadata, namespace: 'other' } } },
    status: 400,
    want: failure(
      400,
      'BadRequest',
      'the namespace of the provided object does not match the namespace sent on the request',
    ),
  };
});

export const rows: readonly Row[] = [
  ...elsewhere,
  ...patchRows,
  {
    name: 'an object that is not there',
    path: `${ns}/pods/nope`,
    status: 404,
    want: failure(404, 'NotFound', 'pods "nope" not found', { name: 'nope', kind: 'pods' }),
  },
  {
    name: 'an unknown resource of a known group',
    path: '/api/v1/nopes',
    status: 404,
    want: failure(404, 'NotFound', 'the server could not find the requested resource', {}),
  },
  {
    name: 'a name that is taken',
    method: 'POST',
    path: deployments,
    options: { body: deploymentNamed('x') },
    status: 409,
    want: failure(409, 'AlreadyExists', 'deployments.apps "x" already exists', {
      name: 'x',
      group: 'apps',
      kind: 'deployments',
    }),
  },
  {
    name: 'a namespace that is not there',
    method: 'POST',
    path: '/api/v1/namespaces/zz/configmaps',
    options: { body: { metadata: { name: 'x' } } },
    status: 404,
    want: failure(404, 'NotFound', 'namespaces "zz" not found', { name: 'zz', kind: 'namespaces' }),
  },
  {
    name: 'another namespace than the URL',
    method: 'POST',
    path: cms,
    options: { body: { metadata: { name: 'x', namespace: 'other' } } },
    status: 400,
    want: failure(
      400,
      'BadRequest',
      'the namespace of the provided object does not match the namespace sent on the request',
    ),
  },
  {
    name: 'another name than the URL',
    method: 'PUT',
    path: `${cms}/x`,
    options: { body: { metadata: { name: 'y' } } },
    status: 400,
    want: failure(400, 'BadRequest', 'the name of the object (y) does not match the name on the URL (x)'),
  },
  {
    name: 'a stale resourceVersion',
    method: 'PUT',
    path: `${cms}/x`,
    options: { body: { metadata: { name: 'x', resourceVersion: '1' } } },
    status: 409,
    want: failure(409, 'Conflict', `Operation cannot be fulfilled on configmaps "x": ${modified}`, {
      name: 'x',
      kind: 'configmaps',
    }),
  },
  {
    name: 'a new object that was read somewhere',
    method: 'POST',
    path: cms,
    options: { body: { metadata: { name: 'read-before', resourceVersion: '7' } } },
    status: 500,
    want: {
      ...failure(500, '', 'resourceVersion should not be set on objects to be created'),
      reason: undefined,
    },
  },
  {
    name: 'JSON that is none',
    method: 'POST',
    path: cms,
    options: { body: '{bad' },
    status: 400,
    want: failure(
      400,
      'BadRequest',
      "the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; json parse error: invalid character 'b' looking for beginning of object key string ({bad)",
    ),
  },
  {
    name: 'a field of another type',
    method: 'POST',
    path: deployments,
    options: { body: deploymentNamed('t', { replicas: 'x' }) },
    status: 400,
    want: failure(
      400,
      'BadRequest',
      'Deployment in version "v1" cannot be handled as a Deployment: json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32',
    ),
  },
  {
    name: 'another kind',
    method: 'POST',
    path: cms,
    options: { body: { kind: 'Pod', apiVersion: 'v1', metadata: { name: 'x' } } },
    status: 400,
    want: failure(
      400,
      'BadRequest',
      'Pod in version "v1" cannot be handled as a ConfigMap: converting (v1.Pod) to (core.ConfigMap): unknown conversion',
    ),
  },
  {
    name: 'no name',
    method: 'POST',
    path: cms,
    options: { body: { metadata: {} } },
    status: 422,
    want: failure(
      422,
      'Invalid',
      'ConfigMap "" is invalid: metadata.name: Required value: name or generateName is required',
      {
        kind: 'ConfigMap',
        causes: [
          {
            reason: 'FieldValueRequired',
            message: 'Required value: name or generateName is required',
            field: 'metadata.name',
          },
        ],
      },
    ),
  },
  {
    name: 'a name that is not well formed',
    method: 'POST',
    path: cms,
    options: { body: { metadata: { name: 'A_b' } } },
    status: 422,
    want: failure(
      422,
      'Invalid',
      `ConfigMap "A_b" is invalid: metadata.name: Invalid value: "A_b": ${subdomain}`,
      {
        name: 'A_b',
        kind: 'ConfigMap',
        causes: [
          {
            reason: 'FieldValueInvalid',
            message: `Invalid value: "A_b": ${subdomain}`,
            field: 'metadata.name',
          },
        ],
      },
    ),
  },
  {
    name: 'a pod without containers',
    method: 'POST',
    path: `${ns}/pods`,
    options: { body: { metadata: { name: 'p' }, spec: { containers: [] } } },
    status: 422,
    want: failure(422, 'Invalid', 'Pod "p" is invalid: spec.containers: Required value', {
      name: 'p',
      kind: 'Pod',
      causes: [{ reason: 'FieldValueRequired', message: 'Required value', field: 'spec.containers' }],
    }),
  },
  {
    name: 'a node port out of range',
    method: 'POST',
    path: `${ns}/services`,
    options: {
      body: { metadata: { name: 'np' }, spec: { type: 'NodePort', ports: [{ port: 80, nodePort: 80 }] } },
    },
    status: 422,
    want: failure(
      422,
      'Invalid',
      'Service "np" is invalid: spec.ports[0].nodePort: Invalid value: 80: provided port is not in the valid range. The range of valid ports is 30000-32767',
      {
        name: 'np',
        kind: 'Service',
        causes: [
          {
            reason: 'FieldValueInvalid',
            message:
              'Invalid value: 80: provided port is not in the valid range. The range of valid ports is 30000-32767',
            field: 'spec.ports[0].nodePort',
          },
        ],
      },
    ),
  },
  {
    name: 'unknown and duplicate fields under strict validation',
    method: 'POST',
    path: `${deployments}?fieldValidation=Strict`,
    options: {
      body: '{"metadata":{"name":"s","bogus":1},"spec":{"bogus":1,"replicas":1,"replicas":2,"selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"c","image":"i"}]}}}}',
    },
    status: 400,
    want: failure(
      400,
      'BadRequest',
      'Deployment in version "v1" cannot be handled as a Deployment: strict decoding error: unknown field "metadata.bogus", unknown field "spec.bogus", duplicate field "spec.replicas"',
    ),
  },
  {
    name: 'a patch type that is none',
    method: 'PATCH',
    path: `${cms}/x`,
    options: { body: '{}', headers: { 'content-type': 'application/json' } },
    status: 415,
    want: failure(415, 'UnsupportedMediaType', '415: Unsupported Media Type', {}),
  },
  {
    name: 'a patch without Content-Type',
    method: 'PATCH',
    path: `${cms}/x`,
    options: { body: '{}' },
    status: 415,
    want: failure(415, 'UnsupportedMediaType', '415: Unsupported Media Type', {}),
  },
  {
    name: 'a body of an unknown type',
    method: 'POST',
    path: cms,
    options: { body: 'x', headers: { 'content-type': 'text/csv' } },
    status: 415,
    want: failure(
      415,
      'UnsupportedMediaType',
      'the body of the request was in an unknown format - accepted media types include: application/json, application/yaml, application/vnd.kubernetes.protobuf',
    ),
  },
  {
    name: 'an Accept that nothing satisfies',
    path: `${cms}/x`,
    options: { headers: { accept: 'text/csv' } },
    status: 406,
    want: failure(
      406,
      'NotAcceptable',
      '406: Not Acceptable\n\nAvailable representations: application/json, application/yaml, application/vnd.kubernetes.protobuf, application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch',
      {},
    ),
  },
  {
    name: 'a JSON patch whose test fails',
    method: 'PATCH',
    path: `${cms}/x`,
    options: {
      body: [{ op: 'test', path: '/metadata/name', value: 'other' }],
      headers: { 'content-type': 'application/json-patch+json' },
    },
    status: 422,
    want: failure(422, 'Invalid', 'the server rejected our request due to an error in our request', {}),
  },
  {
    name: 'a JSON patch that is no list',
    method: 'PATCH',
    path: `${cms}/x`,
    options: { body: {}, headers: { 'content-type': 'application/json-patch+json' } },
    status: 400,
    want: failure(
      400,
      'BadRequest',
      'error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp',
    ),
  },
  {
    name: 'force without apply',
    method: 'PATCH',
    path: `${cms}/x?force=true`,
    options: { body: {}, headers: { 'content-type': 'application/merge-patch+json' } },
    status: 422,
    want: failure(
      422,
      'Invalid',
      'PatchOptions.meta.k8s.io "" is invalid: force: Forbidden: may not be specified for non-apply patch',
      {
        group: 'meta.k8s.io',
        kind: 'PatchOptions',
        causes: [
          {
            reason: 'FieldValueForbidden',
            message: 'Forbidden: may not be specified for non-apply patch',
            field: 'force',
          },
        ],
      },
    ),
  },
  {
    name: 'an unknown dryRun',
    method: 'POST',
    path: `${cms}?dryRun=foo`,
    options: { body: { metadata: { name: 'z' } } },
    status: 422,
    want: failure(
      422,
      'Invalid',
      'CreateOptions.meta.k8s.io "" is invalid: dryRun: Unsupported value: ["foo"]: supported values: "All"',
      {
        group: 'meta.k8s.io',
        kind: 'CreateOptions',
        causes: [
          {
            reason: 'FieldValueNotSupported',
            message: 'Unsupported value: ["foo"]: supported values: "All"',
            field: 'dryRun',
          },
        ],
      },
    ),
  },
  { name: 'a method that a collection lacks', method: 'PUT', path: cms, status: 405, want: notAllowed },
  {
    name: 'a method that a kind lacks',
    method: 'DELETE',
    path: '/api/v1/namespaces',
    status: 405,
    want: notAllowed,
  },
  {
    name: 'a pod without its service account',
    method: 'POST',
    path: '/api/v1/namespaces/kube-public/pods',
    options: { body: podNamed('p') },
    status: 403,
    want: failure(
      403,
      'Forbidden',
      'pods "p" is forbidden: error looking up service account kube-public/default: serviceaccount "default" not found',
      { name: 'p', kind: 'pods' },
    ),
  },
  {
    name: 'a priority class that is not there',
    method: 'POST',
    path: `${ns}/pods`,
    options: {
      body: {
        metadata: { name: 'pp' },
        spec: { priorityClassName: 'nope', containers: [{ name: 'c', image: 'i' }] },
      },
    },
    status: 403,
    want: failure(403, 'Forbidden', 'pods "pp" is forbidden: no PriorityClass with name nope was found', {
      name: 'pp',
      kind: 'pods',
    }),
  },
];
