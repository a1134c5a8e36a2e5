import https from 'node:https';
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { systemClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { configMaps, replicaSets } from '#api/schema/kind-ref.ts';
import { createApiClient } from '#client/api-client.ts';
import { startTestServer, type TestServer } from '#control-plane/apiserver/test-server.fixture.ts';
import { createOwnClients } from '#control-plane/controllers/own-clients.ts';
import { createManagerState } from './manager-port.ts';
import { startLoops } from './start-loops.ts';

describe('the port of a controller manager', () => {
  const stack = new AsyncDisposableStack();
  const manager = createManagerState('10.0.0.1:6443', systemClock);
  let test: TestServer;
  beforeAll(async () => {
    test = stack.use(
      await startTestServer({
        listeners: [
          { host: '127.0.0.1', port: 0 },
          { host: '127.0.0.1', port: 0, paths: manager.paths },
        ],
      }),
    );
    const clients = createOwnClients(test.server, (transport) => manager.requests.of(transport));
    const options = { clusterCidr: ['10.244.0.0/16'], clusterSigningDuration: '1h' };
    const shared = { logger: silentLogger, clock: systemClock };
    stack.use(startLoops(test.server, { options, clients, manager, ...shared }));
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
    token?: string,
  ): Promise<{ status?: number | undefined; text: string }> => {
    const request = https.get({
      ...{ host: '127.0.0.1', port: test.server.ports[1], path, agent: false, rejectUnauthorized: false },
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
    expect((await get('/metrics', 'x')).status).toBe(401);
    expect((await get('/api/v1/namespaces')).status).toBe(403);
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
