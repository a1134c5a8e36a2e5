/** The loop on a real server, whose APIs of metrics the test answers. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createFakeClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { watchPresence } from '#base/presence.ts';
import { at, objectsOf, stringOf } from '#api/wire/json.ts';
import type { ApiClient } from '#client/client.ts';
import { createEventRecorder } from '#client/event-recorder.ts';
import { createInformers } from '#client/informers.ts';
import { createOwnClients } from '#control-plane/controllers/own-clients.ts';
import { startTestServer, type TestServer } from '#control-plane/apiserver/test-server.fixture.ts';
import { runHorizontalPodAutoscalers } from './reconcile.ts';

const ns = '/api/v1/namespaces/a';
const apps = '/apis/apps/v1/namespaces/a';
const scalers = '/apis/autoscaling/v2/namespaces/a/horizontalpodautoscalers';
const merge = { 'content-type': 'application/merge-patch+json' };

const stack = new AsyncDisposableStack();
const clock = createFakeClock(Date.now());
/** What metrics APIs say, by path without query. */
const answers = new Map<string, unknown>();
const asked: string[] = [];
let test: TestServer;

beforeAll(async () => {
  test = stack.use(await startTestServer());
  const clients = createOwnClients(test.server);
  const informers = stack.use(createInformers({ client: clients.controllerManager, clock }));
  const client = answering(clients.controller('horizontal-pod-autoscaler'));
  const context = { client, informers, clock, logger: silentLogger, presence: watchPresence(clock) };
  const recorder = (component: string) =>
    stack.use(createEventRecorder({ client, component, clock, logger: silentLogger }));
  await test.make('/api/v1/namespaces', { metadata: { name: 'a' } });
  await test.make(`${ns}/serviceaccounts`, { metadata: { name: 'default' } });
  stack.use(runHorizontalPodAutoscalers({ ...context, recorder }));
  await informers.synced();
});
afterAll(() => stack.disposeAsync());

function answering(client: ApiClient): ApiClient {
  return {
    ...client,
    raw: async (method, path, body) => {
      if (!path.includes('metrics.k8s.io')) return client.raw(method, path, body);
      asked.push(path);
      const said = answers.get(path.split('?')[0] ?? '');
      return said === undefined
        ? { status: 404, body: '404 page not found' }
        : { status: 200, body: JSON.stringify(said) };
    },
  };
}

async function until(path: string, matches: (json: object) => boolean): Promise<object> {
  const deadline = AbortSignal.timeout(60_000);
  for (;;) {
    const { json, text } = await test.call('GET', path);
    if (matches(json)) return json;
    if (deadline.aborted) throw new Error(`not so: ${text}`);
    clock.advance(1000);
    await new Promise(setImmediate);
  }
}

const reasonsOf = (json: object): string =>
  objectsOf(at(json, 'status.conditions'))
    .map((one) => `${one['status'] === 'True' ? '' : '!'}${stringOf(one['reason'])}`)
    .join(' ');
const says =
  (reasons: string) =>
  (json: object): boolean =>
    reasonsOf(json) === reasons;
const replicasAre =
  (replicas: number) =>
  (json: object): boolean =>
    at(json, 'spec.replicas') === replicas;

async function makePods(app: string, count: number): Promise<void> {
  for (let index = 0; index < count; index++) {
    const name = `${app}-${index}`;
    const resources = { requests: { cpu: '100m' } };
    await test.make(`${ns}/pods`, {
      metadata: { name, labels: { app } },
      spec: { containers: [{ name: 'c', image: 'i', resources }] },
    });
    const startTime = '2020-01-01T00:00:00Z';
    const conditions = [{ type: 'Ready', status: 'True', lastTransitionTime: startTime }];
    await test.call('PATCH', `${ns}/pods/${name}/status`, {
      ...{ body: { status: { phase: 'Running', startTime, conditions } }, headers: merge },
    });
  }
}

async function makeDeployment(name: string, replicas: number): Promise<void> {
  const template = { metadata: { labels: { app: name } }, spec: { containers: [{ name: 'c', image: 'i' }] } };
  await test.make(`${apps}/deployments`, {
    metadata: { name },
    spec: { replicas, selector: { matchLabels: { app: name } }, template },
  });
}

const target = (name: string, kind = 'Deployment', apiVersion = 'apps/v1') => ({
  scaleTargetRef: { apiVersion, kind, name },
});
const podMetrics = (app: string, cpus: readonly string[]) => ({
  kind: 'PodMetricsList',
  items: cpus.map((cpu, index) => ({
    metadata: { name: `${app}-${index}`, namespace: 'a' },
    timestamp: new Date(clock.now()).toISOString(),
    ...{ window: '10s', containers: [{ name: 'c', usage: { cpu, memory: '1Mi' } }] },
  })),
});

