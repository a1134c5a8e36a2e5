import { describe, expect, it } from 'vitest';
import type { JsonObject } from '#api/meta/object.ts';
import { formatQuantity } from '#api/meta/quantity.ts';
import { unsaidOf } from './pod-usage.ts';
import { isInScope } from './scope.ts';
import { isCountedBy, kindsOfQuotaResource, mayTakeMore, usageIn, usageOf, type KindName } from './usage.ts';

const kind = (resource: string, group = ''): KindName => ({ group, resource });
const container = (resources: JsonObject = {}, more: JsonObject = {}): JsonObject => ({
  ...{ name: 'c', resources, ...more },
});
const pod = (
  containers: readonly JsonObject[],
  spec: JsonObject = {},
  status: JsonObject = {},
): JsonObject => ({
  spec: { containers, ...spec },
  status,
});
const both = (amounts: JsonObject): JsonObject => ({ requests: amounts, limits: amounts });
const claim = (spec: JsonObject, more: JsonObject = {}): JsonObject => ({ spec, ...more });
const gi = (storage: string): JsonObject => ({ resources: { requests: { storage } } });
const devices = (...requests: readonly JsonObject[]): JsonObject => ({ spec: { devices: { requests } } });
const gold = 'gold.storageclass.storage.k8s.io/';

