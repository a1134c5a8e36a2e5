/** All controllers and the scheduler on a real server, each as itself: what they ask, and that nothing of it is refused. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createFakeClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { at, objectsOf, stringOf } from '#api/wire/json.ts';
import { podDisruptionBudgets, pods } from '#api/schema/kind-ref.ts';
import { standingsAnnotation } from '#api/network/policy-standing.ts';
import { localProvisioner, volumesDirectoryAnnotation } from '#api/volume/local-volumes.ts';
import { createInformers } from '#client/informers.ts';
import type { Transport, TransportResponse } from '#client/transport.ts';
import type { Attributes } from '#control-plane/apiserver/chain/authz/authorizer.ts';
import type { User } from '#control-plane/apiserver/serve/request.ts';
import {
  deploymentNamed,
  podNamed,
  startTestServer,
  wholeBody,
  type TestServer,
} from '#control-plane/apiserver/test-server.fixture.ts';
import { serviceAccount } from '#control-plane/apiserver/chain/authn/groups.ts';
import { startScheduler } from '#control-plane/scheduler/scheduler.ts';
import { createOwnClients, type OwnClients } from './own-clients.ts';
import { bootstrapBook, describeAsked, note, telling, type Told } from './roled-clients.fixture.ts';
import { startControllers } from './start-controllers.ts';

const stack = new AsyncDisposableStack();
const clock = createFakeClock(Date.now());
const told: Told = { asked: new Map(), refused: [] };
const book = bootstrapBook();
const byRole = new Map<string, Set<string>>();
/** Whether no node says that it lives. */
let isSilent = false;
let test: TestServer;
let clients: OwnClients;

beforeAll(async () => {
  test = stack.use(await startTestServer());
  clients = createOwnClients({ transport: transportOf });
  const client = ownOf(clients.controllerManager, 'system:kube-controller-manager');
  const informers = stack.use(createInformers({ client, clock }));
  const shared = { informers, clock, logger: silentLogger };
  const clientAs = (account: string) =>
    telling(clients.controller(account), serviceAccount('kube-system', account), tell);
  stack.use(startScheduler({ ...shared, client: ownOf(clients.scheduler, 'system:kube-scheduler') }));
  stack.use(
    startControllers({
      ...shared,
      clientAs,
      clusterCidrs: ['10.244.0.0/16'],
      loadBalancerCidrs: ['203.0.113.0/24'],
      rootCa: { pem: 'PEM' },
    }),
  );
  await informers.synced();
  await test.make('/api/v1/namespaces', { metadata: { name: 'a' } });
  for (const name of ['n1', 'n2']) await makeNode(name);
  await until('root-ca-cert-publisher', 'create configmaps');
});
afterAll(() => stack.disposeAsync());

const tell = (attributes: Attributes): void => {
  note(told, attributes);
  const { name } = attributes.user;
  byRole.set(name, (byRole.get(name) ?? new Set<string>()).add(describeByRole(attributes)));
};

/** What was asked; of what a rule allows of all kinds no kind, of discovery no document, of events not whether they come again. */
function describeByRole(attributes: Attributes): string {
  if (attributes.kind === 'resource' && attributes.resource === 'events') return 'create events';
  const isOfAll = book.find(attributes)?.rule.resources?.includes('*') === true;
  if (isOfAll) return `${attributes.verb} *`;
  return attributes.kind === 'path' ? `${attributes.verb} /api*` : describeAsked(attributes);
}
const ownOf = (client: OwnClients['scheduler'], name: string) => telling(client, { name, groups: [] }, tell);

/** Of a 403 that is no admission's. */
function transportOf(user: User): Transport {
  const own = stack.use(test.server.transport(user));
  return {
    request: async (request): Promise<TransportResponse> => {
      const response = await own.request(request);
      if (response.status !== 403) return response;
      const body = await wholeBody(response.body);
      const text = Buffer.from(body).toString();
      if (text.includes('is forbidden: User')) told.refused.push(text);
      return { ...response, body };
    },
    [Symbol.asyncDispose]: () => own[Symbol.asyncDispose](),
  };
}