describe('a HorizontalPodAutoscaler', () => {
  it('of v1 scales a Deployment by processor time, and says so', async () => {
    await makeDeployment('web', 2);
    await makePods('web', 2);
    answers.set('/apis/metrics.k8s.io/v1beta1/namespaces/a/pods', podMetrics('web', ['100m', '100m']));
    await test.make('/apis/autoscaling/v1/namespaces/a/horizontalpodautoscalers', {
      metadata: { name: 'web' },
      spec: { ...target('web'), maxReplicas: 10, targetCPUUtilizationPercentage: 50 },
    });
    await until(`${apps}/deployments/web`, replicasAre(4));
    const json = await until(`${scalers}/web`, (one) => at(one, 'status.desiredReplicas') === 4);
    expect(at(json, 'status.currentMetrics')).toEqual([
      {
        type: 'Resource',
        resource: { name: 'cpu', current: { averageUtilization: 100, averageValue: '100m' } },
      },
    ]);
    expect(asked).toContain('/apis/metrics.k8s.io/v1beta1/namespaces/a/pods?labelSelector=app%3Dweb');
    await until(`${ns}/events`, (list) =>
      objectsOf(at(list, 'items')).some(
        (one) =>
          one['message'] ===
          'New size: 4; reason: cpu resource utilization (percentage of request) above target',
      ),
    );
    await test.call('DELETE', `${scalers}/web`);
  });

  it('tells whose target is not there, or is of no kind', async () => {
    for (const [name, kind, apiVersion] of [
      ['missing', 'Deployment', 'apps/v1beta1'],
      ['odd', 'Nothing', 'apps/v1'],
    ] as const)
      await test.make(scalers, {
        metadata: { name },
        spec: { ...target(name, kind, apiVersion), maxReplicas: 2 },
      });
    const messageOf = async (name: string): Promise<unknown> =>
      objectsOf(at(await until(`${scalers}/${name}`, says('!FailedGetScale')), 'status.conditions'))[0]?.[
        'message'
      ];
    const prefix = "the HPA controller was unable to get the target's current scale: ";
    expect(await messageOf('missing')).toBe(`${prefix}deployments.apps "missing" not found`);
    expect(await messageOf('odd')).toBe(`${prefix}no matches for kind "Nothing" in group "apps"`);
    for (const name of ['missing', 'odd']) await test.call('DELETE', `${scalers}/${name}`);
  });

  it('scales a custom kind by external and custom metrics', async () => {
    await test.make('/apis/apiextensions.k8s.io/v1/customresourcedefinitions', {
      metadata: { name: 'farms.example.com' },
      spec: {
        ...{ group: 'example.com', scope: 'Namespaced', names: { plural: 'farms', kind: 'Farm' } },
        versions: [
          {
            ...{ name: 'v1', served: true, storage: true },
            schema: { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
            subresources: {
              scale: {
                ...{ specReplicasPath: '.spec.replicas', statusReplicasPath: '.status.replicas' },
                labelSelectorPath: '.status.selector',
              },
              status: {},
            },
          },
        ],
      },
    });
    const farms = '/apis/example.com/v1/namespaces/a/farms';
    await until('/apis/example.com/v1', (json) => objectsOf(at(json, 'resources')).length > 0);
    const farm = { apiVersion: 'example.com/v1', kind: 'Farm', metadata: { name: 'f' } };
    await test.make(farms, { ...farm, spec: { replicas: 2 } });
    await test.call('PATCH', `${farms}/f/status`, {
      ...{ body: { status: { replicas: 2, selector: 'app=f' } }, headers: merge },
    });
    await makePods('f', 2);
    const external = { metric: { name: 'queue' }, target: { type: 'AverageValue', averageValue: '10' } };
    const object = {
      ...{ describedObject: { apiVersion: 'example.com/v1', kind: 'Farm', name: 'f' } },
      ...{ metric: { name: 'cows' }, target: { type: 'Value', value: '10' } },
    };
    answers.set('/apis/external.metrics.k8s.io/v1beta1/namespaces/a/queue', {
      items: [{ value: '20' }, { value: '10' }],
    });
    await test.make(scalers, {
      metadata: { name: 'f' },
      spec: {
        ...{ ...target('f', 'Farm', 'example.com/v1'), maxReplicas: 20 },
        metrics: [
          { type: 'Object', object },
          { type: 'External', external },
        ],
      },
    });
    await until(`${farms}/f`, replicasAre(3));
    const versions = [{ groupVersion: 'custom.metrics.k8s.io/v1beta2', version: 'v1beta2' }];
    answers.set('/apis/custom.metrics.k8s.io', { kind: 'APIGroup', versions });
    answers.set('/apis/custom.metrics.k8s.io/v1beta2/namespaces/a/farms.example.com/f/cows', {
      items: [{ describedObject: { name: 'f' }, value: '25' }],
    });
    await until(`${farms}/f`, replicasAre(5));
    await test.call('DELETE', `${scalers}/f`);
  });

  it('stops where two select the same pods', async () => {
    await makeDeployment('two', 1);
    await makePods('two', 1);
    await test.call('PATCH', `${apps}/deployments/two/status`, {
      ...{ body: { status: { replicas: 1 } }, headers: merge },
    });
    answers.set('/apis/metrics.k8s.io/v1beta1/namespaces/a/pods', podMetrics('two', ['80m']));
    for (const name of ['first', 'second'])
      await test.make(scalers, { metadata: { name }, spec: { ...target('two'), maxReplicas: 3 } });
    for (const name of ['first', 'second'])
      await until(`${scalers}/${name}`, (json) => reasonsOf(json).includes('!AmbiguousSelector'));
    await test.call('DELETE', `${scalers}/first`);
    await until(`${scalers}/second`, (json) => reasonsOf(json).includes('ValidMetricFound'));
    await test.call('DELETE', `${scalers}/second`);
  });
});
