import { describe, expect, it } from 'vitest';
import type { CustomResourceDefinition, ValidatingAdmissionPolicy } from '#api/generated/objects.ts';
import { createFakeClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { validatingAdmissionPolicies } from '#api/schema/kind-ref.ts';
import { createFakeApiClient } from '#client/client.fake.ts';
import { createInformers } from '#client/informers.ts';
import { createRoledClients } from '#control-plane/controllers/roled-clients.fixture.ts';
import { startControllers } from '#control-plane/controllers/start-controllers.ts';
import { askedDefinitions } from './checked-kinds.ts';
import { checkedStatus } from './reconcile.ts';

const widgets = {
  spec: {
    group: 'example.com',
    names: { plural: 'widgets', kind: 'Widget' },
    versions: [
      {
        ...{ name: 'v1', served: true, storage: true },
        schema: {
          openAPIV3Schema: {
            type: 'object',
            properties: { spec: { type: 'object', properties: { size: { type: 'integer' } } } },
          },
        },
      },
    ],
  },
} as unknown as CustomResourceDefinition;

function policy(
  groups: readonly string[],
  resources: readonly string[],
  spec: object,
): ValidatingAdmissionPolicy {
  const resourceRules = [{ apiGroups: groups, apiVersions: ['v1'], operations: ['CREATE'], resources }];
  return {
    metadata: { name: 'p', generation: 3 },
    spec: { matchConstraints: { resourceRules }, ...spec },
  } as unknown as ValidatingAdmissionPolicy;
}

const at = (column: number, text: string, message: string): string =>
  `ERROR: <input>:1:${column + 1}: ${message}\n | ${text}\n | ${'.'.repeat(column)}^\n`;

describe('checkedStatus()', () => {
  it('is as a real server says of each kind', () => {
    const validations = [
      { expression: 'object.spec.replicas > 1' },
      { expression: 'object.dat.size() > 1', messageExpression: 'string(object.metadata.nam)' },
    ];
    const given = policy(['apps', ''], ['deployments', 'configmaps'], { validations });
    const [data, name] = ['object.dat.size() > 1', 'string(object.metadata.nam)'];
    expect(checkedStatus(given, [])).toEqual({
      observedGeneration: 3,
      typeChecking: {
        expressionWarnings: [
          {
            fieldRef: 'spec.validations[0].expression',
            warning: `/v1, Kind=ConfigMap: ${at(6, 'object.spec.replicas > 1', "undefined field 'spec'")}`,
          },
          {
            fieldRef: 'spec.validations[1].expression',
            warning: [
              `/v1, Kind=ConfigMap: ${at(6, data, "undefined field 'dat'")}`,
              `apps/v1, Kind=Deployment: ${at(6, data, "undefined field 'dat'")}`,
            ].join('\n'),
          },
          {
            fieldRef: 'spec.validations[1].messageExpression',
            warning: [
              `/v1, Kind=ConfigMap: ${at(22, name, "undefined field 'nam'")}`,
              `apps/v1, Kind=Deployment: ${at(22, name, "undefined field 'nam'")}`,
            ].join('\n'),
          },
        ],
      },
    });
  });

  it('knows custom kinds, and their metadata', () => {
    const validations = [
      { expression: 'object.spec.size > 1 && object.metadata.labels.size() > 0' },
      { expression: 'object.spec.sise > 1' },
    ];
    const { typeChecking } = checkedStatus(policy(['example.com'], ['widgets'], { validations }), [widgets]);
    expect(typeChecking?.expressionWarnings?.map(({ fieldRef }) => fieldRef)).toEqual([
      'spec.validations[1].expression',
    ]);
  });

  it('checks nothing for what is not named, and what is anything', () => {
    const validations = [
      { expression: 'object.spec.x == 1' },
      { expression: 'params.data.x == "1" && object.data.y == "1"' },
    ];
    const spec = { validations, paramKind: { apiVersion: 'v1', kind: 'ConfigMap' } };
    for (const [groups, resources] of [
      [['*'], ['pods']],
      [[''], ['*']],
      [[''], ['pods/status']],
      [['none.example.com'], ['things']],
    ] as const)
      expect(checkedStatus(policy(groups, resources, spec), [])).toEqual({
        observedGeneration: 3,
        typeChecking: {},
      });
  });
});

it('asks for the definitions that a policy is about, and for no others', () => {
  const rules = [
    { apiGroups: ['', 'example.com'], apiVersions: ['v1'], resources: ['pods', 'widgets'] },
    { apiGroups: ['*'], apiVersions: ['v1'], resources: ['things'] },
  ];
  const group = 'params.example.com';
  expect(askedDefinitions(rules, { apiVersion: `${group}/v1`, kind: 'Limit' })).toEqual([
    { resource: 'pods', group: 'example.com' },
    { resource: 'widgets', group: 'example.com' },
    { kind: 'Limit', group, version: 'v1' },
  ]);
  expect(askedDefinitions([], { apiVersion: 'v1', kind: 'ConfigMap' })).toEqual([]);
  expect(askedDefinitions([], undefined)).toEqual([]);
});

it('the status is written by a controller that may do no more', async () => {
  const clock = createFakeClock(Date.UTC(2026, 0, 1));
  const client = createFakeApiClient(clock);
  const { clients, refused } = createRoledClients(client);
  await using informers = createInformers({ client: clients.controllerManager, clock, random: () => 0.5 });
  client.seed(
    validatingAdmissionPolicies,
    policy([''], ['configmaps'], { validations: [{ expression: 'object.dat == "x"' }] }),
  );
  await using _controllers = startControllers({
    ...{ informers, clock, logger: silentLogger, clientAs: clients.controller, rootCa: { pem: 'PEM' } },
  });

  await expect
    .poll(async () => {
      clock.advance(100);
      const found = await client.get(validatingAdmissionPolicies, { name: 'p' });
      return found.status?.typeChecking?.expressionWarnings?.map(({ fieldRef }) => fieldRef);
    })
    .toEqual(['spec.validations[0].expression']);
  expect(refused).toEqual([]);
});
