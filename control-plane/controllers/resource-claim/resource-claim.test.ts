import { describe, expect, it } from 'vitest';
import type {
  DeviceClaim,
  Pod,
  PodSpec,
  ResourceClaimStatus,
  ResourceSlice,
  ResourceV1ResourceClaim as ResourceClaim,
} from '#api/generated/objects.ts';
import { claimFinalizer } from '#api/device/pod-claims.ts';
import { ownerReference } from '#api/meta/owner.ts';
import * as kinds from '#api/schema/kind-ref.ts';
import { startCluster, type Cluster } from '#control-plane/controllers/cluster.fixture.ts';
import { claimOfTemplate, planClaim } from './plan.ts';

const podOf = (name: string, change: Partial<Pod> = {}): Pod => ({
  metadata: { name, namespace: 'default', uid: `uid-${name}` },
  spec: { containers: [{ name: 'c', image: 'i' }] },
  ...change,
});
const user = { resource: 'pods', name: 'p', uid: 'uid-p' };
const allocation = { devices: { results: [{ request: 'r', driver: 'd', pool: 'p', device: 'x' }] } };
const claimOf = (
  status: ResourceClaimStatus,
  change: Partial<ResourceClaim['metadata']> = {},
): ResourceClaim => ({
  metadata: { name: 'c', namespace: 'default', finalizers: [claimFinalizer], ...change },
  spec: {},
  status,
});
const done = podOf('p', { status: { phase: 'Succeeded' } });
const isDeleted = { deletionTimestamp: '2026-01-01T00:00:00Z' };
const ofPod = { ownerReferences: [ownerReference(podOf('p'), kinds.pods)] };

describe('planClaim', () => {
  it.each<{
    readonly name: string;
    readonly claim: ResourceClaim;
    readonly isThere?: boolean;
    readonly owner?: Pod;
    readonly want: readonly string[];
  }>([
    { name: 'in use', claim: claimOf({ allocation, reservedFor: [user] }), want: [] },
    { name: 'allocated and not yet in use', claim: claimOf({ allocation }), want: [] },
    { name: 'about to be allocated', claim: claimOf({}), want: [] },
    {
      name: 'whose last user is gone',
      claim: claimOf({ allocation, reservedFor: [user] }),
      isThere: false,
      want: ['writeStatus {}', 'removeFinalizer []'],
    },
    {
      name: 'one of whose users is gone',
      claim: claimOf({ allocation, reservedFor: [user, { ...user, uid: 'other' }] }),
      isThere: false,
      want: [`writeStatus ${JSON.stringify({ allocation, reservedFor: [{ ...user, uid: 'other' }] })}`],
    },
    {
      name: 'that goes and is in use',
      claim: claimOf({ allocation, reservedFor: [user] }, isDeleted),
      want: [],
    },
    {
      name: 'that goes and has devices',
      claim: claimOf({ allocation }, isDeleted),
      want: ['writeStatus {}', 'removeFinalizer []'],
    },
    { name: 'that goes and has none', claim: claimOf({}, isDeleted), want: ['removeFinalizer []'] },
    { name: 'of a pod that runs', claim: claimOf({}, ofPod), owner: podOf('p'), want: [] },
    { name: 'of a pod that is done', claim: claimOf({}, ofPod), owner: done, want: ['delete'] },
    { name: 'of a pod that is not known', claim: claimOf({}, ofPod), want: [] },
    {
      name: 'of a pod before this one',
      claim: claimOf({}, ofPod),
      owner: { ...podOf('p'), metadata: { name: 'p', uid: 'new' } },
      want: ['delete'],
    },
  ])('of a claim $name', ({ claim, isThere = true, owner, want }) => {
    const steps = planClaim(claim, ({ uid }) => isThere || uid === 'other', owner);
    const words = steps.map((step) => {
      if (step.kind === 'delete') return step.kind;
      const part = step.kind === 'writeStatus' ? step.claim.status : step.claim.metadata?.finalizers;
      return `${step.kind} ${JSON.stringify(part)}`;
    });
    expect(words).toEqual(want);
  });
});

