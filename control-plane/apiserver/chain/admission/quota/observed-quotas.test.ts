import { afterAll, beforeAll, expect, it } from 'vitest';
import { startTestServer, type TestServer } from '#control-plane/apiserver/test-server.fixture.ts';

const ns = '/api/v1/namespaces/qq';
const quota = async (name: string, spec: object): Promise<void> => {
  await test.make(`${ns}/resourcequotas`, { metadata: { name }, spec });
};
const pod = (resources: object, spec: object = {}): object => ({
  metadata: { name: 'p' },
  spec: { containers: [{ name: 'c', image: 'i', resources }], ...spec },
});
const service = (type: string): object => ({ metadata: { name: 's' }, spec: { type, ports: [{ port: 1 }] } });
const small = { 'ephemeral-storage': '1Mi' };
const template = { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'c', image: 'i' }] } };

let test: TestServer;
beforeAll(async () => {
  test = await startTestServer();
  await test.make('/api/v1/namespaces', { metadata: { name: 'qq' } });
  await test.make(`${ns}/serviceaccounts`, { metadata: { name: 'default' } });
  await test.make('/apis/scheduling.k8s.io/v1/priorityclasses', { metadata: { name: 'high' }, value: 1000 });
});
afterAll(() => test[Symbol.asyncDispose]());

const a = { hard: { 'requests.cpu': '1', 'limits.memory': '1Gi', pods: '1' } };
const b = {
  hard: {
    ...{ 'count/deployments.apps': '0', 'count/secrets': '0', 'services.loadbalancers': '0' },
    ...{ 'services.nodeports': '0', persistentvolumeclaims: '0', 'requests.storage': '1Gi' },
    ...{ 'gold.storageclass.storage.k8s.io/requests.storage': '1Gi', 'count/jobs.batch': '0' },
    ...{ 'requests.nvidia.com/gpu': '0', 'requests.ephemeral-storage': '1Gi', 'hugepages-2Mi': '0' },
    ...{ replicationcontrollers: '0', configmaps: '0' },
  },
};

