import { afterEach, describe, expect, it } from 'vitest';
import { createFakeClock, type FakeClock } from '#base/clock.ts';
import { knownCidr } from '#base/ip.ts';
import { silentLogger } from '#base/log.ts';
import { untilTurnsEnd } from '#base/quiet.fixture.ts';
import { shutdownTaint, uninitializedTaint } from '#api/meta/cloud-node.ts';
import { events, nodes, services } from '#api/schema/kind-ref.ts';
import type { Node, Service } from '#api/generated/objects.ts';
import { createFakeApiClient, type FakeApiClient } from '#client/client.fake.ts';
import { createInformers } from '#client/informers.ts';
import { createToyCloud, emptyState, toyInstance, type ToyState } from './cloud.fixture.ts';
import { cleanupFinalizer } from './service/plan.ts';
import { startCloudControllers } from './start-cloud-controllers.ts';

interface Set {
  readonly client: FakeApiClient;
  readonly clock: FakeClock;
  readonly state: ToyState;
  settle(ms?: number): Promise<void>;
  node(name: string): Node | undefined;
  service(): Service | undefined;
  /** `TYPE REASON MESSAGE`, each once. */
  told(of: string): readonly string[];
  stop(): Promise<void>;
  start(): void;
}

const ready = { type: 'Ready', status: 'True' };

function setUp(state: ToyState = emptyState()): Set {
  const clock = createFakeClock(Date.UTC(2026, 0, 1));
  const client = createFakeApiClient(clock);
  let running = new AsyncDisposableStack();
  const start = (): void => {
    running = new AsyncDisposableStack();
    const informers = running.use(createInformers({ client, clock, random: () => 0.5 }));
    const controllers = startCloudControllers({
      ...{ client, informers, clock, logger: silentLogger, isOn: () => true },
      cloud: createToyCloud((work) => work(state)),
      ...{ nodeStatusUpdateMs: 300_000, nodeMonitorMs: 5_000, nodeSyncsMax: 1, serviceSyncsMax: 1 },
      routes: { clusterCidrs: [knownCidr('10.244.0.0/16')], periodMs: 10_000 },
    });
    for (const controller of controllers) running.use(controller);
  };
  const settle = async (ms = 1_000): Promise<void> => {
    for (let passed = 0; ; passed += 500) {
      await untilTurnsEnd();
      if (passed >= ms) return;
      clock.advance(500);
    }
  };
  start();
  return {
    ...{ client, clock, state, settle, start },
    node: (name) => client.all(nodes).find(({ metadata }) => metadata?.name === name),
    service: () => client.all(services)[0],
    told: (of) => [
      ...new Set(
        client
          .all(events)
          .filter(({ involvedObject }) => involvedObject.name === of)
          .map(({ type = '', reason = '', message = '' }) => `${type} ${reason} ${message}`),
      ),
    ],
    stop: () => running.disposeAsync(),
  };
}

const fresh = (name: string): Node => ({
  metadata: { name },
  spec: { taints: [uninitializedTaint], podCIDRs: ['10.244.1.0/24'] },
  status: { addresses: [{ type: 'Hostname', address: name }], conditions: [ready] },
});
const known = (name: string, status = 'True'): Node => ({
  metadata: { name },
  spec: { providerID: `toy://${name}` },
  status: { conditions: [{ type: 'Ready', status }] },
});
const balanced: Service = {
  metadata: { namespace: 'd', name: 'web' },
  spec: { type: 'LoadBalancer', ports: [{ port: 80, nodePort: 30_080 }] },
};