it('names of pod and entry are cut in proportion where they are long', () => {
  const nameOf = (pod: string, entry: string) =>
    claimOfTemplate(podOf(pod), { name: entry }, { spec: { spec: {} } }).metadata?.generateName;
  expect(nameOf('web-1', 'gpu')).toBe('web-1-gpu-');
  expect(nameOf('p'.repeat(200), 'gpu')).toBe(`${'p'.repeat(55)}-`);
  expect(nameOf('p'.repeat(63), 'e'.repeat(63))).toBe(`${'p'.repeat(28)}-${'e'.repeat(28)}`);
});

// The loop with the scheduler, on a fake API.

const driver = 'gpu.example';
const slice = (node: string, ...devices: readonly string[]): ResourceSlice => ({
  metadata: { name: `${node}-gpus` },
  spec: {
    driver,
    nodeName: node,
    pool: { name: node, generation: 1, resourceSliceCount: 1 },
    devices: devices.map((name) => ({ name })),
  },
});
const exactly = { deviceClassName: 'gpu', allocationMode: 'ExactCount', count: 1 } as const;
const oneGpu: DeviceClaim = { requests: [{ name: 'r', exactly }] };
const using = (claims: PodSpec['resourceClaims'], change: Partial<PodSpec> = {}): PodSpec => ({
  containers: [{ name: 'c', image: 'i' }],
  resourceClaims: claims,
  ...change,
});

async function withDevices(slices: readonly ResourceSlice[]): Promise<Cluster> {
  const cluster = await startCluster();
  const { client } = cluster;
  await client.create(kinds.deviceClasses, { metadata: { name: 'gpu' }, spec: {} });
  for (const each of slices) await client.create(kinds.resourceSlices, each);
  return cluster;
}

const where = (name: string) => ({ namespace: 'default', name });

async function makePod({ client }: Cluster, name: string, spec: PodSpec): Promise<void> {
  await client.create(kinds.pods, { metadata: { name, namespace: 'default' }, spec });
}

async function makeClaim({ client }: Cluster, name: string, devices: DeviceClaim = oneGpu): Promise<void> {
  await client.create(kinds.resourceClaims, { metadata: where(name), spec: { devices } });
}

async function makeTemplate({ client }: Cluster): Promise<void> {
  const spec = { metadata: { labels: { a: 'b' } }, spec: { devices: oneGpu } };
  await client.create(kinds.resourceClaimTemplates, { metadata: where('one'), spec });
}

/** `pod: node, what it waits for`. */
function placed({ client }: Cluster): readonly string[] {
  return client.all(kinds.pods).map(({ metadata, spec, status }) => {
    const { message } = status?.conditions?.find(({ type }) => type === 'PodScheduled') ?? {};
    return `${metadata?.name ?? ''}: ${spec?.nodeName ?? message ?? 'waits'}`;
  });
}

const devicesOf = ({ status }: ResourceClaim): readonly string[] =>
  (status?.allocation?.devices?.results ?? []).map(({ pool, device }) => `${pool}/${device}`);

it('a pod of a template gets a claim, a device and its node; done, the device is free again', async () => {
  await using cluster = await withDevices([slice('node-2', 'gpu-0')]);
  const { client } = cluster;
  await makePod(cluster, 'a', using([{ name: 'gpu', resourceClaimTemplateName: 'one' }]));
  await cluster.settle();
  expect(placed(cluster)).toEqual(['a: waits']);
  await makeTemplate(cluster);
  await cluster.settle();
  expect(placed(cluster)).toEqual(['a: node-2']);
  const [claim] = client.all(kinds.resourceClaims);
  const pod = await client.get(kinds.pods, where('a'));
  expect(pod.status?.resourceClaimStatuses).toEqual([
    { name: 'gpu', resourceClaimName: claim?.metadata?.name },
  ]);
  expect(claim?.metadata).toMatchObject({
    generateName: 'a-gpu-',
    labels: { a: 'b' },
    annotations: { 'resource.kubernetes.io/pod-claim-name': 'gpu' },
    finalizers: [claimFinalizer],
  });
  expect(claim?.status).toMatchObject({
    allocation: { devices: { results: [{ request: 'r', driver, pool: 'node-2', device: 'gpu-0' }] } },
    reservedFor: [{ resource: 'pods', name: 'a', uid: pod.metadata?.uid }],
  });
  await client.patch(kinds.pods, where('a'), {
    kind: 'strategic',
    body: { status: { phase: 'Succeeded' } },
    subresource: 'status',
  });
  await cluster.settle();
  expect(client.all(kinds.resourceClaims)).toEqual([]);
});

