import { expect } from 'vitest';
import { failure, type Row } from './error-rows.fixture.ts';

/** What lists and watches are refused for. */
export const readRows: readonly Row[] = [
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