describe('the loops of a cloud', () => {
  let set: Set;
  afterEach(() => set.stop());

  it('initialize a node, after the cloud answers, with addresses before the taint goes', async () => {
    set = setUp({ ...emptyState(), fails: { 'find instance': 'quota exceeded' } });
    set.state.instances['n'] = toyInstance('n');
    set.client.seed(nodes, fresh('n'));
    await set.settle();
    const { metadata, spec, status } = set.node('n') ?? {};
    expect(spec).toMatchObject({ providerID: 'toy://n' });
    expect(spec?.taints ?? []).toEqual([]);
    expect(metadata?.labels).toMatchObject({ 'topology.kubernetes.io/zone': 'toy-1a' });
    expect(status?.addresses?.map(({ type }) => type)).toEqual(['InternalIP', 'ExternalIP', 'Hostname']);
    expect(set.told('n')).toEqual(['Normal Synced Node synced successfully']);
    const writes = set.client.writes.filter((write) => write.includes(' nodes'));
    expect(writes.indexOf('patch nodes/status n')).toBeLessThan(writes.indexOf('update nodes n'));
  });

  it('leave a node tainted that the cloud has not, until it has', async () => {
    set = setUp();
    set.client.seed(nodes, fresh('n'));
    await set.settle(2_000);
    expect(set.node('n')?.spec?.taints).toEqual([uninitializedTaint]);
    set.state.instances['n'] = toyInstance('n');
    await set.settle(5_000);
    expect(set.node('n')?.spec?.taints ?? []).toEqual([]);
  });

  it('follow addresses and labels of the cloud, and ask it no more often than told', async () => {
    set = setUp();
    set.state.instances['n'] = toyInstance('n');
    set.client.seed(nodes, known('n'));
    await set.settle();
    const asked = set.state.calls.filter((call) => call === 'find instance n').length;
    expect(asked).toBe(1);
    set.state.instances['n'] = toyInstance('n', { addresses: [{ type: 'InternalIP', address: '10.9.0.7' }] });
    await set.client.patch(
      nodes,
      { name: 'n' },
      { kind: 'merge', body: { metadata: { labels: { a: 'b' } } } },
    );
    await set.settle(1_000);
    expect(set.state.calls.filter((call) => call === 'find instance n')).toHaveLength(1);
    await set.settle(300_000);
    expect(set.node('n')?.status?.addresses).toEqual([{ type: 'InternalIP', address: '10.9.0.7' }]);
  });

  it('delete a node that is not ready and that the cloud has not, and no other', async () => {
    set = setUp();
    set.state.instances['off'] = toyInstance('off', { isShutDown: true });
    set.state.fails['find instance'] = 'unreachable';
    for (const one of [known('up'), known('off', 'Unknown'), known('gone', 'Unknown')])
      set.client.seed(nodes, one);
    await set.settle(12_000);
    expect(set.node('up')).toBeDefined();
    expect(set.node('gone')).toBeUndefined();
    expect(set.told('gone')).toEqual([
      'Normal DeletingNode Deleting node gone because it does not exist in the cloud provider',
    ]);
    expect(set.node('off')?.spec?.taints).toMatchObject([shutdownTaint]);
    await set.client.patch(
      nodes,
      { name: 'off' },
      { kind: 'merge', body: { status: { conditions: [ready] } }, subresource: 'status' },
    );
    await set.settle();
    expect(set.node('off')?.spec?.taints ?? []).toEqual([]);
  });

  it('keep a route to each node, tell of what fails, and say it on the node', async () => {
    set = setUp({ ...emptyState(), fails: { 'create route': 'no room' } });
    set.state.routes.push({ name: 'old', node: 'gone', destination: '10.244.9.0/24' });
    set.state.routes.push({ name: 'other', destination: '192.0.2.0/24' });
    const seeded = set.client.seed(nodes, { ...known('n'), spec: { podCIDRs: ['10.244.1.0/24'] } });
    const condition = () =>
      set.node('n')?.status?.conditions?.find(({ type }) => type === 'NetworkUnavailable')?.reason;
    await set.settle();
    expect(condition()).toBe('NoRouteCreated');
    const hint = seeded.metadata?.uid ?? '';
    expect(set.told('n')).toEqual([
      `Warning FailedToCreateRoute Could not create route ${hint} 10.244.1.0/24 for node n: no room`,
    ]);
    await set.settle(10_000);
    expect(condition()).toBe('RouteCreated');
    expect(set.state.routes.map(({ destination }) => destination)).toEqual(['192.0.2.0/24', '10.244.1.0/24']);
    const writes = set.client.writes.length;
    await set.settle(30_000);
    expect(set.client.writes).toHaveLength(writes);
  });

  it('give a Service its balancer, with the finalizer before, and take it away before it goes', async () => {
    set = setUp();
    set.client.seed(nodes, known('n'));
    const { metadata } = set.client.seed(services, balanced);
    await set.settle();
    expect(set.service()).toMatchObject({
      metadata: { finalizers: [cleanupFinalizer] },
      status: { loadBalancer: { ingress: [{ ip: '198.51.100.1' }] } },
    });
    expect(set.state.balancers[metadata?.uid ?? '']).toMatchObject({ ports: [80], hosts: ['n'] });
    set.client.seed(nodes, known('m'));
    await set.settle();
    expect(set.state.balancers[metadata?.uid ?? '']?.hosts).toEqual(['m', 'n']);
    await set.client.delete(services, { namespace: 'd', name: 'web' });
    await set.settle();
    expect(set.service()).toBeUndefined();
    expect(set.state.balancers).toEqual({});
    expect(set.told('web')).toEqual([
      'Normal EnsuringLoadBalancer Ensuring load balancer',
      'Normal EnsuredLoadBalancer Ensured load balancer',
      'Normal UpdatedLoadBalancer Updated load balancer with new hosts',
      'Normal DeletingLoadBalancer Deleting load balancer',
      'Normal DeletedLoadBalancer Deleted load balancer',
    ]);
  });

  // kubernetes 78954, 78124: the controller ended between the change and the removal.
  it.each<[string, (client: FakeApiClient) => Promise<unknown>]>([
    ['of another type', (client) => patchType(client)],
    ['gone', (client) => client.delete(services, { namespace: 'd', name: 'web' })],
  ])('remove the balancer of a Service that was %s while they did not run', async (_, change) => {
    set = setUp();
    set.client.seed(nodes, known('n'));
    set.client.seed(services, balanced);
    await set.settle();
    await set.stop();
    await change(set.client);
    set.state.fails['delete balancer'] = 'in use';
    set.start();
    await set.settle();
    expect(Object.keys(set.state.balancers)).toHaveLength(1);
    expect(set.service()?.metadata?.finalizers).toEqual([cleanupFinalizer]);
    expect(set.told('web')).toContain(
      'Warning SyncLoadBalancerFailed Error syncing load balancer: failed to delete load balancer: in use',
    );
    await set.settle(5_000);
    expect(set.state.balancers).toEqual({});
    expect(set.service()?.metadata?.finalizers ?? []).toEqual([]);
  });

  it.each(['find instance', 'ensure balancer', 'find balancer', 'create route', 'list routes'])(
    'come to the same end when %s fails once',
    async (name) => {
      set = setUp({ ...emptyState(), fails: { [name]: 'once' } });
      set.state.instances['n'] = toyInstance('n');
      set.client.seed(nodes, fresh('n'));
      set.client.seed(services, balanced);
      await set.settle(20_000);
      expect(set.node('n')?.spec?.taints ?? []).toEqual([]);
      expect(set.state.routes).toHaveLength(1);
      expect(set.service()?.status?.loadBalancer?.ingress).toHaveLength(1);
      const calls = set.state.calls.filter((call) => !call.startsWith('list')).length;
      const writes = set.client.writes.length;
      await set.settle(60_000);
      expect(set.client.writes.slice(writes)).toEqual([]);
      expect(set.state.calls.filter((call) => !call.startsWith('list'))).toHaveLength(calls);
    },
  );
});

const patchType = (client: FakeApiClient): Promise<unknown> =>
  client.patch(
    services,
    { namespace: 'd', name: 'web' },
    { kind: 'merge', body: { spec: { type: 'ClusterIP' } } },
  );