const merge = { 'content-type': 'application/merge-patch+json' };
const ns = '/api/v1/namespaces/a';
const apps = '/apis/apps/v1/namespaces/a';
const leases = '/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases';
const batch = '/apis/batch/v1/namespaces/a';
const patch = (path: string, body: unknown) => test.call('PATCH', path, { body, headers: merge });
const template = (app: string, spec: object = {}) => ({
  metadata: { labels: { app } },
  spec: { containers: [{ name: 'c', image: 'i' }], ...spec },
});
const selector = (app: string) => ({ matchLabels: { app } });

async function makeNode(name: string): Promise<void> {
  await test.make(leases, { metadata: { name } });
  const annotations = { [volumesDirectoryAnnotation]: '/volumes' };
  await test.make('/api/v1/nodes', { metadata: { name, annotations } });
  const room = { cpu: '64', memory: '256Gi', pods: '110' };
  const conditions = [{ type: 'Ready', status: 'True', reason: 'KubeletReady' }];
  await patch(`/api/v1/nodes/${name}/status`, {
    status: { capacity: room, allocatable: room, conditions },
  });
}

/** What kubelets do: pods that are bound run, those of Jobs are done at once, those that are to go, go. */
async function kubelets(): Promise<void> {
  for (const name of isSilent ? [] : ['n1', 'n2']) {
    const renewTime = new Date(clock.now()).toISOString().replace('Z', '000Z');
    await patch(`${leases}/${name}`, { spec: { renewTime } });
  }
  const { json } = await test.call('GET', '/api/v1/pods');
  for (const pod of objectsOf(json['items'])) {
    const [namespace, name] = [stringOf(at(pod, 'metadata.namespace')), stringOf(at(pod, 'metadata.name'))];
    const path = `/api/v1/namespaces/${namespace}/pods/${name}`;
    if (stringOf(at(pod, 'spec.nodeName')) === '') continue;
    if (at(pod, 'metadata.deletionTimestamp') !== undefined) {
      await test.call('DELETE', path, { body: { gracePeriodSeconds: 0 } });
    } else if (at(pod, 'status.podIP') === undefined) {
      const phase = at(pod, 'spec.restartPolicy') === 'Never' ? 'Succeeded' : 'Running';
      const conditions = [{ type: 'Ready', status: phase === 'Running' ? 'True' : 'False' }];
      const podIP = '10.244.0.9';
      await patch(`${path}/status`, { status: { phase, podIP, podIPs: [{ ip: podIP }], conditions } });
    }
  }
}

/** Lets time pass until the account, or user, has asked for all of that. */
async function until(who: string, ...what: readonly string[]): Promise<void> {
  const user = who.startsWith('system:') ? who : `system:serviceaccount:kube-system:${who}`;
  const deadline = AbortSignal.timeout(150_000);
  const missing = (): readonly string[] => what.filter((one) => told.asked.get(user)?.has(one) !== true);
  while (missing().length > 0) {
    if (deadline.aborted) throw new Error(`${who} never asked ${missing().join(', ')}`);
    await pass();
  }
}

async function untilThere(path: string): Promise<void> {
  const deadline = AbortSignal.timeout(150_000);
  while ((await test.call('GET', path)).status !== 200) {
    if (deadline.aborted) throw new Error(`${path} is not there`);
    await pass();
  }
}

async function untilGone(path: string): Promise<void> {
  const deadline = AbortSignal.timeout(150_000);
  for (;;) {
    const { status, text } = await test.call('GET', path);
    if (status === 404) return;
    if (deadline.aborted) throw new Error(`${path} is still there: ${text}`);
    await pass();
  }
}

async function pass(): Promise<void> {
  clock.advance(1000);
  await kubelets();
  await new Promise(setImmediate);
}

const pods1 = { replicas: 1, selector: selector('r'), template: template('r') };
const events = 'create events';

