import { expect, test } from 'vitest';
import { createFakeClock } from '#base/clock.ts';
import { untilQuiet } from '#base/quiet.fixture.ts';
import { silentLogger } from '#base/log.ts';
import { uninitializedTaint } from '#api/meta/cloud-node.ts';
import { events, leases, nodes } from '#api/schema/kind-ref.ts';
import { apiError } from '#client/api-error.ts';
import { createFakeApiClient } from '#client/client.fake.ts';
import type { ApiClient } from '#client/client.ts';
import { createInformers } from '#client/informers.ts';
import { defaultSettings } from '#agent/kubelet/config/settings.ts';
import { createLeaseNotes, type LeaseNotes } from './lease-notes.ts';
import { startNodeAgent, type WatchedNode } from './node-agent.ts';
import { renderNodeStatus, type NodeInput } from './node-status.ts';

const input: NodeInput = {
  name: 'n1',
  ips: ['192.0.2.1'],
  hostname: 'n1',
  annotations: {},
  labels: { zone: 'a' },
  podsMax: 110,
  kubeletPort: 10250,
  versions: { kubelet: 'v1.36.2', runtime: 'podwright://0.1.0' },
  machine: {
    cpuCount: 2,
    memoryBytes: 4_294_967_296,
    memoryAvailableBytes: 2_000_000_000,
    diskBytes: 10_737_418_240,
    diskAvailableBytes: 5_000_000_000,
    pidsMax: 32_768,
    pidsUsed: 300,
    machineId: 'm',
    systemUuid: 's',
    bootId: 'b',
    kernelRelease: '6.1.0',
    osImage: 'Debian',
    architecture: 'amd64',
  },
  images: [],
  network: { isReady: true, reason: '' },
  hasUserNamespaces: true,
  handlers: new Map([['', { recursiveReadOnlyMounts: true, userNamespaces: true }]]),
  settings: defaultSettings,
  pressed: new Set(),
  runtimeProblem: undefined,
};

function start(read: () => NodeInput, notes?: LeaseNotes) {
  const clock = createFakeClock(Date.parse('2026-01-01T00:00:00Z'));
  const client = createFakeApiClient(clock);
  const shared = { client, clock, logger: silentLogger, name: 'n1', notes };
  const agent = startNodeAgent({ ...shared, read: async () => read() });
  const settle = (): Promise<void> => untilQuiet();
  const advance = async (ms: number): Promise<void> => {
    clock.advance(ms);
    await settle();
  };
  return { clock, client, agent, settle, advance };
}

test('startNodeAgent() waits where a lease that it renews is always written by somebody else', async () => {
  const { client, agent, settle, advance } = start(() => input);
  await agent.registered;
  await settle();
  let tries = 0;
  client.intercept = ({ verb, resource }) =>
    verb === 'update' && resource === leases.resource && ++tries <= 7
      ? apiError('update', { reason: 'Conflict' }, 409)
      : undefined;
  await advance(10_000);
  expect(tries).toBe(5);
  await advance(500);
  expect(tries).toBe(8);
  await agent[Symbol.asyncDispose]();
});

test('startNodeAgent() registers the node and keeps its lease', async () => {
  const { client, agent, settle, advance } = start(() => input);
  await agent.registered;
  await settle();
  const [node] = client.all(nodes);
  expect(node?.metadata?.labels).toMatchObject({
    'kubernetes.io/hostname': 'n1',
    'kubernetes.io/arch': 'amd64',
    zone: 'a',
  });
  expect(node?.status?.capacity).toEqual({
    cpu: '2',
    memory: '4Gi',
    'ephemeral-storage': '10Gi',
    pods: '110',
  });
  expect(node?.status?.nodeInfo).toMatchObject({ kubeletVersion: 'v1.36.2', kubeProxyVersion: '' });
  const level = ['InPlacePodLevelResourcesVerticalScaling', 'RestartAllContainersOnContainerExits'];
  expect(node?.status?.declaredFeatures).toEqual(['GuaranteedQoSPodCPUResize', ...level]);
  expect(renderNodeStatus({ ...input, givesCpus: true }, undefined, 0).declaredFeatures).toEqual(level);
  expect(node?.status?.conditions?.find((c) => c.type === 'Ready')).toMatchObject({
    status: 'True',
    reason: 'KubeletReady',
  });
  await advance(10_000);
  expect(client.writes.filter((write) => write.includes('leases'))).toEqual([
    'create leases kube-node-lease/n1',
    'update leases kube-node-lease/n1',
  ]);
  expect(client.all(leases)[0]?.spec).toMatchObject({
    holderIdentity: 'n1',
    leaseDurationSeconds: 40,
    renewTime: '2026-01-01T00:00:10.000000Z',
  });
  await agent[Symbol.asyncDispose]();
});

