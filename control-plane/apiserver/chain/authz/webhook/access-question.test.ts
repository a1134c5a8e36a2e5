import { describe, expect, it } from 'vitest';
import type { Attributes } from '#control-plane/apiserver/chain/authz/authorizer.ts';
import { readAccessAnswer, renderAccessReview } from './access-question.ts';

const user = { name: 'bob', groups: ['g'], uid: '7', extra: { team: ['a'] } };
const pods = {
  kind: 'resource',
  ...{
    user,
    verb: 'list',
    group: '',
    version: 'v1',
    resource: 'pods',
    subresource: '',
    namespace: 'n',
    name: '',
  },
} as const;

const questions: readonly { readonly name: string; readonly given: Attributes; readonly want: object }[] = [
  {
    name: 'of a collection',
    given: pods,
    want: { resourceAttributes: { namespace: 'n', verb: 'list', version: 'v1', resource: 'pods' } },
  },
  {
    name: 'of a selection',
    given: {
      ...pods,
      labelSelector: {
        requirements: [
          { key: 'a', operator: 'Exists', values: [] },
          { key: 'b', operator: 'Gt', values: ['1'] },
        ],
      },
      fieldSelector: [{ field: 'spec.nodeName', equal: false, value: 'x' }],
    },
    want: {
      resourceAttributes: {
        ...{ namespace: 'n', verb: 'list', version: 'v1', resource: 'pods' },
        labelSelector: { requirements: [{ key: 'a', operator: 'Exists' }] },
        fieldSelector: { requirements: [{ key: 'spec.nodeName', operator: 'NotIn', values: ['x'] }] },
      },
    },
  },
  {
    name: 'of a path',
    given: { kind: 'path', user, verb: 'get', path: '/metrics' },
    want: { nonResourceAttributes: { path: '/metrics', verb: 'get' } },
  },
];

describe('renderAccessReview()', () => {
  it.each(questions)('asks $name', ({ given, want }) => {
    expect(renderAccessReview(given, 'v1')).toEqual({
      kind: 'SubjectAccessReview',
      apiVersion: 'authorization.k8s.io/v1',
      metadata: {},
      spec: { ...want, user: 'bob', groups: ['g'], uid: '7', extra: { team: ['a'] } },
      status: { allowed: false },
    });
  });

  it('calls groups group in v1beta1, and says nothing of what is not there', () => {
    const given: Attributes = { kind: 'path', user: { name: '', groups: ['g'] }, verb: 'get', path: '/' };
    expect(renderAccessReview(given, 'v1beta1')['spec']).toEqual({
      nonResourceAttributes: { path: '/', verb: 'get' },
      group: ['g'],
    });
  });
});

describe('readAccessAnswer()', () => {
  it.each([
    [
      { allowed: true, reason: 'yes' },
      { decision: 'allow', reason: 'yes' },
    ],
    [
      { allowed: false, denied: true },
      { decision: 'deny', reason: '' },
    ],
    [
      { allowed: false, reason: 'who?' },
      { decision: 'noOpinion', reason: 'who?' },
    ],
    [undefined, { decision: 'noOpinion', reason: '' }],
  ])('reads %j', (status, want) => {
    expect(readAccessAnswer({ status })).toEqual(want);
  });

  it('refuses one that says both', () => {
    expect(() => readAccessAnswer({ status: { allowed: true, denied: true } })).toThrow(
      'webhook subject access review returned both allow and deny response',
    );
  });
});