it.each<{
  readonly name: string;
  readonly kind: KindName;
  readonly object: JsonObject;
  readonly want: Readonly<Record<string, string>>;
}>([
  {
    name: 'any kind',
    kind: kind('deployments', 'apps'),
    object: {},
    want: { 'count/deployments.apps': '1' },
  },
  {
    name: 'an old kind',
    kind: kind('configmaps'),
    object: {},
    want: { 'count/configmaps': '1', configmaps: '1' },
  },
  {
    name: 'a pod',
    kind: kind('pods'),
    object: pod([
      container({ requests: { cpu: '1', memory: '1Gi' }, limits: { memory: '2Gi' } }),
      container(both({ 'ephemeral-storage': '1Mi', 'hugepages-2Mi': '4Mi', 'example.com/gpu': '2' })),
    ]),
    want: {
      ...{ 'count/pods': '1', pods: '1', cpu: '1', 'requests.cpu': '1', memory: '1Gi' },
      ...{ 'requests.memory': '1Gi', 'limits.memory': '2Gi', 'ephemeral-storage': '1Mi' },
      ...{ 'requests.ephemeral-storage': '1Mi', 'limits.ephemeral-storage': '1Mi' },
      ...{ 'hugepages-2Mi': '4Mi', 'requests.hugepages-2Mi': '4Mi', 'requests.example.com/gpu': '2' },
    },
  },
  {
    name: 'a pod with a sidecar, an init container and overhead',
    kind: kind('pods'),
    object: pod([container({ requests: { cpu: '1' } })], {
      initContainers: [
        container({ requests: { cpu: '2' } }, { restartPolicy: 'Always' }),
        container({ requests: { cpu: '500m' } }),
      ],
      overhead: { cpu: '10m' },
    }),
    want: { 'count/pods': '1', pods: '1', cpu: '3010m', 'requests.cpu': '3010m' },
  },
  {
    name: 'a pod whose resize is not done',
    kind: kind('pods'),
    object: pod(
      [container({ requests: { cpu: '1' }, limits: { cpu: '1' } })],
      {},
      {
        containerStatuses: [
          { name: 'c', allocatedResources: { cpu: '2' }, resources: { limits: { cpu: '3' } } },
        ],
      },
    ),
    want: { 'count/pods': '1', pods: '1', cpu: '2', 'requests.cpu': '2', 'limits.cpu': '3' },
  },
  {
    name: 'a pod that is over',
    kind: kind('pods'),
    object: pod([container(both({ cpu: '1' }))], {}, { phase: 'Failed' }),
    want: { 'count/pods': '1' },
  },
  {
    name: 'a Service with node ports',
    kind: kind('services'),
    object: { spec: { type: 'LoadBalancer', ports: [{ port: 1 }, { port: 2 }] } },
    want: {
      ...{ 'count/services': '1', services: '1', 'services.loadbalancers': '1' },
      'services.nodeports': '2',
    },
  },
  {
    name: 'a Service without',
    kind: kind('services'),
    object: { spec: { type: 'ClusterIP', ports: [{ port: 1 }] } },
    want: { 'count/services': '1', services: '1' },
  },
  {
    name: 'a claim of a class',
    kind: kind('persistentvolumeclaims'),
    object: claim({ ...gi('1Gi'), storageClassName: 'gold' }),
    want: {
      ...{ 'count/persistentvolumeclaims': '1', persistentvolumeclaims: '1', 'requests.storage': '1Gi' },
      [`${gold}persistentvolumeclaims`]: '1',
      [`${gold}requests.storage`]: '1Gi',
    },
  },
  {
    name: 'a claim that is given more than it asks for now, and parts of bytes',
    kind: kind('persistentvolumeclaims'),
    object: claim(gi('1'), { status: { allocatedResources: { storage: '1500m' } } }),
    want: { 'count/persistentvolumeclaims': '1', persistentvolumeclaims: '1', 'requests.storage': '2' },
  },
  {
    name: 'a claim of devices',
    kind: kind('resourceclaims', 'resource.k8s.io'),
    object: devices(
      { exactly: { deviceClassName: 'gpu', allocationMode: 'ExactCount', count: 2 } },
      { exactly: { deviceClassName: 'nic', allocationMode: 'All' } },
      {
        firstAvailable: [
          { deviceClassName: 'gpu', count: 3 },
          { deviceClassName: 'gpu', count: 1 },
          { deviceClassName: 'tpu' },
        ],
      },
    ),
    want: {
      'count/resourceclaims.resource.k8s.io': '1',
      'gpu.deviceclass.resource.k8s.io/devices': '5',
      'nic.deviceclass.resource.k8s.io/devices': '32',
      'tpu.deviceclass.resource.k8s.io/devices': '1',
    },
  },
])('usageOf() $name', ({ kind: of, object, want }) => {
  const usage = usageOf(of, object, 0);
  expect(Object.fromEntries([...usage].map(([name, amount]) => [name, formatQuantity(amount)]))).toEqual(
    want,
  );
  for (const name of usage.keys()) {
    expect([name, isCountedBy(of, name)]).toEqual([name, true]);
    expect(kindsOfQuotaResource(name)).toContainEqual(of);
  }
});

it.each([
  'limits.hugepages-2Mi',
  'limits.example.com/gpu',
  'example.com/gpu',
  'x.y',
  'requests.kubernetes.io/x',
])('nothing is counted by %s', (name) => {
  expect(kindsOfQuotaResource(name)).toEqual([]);
});

it.each([
  ['is not deleted', {}, 100, '1'],
  ['is going', { deletionTimestamp: '1970-01-01T00:00:30Z', deletionGracePeriodSeconds: 30 }, 60, '1'],
  ['should be gone', { deletionTimestamp: '1970-01-01T00:00:30Z', deletionGracePeriodSeconds: 30 }, 61, '0'],
])('usageOf() a pod that %s', (_name, metadata, atSeconds, want) => {
  const usage = usageOf(kind('pods'), { ...pod([]), metadata }, atSeconds * 1000);
  const told = ['pods', 'count/pods'].map((name) => formatQuantity(usageIn(usage, name)));
  expect(told).toEqual([want, '1']);
});