it('pods that ask for more than there is wait until another is gone', async () => {
  await using cluster = await withDevices([slice('node-1', 'gpu-0')]);
  const { client } = cluster;
  await makeTemplate(cluster);
  for (const name of ['a', 'b'])
    await makePod(cluster, name, using([{ name: 'gpu', resourceClaimTemplateName: 'one' }]));
  await cluster.settle();
  expect(placed(cluster)).toEqual([
    'a: node-1',
    'b: 0/2 nodes are available: 2 cannot allocate all claims. still not schedulable, preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling.',
  ]);
  await client.delete(kinds.pods, where('a'));
  await cluster.settle(5000);
  expect(placed(cluster)).toEqual(['b: node-1']);
  expect(client.all(kinds.resourceClaims).map(devicesOf)).toEqual([['node-1/gpu-0']]);
});

it('pods that name one claim share its device, and go where that is', async () => {
  await using cluster = await withDevices([slice('node-2', 'gpu-0')]);
  const { client } = cluster;
  await makeClaim(cluster, 'shared');
  const spec = using([{ name: 'gpu', resourceClaimName: 'shared' }]);
  for (const name of ['a', 'b', 'c']) await makePod(cluster, name, spec);
  await cluster.settle(5000);
  expect(placed(cluster)).toEqual(['a: node-2', 'b: node-2', 'c: node-2']);
  const claim = await client.get(kinds.resourceClaims, where('shared'));
  expect(claim.status?.reservedFor?.map(({ name }) => name).toSorted()).toEqual(['a', 'b', 'c']);
  for (const name of ['a', 'b', 'c']) await client.delete(kinds.pods, where(name));
  await cluster.settle(5000);
  const left = await client.get(kinds.resourceClaims, where('shared'));
  expect(left.status).toEqual({});
  expect(left.metadata?.finalizers ?? []).toEqual([]);
});

it('a pod goes where it gets what it would rather have', async () => {
  const memory = (node: string, gigabytes: number): ResourceSlice => {
    const { spec, ...rest } = slice(node, 'gpu-0');
    return {
      ...rest,
      spec: { ...spec, devices: [{ name: 'gpu-0', attributes: { gb: { int: gigabytes } } }] },
    };
  };
  await using cluster = await withDevices([memory('node-1', 16), memory('node-2', 80)]);
  const way = (gigabytes: number) => ({
    name: `gb${gigabytes}`,
    deviceClassName: 'gpu',
    selectors: [{ cel: { expression: `device.attributes['${driver}'].gb == ${gigabytes}` } }],
  });
  await makeClaim(cluster, 'mine', { requests: [{ name: 'r', firstAvailable: [way(80), way(16)] }] });
  await makePod(cluster, 'a', using([{ name: 'gpu', resourceClaimName: 'mine' }]));
  await cluster.settle();
  expect(placed(cluster)).toEqual(['a: node-2']);
});

it('a claim in use is not gone before its pod', async () => {
  await using cluster = await withDevices([slice('node-1', 'gpu-0')]);
  const { client } = cluster;
  await makeClaim(cluster, 'mine');
  await makePod(cluster, 'a', using([{ name: 'gpu', resourceClaimName: 'mine' }]));
  await cluster.settle();
  await client.delete(kinds.resourceClaims, where('mine'));
  await makePod(cluster, 'b', using([{ name: 'gpu', resourceClaimName: 'mine' }]));
  await cluster.settle();
  expect(placed(cluster)).toEqual([
    'a: node-1',
    'b: 0/2 nodes are available: resourceclaim "mine" is being deleted. no new claims to deallocate, preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling.',
  ]);
  await client.delete(kinds.pods, where('a'));
  await cluster.settle(5000);
  expect(client.all(kinds.resourceClaims)).toEqual([]);
  expect(placed(cluster)).toEqual([
    'b: 0/2 nodes are available: resourceclaim "mine" not found. no new claims to deallocate, preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling.',
  ]);
});

