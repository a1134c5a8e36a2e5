import { expect, it } from 'vitest';
import type { JsonObject } from '#api/meta/object.ts';
import { builtIn } from '#control-plane/apiserver/built-in.ts';
import {
  ask,
  contextWith,
  store,
  type Ask,
} from '#control-plane/apiserver/chain/admission/admission.fixture.ts';
import { parseLimitedResources } from './limited-resources.ts';
import { resourceQuota } from './resource-quota.ts';

const [pods, claims] = ['pods', 'persistentvolumeclaims'].map((plural) => builtIn('', 'v1', plural));
if (pods === undefined || claims === undefined) throw new Error('no kinds');

const head = { apiVersion: 'apiserver.config.k8s.io/v1', kind: 'ResourceQuotaConfiguration' };
const high = { scopeName: 'PriorityClass', operator: 'In', values: ['high', 'higher'] };
const limited = resourceQuota(
  parseLimitedResources({
    ...head,
    limitedResources: [
      { resource: 'persistentvolumeclaims', matchContains: ['.storageclass.'] },
      { resource: 'pods', matchScopes: [high] },
    ],
  }),
);
const open = resourceQuota();

const claim = (spec: JsonObject): Ask => ({
  ...{ kind: claims, object: { metadata: { name: 'c' }, spec } },
});
const sized = (storage: string, more: JsonObject = {}): JsonObject => ({
  ...{ resources: { requests: { storage } }, ...more },
});
const gold = sized('1Gi', { storageClassName: 'gold' });
const pod = (spec: JsonObject): Ask => ({ kind: pods, object: { metadata: { name: 'p' }, spec } });
const scoped = (scopeName: string, operator: string, values: readonly string[] = []): JsonObject => ({
  matchExpressions: [{ scopeName, operator, values }],
});
const goldStorage = 'gold.storageclass.storage.k8s.io/requests.storage';
const goldClaims = 'gold.storageclass.storage.k8s.io/persistentvolumeclaims';

const twoGpus = {
  devices: {
    requests: [{ name: 'r', exactly: { deviceClassName: 'gpu', allocationMode: 'ExactCount', count: 2 } }],
  },
};
const gpus: readonly (readonly [string, JsonObject])[] = [
  [
    'resource.k8s.io/v1/deviceclasses',
    { metadata: { name: 'gpu' }, spec: { extendedResourceName: 'example.com/gpu' } },
  ],
  ['resource.k8s.io/v1/resourceclaims', { metadata: { name: 'c', namespace: 'n' }, spec: twoGpus }],
];

