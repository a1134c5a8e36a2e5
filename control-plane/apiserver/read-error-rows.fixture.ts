import { expect } from 'vitest';
import { failure, type Row } from './error-rows.fixture.ts';

const continuedBy = (token: object): string => Buffer.from(JSON.stringify(token)).toString('base64url');
const tokenOf = (rv: unknown, start: unknown): string => continuedBy({ v: 'meta.k8s.io/v1', rv, start });

/** Tokens of a list in pieces that no server gave out. */
const tokenRows: readonly Row[] = [
  ['%', ': illegal base64 data at input byte 0'],
  ['abcde', ': illegal base64 data at input byte 4'],
  ['YQ', ": invalid character 'a' looking for beginning of value"],
  ['MQ', ': json: cannot unmarshal number into Go value of type storage.continueToken'],
  [tokenOf('1', '/a'), ': json: cannot unmarshal string into Go struct field continueToken.rv of type int64'],
  [tokenOf(1, 2), ': json: cannot unmarshal number into Go struct field continueToken.start of type string'],
  [continuedBy({ v: 'v2', rv: 1 }), ': server does not recognize this encoded version v2'],
  [tokenOf(0, '/a'), ': incorrect encoded start resourceVersion (version meta.k8s.io/v1)'],
  [tokenOf(5, ''), ': encoded start key empty (version meta.k8s.io/v1)'],
  [tokenOf(5, '/../a'), ': /../a'],
  [tokenOf(5, 'a//b'), ': a//b'],
].map(([token = '', cause = '']) => ({
  name: `a token of a list: ${cause}`,
  path: `/api/v1/configmaps?continue=${encodeURIComponent(token)}`,
  status: 400,
  want: failure(400, 'BadRequest', `invalid continue token: continue key is not valid${cause}`),
}));

const accepts = (as: string, version = 'v1', group = 'meta.k8s.io'): Pick<Row, 'options'> => ({
  options: { headers: { accept: `application/json;as=${as};v=${version};g=${group}` } },
});
const notAcceptable = failure(
  406,
  'NotAcceptable',
  '406: Not Acceptable\n\nAvailable representations: application/json, application/yaml, application/vnd.kubernetes.protobuf, application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch',
  {},
);
const mapX = '/api/v1/namespaces/default/configmaps/x';

/** Shapes that what is asked for does not have. */
const shapeRows: readonly Row[] = [
  {
    name: "one object's metadata of a list",
    ...accepts('PartialObjectMetadata'),
    path: '/api/v1/configmaps',
    status: 406,
    want: failure(
      406,
      'NotAcceptable',
      'you requested PartialObjectMetadata, but the requested object is a list (*core.ConfigMapList)',
    ),
  },
  {
    name: "a list's metadata of one object",
    ...accepts('PartialObjectMetadataList'),
    path: '/apis/apps/v1/namespaces/default/deployments/x',
    status: 406,
    want: failure(
      406,
      'NotAcceptable',
      'you requested PartialObjectMetadataList, but the requested object is not a list (*apps.Deployment)',
    ),
  },
  ...[accepts('Table', 'v2'), accepts('Table', 'v1', 'example.com'), accepts('Table', 'v2', '')].map(
    (asked, index) => ({
      name: `a Table of a version that there is not (${index})`,
      ...asked,
      path: mapX,
      status: 406,
      want: notAcceptable,
    }),
  ),
];

/** What GET of one object says of revisions (apiserver/pkg/storage/cacher: Get). */
const revisionRows: readonly Row[] = [
  {
    name: 'an object as of a resourceVersion to come',
    path: `${mapX}?resourceVersion=99999999`,
    status: 504,
    want: failure(
      504,
      'Timeout',
      expect.stringMatching(/^Timeout: Too large resource version: 99999999, current: \d+$/),
      {
        causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }],
        retryAfterSeconds: 1,
      },
    ),
  },
  {
    name: 'an object as of what is no resourceVersion',
    path: `${mapX}?resourceVersion=abc`,
    status: 500,
    want: {
      ...failure(
        500,
        '',
        'resourceVersion: Invalid value: "abc": strconv.ParseUint: parsing "abc": invalid syntax',
      ),
      reason: undefined,
    },
  },
];

