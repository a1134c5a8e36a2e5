import { rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { systemClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { events, leases, nodes, pods } from '#api/schema/kind-ref.ts';
import type { Pod, PodSpec } from '#api/generated/objects.ts';
import { startFleet, type Fleet } from '#agent/fake-node/fleet.ts';
import { createApiClient } from '#client/api-client.ts';
import type { ApiClient } from '#client/client.ts';
import { createInformers, withoutManagedFields } from '#client/informers.ts';
import { startTestServer, type TestServer } from '#control-plane/apiserver/test-server.fixture.ts';
import { createOwnClients } from '#control-plane/controllers/own-clients.ts';
import { startLoops } from '#bin/program/start-loops.ts';
import { obtainTls } from './serving-certificate.ts';
import { shapeOf, shapeProblems } from './shape.ts';

const shape = {
  ...{ nodes: 3, prefix: 'fake', cpu: '4', memory: '8Gi', storage: '100Gi', maxPods: 110 },
  ...{ nodeLabel: ['pool=a'], nodeTaint: [], zones: ['x', 'y'] },
};
const deadline = { timeout: 60_000 };
const namespace = 'default';
const proxy = '/api/v1/nodes';

describe('a cluster of fake nodes', () => {
  const stack = new AsyncDisposableStack();
  let test: TestServer;
  let fleet: Fleet;
  let client: ApiClient;
  beforeAll(async () => {
    test = stack.use(await startTestServer({ mayDial: () => true, hasMetricsApi: true }));
    const logger = silentLogger;
    const loops = { clusterCidr: ['10.244.0.0/16'], clusterSigningDuration: '1h' };
    const clients = createOwnClients(test.server);
    stack.use(startLoops(test.server, { options: loops, clients, logger, clock: systemClock }));
    client = createApiClient({ transport: test.server.transport(), userAgent: 'fake-nodes' });
    const transform = withoutManagedFields;
    const informers = stack.use(createInformers({ client, clock: systemClock, logger, transform }));
    const { signal } = new AbortController();
    const directory = await mkdtemp(join(tmpdir(), 'fake-nodes-'));
    stack.defer(() => rmSync(directory, { recursive: true, force: true }));
    const tls = await obtainTls({ name: 'fake', host: '127.0.0.1' }, { client, clock: systemClock, signal });
    fleet = stack.use(
      await startFleet(
        {
          ...{ informers, clock: systemClock, logger, directory, name: 'fake', count: shape.nodes },
          shapeOf: (index) => shapeOf(shape, index),
          server: { host: '127.0.0.1', port: 0, tls },
          versions: { kubelet: 'v1.36.0', runtime: 'fake://0' },
          leaseSeconds: 80,
        },
        signal,
      ),
    );
  }, 120_000);
  afterAll(() => stack.disposeAsync());

  const podOf = async (name: string): Promise<Pod> => client.get(pods, { namespace, name });
  const make = (
    name: string,
    annotations: Record<string, string>,
    spec: Partial<PodSpec> = {},
  ): Promise<Pod> => {
    const steered = Object.fromEntries(
      Object.entries(annotations).map(([key, value]) => [`fake.podwright/${key}`, value]),
    );
    return client.create(pods, {
      metadata: { name, namespace, annotations: steered },
      spec: { containers: [{ name: 'main', image: 'nginx' }], ...spec },
    });
  };
  const phaseOf = async (name: string): Promise<string | undefined> => (await podOf(name)).status?.phase;
  const conditionOf = async (name: string, type: string): Promise<string | undefined> =>
    (await podOf(name)).status?.conditions?.find((one) => one.type === type)?.status;

  it('has nodes that are ready, of their shape, with Leases', async () => {
    await vi.waitFor(async () => {
      const { items } = await client.list(nodes);
      const ready = items.filter(({ status }) =>
        status?.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True'),
      );
      expect(ready.map(({ metadata }) => metadata?.name).sort()).toEqual(['fake-0', 'fake-1', 'fake-2']);
    }, deadline);
    const node = await client.get(nodes, { name: 'fake-1' });
    expect(node.metadata?.labels).toMatchObject({
      'podwright/fake': 'fake',
      pool: 'a',
      'topology.kubernetes.io/zone': 'y',
    });
    expect(node.status?.capacity).toMatchObject({ cpu: '4', memory: '8Gi', pods: '110' });
    const lease = await client.get(leases, { namespace: 'kube-node-lease', name: 'fake-1' });
    expect(lease.spec).toMatchObject({ holderIdentity: 'fake-1', leaseDurationSeconds: 80 });
  }, 90_000);

  it('runs a pod with an address of its node, and ends it', async () => {
    await make('runs', { log: 'hello' });
    await vi.waitFor(async () => expect(await conditionOf('runs', 'Ready')).toBe('True'), deadline);
    const { spec, status } = await podOf('runs');
    const { podCIDR = '' } = (await client.get(nodes, { name: spec?.nodeName ?? '' })).spec ?? {};
    expect(status?.podIP?.split('.').slice(0, 3)).toEqual(podCIDR.split('.').slice(0, 3));
    const log = await test.call('GET', `/api/v1/namespaces/${namespace}/pods/runs/log`);
    expect([log.status, log.text]).toEqual([200, 'hello\n']);
    await client.delete(pods, { namespace, name: 'runs' });
    await vi.waitFor(async () => {
      expect(
        (await client.list(pods, { namespace })).items.map(({ metadata }) => metadata?.name),
      ).not.toContain('runs');
    }, deadline);
    await vi.waitFor(async () => {
      const said = (await client.list(events, { namespace })).items.filter(
        ({ involvedObject }) => involvedObject.name === 'runs',
      );
      expect(said.map(({ reason }) => reason)).toEqual(
        expect.arrayContaining(['Scheduled', 'Pulled', 'Created', 'Started']),
      );
    }, deadline);
  }, 90_000);

  it('does as annotations say', async () => {
    const probe = { httpGet: { port: 80 }, periodSeconds: 1 };
    const probed = { containers: [{ name: 'main', image: 'nginx', readinessProbe: probe }] };
    await Promise.all([
      make('ends', { 'run-for': '100ms', 'exit-code': '3' }, { restartPolicy: 'Never' }),
      make('done', { 'run-for': '0s' }, { restartPolicy: 'Never' }),
      make('unready', { ready: 'false' }, probed),
      make('late', { ready: '1s' }, probed),
      make('slip', { 'run-fro': '1s' }, { restartPolicy: 'Never' }),
      make(
        'greedy',
        { memory: '2Gi' },
        {
          restartPolicy: 'Never',
          containers: [{ name: 'main', image: 'nginx', resources: { limits: { memory: '1Gi' } } }],
        },
      ),
    ]);
    const endOf = async (name: string): Promise<object | undefined> =>
      (await podOf(name)).status?.containerStatuses?.[0]?.state?.terminated;
    await vi.waitFor(
      async () => expect(await endOf('ends')).toMatchObject({ exitCode: 3, reason: 'Error' }),
      deadline,
    );
    await vi.waitFor(async () => expect(await phaseOf('done')).toBe('Succeeded'), deadline);
    await vi.waitFor(
      async () => expect(await endOf('greedy')).toMatchObject({ exitCode: 137, reason: 'OOMKilled' }),
      deadline,
    );
    await vi.waitFor(async () => {
      const message = 'annotation fake.podwright/run-fro: there are ';
      expect(await endOf('slip')).toMatchObject({ message: expect.stringContaining(message) });
    }, deadline);
    await vi.waitFor(async () => expect(await conditionOf('late', 'Ready')).toBe('True'), deadline);
    expect([await phaseOf('unready'), await conditionOf('unready', 'Ready')]).toEqual(['Running', 'False']);
  }, 120_000);

  it('says what its pods use, each node of itself', async () => {
    await make('busy', { cpu: '250m', memory: '64Mi' });
    await vi.waitFor(async () => expect(await conditionOf('busy', 'Ready')).toBe('True'), deadline);
    const { spec } = await podOf('busy');
    const summary = await test.call('GET', `${proxy}/${spec?.nodeName}/proxy/stats/summary`);
    expect(summary.json).toMatchObject({ node: { nodeName: spec?.nodeName } });
    await vi.waitFor(async () => {
      const { json } = await test.call(
        'GET',
        `/apis/metrics.k8s.io/v1beta1/namespaces/${namespace}/pods/busy`,
      );
      expect(json).toMatchObject({ containers: [{ name: 'main', usage: { memory: '65536Ki' } }] });
    }, deadline);
    const name = spec?.nodeName ?? '';
    const { metadata } = await client.get(nodes, { name });
    const path = metadata?.annotations?.['metrics.k8s.io/resource-metrics-path'];
    // By way of another node: who asks so is told by the path.
    const other = name === 'fake-0' ? 'fake-1' : 'fake-0';
    const resource = await test.call('GET', `${proxy}/${other}/proxy${path}`);
    expect(resource.text).toMatch(/container_memory_working_set_bytes\{[^}]*pod="busy"/);
    const names = await test.call('GET', '/apis/metrics.k8s.io/v1beta1/nodes');
    expect(names.json['items']).toHaveLength(3);
  }, 90_000);

  it('removes its Node objects', async () => {
    await fleet.removeNodes(new AbortController().signal);
    expect((await client.list(nodes)).items).toEqual([]);
  }, 60_000);
});

describe('shapeProblems()', () => {
  it.each([
    ['nothing', {}, []],
    ['too many', { nodes: 20_001 }, ['--nodes 20001: one process has 20000 at most']],
    ['a prefix', { prefix: 'A_b' }, ['--prefix A_b: write a-z, 0-9 and -']],
    ['an amount', { cpu: '0' }, ['--cpu 0: write a quantity']],
    ['a label', { nodeLabel: ['x'] }, ['--node-label x: write KEY=VALUE']],
    ['a taint', { nodeTaint: ['a=b:Never'] }, ['--node-taint a=b:Never: write KEY=VALUE:EFFECT']],
  ])('%s', (_name, more, want) => {
    expect(shapeProblems({ ...shape, ...more })).toEqual(want.map((text) => expect.stringContaining(text)));
  });
});