it.each<{
  readonly name: string;
  readonly plugin?: ReturnType<typeof resourceQuota>;
  /** The quotas of the namespace, q0 and so on. */
  readonly quotas?: readonly JsonObject[];
  /** What else is there, by its kind. */
  readonly there?: readonly (readonly [string, JsonObject])[];
  readonly asked: Ask;
  readonly refused?: readonly [code: number, message: string];
}>([
  { name: 'what is not limited', asked: claim(sized('1Gi')) },
  { name: 'what is limited, where nothing is', plugin: open, asked: claim(gold) },
  {
    name: 'what is limited, without a quota',
    asked: claim(gold),
    refused: [
      403,
      `persistentvolumeclaims "c" is forbidden: insufficient quota to consume: ${goldClaims},${goldStorage}`,
    ],
  },
  {
    name: 'what is limited, with a quota of a part',
    quotas: [{ hard: { [goldStorage]: '5Gi' } }],
    asked: claim(gold),
    refused: [403, `persistentvolumeclaims "c" is forbidden: insufficient quota to consume: ${goldClaims}`],
  },
  {
    name: 'what is limited, with quotas of all',
    quotas: [{ hard: { [goldStorage]: '5Gi' } }, { hard: { [goldClaims]: '5' } }],
    asked: claim(gold),
  },
  {
    name: 'a pod of a limited class',
    asked: pod({ priorityClassName: 'high' }),
    refused: [500, 'insufficient quota to match these scopes: [{PriorityClass In [high higher]}]'],
  },
  { name: 'a pod of another class', asked: pod({ priorityClassName: 'low' }) },
  {
    name: 'a pod of a limited class, with a quota of that class',
    quotas: [{ hard: { pods: '1' }, scopeSelector: scoped('PriorityClass', 'In', ['high']) }],
    asked: pod({ priorityClassName: 'high' }),
  },
  {
    name: 'a pod of a limited class, with a quota of another class',
    quotas: [{ hard: { pods: '1' }, scopeSelector: scoped('PriorityClass', 'In', ['higher']) }],
    asked: pod({ priorityClassName: 'high' }),
    refused: [500, 'insufficient quota to match these scopes: [{PriorityClass In [high higher]}]'],
  },
  {
    name: 'a claim that comes into the scope of a full quota',
    plugin: open,
    quotas: [
      { hard: { 'requests.storage': '1Gi' }, scopeSelector: scoped('VolumeAttributesClass', 'In', ['fast']) },
    ],
    asked: {
      ...claim(sized('2Gi', { volumeAttributesClassName: 'fast' })),
      old: { metadata: { name: 'c' }, spec: sized('2Gi') },
    },
    refused: [
      403,
      'persistentvolumeclaims "c" is forbidden: exceeded quota: q0, requested: requests.storage=2Gi, used: requests.storage=0, limited: requests.storage=1Gi',
    ],
  },
  {
    name: 'a claim that goes out of the scope of a quota',
    plugin: open,
    quotas: [
      { hard: { 'requests.storage': '0' }, scopeSelector: scoped('VolumeAttributesClass', 'In', ['fast']) },
    ],
    asked: {
      ...claim(sized('2Gi')),
      old: { metadata: { name: 'c' }, spec: sized('2Gi', { volumeAttributesClassName: 'fast' }) },
    },
  },
  {
    name: 'devices of a class',
    plugin: open,
    quotas: [{ hard: { 'gpu.deviceclass.resource.k8s.io/devices': '1' } }],
    asked: {
      kind: builtIn('resource.k8s.io', 'v1', 'resourceclaims'),
      object: {
        metadata: { name: 'd' },
        spec: { devices: { requests: [{ name: 'r', exactly: { deviceClassName: 'gpu', count: 2 } }] } },
      },
    },
    refused: [
      403,
      'resourceclaims.resource.k8s.io "d" is forbidden: exceeded quota: q0, requested: gpu.deviceclass.resource.k8s.io/devices=2, used: gpu.deviceclass.resource.k8s.io/devices=0, limited: gpu.deviceclass.resource.k8s.io/devices=1',
    ],
  },
  {
    name: 'devices of a class that stands for what pods ask for',
    plugin: open,
    quotas: [{ hard: { 'requests.example.com/gpu': '3' } }],
    there: gpus,
    asked: {
      kind: builtIn('resource.k8s.io', 'v1', 'resourceclaims'),
      object: { metadata: { name: 'd', namespace: 'n' }, spec: twoGpus },
    },
    refused: [
      403,
      'resourceclaims.resource.k8s.io "d" is forbidden: exceeded quota: q0, requested: requests.example.com/gpu=2, used: requests.example.com/gpu=2, limited: requests.example.com/gpu=3',
    ],
  },
  {
    name: 'a pod that asks for what claims have',
    plugin: open,
    quotas: [{ hard: { 'requests.example.com/gpu': '3' } }],
    there: gpus,
    asked: pod({ containers: [{ name: 'a', resources: { requests: { 'example.com/gpu': '2' } } }] }),
    refused: [
      403,
      'pods "p" is forbidden: exceeded quota: q0, requested: requests.example.com/gpu=2, used: requests.example.com/gpu=2, limited: requests.example.com/gpu=3',
    ],
  },
  {
    name: 'what containers do not say, before what another quota has no room for',
    plugin: open,
    quotas: [{ hard: { pods: '0' } }, { hard: { 'requests.cpu': '1', 'ephemeral-storage': '1' } }],
    asked: pod({ containers: [{ name: 'a' }] }),
    refused: [403, 'pods "p" is forbidden: failed quota: q1: must specify requests.cpu for: a'],
  },
  {
    name: 'an event, of which nobody counts any',
    plugin: open,
    quotas: [{ hard: { 'count/events': '0' } }],
    asked: { kind: builtIn('', 'v1', 'events'), object: { metadata: { name: 'e' } } },
  },
])('ResourceQuota: $name', async ({ plugin = limited, quotas = [], there = [], asked, refused }) => {
  const context = await contextWith([]);
  for (const [kind, object] of there) await store(context, kind, object);
  for (const [index, spec] of quotas.entries())
    await store(context, 'v1/resourcequotas', { metadata: { name: `q${index}`, namespace: 'n' }, spec });
  const answer = await ask(context, plugin, asked);
  const [code, message] = refused ?? [];
  expect(answer).toEqual(refused === undefined ? { object: asked.object } : { code, message });
});

it.each([
  [
    { ...head, limitedResources: Array.from({ length: 1001 }, () => ({})) },
    'limitedResources: must be 1000 at most',
  ],
  [{ ...head, limitedResources: [{}] }, 'limitedResources[0].resource: say which, in the plural'],
  [{ ...head, kind: 'Configuration' }, 'kind: "Configuration", not "ResourceQuotaConfiguration"'],
  [{ apiVersion: 'v1', kind: head.kind }, 'apiVersion: "v1"'],
  [
    {
      ...head,
      limitedResources: [{ resource: 'pods', matchScopes: [{ scopeName: 'Foo', operator: 'In' }] }],
    },
    'limitedResources[0].matchScopes[0].scopeName: must be one of PriorityClass',
  ],
  [
    { ...head, limitedResources: [{ resource: 'pods', matchScopes: [{ ...high, operator: 'Is' }] }] },
    'limitedResources[0].matchScopes[0].operator: must be one of In, NotIn',
  ],
  [{ ...head, limitedResources: [{ resource: 'pods', more: 1 }] }, 'limitedResources[0].more: unknown field'],
])('parseLimitedResources(%j) is refused', (given, want) => {
  expect(() => parseLimitedResources(given)).toThrow(want);
});

it('parseLimitedResources() reads the older kinds as well', () => {
  for (const version of ['v1beta1', 'v1alpha1']) {
    const apiVersion = `resourcequota.admission.k8s.io/${version}`;
    const limits = parseLimitedResources({
      ...{ apiVersion, kind: 'Configuration' },
      limitedResources: [{ apiGroup: 'apps', resource: 'deployments', matchContains: ['count/'] }],
    });
    const kind = { group: 'apps', resource: 'deployments' };
    expect(limits).toEqual([{ kind, matchContains: ['count/'], matchScopes: [] }]);
  }
});