it('a Deployment, its ReplicaSets and their pods; the scheduler', async () => {
  const spec = { selector: selector('d'), template: template('d'), revisionHistoryLimit: 0 };
  await test.make(`${apps}/deployments`, deploymentNamed('d', spec));
  await until('deployment-controller', 'create apps/replicasets', 'update apps/deployments/status', events);
  await until('replicaset-controller', 'create pods', 'update apps/replicasets/status', events);
  await until('system:kube-scheduler', 'create pods/binding', events);
  await patch(`${apps}/deployments/d`, { spec: { template: template('d', { hostname: 'x' }) } });
  await until('deployment-controller', 'update apps/replicasets', 'delete apps/replicasets');
  await until('replicaset-controller', 'delete pods');
  await test.make(
    `${ns}/pods`,
    podNamed('asking', { spec: { ...template('').spec, nodeSelector: { a: 'b' } } }),
  );
  await until('system:kube-scheduler', 'patch pods/status');
});

it('what adopts and lets go', async () => {
  await test.make(`${ns}/pods`, podNamed('orphan', { metadata: { name: 'orphan', labels: { app: 'r' } } }));
  await test.make(`${apps}/replicasets`, { metadata: { name: 'r' }, spec: pods1 });
  await until('replicaset-controller', 'patch pods', 'get apps/replicasets');
  const labels = { app: 'rc' };
  await test.make(`${ns}/pods`, podNamed('orphan2', { metadata: { name: 'orphan2', labels } }));
  const rc = { replicas: 2, selector: labels, template: template('rc') };
  await test.make(`${ns}/replicationcontrollers`, { metadata: { name: 'rc' }, spec: rc });
  await until('replication-controller', 'patch pods', 'get replicationcontrollers', 'create pods', events);
  await until('replication-controller', 'update replicationcontrollers/status');
  await patch(`${ns}/replicationcontrollers/rc`, { spec: { replicas: 0 } });
  await until('replication-controller', 'delete pods');
});

it('what is scaled by what it uses, or is out of bounds', async () => {
  const spec = { selector: selector('h'), template: template('h'), replicas: 2 };
  await test.make(`${apps}/deployments`, deploymentNamed('h', spec));
  const scaler = (name: string, more: object) =>
    test.make('/apis/autoscaling/v2/namespaces/a/horizontalpodautoscalers', {
      metadata: { name },
      spec: { scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'h' }, ...more },
    });
  await scaler('h', { maxReplicas: 1 });
  const own = 'horizontal-pod-autoscaler';
  await until(own, 'get apps/deployments/scale', 'update apps/deployments/scale', events);
  await until(own, 'update autoscaling/horizontalpodautoscalers/status');
  await until(own, 'get /apis/metrics.k8s.io/v1beta1/namespaces/a/pods?labelSelector=app%3Dh');
  await test.call('DELETE', `${apps}/deployments/h`);
});

it('a DaemonSet, and revisions', async () => {
  const spec = { selector: selector('ds'), template: template('ds'), revisionHistoryLimit: 0 };
  await test.make(`${apps}/daemonsets`, { metadata: { name: 'ds' }, spec });
  await until('daemon-set-controller', 'create pods', 'update apps/daemonsets/status', events);
  await patch(`${apps}/daemonsets/ds`, { spec: { template: template('ds', { hostname: 'x' }) } });
  await until('daemon-set-controller', 'create apps/controllerrevisions', 'delete pods');
  await until('daemon-set-controller', 'delete apps/controllerrevisions');
});

