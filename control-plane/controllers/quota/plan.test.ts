import { expect, it } from 'vitest';
import type { JsonObject } from '#api/meta/object.ts';
import { asToldOf, countedNames, planQuotaStatus } from './plan.ts';
import { sumUsage } from './tally.ts';

const pod = (requests: JsonObject = {}, more: JsonObject = {}): JsonObject => ({
  spec: { containers: [{ name: 'c', resources: { requests } }], ...more },
});
const objects: Readonly<Record<string, readonly JsonObject[]>> = {
  pods: [
    pod({ cpu: '100m', 'example.com/dongle': '2', 'deviceclass.resource.kubernetes.io/gpu': '3' }),
    pod({ cpu: '1', memory: '64Mi' }, { activeDeadlineSeconds: 5 }),
    pod(),
    { ...pod({ cpu: '4' }), status: { phase: 'Succeeded' } },
  ],
  services: [
    { spec: { type: 'ClusterIP', ports: [{ port: 80 }] } },
    { spec: { type: 'NodePort', ports: [{ port: 80 }, { port: 81 }] } },
    { spec: { type: 'LoadBalancer', ports: [{ port: 80 }] } },
    {
      spec: {
        type: 'LoadBalancer',
        allocateLoadBalancerNodePorts: false,
        ports: [{ port: 80, nodePort: 0 }],
      },
    },
  ],
  persistentvolumeclaims: [
    { spec: { storageClassName: 'gold', resources: { requests: { storage: '1Gi' } } } },
    { spec: { resources: { requests: { storage: '2Gi' } } } },
    {
      spec: { resources: { requests: { storage: '4Gi' } } },
      status: { currentVolumeAttributesClassName: 'fast' },
    },
  ],
  resourceclaims: [
    { spec: { devices: { requests: [{ name: 'r', exactly: { deviceClassName: 'gpu', count: 2 } }] } } },
  ],
  configmaps: [{}, {}],
  replicasets: [{}],
};

it.each<{ name: string; hard: Record<string, string>; more?: JsonObject; used: Record<string, string> }>([
  {
    name: 'pods that are not over, and what they request',
    hard: { pods: '9', 'count/pods': '9', cpu: '9', 'requests.memory': '1Gi', 'limits.cpu': '9' },
    used: { pods: '3', 'count/pods': '4', cpu: '1100m', 'requests.memory': '64Mi', 'limits.cpu': '0' },
  },
  {
    name: 'extended resources',
    hard: { 'requests.example.com/dongle': '3', 'requests.deviceclass.resource.kubernetes.io/gpu': '9' },
    used: { 'requests.example.com/dongle': '2', 'requests.deviceclass.resource.kubernetes.io/gpu': '3' },
  },
  {
    name: 'Services and what they take of the nodes',
    hard: { services: '9', 'services.nodeports': '9', 'services.loadbalancers': '9' },
    used: { services: '4', 'services.nodeports': '3', 'services.loadbalancers': '2' },
  },
  {
    name: 'claims and their storage, in all and of a class',
    hard: {
      persistentvolumeclaims: '9',
      'requests.storage': '9Gi',
      'gold.storageclass.storage.k8s.io/requests.storage': '9Gi',
      'gold.storageclass.storage.k8s.io/persistentvolumeclaims': '9',
    },
    used: {
      persistentvolumeclaims: '3',
      'requests.storage': '7Gi',
      'gold.storageclass.storage.k8s.io/requests.storage': '1Gi',
      'gold.storageclass.storage.k8s.io/persistentvolumeclaims': '1',
    },
  },
  {
    name: 'devices of a class',
    hard: { 'gpu.deviceclass.resource.k8s.io/devices': '9', 'count/resourceclaims.resource.k8s.io': '9' },
    used: { 'gpu.deviceclass.resource.k8s.io/devices': '2', 'count/resourceclaims.resource.k8s.io': '1' },
  },
  {
    name: 'claims of attributes',
    hard: { persistentvolumeclaims: '9', 'requests.storage': '9Gi' },
    more: {
      scopeSelector: { matchExpressions: [{ scopeName: 'VolumeAttributesClass', operator: 'Exists' }] },
    },
    used: { persistentvolumeclaims: '1', 'requests.storage': '4Gi' },
  },
  {
    name: 'objects of any kind',
    hard: { configmaps: '9', 'count/replicasets.apps': '9' },
    used: { configmaps: '2', 'count/replicasets.apps': '1' },
  },
  { name: 'nothing of what it does not know', hard: { 'x.y': '1', 'count/x.y': '1' }, used: {} },
  {
    name: 'pods of scope BestEffort',
    hard: { pods: '9' },
    more: { scopes: ['BestEffort'] },
    used: { pods: '1' },
  },
  {
    name: 'pods of scope Terminating',
    hard: { pods: '9' },
    more: { scopes: ['Terminating'] },
    used: { pods: '1' },
  },
  {
    name: 'pods of two scopes',
    hard: { pods: '9' },
    more: { scopes: ['NotTerminating', 'NotBestEffort'] },
    used: { pods: '1' },
  },
])('planQuotaStatus() counts $name', ({ hard, more = {}, used }) => {
  const quota = { spec: { hard, ...more } };
  const known = countedNames(quota).filter(({ resource }) => objects[resource] !== undefined);
  const status = planQuotaStatus(quota, known, (kind) =>
    sumUsage(quota, kind, { objects: objects[kind.resource] ?? [], nowMs: 0 }),
  );
  expect(status).toEqual({ hard, used });
});