describe('unsaidOf()', () => {
  const names = ['limits.memory', 'requests.cpu', 'ephemeral-storage', 'pods'];
  it.each([
    [pod([container()]), 'must specify limits.memory for: c; requests.cpu for: c'],
    [pod([container(both({ cpu: '1', memory: '1' }))]), undefined],
    [pod([container()], { resources: { limits: { memory: '1' } } }), undefined],
    [
      pod([container()], { resources: { limits: { 'ephemeral-storage': '1' } } }),
      'must specify limits.memory for: c; requests.cpu for: c',
    ],
    [
      pod([{ name: 'b' }, { name: 'a' }], { initContainers: [{ name: 'i' }] }),
      'must specify limits.memory for: a,b,i; requests.cpu for: a,b,i',
    ],
  ])('of %j', (object, want) => {
    expect(unsaidOf(object, names)).toBe(want);
  });
});

describe('isInScope()', () => {
  const scoped = (scopeName: string, operator = 'Exists', values: readonly string[] = []): JsonObject => ({
    spec: { scopeSelector: { matchExpressions: [{ scopeName, operator, values }] } },
  });
  const classed = pod([], { priorityClassName: 'high' });
  const far = { namespaceSelector: {} };
  const affine = pod([], {
    affinity: { podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [far] } },
  });
  const attributed = claim(
    { volumeAttributesClassName: 'new' },
    { status: { currentVolumeAttributesClassName: 'old' } },
  );
  const [pods, claims] = [kind('pods'), kind('persistentvolumeclaims')];

  it.each<readonly [quota: JsonObject, of: KindName, object: JsonObject, want: boolean]>([
    [{}, kind('secrets'), {}, true],
    [scoped('PriorityClass'), kind('secrets'), {}, false],
    [scoped('PriorityClass'), pods, classed, true],
    [scoped('PriorityClass'), pods, pod([]), false],
    [scoped('PriorityClass', 'DoesNotExist'), pods, pod([]), true],
    [scoped('PriorityClass', 'In', ['high', 'low']), pods, classed, true],
    [scoped('PriorityClass', 'NotIn', ['high']), pods, classed, false],
    [scoped('PriorityClass', 'NotIn', ['high']), pods, pod([]), true],
    [scoped('CrossNamespacePodAffinity'), pods, affine, true],
    [scoped('CrossNamespacePodAffinity'), pods, classed, false],
    [{ spec: { scopes: ['BestEffort', 'NotTerminating'] } }, pods, classed, true],
    [{ spec: { scopes: ['BestEffort', 'Terminating'] } }, pods, classed, false],
    [scoped('VolumeAttributesClass'), pods, classed, false],
    [scoped('VolumeAttributesClass'), claims, attributed, true],
    [scoped('VolumeAttributesClass'), claims, claim({}), false],
    [scoped('VolumeAttributesClass', 'DoesNotExist'), claims, claim({}), true],
    [scoped('VolumeAttributesClass', 'In', ['old']), claims, attributed, true],
    [scoped('VolumeAttributesClass', 'NotIn', ['old', 'new']), claims, attributed, false],
    [scoped('VolumeAttributesClass', 'NotIn', ['old']), claims, attributed, true],
    [scoped('PriorityClass', 'DoesNotExist'), claims, claim({}), false],
  ])('%j of %j: %j', (quota, of, object, want) => {
    expect(isInScope(quota, of, object)).toBe(want);
  });

  it('a pod that is given a deadline may take of other quotas', () => {
    const limited = pod([container(both({ cpu: '1' }))], { activeDeadlineSeconds: 5 });
    expect(mayTakeMore(pods, pod([container(both({ cpu: '1' }))]), limited)).toBe(true);
    expect(mayTakeMore(pods, limited, { ...limited, metadata: { labels: { a: 'b' } } })).toBe(false);
  });

  it('a claim of other attributes may take of other quotas', () => {
    expect(mayTakeMore(claims, claim({}), claim({ volumeAttributesClassName: 'a' }))).toBe(true);
    expect(mayTakeMore(claims, claim(gi('2Gi')), claim(gi('1Gi')))).toBe(false);
  });
});
