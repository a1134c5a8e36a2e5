import type { TestServer } from '#control-plane/apiserver/test-server.fixture.ts';
import { managedAttachAnnotation } from '#api/volume/attachment.ts';
import { apps, ns, outTaint } from './products.fixture.ts';

const merge = { 'content-type': 'application/merge-patch+json' };
const containers = [{ name: 'c', image: 'i' }];
const template = (app: string, more: object = {}): object => ({
  metadata: { labels: { app } },
  spec: { terminationGracePeriodSeconds: 0, containers, ...more },
});
const set = (app: string, more: object = {}): object => ({
  metadata: { name: app },
  spec: { selector: { matchLabels: { app } }, template: template(app), ...more },
});
const ports = [{ port: 80 }];
const requests = { storage: '1Gi' };
const claimSpec = { accessModes: ['ReadWriteOnce'], resources: { requests } };
/** Nodes that are not there: its pod waits. */
const nowhere = { nodeSelector: { 'example.com/nowhere': '' } };

/** Something for each loop to do, in namespace `a` and around it. */
export async function makeAll(test: TestServer): Promise<void> {
  await test.make('/api/v1/namespaces', { metadata: { name: 'a' } });
  await untilThere(test, `${ns}/serviceaccounts/default`);
  const own = (name: string, body: object) =>
    test.call('PATCH', `/api/v1/nodes/${name}`, { body, headers: merge });
  await own('fake-2', { spec: { unschedulable: true, taints: [outTaint] } });
  await own('fake-0', { metadata: { annotations: { [managedAttachAnnotation]: 'true' } } });
  await makeWorkloads(test);
  await makeServices(test);
  await makeVolumes(test);
  await makeOthers(test);
}

async function untilThere(test: TestServer, path: string): Promise<void> {
  const deadline = AbortSignal.timeout(150_000);
  while ((await test.call('GET', path)).status !== 200) {
    if (deadline.aborted) throw new Error(`${path} is not there`);
    await new Promise(setImmediate);
  }
}

async function makeWorkloads(test: TestServer): Promise<void> {
  for (const app of ['d', 'h']) await test.make(`${apps}/deployments`, set(app, { replicas: 2 }));
  await test.make(`${apps}/replicasets`, set('r', { replicas: 2 }));
  await test.make(`${apps}/statefulsets`, set('s', { replicas: 1, serviceName: 's' }));
  await test.make(`${apps}/daemonsets`, set('ds'));
  await test.make(`${ns}/replicationcontrollers`, {
    metadata: { name: 'rc' },
    spec: { replicas: 1, selector: { app: 'rc' }, template: template('rc') },
  });
  const once = { template: template('j', { restartPolicy: 'Never' }) };
  await test.make('/apis/batch/v1/namespaces/a/jobs', { metadata: { name: 'j' }, spec: once });
  const cronJob = { schedule: '0 0 1 1 *', jobTemplate: { spec: once } };
  await test.make('/apis/batch/v1/namespaces/a/cronjobs', { metadata: { name: 'cj' }, spec: cronJob });
  await test.make('/apis/autoscaling/v2/namespaces/a/horizontalpodautoscalers', {
    metadata: { name: 'h' },
    spec: {
      scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'h' },
      ...{ minReplicas: 2, maxReplicas: 2 },
    },
  });
  await test.make('/apis/policy/v1/namespaces/a/poddisruptionbudgets', {
    metadata: { name: 'b' },
    spec: { minAvailable: 1, selector: { matchLabels: { app: 'd' } } },
  });
}

async function makeServices(test: TestServer): Promise<void> {
  await test.make(`${ns}/services`, { metadata: { name: 'svc' }, spec: { ports, selector: { app: 'd' } } });
  await test.make(`${ns}/services`, { metadata: { name: 'out' }, spec: { ports } });
  const subsets = [{ addresses: [{ ip: '192.0.2.7' }], ports }];
  await test.make(`${ns}/endpoints`, { metadata: { name: 'out' }, subsets });
  await test.make(`${ns}/services`, { metadata: { name: 'lb' }, spec: { type: 'LoadBalancer', ports } });
  const range = { metadata: { name: 'more' }, spec: { cidrs: ['10.99.0.0/24'] } };
  await test.make('/apis/networking.k8s.io/v1/servicecidrs', range);
}

