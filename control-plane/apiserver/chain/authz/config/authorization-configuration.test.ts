import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { scratchDirectory } from '#base/scratch-directory.fixture.ts';
import { readAuthorizationConfiguration } from './authorization-configuration.ts';

const directory = scratchDirectory('podwright-authorization-');

function read(authorizers: unknown): unknown {
  const path = join(directory, 'authorization.yaml');
  const head = { apiVersion: 'apiserver.config.k8s.io/v1', kind: 'AuthorizationConfiguration' };
  writeFileSync(path, JSON.stringify({ ...head, authorizers }));
  return readAuthorizationConfiguration(path);
}

const webhook = {
  ...{ timeout: '3s', subjectAccessReviewVersion: 'v1', failurePolicy: 'Deny' },
  connectionInfo: { type: 'KubeConfigFile', kubeConfigFile: '/x/kubeconfig' },
  matchConditionSubjectAccessReviewVersion: 'v1',
  matchConditions: [{ expression: 'true' }],
};
const hook = { type: 'Webhook', name: 'hook', webhook };

describe('readAuthorizationConfiguration()', () => {
  it('reads who is asked, in order', () => {
    expect(read([{ type: 'Node', name: 'node' }, hook, { type: 'RBAC', name: 'rbac' }])).toEqual([
      { type: 'Node', name: 'node' },
      {
        type: 'Webhook',
        name: 'hook',
        webhook: {
          ...{ kubeConfigFile: '/x/kubeconfig', timeoutMs: 3000, version: 'v1', failurePolicy: 'Deny' },
          ...{ authorizedTtlMs: 300_000, unauthorizedTtlMs: 30_000, matchConditions: ['true'] },
        },
      },
      { type: 'RBAC', name: 'rbac' },
    ]);
  });

  it('keeps no answers where that is said', () => {
    const more = { cacheAuthorizedRequests: false, unauthorizedTTL: '1m' };
    expect(read([{ ...hook, webhook: { ...webhook, ...more } }])).toMatchObject([
      { webhook: { authorizedTtlMs: 0, unauthorizedTtlMs: 60_000 } },
    ]);
  });

  const wrong: readonly (readonly [unknown, string])[] = [
    [[], 'authorizers: at least one authorizer must be defined'],
    [[{ type: 'ABAC', name: 'a' }], 'authorizers[0].type: "ABAC" is none that podwright has'],
    [[{ type: 'RBAC' }], 'authorizers[0].name: not the name of a DNS subdomain'],
    [[{ type: 'RBAC', name: 'a', webhook }], 'authorizers[0].webhook: may only be set with type Webhook'],
    [
      [
        { type: 'RBAC', name: 'a' },
        { type: 'RBAC', name: 'a' },
      ],
      'authorizers: type "RBAC" twice; authorizers: name "a" twice',
    ],
    [
      [{ type: 'Webhook', name: 'a' }],
      'authorizers[0].webhook.timeout: give one above 0s and at most 30s; authorizers[0].webhook.subjectAccessReviewVersion: give one of v1, v1beta1; ' +
        'authorizers[0].webhook.failurePolicy: give one of NoOpinion, Deny; authorizers[0].webhook.connectionInfo.type: "", only KubeConfigFile is possible here; ' +
        'authorizers[0].webhook.connectionInfo.kubeConfigFile: give an absolute path',
    ],
    [
      [{ ...hook, webhook: { ...webhook, timeout: '31s', authorizedTTL: '-1s' } }],
      'authorizers[0].webhook.timeout: give one above 0s and at most 30s; authorizers[0].webhook.authorizedTTL: must not be negative',
    ],
    [
      [{ ...hook, webhook: { ...webhook, matchConditions: [{ expression: '1' }] } }],
      'authorizers[0].webhook.matchConditions[0].expression: must evaluate to bool but got int',
    ],
    [
      [
        {
          ...hook,
          webhook: { ...webhook, matchConditions: [{ expression: 'true' }, { expression: 'true' }] },
        },
      ],
      'authorizers[0].webhook.matchConditions[1].expression: Duplicate value: "true"',
    ],
    [
      [
        {
          ...hook,
          webhook: {
            ...webhook,
            matchConditions: Array.from({ length: 65 }, () => ({ expression: 'true' })),
          },
        },
      ],
      'authorizers[0].webhook.matchConditions: 65 are too many, at most 64',
    ],
    [
      [{ ...hook, webhook: { ...webhook, matchConditionSubjectAccessReviewVersion: undefined } }],
      'authorizers[0].webhook.matchConditionSubjectAccessReviewVersion: required if match conditions are specified',
    ],
    [
      [{ ...hook, webhook: { ...webhook, matchConditionSubjectAccessReviewVersion: 'v1beta1' } }],
      'authorizers[0].webhook.matchConditionSubjectAccessReviewVersion: "v1beta1", only v1 is known',
    ],
    [[{ ...hook, colour: 'red' }], 'authorizers[0].colour: unknown field'],
  ];
  it.each(wrong)('refuses %j with all that is wrong', (authorizers, message) => {
    expect(() => read(authorizers)).toThrow(message);
  });
});
