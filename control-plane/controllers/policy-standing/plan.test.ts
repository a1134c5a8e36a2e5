import { describe, expect, it } from 'vitest';
import type { KubeObject } from '#api/meta/object.ts';
import { tierKinds } from '#api/network/cluster-policies.ts';
import type { PolicyStanding } from '#api/network/policy-standing.ts';
import { planConditions } from './plan.ts';

const kind = tierKinds[2] ?? expect.fail('no such kind');
const policy: KubeObject = { metadata: { name: 'p', uid: 'u', generation: 2 } };
const now = Date.parse('2026-01-01T00:00:00Z');
const standing = (more: Partial<PolicyStanding> = {}): PolicyStanding => ({
  ...{ kind, name: 'p', uid: 'u', generation: 2 },
  ...more,
});
const texts = (
  said: Readonly<Record<string, PolicyStanding>>,
  nodes: readonly string[],
  given: KubeObject = policy,
): readonly string[] =>
  planConditions({ policy: given, said: new Map(Object.entries(said)), nodes, now }).map(
    ({ type, status, reason, message }) => `${type}=${status} ${reason}: ${message}`,
  );

describe('planConditions()', () => {
  it.each([
    {
      name: 'everywhere',
      said: { a: standing(), b: standing() },
      nodes: ['a', 'b'],
      want: [
        'Programmed=True Programmed: in force on 2 nodes',
        'Accepted=True Accepted: all of it is understood',
      ],
    },
    {
      name: 'not everywhere',
      said: { b: standing() },
      nodes: ['c', 'b', 'a'],
      want: [
        'Programmed=False Pending: in force on 1 of 3 nodes, not on a, c',
        'Accepted=True Accepted: all of it is understood',
      ],
    },
    {
      name: 'as it was before',
      said: { a: standing({ generation: 1, problem: 'old' }) },
      nodes: ['a'],
      want: ['Programmed=False Pending: in force on 0 of 1 node, not on a'],
    },
    {
      name: 'another of the same name',
      said: { a: standing({ uid: 'v' }) },
      nodes: ['a'],
      want: ['Programmed=False Pending: in force on 0 of 1 node, not on a'],
    },
    {
      name: 'a node that is gone',
      said: { a: standing(), gone: standing({ problem: 'x' }) },
      nodes: ['a'],
      want: [
        'Programmed=True Programmed: in force on 1 node',
        'Accepted=True Accepted: all of it is understood',
      ],
    },
    {
      name: 'what is not supported',
      said: { a: standing({ problem: 'x is not' }), b: standing({ problem: 'x is not' }) },
      nodes: ['a', 'b'],
      want: ['Programmed=True Programmed: in force on 2 nodes', 'Accepted=False PartlyInForce: x is not'],
    },
    {
      name: 'agents of two releases',
      said: { a: standing(), b: standing({ problem: 'x is not' }) },
      nodes: ['a', 'b'],
      want: [
        'Programmed=True Programmed: in force on 2 nodes',
        'Accepted=False PartlyInForce: x is not (on b)',
      ],
    },
    {
      name: 'many nodes',
      said: {},
      nodes: Array.from({ length: 15 }, (_, index) => `n${index + 10}`),
      want: [
        'Programmed=False Pending: in force on 0 of 15 nodes, not on n10, n11, n12, n13, n14, n15, n16, n17, n18, n19 and 5 more',
      ],
    },
  ])('$name', ({ said, nodes, want }) => {
    expect(texts(said as Readonly<Record<string, PolicyStanding>>, nodes)).toEqual(want);
  });

  it('keeps what others say, and since when it is so', () => {
    const other = {
      type: 'Theirs',
      status: 'True',
      lastTransitionTime: '2025-01-01T00:00:00Z',
      reason: 'R',
      message: '',
    };
    const old = {
      ...{ type: 'Programmed', status: 'True', lastTransitionTime: '2025-01-01T00:00:00Z' },
      ...{ reason: 'Programmed', message: 'in force on 1 node', observedGeneration: 1 },
    };
    const given = { ...policy, status: { conditions: [other, old] } };
    const said = new Map([['a', standing()]]);
    expect(planConditions({ policy: given, said, nodes: ['a'], now })).toEqual([
      other,
      { ...old, observedGeneration: 2 },
      {
        ...{ type: 'Accepted', status: 'True', reason: 'Accepted', message: 'all of it is understood' },
        ...{ observedGeneration: 2, lastTransitionTime: '2026-01-01T00:00:00Z' },
      },
    ]);
  });
});