async function makeVolumes(test: TestServer): Promise<void> {
  const volume = { capacity: requests, accessModes: ['ReadWriteOnce'], storageClassName: '' };
  const driver = 'csi.example.com';
  await test.make('/apis/storage.k8s.io/v1/csidrivers', {
    metadata: { name: driver },
    spec: { attachRequired: true },
  });
  const sources = { v: { hostPath: { path: '/v' } }, w: { csi: { driver, volumeHandle: 'w' } } };
  for (const [name, source] of Object.entries(sources))
    await test.make('/api/v1/persistentvolumes', { metadata: { name }, spec: { ...volume, ...source } });
  for (const [name, volumeName] of [
    ['c', 'v'],
    ['attached', 'w'],
  ]) {
    const spec = { ...claimSpec, storageClassName: '', volumeName };
    await test.make(`${ns}/persistentvolumeclaims`, { metadata: { name }, spec });
  }
  const volumes = [{ name: 'v', persistentVolumeClaim: { claimName: 'attached' } }];
  await test.make(`${ns}/pods`, {
    metadata: { name: 'attaching' },
    spec: { nodeName: 'fake-0', containers, volumes },
  });
  await test.make('/apis/storage.k8s.io/v1/volumeattributesclasses', {
    ...{ metadata: { name: 'vac' }, driverName: driver, parameters: { a: 'b' } },
  });
}

async function makeOthers(test: TestServer): Promise<void> {
  const device = { spec: { devices: { requests: [{ name: 'r', exactly: { deviceClassName: 'gpu' } }] } } };
  await test.make('/apis/resource.k8s.io/v1/deviceclasses', { metadata: { name: 'gpu' }, spec: {} });
  await test.make('/apis/resource.k8s.io/v1/namespaces/a/resourceclaimtemplates', {
    metadata: { name: 'one' },
    spec: device,
  });
  // More than the volumes have that are for others: any of these that is free would do.
  const large = { ...claimSpec, resources: { requests: { storage: '2Gi' } } };
  const ephemeral = { volumeClaimTemplate: { spec: large } };
  await test.make(`${ns}/pods`, {
    metadata: { name: 'waiting' },
    spec: {
      ...{ ...nowhere, containers, volumes: [{ name: 'v', ephemeral }] },
      resourceClaims: [{ name: 'gpu', resourceClaimTemplateName: 'one' }],
    },
  });
  await test.make('/apis/scheduling.k8s.io/v1alpha2/namespaces/a/podgroups', {
    metadata: { name: 'g' },
    spec: { schedulingPolicy: { basic: {} } },
  });
  await test.make(`${ns}/pods`, {
    metadata: { name: 'grouped' },
    spec: { ...nowhere, containers, schedulingGroup: { podGroupName: 'g' } },
  });
  await test.make(`${ns}/resourcequotas`, { metadata: { name: 'q' }, spec: { hard: { pods: '99' } } });
  await test.make(`${ns}/secrets`, {
    metadata: { name: 'token', annotations: { 'kubernetes.io/service-account.name': 'default' } },
    type: 'kubernetes.io/service-account-token',
  });
  await makeClusterWide(test);
}

async function makeClusterWide(test: TestServer): Promise<void> {
  const rbac = '/apis/rbac.authorization.k8s.io/v1/clusterroles';
  const rules = [{ verbs: ['get'], apiGroups: [''], resources: ['pods'] }];
  await test.make(rbac, { metadata: { name: 'part', labels: { 'example.com/part': '' } }, rules });
  const clusterRoleSelectors = [{ matchLabels: { 'example.com/part': '' } }];
  await test.make(rbac, { metadata: { name: 'all' }, aggregationRule: { clusterRoleSelectors } });
  await test.make('/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies', {
    metadata: { name: 'p' },
    spec: {
      matchConstraints: {
        resourceRules: [
          { apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['pods'] },
        ],
      },
      validations: [{ expression: 'object.nothing == 1' }],
    },
  });
  await test.make('/api/v1/namespaces/kube-system/secrets', {
    metadata: { name: 'bootstrap-token-abcdef' },
    type: 'bootstrap.kubernetes.io/token',
    stringData: {
      'token-id': 'abcdef',
      'token-secret': '0123456789abcdef',
      'usage-bootstrap-signing': 'true',
    },
  });
  await test.call('POST', '/api/v1/namespaces/kube-public/configmaps', {
    body: { metadata: { name: 'cluster-info' }, data: { kubeconfig: 'x' } },
  });
}
