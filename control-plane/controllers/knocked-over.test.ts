/** Loops that are switched off, and what happens to the products of those that are not when somebody takes or changes them. */
import { describe, expect, it } from 'vitest';
import * as kinds from '#api/schema/kind-ref.ts';
import type { KubeObject } from '#api/meta/object.ts';
import type { KindRef } from '#api/schema/kind-ref.ts';
import { withTriggerTime } from './endpointslice/trigger-times.ts';
import { startCluster, type Cluster } from './cluster.fixture.ts';
import { chooseControllers } from './controller-names.ts';

const metadata = (name: string) => ({ name, namespace: 'default' });
const template = { metadata: { labels: { app: 'x' } }, spec: { containers: [{ name: 'c', image: 'i' }] } };
const selector = { matchLabels: { app: 'x' } };
const spec = { replicas: 2, selector, template };

async function makeAll({ client, settle }: Cluster): Promise<void> {
  await client.create(kinds.deployments, { metadata: metadata('d'), spec });
  await client.create(kinds.statefulSets, { metadata: metadata('s'), spec: { ...spec, serviceName: 's' } });
  await client.create(kinds.daemonSets, { metadata: metadata('ds'), spec: { selector, template } });
  const jobTemplate = {
    spec: { restartPolicy: 'Never', containers: [{ name: 'c', image: 'i' }] },
  } as const;
  await client.create(kinds.jobs, {
    metadata: metadata('j'),
    spec: { template: jobTemplate, ttlSecondsAfterFinished: 60 },
  });
  const ports = [{ port: 80 }];
  await client.create(kinds.services, { metadata: metadata('svc'), spec: { ports, selector: { app: 'x' } } });
  await settle(2_000);
}

/** Names of the kind's objects that something of ours made. */
function made<T extends KubeObject>({ client }: Cluster, kind: KindRef<T>): readonly string[] {
  return client.all(kind).map((one) => one.metadata?.name ?? '');
}

describe('a loop that is switched off', () => {
  it('does nothing, and the others go on', async () => {
    const isOn = chooseControllers(['*', '-replicaset', '-endpoints-controller', '-ttl-after-finished']);
    await using cluster = await startCluster(undefined, isOn);
    await makeAll(cluster);
    await cluster.settle(120_000);
    expect(made(cluster, kinds.replicaSets)).toHaveLength(1);
    expect(made(cluster, kinds.pods).filter((name) => name.startsWith('d-'))).toEqual([]);
    expect(made(cluster, kinds.pods).filter((name) => name.startsWith('s-'))).toHaveLength(2);
    expect(made(cluster, kinds.endpointSlices)).toHaveLength(1);
    expect(made(cluster, kinds.endpoints)).toEqual([]);
    expect(made(cluster, kinds.jobs)).toEqual(['j']);
  }, 60_000);

  it('of two that share work leaves its part to nobody', async () => {
    const isOn = chooseControllers(['endpoints-controller', 'ttl-after-finished-controller']);
    await using cluster = await startCluster(undefined, isOn);
    const { client } = cluster;
    await makeAll(cluster);
    expect(made(cluster, kinds.endpoints)).toEqual(['svc']);
    expect(made(cluster, kinds.endpointSlices)).toEqual([]);
    const job = await client.get(kinds.jobs, { namespace: 'default', name: 'j' });
    const lastTransitionTime = new Date(cluster.clock.now() - 3_600_000).toISOString().replace(/\.\d+Z/, 'Z');
    const conditions = [{ type: 'Complete', status: 'True', lastTransitionTime }];
    await client.update(kinds.jobs, { ...job, status: { conditions } }, { subresource: 'status' });
    await cluster.settle(1_000);
    expect(client.all(kinds.jobs).every((one) => one.metadata?.deletionTimestamp !== undefined)).toBe(true);
  }, 60_000);
});

interface Product {
  readonly name: string;
  readonly kind: KindRef<KubeObject>;
  readonly pick: (name: string) => boolean;
  /** Whether its name is the same again. */
  readonly sameName?: boolean;
}