it('a StatefulSet, and its claims', async () => {
  await test.make('/apis/storage.k8s.io/v1/storageclasses', {
    metadata: {
      name: 'standard',
      annotations: { 'storageclass.kubernetes.io/is-default-class': 'true' },
    },
    ...{ provisioner: localProvisioner, volumeBindingMode: 'WaitForFirstConsumer' },
  });
  const claim = {
    metadata: { name: 'data' },
    spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
  };
  const spec = {
    ...{ replicas: 2, selector: selector('s'), template: template('s'), serviceName: 's' },
    persistentVolumeClaimRetentionPolicy: { whenDeleted: 'Delete', whenScaled: 'Delete' },
    volumeClaimTemplates: [claim],
  };
  await test.make(`${apps}/statefulsets`, { metadata: { name: 's' }, spec });
  await until('statefulset-controller', 'create pods', 'create persistentvolumeclaims', events);
  await until('statefulset-controller', 'update apps/statefulsets/status');
  await untilThere(`${ns}/pods/s-1`);
  await patch(`${apps}/statefulsets/s`, { spec: { replicas: 1 } });
  await until('statefulset-controller', 'delete pods', 'update persistentvolumeclaims');
  await until('generic-garbage-collector', 'delete persistentvolumeclaims');
  await until('pvc-protection-controller', 'update persistentvolumeclaims');
  await until('system:kube-scheduler', 'update persistentvolumeclaims');
  const binder = 'persistent-volume-binder';
  await until(binder, 'create persistentvolumes', 'update persistentvolumes/status', events);
  await until(binder, 'update persistentvolumeclaims', 'update persistentvolumeclaims/status');
  await until(binder, 'get persistentvolumeclaims', 'delete persistentvolumes');
  const volumes = [{ name: 'v', ephemeral: { volumeClaimTemplate: { spec: claim.spec } } }];
  await test.make(`${ns}/pods`, {
    metadata: { name: 'ephemeral' },
    spec: { containers: [{ name: 'c', image: 'i' }], volumes },
  });
  await until('ephemeral-volume-controller', 'create persistentvolumeclaims');
});

it('claims of devices', async () => {
  const resources = '/apis/resource.k8s.io/v1';
  const exactly = { deviceClassName: 'gpu' };
  const spec = { devices: { requests: [{ name: 'r', exactly }] } };
  await test.make(`${resources}/deviceclasses`, { metadata: { name: 'gpu' }, spec: {} });
  await test.make(`${resources}/resourceslices`, {
    metadata: { name: 'gpus' },
    spec: {
      driver: 'gpu.example',
      nodeName: 'n1',
      pool: { name: 'n1', generation: 1, resourceSliceCount: 1 },
      devices: [{ name: 'gpu-0' }],
    },
  });
  const made = 'resource.k8s.io/resourceclaims';
  const resourceClaims = [{ name: 'gpu', resourceClaimTemplateName: 'one' }];
  await test.make(`${ns}/pods`, {
    metadata: { name: 'device' },
    spec: { containers: [{ name: 'c', image: 'i' }], resourceClaims },
  });
  const controller = 'resource-claim-controller';
  await until(controller, events);
  await test.make(`${resources}/namespaces/a/resourceclaimtemplates`, {
    metadata: { name: 'one' },
    spec: { spec },
  });
  await until(controller, `create ${made}`, 'patch pods/status');
  await expect.poll(() => byRole.get('system:kube-scheduler')).toContain(`update ${made}/status`);
  await patch(`${ns}/pods/device/status`, { status: { phase: 'Succeeded' } });
  const extended = { requests: { 'deviceclass.resource.kubernetes.io/gpu': '1' } };
  await test.make(`${ns}/pods`, {
    metadata: { name: 'extended' },
    spec: { containers: [{ name: 'c', image: 'i', resources: { ...extended, limits: extended.requests } }] },
  });
  await until('system:kube-scheduler', `create ${made}`);
  await until(controller, `update ${made}/status`, `update ${made}`, `delete ${made}`);
});

it('Jobs: by time, done, and away when their time is over', async () => {
  const spec = { template: template('j', { restartPolicy: 'Never' }), ttlSecondsAfterFinished: 1 };
  await test.make(`${batch}/jobs`, { metadata: { name: 'j' }, spec });
  await until('job-controller', 'create pods', 'update batch/jobs/status', 'patch pods', events);
  await until('ttl-after-finished-controller', 'delete batch/jobs');
  const job = { spec: { template: template('c', { restartPolicy: 'Never' }) } };
  const often = { schedule: '* * * * *', successfulJobsHistoryLimit: 0, jobTemplate: job };
  await test.make(`${batch}/cronjobs`, { metadata: { name: 'c' }, spec: often });
  await until('cronjob-controller', 'create batch/jobs', 'update batch/cronjobs/status', 'delete batch/jobs');
  await test.call('DELETE', `${batch}/cronjobs/c`);
  await untilGone(`${batch}/cronjobs/c`);
});

