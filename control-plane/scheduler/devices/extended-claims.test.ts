/** Pods that ask for devices by the names of device plugins, and have them by claims. */
import { expect, it } from 'vitest';
import { systemClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import type { Node, Pod } from '#api/generated/objects.ts';
import { claimFinalizer } from '#api/device/pod-claims.ts';
import * as kinds from '#api/schema/kind-ref.ts';
import { createFakeApiClient } from '#client/client.fake.ts';
import { createInformers } from '#client/informers.ts';
import { startScheduler } from '#control-plane/scheduler/scheduler.ts';
import { device, deviceClass, driver, slice } from './devices.fixture.ts';

const gpu = 'example.com/gpu';
const nodeOf = (name: string, more: Readonly<Record<string, string>> = {}): Node => ({
  metadata: { name },
  status: { allocatable: { cpu: '4', memory: '8Gi', pods: '110', ...more } },
});
const podOf = (name: string, amount: string, resource = gpu): Pod => ({
  metadata: { name, namespace: 'default' },
  spec: { containers: [{ name: 'c', image: 'i', resources: { requests: { [resource]: amount } } }] },
});

async function startCluster(nodes: readonly Node[]) {
  const clock = systemClock;
  const stack = new AsyncDisposableStack();
  const client = createFakeApiClient(clock);
  const informers = stack.use(createInformers({ client, clock }));
  client.seed(kinds.namespaces, { metadata: { name: 'default' } });
  for (const node of nodes) client.seed(kinds.nodes, node);
  client.seed(kinds.resourceSlices, slice([device('a'), device('b')]));
  stack.use(startScheduler({ informers, client, clock, logger: silentLogger }));
  const find = (name: string): Pod | undefined =>
    client.all(kinds.pods).find(({ metadata }) => metadata?.name === name);
  const poll = <T>(read: () => T) => expect.poll(read, { timeout: 60_000 });
  return {
    client,
    find,
    poll,
    claims: () => client.all(kinds.resourceClaims),
    nodeOf: (name: string) => poll(() => find(name)?.spec?.nodeName),
    said: (name: string) =>
      poll(() => find(name)?.status?.conditions?.find(({ type }) => type === 'PodScheduled')?.message),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

it('a claim is made where the node has no device plugin, and the pod is told of it before it is bound', async () => {
  await using cluster = await startCluster([nodeOf('n1')]);
  await cluster.client.create(kinds.pods, podOf('early', '1'));
  await cluster.said('early').toContain(`Insufficient ${gpu}`);
  // A class comes that stands for it.
  await cluster.client.create(kinds.deviceClasses, deviceClass('gpu', { extendedResourceName: gpu }));
  await cluster.nodeOf('early').toBe('n1');
  const [claim] = cluster.claims();
  const name = claim?.metadata?.name ?? '';
  expect(claim).toMatchObject({
    metadata: {
      annotations: { 'resource.kubernetes.io/extended-resource-claim': 'true' },
      finalizers: [claimFinalizer],
      ownerReferences: [{ kind: 'Pod', name: 'early', controller: true }],
    },
    spec: {
      devices: {
        requests: [{ name: 'container-0-request-0', exactly: { deviceClassName: 'gpu', count: 1 } }],
      },
    },
    status: {
      allocation: { devices: { results: [{ device: 'a', request: 'container-0-request-0' }] } },
      reservedFor: [{ name: 'early' }],
    },
  });
  expect(name).toMatch(/^early-extended-resources-/);
  expect(cluster.find('early')?.status?.extendedResourceClaimStatus).toEqual({
    resourceClaimName: name,
    requestMappings: [{ containerName: 'c', requestName: 'container-0-request-0', resourceName: gpu }],
  });
  // By the name of the class, too; and what is given is given once.
  await cluster.client.create(kinds.pods, podOf('second', '1', 'deviceclass.resource.kubernetes.io/gpu'));
  await cluster.nodeOf('second').toBe('n1');
  await cluster.client.create(kinds.pods, podOf('third', '1'));
  await cluster.said('third').toContain('cannot allocate all claims');
  const given = cluster.claims().flatMap(({ status }) => status?.allocation?.devices?.results ?? []);
  expect(given.map((each) => each.device).toSorted()).toEqual(['a', 'b']);
  // Its pod is over, and the controller took the claim back.
  if (claim !== undefined)
    await cluster.client.update(kinds.resourceClaims, { ...claim, status: {} }, { subresource: 'status' });
  await cluster.nodeOf('third').toBe('n1');
});

it('a pod is not put beside a device that a condition fails for, until the class is mended', async () => {
  await using cluster = await startCluster([nodeOf('n1'), nodeOf('n2')]);
  const numa = `device.attributes['${driver}'].numa`;
  const classOf = (condition: string) =>
    deviceClass('gpu', {
      extendedResourceName: gpu,
      selectors: [{ cel: { expression: condition } }],
    });
  const other = slice([device('c', { attributes: { numa: { int: 1 } } })], { nodeName: 'n2' });
  await cluster.client.create(kinds.resourceSlices, other);
  const made = await cluster.client.create(kinds.deviceClasses, classOf(`${numa} == 1`));
  await cluster.client.create(kinds.pods, podOf('p', '1'));
  await cluster
    .said('p')
    .toMatch(
      /^running "DynamicResources" filter plugin: class gpu: selector #0 on device .*\/n1\/a: CEL runtime error: no such key: numa/,
    );
  expect(cluster.find('p')?.status?.conditions).toMatchObject([{ reason: 'SchedulerError' }]);
  await cluster.client.update(kinds.deviceClasses, {
    ...made,
    spec: classOf(`device.attributes['${driver}'].?numa.orValue(0) == 1`).spec,
  });
  await cluster.nodeOf('p').toBe('n2');
});

it('a node with a device plugin gives it by that, without any claim', async () => {
  await using cluster = await startCluster([nodeOf('n2', { [gpu]: '1' })]);
  await cluster.client.create(kinds.deviceClasses, deviceClass('gpu', { extendedResourceName: gpu }));
  await cluster.client.create(kinds.pods, podOf('p', '1'));
  await cluster.nodeOf('p').toBe('n2');
  expect(cluster.claims()).toEqual([]);
  expect(cluster.find('p')?.status?.extendedResourceClaimStatus).toBeUndefined();
  await cluster.client.create(kinds.pods, podOf('q', '1'));
  await cluster.said('q').toContain(`Insufficient ${gpu}`);
});

it('a claim of a pod that could not be bound goes, and the next try has another', async () => {
  await using cluster = await startCluster([nodeOf('n1')]);
  await cluster.client.create(kinds.deviceClasses, deviceClass('gpu', { extendedResourceName: gpu }));
  // What a scheduler left that ended between the two writes.
  const pod = await cluster.client.create(kinds.pods, {
    ...podOf('p', '2'),
    spec: {
      ...podOf('p', '2').spec,
      containers: podOf('p', '2').spec?.containers ?? [],
      schedulingGates: [{ name: 'wait' }],
    },
  });
  const { name = '', uid = '' } = pod.metadata ?? {};
  await cluster.client.create(
    kinds.resourceClaims,
    {
      metadata: {
        ...{ name: 'left', namespace: 'default', finalizers: [claimFinalizer] },
        annotations: { 'resource.kubernetes.io/extended-resource-claim': 'true' },
        ownerReferences: [{ apiVersion: 'v1', kind: 'Pod', name, uid, controller: true }],
      },
      spec: { devices: { requests: [] } },
    },
    { namespace: 'default' },
  );
  await cluster.client.patch(
    kinds.pods,
    { namespace: 'default', name },
    { kind: 'merge', body: { spec: { schedulingGates: null } } },
  );
  await cluster.nodeOf('p').toBe('n1');
  expect(cluster.claims().map(({ metadata }) => metadata?.name)).not.toContain('left');
  expect(cluster.claims().length).toBe(1);
});

it('the claim goes with a binding that failed', async () => {
  await using cluster = await startCluster([nodeOf('n1')]);
  await cluster.client.create(kinds.deviceClasses, deviceClass('gpu', { extendedResourceName: gpu }));
  let failed = 0;
  cluster.client.intercept = ({ subresource }) =>
    subresource === 'binding' && failed++ === 0 ? new Error('no binding today') : undefined;
  await cluster.client.create(kinds.pods, podOf('p', '2'));
  await cluster.nodeOf('p').toBe('n1');
  expect(failed).toBe(2);
  const { resourceClaimName } = cluster.find('p')?.status?.extendedResourceClaimStatus ?? {};
  expect(cluster.claims().map(({ metadata }) => metadata?.name)).toEqual([resourceClaimName]);
});