test('startNodeAgent() says in its lease what parts of the node note, soon, and no more when it is over', async () => {
  const notes = createLeaseNotes();
  notes.set('example/a', 'one');
  const { client, agent, settle, advance } = start(() => input, notes);
  await agent.registered;
  await settle();
  const said = () => client.all(leases)[0]?.metadata?.annotations;
  expect(said()).toEqual({ 'example/a': 'one' });
  notes.set('example/a', 'two');
  notes.set('example/b', 'three');
  await settle();
  await advance(200);
  expect(said()).toEqual({ 'example/a': 'two', 'example/b': 'three' });
  const writes = client.writes.length;
  notes.set('example/b', 'three');
  await settle();
  await advance(200);
  expect(client.writes.length).toBe(writes);
  notes.set('example/a', undefined);
  await settle();
  await advance(200);
  expect(said()).toEqual({ 'example/b': 'three' });
  await agent[Symbol.asyncDispose]();
});

test('startNodeAgent() tells by events what became of its node', async () => {
  let now = input;
  const { client, agent, settle, advance } = start(() => now);
  await agent.registered;
  await settle();
  const reasons = (): readonly string[] =>
    client.all(events).map(({ reason = '', involvedObject }) => `${involvedObject.name} ${reason}`);
  await advance(1_000);
  expect(reasons()).toEqual(
    ['Starting', 'NodeHasSufficientMemory', 'NodeHasNoDiskPressure', 'NodeHasSufficientPID'].map(
      (reason) => `n1 ${reason}`,
    ),
  );
  now = { ...input, network: { isReady: false, reason: 'no CNI' } };
  agent.refresh();
  await settle();
  await advance(1_000);
  expect(reasons()).toContain('n1 NodeNotReady');
});

test('startNodeAgent() writes the status when it changes, and every five minutes', async () => {
  let network = { isReady: false, reason: 'no CNI configuration' };
  const { client, agent, settle, advance } = start(() => ({ ...input, network }));
  await agent.registered;
  await settle();
  const ready = () => client.all(nodes)[0]?.status?.conditions?.find((c) => c.type === 'Ready');
  expect(ready()).toMatchObject({
    status: 'False',
    message: 'container runtime network not ready: no CNI configuration',
  });
  network = { isReady: true, reason: '' };
  agent.refresh();
  await settle();
  expect(ready()?.status).toBe('True');
  const patches = () => client.writes.filter((write) => write === 'patch nodes/status n1').length;
  const before = patches();
  for (let turn = 0; turn < 29; turn++) await advance(10_000);
  expect(patches()).toBe(before);
  await advance(10_000);
  expect(patches()).toBe(before + 1);
  await agent[Symbol.asyncDispose]();
});

test('startNodeAgent() puts right what others wrote while it was silent', async () => {
  const { client, agent, settle, advance } = start(() => input);
  await agent.registered;
  await settle();
  const conditionOf = (type: string) =>
    client.all(nodes)[0]?.status?.conditions?.find((c) => c.type === type);
  const marked = [
    { type: 'Ready', status: 'Unknown', reason: 'NodeStatusUnknown' },
    { type: 'example.com/Other', status: 'True' },
  ];
  const body = { status: { conditions: marked, capacity: { 'example.com/dongle': '4' } } };
  await client.patch(nodes, { name: 'n1' }, { kind: 'strategic', body, subresource: 'status' });
  await advance(10_000);
  expect(conditionOf('Ready')).toMatchObject({ status: 'True', reason: 'KubeletReady' });
  expect(conditionOf('example.com/Other')).toMatchObject({ status: 'True' });
  const allocatable = () => client.all(nodes)[0]?.status?.allocatable;
  expect(allocatable()).toMatchObject({ 'example.com/dongle': '4' });
  const written = client.writes.length;
  await advance(9_000);
  await advance(1_000);
  const isNoEvent = (write: string): boolean => !write.startsWith('create events'); // Of its being ready again.
  expect(client.writes.slice(written).filter(isNoEvent)).toEqual(['update leases kube-node-lease/n1']);
  const none = { status: { capacity: { 'example.com/dongle': null } } };
  await client.patch(nodes, { name: 'n1' }, { kind: 'strategic', body: none, subresource: 'status' });
  await advance(10_000);
  expect(allocatable()).toMatchObject({ 'example.com/dongle': '0' });
  await agent[Symbol.asyncDispose]();
});