/** As kube-apiserver 1.36.2 was seen to answer, under the one quota of the row. */
it.each<{
  readonly name: string;
  readonly quota: object;
  readonly path: string;
  readonly body: object;
  readonly want: string | undefined;
}>([
  {
    name: 'a pod without requests',
    ...{ quota: a, path: `${ns}/pods`, body: pod({}) },
    want: 'pods "p" is forbidden: failed quota: q: must specify limits.memory for: c; requests.cpu for: c',
  },
  {
    name: 'too much cpu',
    ...{ quota: a, path: `${ns}/pods`, body: pod({ requests: { cpu: '2' }, limits: { memory: '1Mi' } }) },
    want: 'pods "p" is forbidden: exceeded quota: q, requested: requests.cpu=2, used: requests.cpu=0, limited: requests.cpu=1',
  },
  {
    name: 'a pod that fits',
    ...{ quota: a, path: `${ns}/pods`, body: pod({ requests: { cpu: '1' }, limits: { memory: '1Mi' } }) },
    want: undefined,
  },
  {
    name: 'a Deployment',
    ...{ quota: b, path: '/apis/apps/v1/namespaces/qq/deployments' },
    body: { metadata: { name: 'd' }, spec: { selector: { matchLabels: { a: 'b' } }, template } },
    want: 'deployments.apps "d" is forbidden: exceeded quota: q, requested: count/deployments.apps=1, used: count/deployments.apps=0, limited: count/deployments.apps=0',
  },
  {
    name: 'a Secret',
    ...{ quota: b, path: `${ns}/secrets`, body: { metadata: { name: 's' } } },
    want: 'secrets "s" is forbidden: exceeded quota: q, requested: count/secrets=1, used: count/secrets=0, limited: count/secrets=0',
  },
  {
    name: 'a load balancer',
    ...{ quota: b, path: `${ns}/services`, body: service('LoadBalancer') },
    want: 'services "s" is forbidden: exceeded quota: q, requested: services.loadbalancers=1,services.nodeports=1, used: services.loadbalancers=0,services.nodeports=0, limited: services.loadbalancers=0,services.nodeports=0',
  },
  {
    name: 'a node port',
    ...{ quota: b, path: `${ns}/services`, body: service('NodePort') },
    want: 'services "s" is forbidden: exceeded quota: q, requested: services.nodeports=1, used: services.nodeports=0, limited: services.nodeports=0',
  },
  {
    name: 'a claim',
    ...{ quota: b, path: `${ns}/persistentvolumeclaims` },
    body: {
      metadata: { name: 's' },
      spec: {
        ...{ storageClassName: 'gold', accessModes: ['ReadWriteOnce'] },
        resources: { requests: { storage: '2Gi' } },
      },
    },
    want: 'persistentvolumeclaims "s" is forbidden: exceeded quota: q, requested: gold.storageclass.storage.k8s.io/requests.storage=2Gi,persistentvolumeclaims=1,requests.storage=2Gi, used: gold.storageclass.storage.k8s.io/requests.storage=0,persistentvolumeclaims=0,requests.storage=0, limited: gold.storageclass.storage.k8s.io/requests.storage=1Gi,persistentvolumeclaims=0,requests.storage=1Gi',
  },
  {
    name: 'a ConfigMap',
    ...{ quota: b, path: `${ns}/configmaps`, body: { metadata: { name: 's' } } },
    want: 'configmaps "s" is forbidden: exceeded quota: q, requested: configmaps=1, used: configmaps=0, limited: configmaps=0',
  },
  {
    name: 'a device',
    ...{ quota: b, path: `${ns}/pods`, body: pod({ limits: { 'nvidia.com/gpu': '1' }, requests: small }) },
    want: 'pods "p" is forbidden: exceeded quota: q, requested: requests.nvidia.com/gpu=1, used: requests.nvidia.com/gpu=0, limited: requests.nvidia.com/gpu=0',
  },
  {
    name: 'huge pages',
    ...{ quota: b, path: `${ns}/pods` },
    body: pod({ limits: { 'hugepages-2Mi': '2Mi', memory: '1Mi', cpu: '1' }, requests: small }),
    want: 'pods "p" is forbidden: exceeded quota: q, requested: hugepages-2Mi=2Mi, used: hugepages-2Mi=0, limited: hugepages-2Mi=0',
  },
  {
    name: 'a pod that asks for nothing, by scope',
    quota: { hard: { pods: '0' }, scopes: ['BestEffort'] },
    ...{ path: `${ns}/pods`, body: pod({}) },
    want: 'pods "p" is forbidden: exceeded quota: q, requested: pods=1, used: pods=0, limited: pods=0',
  },
  {
    name: 'a pod that asks for something, by the same scope',
    quota: { hard: { pods: '0' }, scopes: ['BestEffort'] },
    ...{ path: `${ns}/pods`, body: pod({ requests: { cpu: '1m' } }) },
    want: undefined,
  },
  {
    name: 'a pod of a class',
    quota: {
      hard: { pods: '0' },
      scopeSelector: {
        matchExpressions: [{ scopeName: 'PriorityClass', operator: 'In', values: ['high'] }],
      },
    },
    ...{ path: `${ns}/pods`, body: pod({}, { priorityClassName: 'high' }) },
    want: 'pods "p" is forbidden: exceeded quota: q, requested: pods=1, used: pods=0, limited: pods=0',
  },
])('$name', async ({ quota: spec, path, body, want }) => {
  await quota('q', spec);
  const answer = await test.call('POST', `${path}?dryRun=All`, { body });
  await test.call('DELETE', `${ns}/resourcequotas/q`);
  const refused = answer.status === 201 ? undefined : answer.json['message'];
  expect([answer.status, refused]).toEqual([want === undefined ? 201 : 403, want]);
});