it('Services', async () => {
  const ports = [{ port: 80 }];
  await test.make(`${ns}/services`, { metadata: { name: 'd' }, spec: { ports, selector: { app: 'd' } } });
  await until('endpointslice-controller', 'create discovery.k8s.io/endpointslices');
  await until('endpoint-controller', 'create endpoints');
  await test.make(`${ns}/services`, { metadata: { name: 'out' }, spec: { ports } });
  const subsets = [{ addresses: [{ ip: '192.0.2.7' }], ports }];
  await test.make(`${ns}/endpoints`, { metadata: { name: 'out' }, subsets });
  await until('endpointslicemirroring-controller', 'create discovery.k8s.io/endpointslices');
  await patch(`${apps}/deployments/d`, { spec: { replicas: 0 } });
  await until('endpointslice-controller', 'update discovery.k8s.io/endpointslices');
  await until('endpoint-controller', 'update endpoints');
  for (const name of ['d', 'out']) await test.call('DELETE', `${ns}/services/${name}`);
  await until('endpoint-controller', 'delete endpoints');
  await until('endpointslicemirroring-controller', 'delete discovery.k8s.io/endpointslices');
});

it('budgets, quotas, volumes, networks of Services, roles made of others', async () => {
  await until('clusterrole-aggregation-controller', 'update rbac.authorization.k8s.io/clusterroles');
  const budget = { minAvailable: 1, selector: selector('r') };
  await test.make('/apis/policy/v1/namespaces/a/poddisruptionbudgets', {
    metadata: { name: 'b' },
    spec: budget,
  });
  await until('disruption-controller', `update policy/${podDisruptionBudgets.resource}/status`);
  const lastTransitionTime = new Date(clock.now() - 600_000).toISOString().replace(/\.\d+Z/, 'Z');
  const stale = [{ type: 'DisruptionTarget', status: 'True', lastTransitionTime }];
  await patch(`${ns}/pods/orphan/status`, { status: { conditions: stale } });
  await until('disruption-controller', 'patch pods/status');
  await test.make(`${ns}/resourcequotas`, { metadata: { name: 'q' }, spec: { hard: { pods: '100' } } });
  await until('resourcequota-controller', 'update resourcequotas/status');
  const volume = { capacity: { storage: '1Gi' }, accessModes: ['ReadWriteOnce'], hostPath: { path: '/v' } };
  await test.make('/api/v1/persistentvolumes', { metadata: { name: 'v' }, spec: volume });
  await test.call('DELETE', '/api/v1/persistentvolumes/v');
  await until('pv-protection-controller', 'update persistentvolumes');
  const classes = '/apis/storage.k8s.io/v1/volumeattributesclasses';
  await test.make(classes, { metadata: { name: 'c' }, driverName: 'd.example', parameters: { a: 'b' } });
  await test.call('DELETE', `${classes}/c`);
  await until('volumeattributesclass-protection-controller', 'update storage.k8s.io/volumeattributesclasses');
  await test.make('/apis/networking.k8s.io/v1/servicecidrs', {
    metadata: { name: 'c', finalizers: ['networking.k8s.io/service-cidr-finalizer'] },
    spec: { cidrs: ['10.99.0.0/24'] },
  });
  const parentRef = { resource: 'services', namespace: 'a', name: 'x' };
  const addresses = '/apis/networking.k8s.io/v1/ipaddresses';
  await test.make(addresses, { metadata: { name: '10.99.0.5' }, spec: { parentRef } });
  await test.call('DELETE', '/apis/networking.k8s.io/v1/servicecidrs/c');
  const ports = [{ port: 80 }];
  await test.make(`${ns}/services`, { metadata: { name: 'lb' }, spec: { type: 'LoadBalancer', ports } });
  await until('service-controller', 'patch services/status', events);
  await until('service-cidrs-controller', 'update networking.k8s.io/servicecidrs/status');
  await test.call('DELETE', `${addresses}/10.99.0.5`);
  await untilGone('/apis/networking.k8s.io/v1/servicecidrs/c');
});

