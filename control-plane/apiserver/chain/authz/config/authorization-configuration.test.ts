import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { scratchDirectory } from '#base/scratch-directory.fixture.ts';
import type { AuthorizerSpec, BuiltInMode } from '#control-plane/apiserver/chain/authz/modes.ts';
import { readAuthorizationConfiguration, reloadProblems } from './authorization-configuration.ts';

const directory = scratchDirectory('podwright-authorization-');
const kubeConfigFile = join(directory, 'kubeconfig');
beforeAll(() => writeFileSync(kubeConfigFile, ''));

function read(authorizers: unknown): unknown {
  const path = join(directory, 'authorization.yaml');
  const head = { apiVersion: 'apiserver.config.k8s.io/v1', kind: 'AuthorizationConfiguration' };
  writeFileSync(path, JSON.stringify({ ...head, authorizers }));
  return readAuthorizationConfiguration(path);
}

const webhook = {
  ...{ timeout: '3s', subjectAccessReviewVersion: 'v1', failurePolicy: 'Deny' },
  connectionInfo: { type: 'KubeConfigFile', kubeConfigFile },
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
          ...{ kubeConfigFile, timeoutMs: 3000, version: 'v1', failurePolicy: 'Deny' },
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
    [[{ type: 'RBAC' }], 'authorizers[0].name: expected rbac for RBAC instead of ""'],
    [[{ type: 'Node', name: 'a' }], 'authorizers[0].name: expected node for Node instead of "a"'],
    [[{ ...hook, name: 'A' }], 'authorizers[0].name: not the name of a DNS subdomain'],
    [[{ type: 'RBAC', name: 'rbac', webhook }], 'authorizers[0].webhook: may only be set with type Webhook'],
    [
      [
        { type: 'RBAC', name: 'rbac' },
        { type: 'RBAC', name: 'rbac' },
      ],
      'authorizers: type "RBAC" twice; authorizers: name "rbac" twice',
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
    ...(['/x/kubeconfig', directory] as const).map(
      (file) =>
        [
          [
            {
              ...hook,
              webhook: { ...webhook, connectionInfo: { type: 'KubeConfigFile', kubeConfigFile: file } },
            },
          ],
          `authorizers[0].webhook.connectionInfo.kubeConfigFile: "${file}": ${file === directory ? 'must be a regular file' : 'error loading file: ENOENT'}`,
        ] as const,
    ),
    [[{ ...hook, colour: 'red' }], 'authorizers[0].colour: unknown field'],
  ];
  it.each(wrong)('refuses %j with all that is wrong', (authorizers, message) => {
    expect(() => read(authorizers)).toThrow(message);
  });
});

describe('reloadProblems()', () => {
  const of = (...types: readonly BuiltInMode[]): readonly AuthorizerSpec[] =>
    types.map((type) => ({ type, name: type.toLowerCase() }));
  const late = (type: string): string =>
    `authorizers: type ${type} is not allowed if it was not enabled at initial server startup`;
  it.each([
    ['another order', of('RBAC', 'Node'), of('Node', 'RBAC'), []],
    ['what asks no objects, new', of('AlwaysDeny', 'RBAC'), of('RBAC'), []],
    ['one that is gone', of('RBAC'), of('Node', 'RBAC'), ['authorizers: missing required types: Node']],
    ['one that was not there', of('Node', 'RBAC'), of('RBAC'), [late('Node')]],
    [
      'another one',
      of('RBAC'),
      of('AlwaysAllow'),
      ['authorizers: missing required types: AlwaysAllow', late('RBAC')],
    ],
  ])('of %s', (_name, now, first, want) => {
    expect(reloadProblems(now, first)).toEqual(want);
  });
});