const all = (): boolean => true;
const products: readonly Product[] = [
  { name: 'a ReplicaSet of a Deployment', kind: kinds.replicaSets, pick: all, sameName: true },
  { name: 'a pod of a ReplicaSet', kind: kinds.pods, pick: (name) => name.startsWith('d-') },
  { name: 'a pod of a StatefulSet', kind: kinds.pods, pick: (name) => name === 's-0', sameName: true },
  { name: 'a pod of a DaemonSet', kind: kinds.pods, pick: (name) => name.startsWith('ds-') },
  { name: 'a slice of a Service', kind: kinds.endpointSlices, pick: all },
  { name: 'Endpoints of a Service', kind: kinds.endpoints, pick: all, sameName: true },
  {
    name: "a namespace's account",
    kind: kinds.serviceAccounts,
    pick: (name) => name === 'default',
    sameName: true,
  },
  {
    name: "a namespace's root certificate",
    kind: kinds.configMaps,
    pick: (name) => name === 'kube-root-ca.crt',
    sameName: true,
  },
];

describe('what is taken away by hand is there again', () => {
  it.each(products)('$name', async ({ kind, pick, sameName }) => {
    await using cluster = await startCluster();
    const { client } = cluster;
    await makeAll(cluster);
    const before = made(cluster, kind).filter(pick);
    const [name = ''] = before;
    expect(name).not.toBe('');
    const old = await client.get(kind, { namespace: 'default', name });
    await client.delete(kind, { namespace: 'default', name }, { gracePeriodSeconds: 0 });
    await cluster.settle(1_000);
    const after = client.all(kind).filter((one) => pick(one.metadata?.name ?? ''));
    expect(after).toHaveLength(before.length);
    expect(after.some((one) => one.metadata?.uid === old.metadata?.uid)).toBe(false);
    if (sameName === true) expect(after.map((one) => one.metadata?.name)).toContain(name);
  });
});

describe('what is changed by hand is as it was', () => {
  it.each([
    ['Endpoints', kinds.endpoints, { subsets: [{ addresses: [{ ip: '192.0.2.1' }], ports: [{ port: 1 }] }] }],
    ['a slice', kinds.endpointSlices, { endpoints: [{ addresses: ['192.0.2.1'] }] }],
    ['a root certificate', kinds.configMaps, { data: { 'ca.crt': 'other' } }],
    [
      'what a root certificate is for',
      kinds.configMaps,
      { metadata: { annotations: { 'kubernetes.io/description': null } } },
    ],
    ['a ReplicaSet', kinds.replicaSets, { spec: { replicas: 7 } }],
  ] as const)('%s', async (_name, kind, change) => {
    await using cluster = await startCluster();
    const { client } = cluster;
    await makeAll(cluster);
    const ref: KindRef<KubeObject> = kind;
    const [object] = client.all(ref);
    const contents = (one: KubeObject | undefined): unknown => ({
      ...{
        ...one,
        metadata: [one?.metadata?.labels, withTriggerTime(one?.metadata?.annotations, undefined)],
      },
      status: undefined, // It counts generations.
    });
    const { name = '', namespace } = object?.metadata ?? {};
    await client.patch(ref, { namespace, name }, { kind: 'merge', body: change });
    await cluster.settle(1_000);
    expect(contents(await client.get(ref, { namespace, name }))).toEqual(contents(object));
  });
});

it('nothing is written while nothing happens', async () => {
  await using cluster = await startCluster();
  await makeAll(cluster);
  const isOfThem = (write: string): boolean => !write.includes('events') && !write.includes('leases');
  // What follows from being made is over by then: nodes of the test renew nothing, and fall silent after 50 s.
  await cluster.settle(8_000);
  const before = cluster.client.writes.filter(isOfThem).length;
  await cluster.settle(10_000);
  expect(cluster.client.writes.filter(isOfThem).slice(before)).toEqual([]);
});