it('a claim that has devices where its pod cannot go gives them back', async () => {
  await using cluster = await withDevices([slice('node-1', 'gpu-0'), slice('node-2', 'gpu-0')]);
  const { client } = cluster;
  await makeClaim(cluster, 'mine');
  const nodeSelector = {
    nodeSelectorTerms: [
      { matchFields: [{ key: 'metadata.name', operator: 'In' as const, values: ['node-1'] }] },
    ],
  };
  const claim = await client.get(kinds.resourceClaims, where('mine'));
  const results = [{ request: 'r', driver, pool: 'node-1', device: 'gpu-0' }];
  await client.update(
    kinds.resourceClaims,
    { ...claim, status: { allocation: { devices: { results }, nodeSelector } } },
    { subresource: 'status' },
  );
  const spec = using([{ name: 'gpu', resourceClaimName: 'mine' }], {
    nodeSelector: { 'kubernetes.io/hostname': 'node-2' },
  });
  await makePod(cluster, 'a', spec);
  await cluster.settle(5000);
  expect(placed(cluster)).toEqual(['a: node-2']);
  expect(client.all(kinds.resourceClaims).map(devicesOf)).toEqual([['node-2/gpu-0']]);
});

it('a pod waits until its device is ready', async () => {
  const far: ResourceSlice = {
    ...slice('node-1', 'far'),
    spec: {
      ...slice('node-1').spec,
      devices: [
        {
          name: 'far',
          bindingConditions: ['Attached'],
          bindingFailureConditions: ['Failed'],
          bindsToNode: true,
        },
      ],
    },
  };
  await using cluster = await withDevices([far]);
  const { client } = cluster;
  await makeClaim(cluster, 'mine');
  await makePod(cluster, 'a', using([{ name: 'gpu', resourceClaimName: 'mine' }]));
  await cluster.settle();
  expect(placed(cluster)).toEqual(['a: waits']);
  const claim = await client.get(kinds.resourceClaims, where('mine'));
  expect(devicesOf(claim)).toEqual(['node-1/far']);
  const attached = {
    type: 'Attached',
    status: 'True',
    reason: 'R',
    message: '',
    lastTransitionTime: '2026-01-01T00:00:00Z',
  } as const;
  const devices = [{ driver, pool: 'node-1', device: 'far', conditions: [attached] }];
  await client.update(
    kinds.resourceClaims,
    { ...claim, status: { ...claim.status, devices } },
    { subresource: 'status' },
  );
  await cluster.settle();
  expect(placed(cluster)).toEqual(['a: node-1']);
});

it('a pod whose device is tainted goes', async () => {
  await using cluster = await withDevices([slice('node-1', 'gpu-0')]);
  const { client } = cluster;
  await makeClaim(cluster, 'mine');
  await makePod(cluster, 'a', using([{ name: 'gpu', resourceClaimName: 'mine' }]));
  await cluster.settle();
  expect(placed(cluster)).toEqual(['a: node-1']);
  const told = await client.get(kinds.resourceSlices, { name: 'node-1-gpus' });
  const devices = [{ name: 'gpu-0', taints: [{ key: 'broken', effect: 'NoExecute' as const }] }];
  await client.update(kinds.resourceSlices, { ...told, spec: { ...told.spec, devices } });
  await cluster.settle(1000);
  expect(placed(cluster)).toEqual([]);
  const claim = await client.get(kinds.resourceClaims, where('mine'));
  expect(claim.status).toEqual({});
});

it('each write failing once changes nothing in the end', async () => {
  await using cluster = await withDevices([slice('node-1', 'gpu-0')]);
  const { client } = cluster;
  await makeTemplate(cluster);
  await makePod(cluster, 'a', using([{ name: 'gpu', resourceClaimTemplateName: 'one' }]));
  const failed = new Set<string>();
  client.intercept = ({ verb, resource, subresource = '' }) => {
    if (!['create', 'update', 'patch'].includes(verb)) return undefined;
    const key = `${verb} ${resource} ${subresource}`;
    if (failed.has(key)) return undefined;
    failed.add(key);
    return new Error(`injected: ${key}`);
  };
  await cluster.settle(30_000);
  expect(placed(cluster)).toEqual(['a: node-1']);
  expect(client.all(kinds.resourceClaims).map(devicesOf)).toEqual([['node-1/gpu-0']]);
  expect([...failed].filter((key) => key.includes('resourceclaims')).toSorted()).toEqual([
    'create resourceclaims ',
    'update resourceclaims ',
    'update resourceclaims status',
  ]);
});
