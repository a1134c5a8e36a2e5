import { describe, expect, it } from 'vitest';
import type { JsonObject } from '#api/meta/object.ts';
import { examineWebhooks, type ClusterFacts } from './cluster-findings.ts';

const hook: JsonObject = {
  name: 'h.example.com',
  failurePolicy: 'Fail',
  rules: [{ operations: ['CREATE'], apiGroups: [''], apiVersions: ['v1'], resources: ['pods'] }],
  namespaceSelector: {},
  objectSelector: {},
  clientConfig: { service: { namespace: 'hooks', name: 'hook' } },
};

function factsWith(changes: JsonObject, more: Partial<ClusterFacts> = {}): ClusterFacts {
  return {
    configurations: [{ metadata: { name: 'w' }, webhooks: [{ ...hook, ...changes }] }],
    namespaces: [{ metadata: { name: 'hooks', labels: { 'kubernetes.io/metadata.name': 'hooks', a: 'b' } } }],
    services: [{ metadata: { name: 'hook', namespace: 'hooks' }, spec: { selector: { app: 'hook' } } }],
    pods: [{ metadata: { name: 'p', namespace: 'hooks', labels: { app: 'hook' } } }],
    ...more,
  };
}

describe('examineWebhooks()', () => {
  it('names a hook that selects its own backend', () => {
    expect(examineWebhooks(factsWith({}))).toEqual([
      {
        ...{ what: 'webhooks', state: 'limited' },
        detail:
          'h.example.com of w must be asked about pods of its own Service hooks/hook: when none of them runs, none can be made',
        remedy:
          "leave namespace hooks out by the webhook's namespaceSelector, or give it failurePolicy Ignore",
      },
    ]);
  });

  it.each<[string, JsonObject, Partial<ClusterFacts>, boolean]>([
    ['that ignores failures', { failurePolicy: 'Ignore' }, {}, false],
    ['by URL', { clientConfig: { url: 'https://x' } }, {}, false],
    [
      'about other things',
      { rules: [{ operations: ['CREATE'], apiGroups: ['apps'], apiVersions: ['*'], resources: ['*'] }] },
      {},
      false,
    ],
    [
      'about all',
      { rules: [{ operations: ['*'], apiGroups: ['*'], apiVersions: ['*'], resources: ['*/*'] }] },
      {},
      true,
    ],
    [
      'that leaves its namespace out by name',
      {
        namespaceSelector: {
          matchExpressions: [{ key: 'kubernetes.io/metadata.name', operator: 'NotIn', values: ['hooks'] }],
        },
      },
      {},
      false,
    ],
    [
      'that leaves it out by a label',
      { namespaceSelector: { matchExpressions: [{ key: 'a', operator: 'DoesNotExist' }] } },
      {},
      false,
    ],
    ['that selects other pods', { objectSelector: { matchLabels: { app: 'other' } } }, {}, false],
    ['that selects its pods', { objectSelector: { matchLabels: { app: 'hook' } } }, {}, true],
    ['whose pods are gone', {}, { pods: [] }, true],
  ])('one %s', (_name, changes, more, isNamed) => {
    expect(examineWebhooks(factsWith(changes, more))[0]?.state).toBe(isNamed ? 'limited' : 'ok');
  });
});