/** What lists and watches are refused for. */
export const readRows: readonly Row[] = [
  ...tokenRows,
  ...shapeRows,
  ...revisionRows,
  {
    name: 'a field that pods are not selected by',
    path: '/api/v1/pods?fieldSelector=spec.foo%3Dx',
    status: 400,
    want: failure(400, 'BadRequest', 'field label not supported: spec.foo'),
  },
  {
    name: 'a field that config maps are not selected by',
    path: '/api/v1/configmaps?fieldSelector=data.a%3Dx',
    status: 400,
    want: failure(
      400,
      'BadRequest',
      '"data.a" is not a known field selector: only "metadata.name", "metadata.namespace"',
    ),
  },
  {
    name: 'a label selector that does not parse',
    path: '/api/v1/pods?labelSelector=a%20b',
    status: 400,
    want: failure(
      400,
      'BadRequest',
      "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt",
    ),
  },
  {
    name: 'a resourceVersion to come',
    path: '/api/v1/configmaps?resourceVersion=99999999',
    status: 504,
    want: failure(
      504,
      'Timeout',
      expect.stringMatching(/^Timeout: Too large resource version: 99999999, current: \d+$/),
      {
        causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }],
        retryAfterSeconds: 1,
      },
    ),
  },
  {
    name: 'a resourceVersion that is no number',
    path: '/api/v1/configmaps?resourceVersion=abc',
    status: 400,
    want: failure(
      400,
      'BadRequest',
      'invalid resource version: resourceVersion: Invalid value: "abc": strconv.ParseUint: parsing "abc": invalid syntax',
    ),
  },
  {
    name: 'a limit that is no whole number',
    path: '/api/v1/configmaps?limit=1e2',
    status: 400,
    want: failure(400, 'BadRequest', 'strconv.ParseInt: parsing "1e2": invalid syntax'),
  },
  {
    name: 'a limit beyond 64 bits',
    path: '/api/v1/configmaps?limit=9223372036854775808',
    status: 400,
    want: failure(400, 'BadRequest', 'strconv.ParseInt: parsing "9223372036854775808": value out of range'),
  },
  {
    name: 'a match that is none',
    path: '/api/v1/configmaps?resourceVersion=1&resourceVersionMatch=Foo',
    status: 422,
    want: failure(
      422,
      'Invalid',
      'ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Unsupported value: "Foo": supported values: "Exact", "NotOlderThan", ""',
      {
        group: 'meta.k8s.io',
        kind: 'ListOptions',
        causes: [
          {
            reason: 'FieldValueNotSupported',
            message: 'Unsupported value: "Foo": supported values: "Exact", "NotOlderThan", ""',
            field: 'resourceVersionMatch',
          },
        ],
      },
    ),
  },
  ...[
    ['abc', 'invalid duration "abc"'],
    ['5', 'missing unit in duration "5"'],
    ['5x', 'unknown unit "x" in duration "5x"'],
  ].map(([timeout, cause]) => ({
    name: `a timeout of ${timeout}`,
    path: `/api/v1/configmaps?timeout=${timeout}`,
    status: 400,
    want: failure(400, 'BadRequest', `invalid timeout specified in the request URL - time: ${cause}`),
  })),
  {
    name: 'a match without a resourceVersion',
    path: '/api/v1/configmaps?resourceVersionMatch=Exact',
    status: 422,
    want: failure(
      422,
      'Invalid',
      'ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided',
      {
        group: 'meta.k8s.io',
        kind: 'ListOptions',
        causes: [
          {
            reason: 'FieldValueForbidden',
            message: 'Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided',
            field: 'resourceVersionMatch',
          },
        ],
      },
    ),
  },
];