it('policies of the cluster, by what nodes say', async () => {
  const [group, resource] = ['policy.networking.k8s.io', 'clusternetworkpolicies'];
  const names = { kind: 'ClusterNetworkPolicy', plural: resource };
  const schema = { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } };
  const versions = [{ name: 'v1beta1', served: true, storage: true, schema, subresources: { status: {} } }];
  await test.make('/apis/apiextensions.k8s.io/v1/customresourcedefinitions', {
    metadata: {
      name: `${resource}.${group}`,
      annotations: { 'api-approved.kubernetes.io': 'unapproved, of a test' },
    },
    spec: { group, names, scope: 'Cluster', versions },
  });
  const path = `/apis/${group}/v1beta1/${resource}`;
  await expect.poll(async () => (await test.call('GET', path)).status).toBe(200);
  const apiVersion = `${group}/v1beta1`;
  await test.make(path, { apiVersion, kind: names.kind, metadata: { name: 'p' }, spec: {} });
  const said = JSON.stringify({ 'ClusterNetworkPolicy/p': ['v1beta1', 'u', 1] });
  await patch(`${leases}/n1`, { metadata: { annotations: { [standingsAnnotation]: said } } });
  const asked = `${group}/${resource}`;
  await until('cluster-policy-status-controller', `get ${asked}`, `update ${asked}/status`);
});

it('garbage that is left behind, and owners that wait', async () => {
  await test.call('DELETE', `${apps}/replicasets/r`, { body: { propagationPolicy: 'Orphan' } });
  await until('generic-garbage-collector', 'patch pods', 'patch apps/replicasets', 'get /apis');
  await test.call('DELETE', `${apps}/deployments/d`, { body: { propagationPolicy: 'Foreground' } });
  await untilGone(`${apps}/deployments/d`);
});

it('nodes that say nothing, or are not there', async () => {
  await until('node-controller', 'patch nodes');
  await patch('/api/v1/nodes/n1', { spec: { taints: [{ key: 'k', effect: 'NoExecute' }] } });
  await until('node-controller', 'delete pods', events);
  isSilent = true;
  await until('node-controller', 'update nodes/status', 'update nodes', 'patch pods/status');
  await test.make(`${ns}/pods`, podNamed('bound', { spec: { ...template('').spec, nodeName: 'n9' } }));
  await until('pod-garbage-collector', 'get nodes', 'patch pods/status', 'delete pods');
});

it('a namespace that goes', async () => {
  await test.call('DELETE', ns);
  await untilGone(ns);
});

describe('what all of them asked', () => {
  it('is as their roles have it, and nothing of it was refused', async () => {
    expect(told.refused).toEqual([]);
    // Slices of a Service that went are deleted by whoever comes first, their controller or the collector of what has no owner.
    byRole
      .get('system:serviceaccount:kube-system:endpointslice-controller')
      ?.delete('delete discovery.k8s.io/endpointslices');
    const lines = [...byRole]
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .flatMap(([user, asked]) => [user, ...[...asked].toSorted().map((one) => `  ${one}`)]);
    await expect(`${lines.join('\n')}\n`).toMatchFileSnapshot('golden/asked.txt');
  });

  it.each<[string, (clients: OwnClients) => Promise<unknown>]>([
    ['the controller manager reads, and writes no pod', ({ controllerManager }) => create(controllerManager)],
    ['a controller writes what is its own', ({ controller }) => create(controller('deployment-controller'))],
    ['the scheduler binds pods, and makes none', ({ scheduler }) => create(scheduler)],
    ['what follows Nodes makes no pods', ({ own }) => create(own('pod-routes'))],
    ['an account without a role does nothing', ({ controller }) => controller('nobody').list(pods)],
  ])('%s: more is refused', async (_name, act) => {
    await expect(act(createOwnClients(test.server))).rejects.toThrow(/is forbidden: User "system:/);
  });
});

function create(client: OwnClients['scheduler']): Promise<unknown> {
  return client.create(pods, { metadata: { name: 'p', namespace: 'default' }, spec: { containers: [] } });
}