type Scoped = readonly [
  operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist',
  values: readonly string[] | undefined,
  ofClasses: string,
  ofNone: string,
];

// The scopes of TestSyncResourceQuota of Kubernetes, beside pods that have no class.
it.each<Scoped>([
  ['Exists', undefined, '2 600m 51Gi', '0 0 0'],
  ['In', ['high', 'low'], '2 600m 51Gi', '0 0 0'],
  ['In', ['high'], '1 500m 50Gi', '0 0 0'],
  ['In', ['low'], '1 100m 1Gi', '0 0 0'],
  ['In', ['random'], '0 0 0', '0 0 0'],
  ['NotIn', ['high'], '1 100m 1Gi', '2 200m 2Gi'],
  ['NotIn', ['random'], '2 600m 51Gi', '2 200m 2Gi'],
  ['DoesNotExist', undefined, '0 0 0', '2 200m 2Gi'],
])('planQuotaStatus() counts pods of scope PriorityClass %s %s', (operator, values, ...want) => {
  const scope = {
    scopeName: 'PriorityClass' as const,
    operator,
    ...(values === undefined ? {} : { values }),
  };
  const spec = {
    hard: { cpu: '3', memory: '100Gi', pods: '5' },
    scopeSelector: { matchExpressions: [scope] },
  };
  const classed = [
    pod({ cpu: '500m', memory: '50Gi' }, { priorityClassName: 'high' }),
    pod({ cpu: '100m', memory: '1Gi' }, { priorityClassName: 'low' }),
  ];
  const plain = [pod({ cpu: '100m', memory: '1Gi' }), pod({ cpu: '100m', memory: '1Gi' })];
  const told = [classed, plain].map((pods) => {
    const kinds = [{ group: '', resource: 'pods' }];
    const { used = {} } = planQuotaStatus({ spec }, kinds, (kind) =>
      sumUsage({ spec }, kind, { objects: pods, nowMs: 0 }),
    );
    return `${used['pods']} ${used['cpu']} ${used['memory']}`;
  });
  expect(told).toEqual(want);
});

it('countedNames() gives each kind once', () => {
  const hard = { pods: '1', cpu: '1', 'count/deployments.apps': '1', 'count/widgets.example.com': '1' };
  expect(countedNames({ spec: { hard } })).toEqual([
    { group: '', resource: 'pods' },
    { group: 'apps', resource: 'deployments' },
    { group: 'example.com', resource: 'widgets' },
  ]);
});

it('asToldOf() keeps what was told of kinds whose objects are not all known', () => {
  const status = { hard: { pods: '9', cpu: '9', secrets: '9' }, used: { pods: '1', cpu: '1', secrets: '1' } };
  const pods = { group: '', resource: 'pods' };
  expect(asToldOf([pods], status, { used: { pods: '2', secrets: '2' } })).toEqual({
    hard: status.hard,
    used: { pods: '2', cpu: '1', secrets: '1' },
  });
  expect(asToldOf([pods], status, undefined)).toEqual(status);
  expect(asToldOf([], status, { used: { pods: '2' } })).toEqual(status);
});
