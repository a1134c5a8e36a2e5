import { describe, expect, it } from 'vitest';
import { isEmptied, namespaceConditions, type NamespaceContents } from './plan.ts';

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
});
