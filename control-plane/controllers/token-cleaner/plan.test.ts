import { describe, expect, it } from 'vitest';
import type { Pod, Secret } from '#api/generated/objects.ts';
import { planCleaning, type CleaningFacts } from './plan.ts';

const nowMs = Date.UTC(2030, 5, 15, 12);
const labelled = (labels: Record<string, string>, more: Partial<Secret> = {}): Secret => ({
  type: 'kubernetes.io/service-account-token',
  metadata: {
    namespace: 'n',
    name: 's',
    creationTimestamp: '2020-01-01T00:00:00Z',
    labels,
    annotations: { 'kubernetes.io/service-account.name': 'a' },
  },
  ...more,
});
const used = 'kubernetes.io/legacy-token-last-used';
const invalid = 'kubernetes.io/legacy-token-invalid-since';
const accounts = [{ metadata: { namespace: 'n', name: 'a', uid: 'u' }, secrets: [{ name: 's' }] }];
const mounting: Pod = {
  metadata: { namespace: 'n', name: 'p' },
  spec: { containers: [], volumes: [{ name: 'v', secret: { secretName: 's' } }] },
};

describe('planCleaning()', () => {
  it.each<{
    name: string;
    secret?: Secret;
    facts?: Partial<CleaningFacts>;
    want: 'mark' | 'remove' | 'leave';
  }>([
    { name: 'one never used is marked', want: 'mark' },
    { name: 'one last used long ago is marked', secret: labelled({ [used]: '2029-06-14' }), want: 'mark' },
    { name: 'one used within the year is left', secret: labelled({ [used]: '2029-06-15' }), want: 'leave' },
    { name: 'one whose use cannot be read is left', secret: labelled({ [used]: 'x' }), want: 'leave' },
    {
      name: 'one marked a year ago is removed',
      secret: labelled({ [invalid]: '2029-06-14' }),
      want: 'remove',
    },
    { name: 'one marked since is left', secret: labelled({ [invalid]: '2029-06-15' }), want: 'leave' },
    {
      name: 'one whose mark cannot be read is marked again',
      secret: labelled({ [invalid]: 'x' }),
      want: 'mark',
    },
    {
      name: 'one that somebody asked for is left',
      facts: { accounts: [{ ...accounts[0], secrets: [] }] },
      want: 'leave',
    },
    { name: 'one without an account is left', facts: { accounts: [] }, want: 'leave' },
    { name: 'one that a pod mounts is left', facts: { pods: [mounting] }, want: 'leave' },
    { name: 'one of another type is left', secret: labelled({}, { type: 'Opaque' }), want: 'leave' },
    {
      name: 'a young one is left',
      secret: {
        ...labelled({}),
        metadata: { ...labelled({}).metadata, creationTimestamp: '2029-06-15T13:00:00Z' },
      },
      want: 'leave',
    },
    {
      name: 'nothing before uses were noted for a year',
      facts: { trackedSince: '2029-06-15' },
      want: 'leave',
    },
    { name: 'nothing where nobody knows since when', facts: { trackedSince: undefined }, want: 'leave' },
    { name: 'nothing where that cannot be read', facts: { trackedSince: 'x' }, want: 'leave' },
  ])('$name', ({ secret = labelled({}), facts = {}, want }) => {
    const given = { nowMs, trackedSince: '2026-01-01', secrets: [secret], accounts, pods: [], ...facts };
    const plan = planCleaning(given);
    expect(plan.invalid).toEqual(want === 'mark' ? [secret] : []);
    expect(plan.removed).toEqual(want === 'remove' ? [secret] : []);
  });
});
