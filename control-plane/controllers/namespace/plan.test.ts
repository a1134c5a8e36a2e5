import { describe, expect, it } from 'vitest';
import { isEmptied, isOverdue, namespaceConditions, type NamespaceContents } from './plan.ts';

const empty: NamespaceContents = { remaining: new Map(), discoveryFailures: [], deletionFailures: [] };

describe('a namespace that is going', () => {
  it('waits for groups whose server does not answer, and names them', () => {
    const contents = { ...empty, discoveryFailures: ['b.example.com/v1', 'a.example.com/v1'] };
    expect(isEmptied(contents)).toBe(false);
    const [first] = namespaceConditions({ metadata: { name: 'n' } }, contents, 0);
    expect(first).toMatchObject({
      ...{ type: 'NamespaceDeletionDiscoveryFailure', status: 'True', reason: 'DiscoveryFailed' },
      message:
        'Discovery failed for some groups, 2 failing: unable to retrieve the complete list of server APIs: a.example.com/v1: stale GroupVersion discovery: a.example.com/v1, b.example.com/v1: stale GroupVersion discovery: b.example.com/v1',
    });
  });

  it('goes when nothing is left', () => {
    expect(isEmptied(empty)).toBe(true);
    const [first] = namespaceConditions({ metadata: { name: 'n' } }, empty, 0);
    expect(first).toMatchObject({ status: 'False', reason: 'ResourcesDiscovered' });
  });

  it('says what is left and what holds it, in the order of names', () => {
    const held = { metadata: { finalizers: ['b', 'a'] } };
    const contents = {
      ...{ discoveryFailures: [], deletionFailures: ['z failed', 'a failed'] },
      remaining: new Map([
        ['widgets.example.com', [held, held]],
        ['configmaps.', [{}]],
      ]),
    };
    const conditions = namespaceConditions({ metadata: { name: 'n' } }, contents, 0);
    expect(conditions.slice(2).map(({ message }) => message)).toEqual([
      'Failed to delete all resource types, 2 remaining: a failed, z failed',
      'Some resources are remaining: configmaps. has 1 resource instances, widgets.example.com has 2 resource instances',
      'Some content in the namespace has finalizers remaining: a in 2 resource instances, b in 2 resource instances',
    ]);
  });

  it('finds what nobody holds overdue once its grace is over', () => {
    const going = { metadata: { deletionTimestamp: '2026-01-01T00:00:30Z' } };
    const at = (second: number) => Date.UTC(2026, 0, 1, 0, 0, second);
    const held = { metadata: { ...going.metadata, finalizers: ['a'] } };
    expect([isOverdue([going], at(29)), isOverdue([going], at(31))]).toEqual([false, true]);
    expect([isOverdue([going, held], at(31)), isOverdue([{}], at(31)), isOverdue([], at(31))]).toEqual([
      false,
      false,
      false,
    ]);
  });
});
