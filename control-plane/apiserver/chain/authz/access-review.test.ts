import { describe, expect, it } from 'vitest';
import type { JsonObject } from '#api/meta/object.ts';
import { reviewAccess, reviewRules, subjectOf } from './access-review.ts';
import type { Attributes, Authorizer, Decision } from './authorizer.ts';

import { systemClock } from '#base/clock.ts';
import { emptyBooks } from './access-books.ts';
import { createAuthorizer } from './authorizers.ts';
import { anonymous, authenticated } from '#control-plane/apiserver/chain/authn/groups.ts';

const everybody = createAuthorizer({ books: emptyBooks(), clock: systemClock }, [
  { type: 'Authenticated', name: 'all' },
]);
const user = { name: 'bob', groups: ['g'] };
const pods = { verb: 'list', resource: 'pods', namespace: 'n' };
const plain = {
  version: '',
  ...{ kind: 'resource', user, verb: 'list', group: '', resource: 'pods', subresource: '' },
  ...{ namespace: 'n', name: '' },
};

const questions: readonly { readonly name: string; readonly given: JsonObject; readonly want: object }[] = [
  { name: 'a resource', given: { resourceAttributes: pods }, want: plain },
  {
    name: 'a path',
    given: { nonResourceAttributes: { verb: 'get', path: '/x' } },
    want: { kind: 'path', user, verb: 'get', path: '/x' },
  },
  {
    name: 'selectors as text',
    given: {
      resourceAttributes: {
        ...pods,
        labelSelector: { rawSelector: 'a=b' },
        fieldSelector: { rawSelector: 'spec.nodeName=x' },
      },
    },
    want: {
      ...plain,
      labelSelector: { requirements: [{ key: 'a', operator: 'In', values: ['b'] }] },
      fieldSelector: [{ field: 'spec.nodeName', equal: true, value: 'x' }],
    },
  },
  {
    name: 'selectors in parts, of which what is not known limits nothing',
    given: {
      resourceAttributes: {
        ...pods,
        labelSelector: {
          requirements: [
            { key: 'a', operator: 'Exists' },
            { key: 'b', operator: 'Near' },
          ],
        },
        fieldSelector: {
          requirements: [
            { key: 'f', operator: 'NotIn', values: ['x'] },
            { key: 'g', operator: 'In', values: ['x', 'y'] },
          ],
        },
      },
    },
    want: {
      ...plain,
      labelSelector: { requirements: [{ key: 'a', operator: 'Exists', values: [] }] },
      fieldSelector: [{ field: 'f', equal: false, value: 'x' }],
    },
  },
  {
    name: 'a selector that cannot be read',
    given: { resourceAttributes: { ...pods, labelSelector: { rawSelector: 'a in' } } },
    want: plain,
  },
];

const answers: readonly { readonly given: Decision; readonly want: object }[] = [
  { given: { decision: 'allow', reason: '' }, want: { allowed: true } },
  { given: { decision: 'allow', reason: 'by a role' }, want: { allowed: true, reason: 'by a role' } },
  { given: { decision: 'deny', reason: 'never' }, want: { allowed: false, denied: true, reason: 'never' } },
  { given: { decision: 'noOpinion', reason: '' }, want: { allowed: false } },
];

function authorizerOf(decide: Authorizer['decide']): Authorizer {
  return { name: 'test', decide, rulesOf: () => expect.unreachable() };
}

describe('reviewAccess()', () => {
  it.each(questions)('asks the authorizer of $name', async ({ given, want }) => {
    const asked: Attributes[] = [];
    const authorizer = authorizerOf((attributes) => {
      asked.push(attributes);
      return { decision: 'noOpinion', reason: '' };
    });
    await reviewAccess(authorizer, { spec: given }, user);
    expect(asked).toEqual([want]);
  });

  it.each(answers)('tells $given as $want', async ({ given, want }) => {
    const review = { spec: { resourceAttributes: pods } };
    expect(
      await reviewAccess(
        authorizerOf(() => given),
        review,
        user,
      ),
    ).toEqual(want);
    expect(
      await reviewAccess(
        authorizerOf(async () => given),
        review,
        user,
      ),
    ).toEqual(want);
  });
});

describe('reviewRules()', () => {
  const paths = ['/healthz', '/livez', '/readyz', '/version', '/version/'];
  it.each([
    {
      groups: ['system:authenticated'],
      want: {
        resourceRules: [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'] }],
        nonResourceRules: [{ verbs: ['*'], nonResourceURLs: ['*'] }],
        incomplete: false,
      },
    },
    {
      groups: ['system:unauthenticated'],
      want: {
        resourceRules: [],
        nonResourceRules: [{ verbs: ['get'], nonResourceURLs: paths }],
        incomplete: false,
      },
    },
  ])('lists what $groups may do', async ({ groups, want }) => {
    const review = { spec: { namespace: 'n' } };
    expect(await reviewRules(everybody, review, { name: 'x', groups })).toEqual(want);
  });
});

describe('a review and the requests of whom it is about', () => {
  const authorizer = everybody;
  it.each([
    {
      name: 'system:serviceaccount:n:a',
      groups: ['system:serviceaccounts', 'system:serviceaccounts:n', authenticated],
    },
    { name: 'system:node:n', groups: ['system:nodes', authenticated] },
    { name: 'bob', groups: ['g', authenticated] },
    { name: 'bob', groups: [authenticated] },
    anonymous,
  ])('$name: the same, whatever groups the review leaves out', async (requester) => {
    const { decision } = await authorizer.decide({ ...plain, kind: 'resource', user: requester });
    for (const groups of [requester.groups, requester.groups.slice(1), []]) {
      const review = { spec: { user: requester.name, groups, resourceAttributes: pods } };
      const status = await reviewAccess(authorizer, review, subjectOf(review));
      expect(status['allowed']).toBe(decision === 'allow');
    }
  });
});

describe('subjectOf()', () => {
  it('is the user and the groups', () => {
    expect(subjectOf({ spec: { user: 'a', groups: ['b'] } })).toEqual({ name: 'a', groups: ['b'] });
    expect(subjectOf({ spec: { user: 'a', uid: 'u', extra: { k: ['v', 'w'] } } })).toEqual({
      ...{ name: 'a', uid: 'u', groups: [], extra: { k: ['v', 'w'] } },
    });
  });
});
