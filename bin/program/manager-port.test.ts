import https from 'node:https';
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { systemClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { configMaps, replicaSets } from '#api/schema/kind-ref.ts';
import { createApiClient } from '#client/api-client.ts';
import { startTestServer, type TestServer } from '#control-plane/apiserver/test-server.fixture.ts';
import { createOwnClients } from '#control-plane/controllers/own-clients.ts';
import { schedulerSettings } from '#control-plane/scheduler/config/scheduler-configuration.ts';
import { SchedulerMetrics } from '#control-plane/scheduler/metrics/scheduler-metrics.ts';
import { schedulerPaths } from '#bin/scheduler/scheduler-port.ts';
import { createManagerState } from './manager-port.ts';
import { startLoops } from './start-loops.ts';

describe('the port of a controller manager', () => {
  const stack = new AsyncDisposableStack();
  const manager = createManagerState('10.0.0.1:6443', systemClock);
  const schedulerMetrics = new SchedulerMetrics();
  const scheduler = schedulerPaths({
    ...{ metrics: schedulerMetrics, settings: schedulerSettings({ podMaxBackoffSeconds: 7 }) },
    isLeading: () => manager.running.length > 0,
  });
  let test: TestServer;
  beforeAll(async () => {
    test = stack.use(
      await startTestServer({
        listeners: [
          { host: '127.0.0.1', port: 0 },
          { host: '127.0.0.1', port: 0, paths: manager.paths },
          { host: '127.0.0.1', port: 0, paths: scheduler },
        ],
      }),
    );
    const clients = createOwnClients(test.server, (transport) => manager.requests.of(transport));
    const options = { clusterCidr: ['10.244.0.0/16'], clusterSigningDuration: '1h' };
    const shared = { logger: silentLogger, clock: systemClock };
    stack.use(startLoops(test.server, { options, clients, manager, schedulerMetrics, ...shared }));
    const client = createApiClient({ transport: test.server.transport(), userAgent: 't' });
    await client.create(replicaSets, {
      metadata: { name: 'web', namespace: 'default' },
      spec: {
        replicas: 1,
        selector: { matchLabels: { a: 'b' } },
        template: { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'c', image: 'i' }] } },
      },
    });
    await vi.waitFor(async () => {
      const place = { namespace: 'default', name: 'kube-root-ca.crt' };
      expect(await client.get(configMaps, place)).toBeDefined();
    }, 30_000);
  }, 60_000);
  afterAll(() => stack.disposeAsync());

  const get = async (
    path: string,
    { token, port = 1 }: { readonly token?: string; readonly port?: number } = {},
  ): Promise<{ status?: number | undefined; text: string }> => {
    const request = https.get({
      ...{ host: '127.0.0.1', port: test.server.ports[port], path, agent: false, rejectUnauthorized: false },
      headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
    });
    const [response] = await once(request, 'response');
    const pieces: Buffer[] = [];
    for await (const piece of response) pieces.push(piece);
    return { status: response.statusCode, text: Buffer.concat(pieces).toString() };
  };

  it('is for those who may read metrics, and has no API', async () => {
    expect(await get('/healthz')).toEqual({ status: 200, text: 'ok' });
    expect((await get('/metrics')).status).toBe(403);
    expect((await get('/metrics', { token: 'x' })).status).toBe(401);
    expect((await get('/api/v1/namespaces')).status).toBe(403);
  });

  it('has one beside it where a kube-scheduler is looked for', async () => {
    for (const path of ['/healthz', '/livez', '/readyz'])
      expect(await get(path, { port: 2 })).toEqual({ status: 200, text: 'ok' });
    for (const path of ['/metrics', '/configz', '/api/v1/namespaces'])
      expect((await get(path, { port: 2 })).status, path).toBe(403);
    const textOf = async (path: string): Promise<string> => {
      const answer = await scheduler.get(path)?.({} as never);
      return Buffer.from((answer as { readonly body: Uint8Array }).body).toString();
    };
    expect(JSON.parse(await textOf('/configz'))).toMatchObject({
      componentconfig: { podMaxBackoffSeconds: 7, profiles: [{ schedulerName: 'default-scheduler' }] },
    });
    await expect
      .poll(() => textOf('/metrics'))
      .toContain('scheduler_queue_incoming_pods_total{queue="active",event="UnschedulablePodAdd"}');
    const text = await textOf('/metrics');
    expect(text).toContain('leader_election_master_status{name="kube-scheduler"} 1');
    expect(text).toContain('scheduler_pending_pods{queue="active"} 0');
  });

  it('tells of queues, requests and the lead by the names of kube-controller-manager', async () => {
    const answer = await manager.paths.get('/metrics')?.({} as never);
    const text = Buffer.from((answer as { readonly body: Uint8Array }).body).toString();
    const value = (series: string): number =>
      Number(new RegExp(`^${series.replace(/[{}|.<>]/g, '\\$&')} (\\S+)$`, 'm').exec(text)?.[1] ?? 'NaN');
    expect(value('workqueue_adds_total{name="replicaset"}')).toBeGreaterThan(0);
    expect(value('workqueue_depth{name="deployment"}')).toBe(0);
    expect(value('workqueue_work_duration_seconds_count{name="replicaset"}')).toBeGreaterThan(0);
    expect(text).toContain('workqueue_queue_duration_seconds_bucket{name="replicaset",le="1e-08"}');
    expect(text).toContain(
      'workqueue_queue_duration_seconds_bucket{name="replicaset",le="9.999999999999999e-06"}',
    );
    for (const name of ['retries_total', 'unfinished_work_seconds', 'longest_running_processor_seconds'])
      expect(text).toContain(`workqueue_${name}{name="replicaset"}`);
    expect(value('leader_election_master_status{name="kube-controller-manager"}')).toBe(1);
    expect(
      value('rest_client_requests_total{code="201",host="10.0.0.1:6443",method="POST"}'),
    ).toBeGreaterThan(0);
    expect(text).toContain('rest_client_request_duration_seconds_bucket{host="10.0.0.1:6443",verb="GET"');
    expect(text).toContain('process_cpu_seconds_total');
    const slis = await manager.paths.get('/metrics/slis')?.({} as never);
    expect(Buffer.from((slis as { readonly body: Uint8Array }).body).toString()).toContain(
      'kubernetes_healthcheck{name="leaderElection",type="healthz"} 1',
    );
  });
});