test('startNodeAgent() says that the last image went, once', async () => {
  const demo = { id: 'i', names: ['demo:1'], digests: [], sizeBytes: 5, createdAtMs: 0, user: '' };
  let images: NodeInput['images'] = [demo];
  const { client, agent, settle, advance } = start(() => ({ ...input, images }));
  await agent.registered;
  await settle();
  expect(client.all(nodes)[0]?.status?.images).toHaveLength(1);
  images = [];
  await advance(10_000);
  expect(client.all(nodes)[0]?.status?.images).toBeUndefined();
  const written = client.writes.length;
  for (let turn = 0; turn < 6; turn++) await advance(10_000);
  expect(client.writes.slice(written).filter((write) => write.includes('nodes'))).toEqual([]);
  await agent[Symbol.asyncDispose]();
});

test('startNodeAgent() asks for its Node only where its watch does not tell', async () => {
  const clock = createFakeClock(Date.parse('2026-01-01T00:00:00Z'));
  const client = createFakeApiClient(clock);
  const asked: string[] = [];
  const get: ApiClient['get'] = (kind, where, options) => {
    if (kind.resource === 'nodes') asked.push(where.name);
    return client.get(kind, where, options);
  };
  await using informers = createInformers({ client, clock });
  const cache = informers.for(nodes);
  let isCurrent = true;
  const watched: WatchedNode = {
    get: (key) => cache.get(key),
    observe: (node) => cache.observe(node),
    get isCurrent() {
      return isCurrent && cache.isCurrent;
    },
  };
  await using agent = startNodeAgent({
    ...{ client: { ...client, get }, clock, watched, logger: silentLogger, name: 'n1' },
    read: async () => input,
  });
  const turns = async (count: number): Promise<readonly string[]> => {
    await untilQuiet();
    asked.length = 0;
    for (let turn = 0; turn < count; turn++) {
      clock.advance(10_000);
      await untilQuiet();
    }
    return asked;
  };
  const readyOf = () =>
    client.all(nodes)[0]?.status?.conditions?.find(({ type }) => type === 'Ready')?.status;
  await agent.registered;
  await untilQuiet();
  expect(await turns(29)).toEqual([]);
  expect(await turns(1), 'when a report is due').toEqual(['n1']);
  const body = { status: { conditions: [{ type: 'Ready', status: 'Unknown' }] } };
  await client.patch(nodes, { name: 'n1' }, { kind: 'strategic', body, subresource: 'status' });
  expect(await turns(1)).toEqual([]);
  expect(readyOf(), 'marked by another').toBe('True');
  isCurrent = false;
  expect(await turns(2), 'without its watch').toEqual(['n1', 'n1']);
  isCurrent = true;
  await client.delete(nodes, { name: 'n1' });
  expect((await turns(1)).length, 'deleted by hand').toBeGreaterThan(0);
});

test('startNodeAgent() takes over a node that is there', async () => {
  const { client, agent } = start(() => input);
  await agent.registered;
  await agent[Symbol.asyncDispose]();
  const clock = createFakeClock(0);
  const again = startNodeAgent({
    client,
    clock,
    logger: silentLogger,
    name: 'n1',
    read: async () => ({ ...input, ips: ['192.0.2.9'] }),
  });
  const node = await again.registered;
  expect(node.status?.addresses).toEqual([
    { type: 'InternalIP', address: '192.0.2.9' },
    { type: 'Hostname', address: 'n1' },
  ]);
  await again[Symbol.asyncDispose]();
});

test('startNodeAgent() of a cloud registers with the taint, and leaves addresses and the network to its controller', async () => {
  const { client, agent, settle, advance } = start(() => ({ ...input, isOfCloud: true }));
  const node = await agent.registered;
  expect(node.spec?.taints).toEqual([uninitializedTaint]);
  expect(node.metadata?.annotations).toEqual({ 'alpha.kubernetes.io/provided-node-ip': '192.0.2.1' });
  expect(node.status?.addresses?.map(({ address }) => address)).toEqual(['192.0.2.1', 'n1']);
  const addresses = [{ type: 'ExternalIP', address: '203.0.113.1' }];
  const conditions = [{ type: 'NetworkUnavailable', status: 'True', reason: 'NoRouteCreated' }];
  const body = { status: { addresses: [{ $patch: 'replace' }, ...addresses], conditions } };
  await client.patch(nodes, { name: 'n1' }, { kind: 'strategic', body, subresource: 'status' });
  await settle();
  await advance(300_000);
  const { status } = client.all(nodes)[0] ?? {};
  expect(status?.addresses).toEqual(addresses);
  expect(status?.conditions?.find(({ type }) => type === 'NetworkUnavailable')?.reason).toBe(
    'NoRouteCreated',
  );
  await agent[Symbol.asyncDispose]();
});
