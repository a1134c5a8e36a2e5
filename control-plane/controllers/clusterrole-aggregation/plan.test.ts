import { describe, expect, it } from 'vitest';
import type { ClusterRole } from '#api/generated/objects.ts';
import { aggregatedRules } from './plan.ts';

const rule = (resource: string) => ({ verbs: ['get'], apiGroups: [''], resources: [resource] });
const role = (name: string, labels: Record<string, string>, ...resources: string[]): ClusterRole => ({
  metadata: { name, labels },
  rules: resources.map(rule),
});
const all = [
  role('b', { to: 'x' }, 'pods', 'nodes'),
  role('a', { to: 'x' }, 'secrets', 'pods'),
  role('c', {}, 'events'),
];
const made = (selectors: readonly object[]): ClusterRole => ({
  metadata: { name: 'made', labels: { to: 'x' } },
  aggregationRule: { clusterRoleSelectors: selectors },
  rules: [rule('old')],
});

describe('aggregatedRules()', () => {
  it.each([
    ['in the order of names, each once', made([{ matchLabels: { to: 'x' } }]), ['secrets', 'pods', 'nodes']],
    ['none where nothing matches', made([{ matchLabels: { to: 'y' } }]), []],
    ['none without selectors', made([]), []],
    [
      'by any of the selectors',
      made([{ matchLabels: { to: 'y' } }, { matchExpressions: [{ key: 'to', operator: 'DoesNotExist' }] }]),
      ['events'],
    ],
  ] as const)('%s', (_name, given, want) => {
    expect(aggregatedRules(given, [...all, given])).toEqual(want.map(rule));
  });

  it('leaves roles alone that are made of no others', () => {
    expect(aggregatedRules(role('a', {}), all)).toBeUndefined();
  });
});
