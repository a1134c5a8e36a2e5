/** Metrics of an API server of somebody else, behind APIServices: what an adapter of Prometheus is to a cluster. */
import { expect, it } from 'vitest';
import { systemClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { at, objectsOf, stringOf } from '#api/wire/json.ts';
import { createInformers } from '#client/informers.ts';
import { startExtensionServer } from '#control-plane/apiserver/aggregation/extension-server.fixture.ts';
import {
  deploymentNamed,
  startTestServer,
  type TestServer,
} from '#control-plane/apiserver/test-server.fixture.ts';
import { createOwnClients } from '#control-plane/controllers/own-clients.ts';
import { startControllers } from '#control-plane/controllers/start-controllers.ts';

const ns = '/api/v1/namespaces/default';
const custom = '/apis/custom.metrics.k8s.io/v1beta2';
const external = '/apis/external.metrics.k8s.io/v1beta1';
const scaler = '/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers';
const merge = { 'content-type': 'application/merge-patch+json' };

const resourcesOf = (groupVersion: string): JsonObject => ({
  ...{ kind: 'APIResourceList', apiVersion: 'v1', groupVersion },
  resources: [{ name: 'x', singularName: '', namespaced: true, kind: 'MetricValueList', verbs: ['get'] }],
});

/** What the adapter says: requests a second of each pod, and the length of a queue. */
function answersOf(values: { requests: string; queue: string }): (path: string) => JsonObject | undefined {
  const timestamp = '2026-01-01T00:00:00Z';
  const pod = (name: string): JsonObject => ({
    ...{ describedObject: { kind: 'Pod', namespace: 'default', name }, metric: { name: 'requests' } },
    ...{ timestamp, value: values.requests },
  });
  return (path) =>
    ({
      [custom]: resourcesOf('custom.metrics.k8s.io/v1beta2'),
      [external]: resourcesOf('external.metrics.k8s.io/v1beta1'),
      [`${custom}/namespaces/default/pods/*/requests`]: {
        kind: 'MetricValueList',
        items: ['p0', 'p1'].map(pod),
      },
      [`${external}/namespaces/default/queue`]: {
        kind: 'ExternalMetricValueList',
        items: [{ metricName: 'queue', metricLabels: {}, timestamp, value: values.queue }],
      },
    })[decodeURIComponent(path)];
}

async function serve(
  test: TestServer,
  extension: { readonly port: number; readonly caBundle: string },
): Promise<void> {
  await test.make('/api/v1/namespaces', { metadata: { name: 'wardle' } });
  const spec = { ports: [{ port: 443 }] };
  await test.make('/api/v1/namespaces/wardle/services', { metadata: { name: 'ext' }, spec });
  await test.make('/apis/discovery.k8s.io/v1/namespaces/wardle/endpointslices', {
    metadata: { name: 'ext', labels: { 'kubernetes.io/service-name': 'ext' } },
    ...{ addressType: 'IPv4', ports: [{ name: '', port: extension.port }] },
    endpoints: [{ addresses: ['192.0.2.9'] }],
  });
  // No client may name this host: it is written past the server.
  const key = '/registry/endpointslices/wardle/ext';
  await test.server.store.update(key, (current) => {
    const text = Buffer.from(current?.value ?? []).toString();
    return {
      expect: [],
      ops: [{ op: 'put', key, value: Buffer.from(text.replace('192.0.2.9', '127.0.0.1')) }],
    };
  });
  for (const [group, version] of [
    ['custom.metrics.k8s.io', 'v1beta2'],
    ['external.metrics.k8s.io', 'v1beta1'],
  ])
    await test.make('/apis/apiregistration.k8s.io/v1/apiservices', {
      metadata: { name: `${version}.${group}` },
      spec: {
        ...{ group, version, groupPriorityMinimum: 100, versionPriority: 100 },
        ...{ service: { namespace: 'wardle', name: 'ext' }, caBundle: extension.caBundle },
      },
    });
}

async function makePods(test: TestServer): Promise<void> {
  await test.make(`${ns}/serviceaccounts`, { metadata: { name: 'default' } });
  for (const name of ['p0', 'p1']) {
    const spec = { containers: [{ name: 'c', image: 'i' }] };
    await test.make(`${ns}/pods`, { metadata: { name, labels: { app: 'd' } }, spec });
    const startTime = '2020-01-01T00:00:00Z';
    const conditions = [{ type: 'Ready', status: 'True', lastTransitionTime: startTime }];
    const body = { status: { phase: 'Running', startTime, conditions } };
    await test.call('PATCH', `${ns}/pods/${name}/status`, { body, headers: merge });
  }
  const template = { metadata: { labels: { app: 'd' } }, spec: { containers: [{ name: 'c', image: 'i' }] } };
  const spec = { replicas: 2, selector: { matchLabels: { app: 'd' } }, template };
  await test.make('/apis/apps/v1/namespaces/default/deployments', deploymentNamed('d', spec));
}

it('an autoscaler goes by what an aggregated server says of pods and of a queue, and tells when that is gone', async () => {
  const values = { requests: '20', queue: '0' };
  await using extension = await startExtensionServer('ext.wardle.svc', answersOf(values));
  await using test = await startTestServer({ mayDial: () => true });
  const trust = '/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication';
  extension.believe(String((await test.call('GET', trust)).json['data']?.['requestheader-client-ca-file']));
  const clients = createOwnClients(test.server);
  const shared = { clock: systemClock, logger: silentLogger };
  await using informers = createInformers({ client: clients.controllerManager, ...shared });
  await using _loop = startControllers({
    ...{ ...shared, informers, clientAs: clients.controller, rootCa: { pem: 'PEM' } },
    isOn: (name) => name === 'horizontal-pod-autoscaler-controller',
    autoscaling: { syncPeriodMs: 200 },
  });
  await makePods(test);
  await serve(test, extension);
  const ofPods = { metric: { name: 'requests' }, target: { type: 'AverageValue', averageValue: '10' } };
  const ofQueue = { metric: { name: 'queue' }, target: { type: 'AverageValue', averageValue: '5' } };
  await test.make(scaler, {
    metadata: { name: 'h' },
    spec: {
      scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'd' },
      ...{ minReplicas: 1, maxReplicas: 9 },
      metrics: [
        { type: 'Pods', pods: ofPods },
        { type: 'External', external: ofQueue },
      ],
    },
  });
  const replicas = async (): Promise<unknown> =>
    at((await test.call('GET', '/apis/apps/v1/namespaces/default/deployments/d')).json, 'spec.replicas');
  const conditions = async (): Promise<readonly string[]> =>
    objectsOf(at((await test.call('GET', `${scaler}/h`)).json, 'status.conditions')).map((one) =>
      ['type', 'status', 'reason', 'message'].map((name) => stringOf(one[name])).join(' '),
    );
  // Two pods at twice what each is to have.
  await expect.poll(replicas).toBe(4);
  values.queue = '1k';
  await expect.poll(replicas).toBe(8);
  await expect.poll(replicas).toBe(9);
  await expect
    .poll(conditions)
    .toEqual(
      expect.arrayContaining([
        expect.stringMatching(
          /^ScalingActive True ValidMetricFound the HPA was able to successfully calculate a replica count from external metric queue\(nil\)$/,
        ),
        'ScalingLimited True TooManyReplicas the desired replica count is more than the maximum replica count',
      ]),
    );
  extension.isDown = true;
  await expect
    .poll(conditions)
    .toEqual(
      expect.arrayContaining([
        expect.stringMatching(
          /^ScalingActive False FailedGetPodsMetric the HPA was unable to compute the replica count: unable to get metric requests: unable to fetch metrics from custom metrics API: /,
        ),
      ]),
    );
  expect(
    extension.calls.some(
      ({ headers }) =>
        headers['x-remote-user'] === 'system:serviceaccount:kube-system:horizontal-pod-autoscaler',
    ),
  ).toBe(true);
});
