import { expect, it } from 'vitest';
import { createFakeClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { untilTurnsEnd } from '#base/quiet.fixture.ts';
import * as kinds from '#api/schema/kind-ref.ts';
import type { Node, Pod } from '#api/generated/objects.ts';
import { createFakeApiClient, type FakeApiClient } from '#client/client.fake.ts';
import { createInformers, type Informers } from '#client/informers.ts';
import { startScheduler } from '#control-plane/scheduler/scheduler.ts';
import { readyNode } from './cluster.fixture.ts';
import { startControllers } from './start-controllers.ts';

/** Informers that count the objects that they hand out to whoever asks for lists: what a loop looks at beside what changed. */
function counting(informers: Informers): {
  readonly informers: Informers;
  readonly looks: Map<string, number>;
} {
  const looks = new Map<string, number>();
  const counted: Informers['for'] = (kind, options) => {
    const informer = informers.for(kind, options);
    const note = <T>(found: readonly T[]): readonly T[] => {
      looks.set(kind.resource, (looks.get(kind.resource) ?? 0) + found.length);
      return found;
    };
    return new Proxy(informer, {
      get: (target, name) => {
        if (name === 'list') return () => note(target.list());
        if (name === 'byIndex') return (index: string, value: string) => note(target.byIndex(index, value));
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
  };
  return { informers: { ...informers, for: counted }, looks };
}

const podsPerOwner = 10;
const podsPerNamespace = 50;

/** Pods of ReplicaSets of ten, each with a Service, on nodes with ten each: as many as there are, each is alike. */
function seedCluster(client: FakeApiClient, pods: number): void {
  const owners = pods / podsPerOwner;
  const namespaces = pods / podsPerNamespace;
  const metadata = (name: string, index: number) => ({
    name,
    namespace: `ns-${index % namespaces}`,
    labels: { app: `a-${index}` },
  });
  for (let index = 0; index < namespaces; index++)
    client.seed(kinds.namespaces, {
      metadata: { name: `ns-${index}` },
      spec: { finalizers: ['kubernetes'] },
      status: { phase: 'Active' },
    });
  const spec = { containers: [{ name: 'c', image: 'i' }] };
  for (let index = 0; index < owners; index++) {
    const node: Node = readyNode(`n-${index}`);
    client.seed(kinds.nodes, {
      ...node,
      spec: {
        podCIDR: `10.${index >> 8}.${index & 255}.0/24`,
        podCIDRs: [`10.${index >> 8}.${index & 255}.0/24`],
      },
    });
    const selector = { app: `a-${index}` };
    const set = client.seed(kinds.replicaSets, {
      metadata: metadata(`r-${index}`, index),
      spec: {
        replicas: podsPerOwner,
        selector: { matchLabels: selector },
        template: { metadata: { labels: selector }, spec },
      },
    });
    client.seed(kinds.services, {
      metadata: metadata(`s-${index}`, index),
      spec: { selector, ports: [{ port: 80 }] },
    });
    const owner = {
      apiVersion: 'apps/v1',
      kind: 'ReplicaSet',
      name: `r-${index}`,
      uid: set.metadata?.uid ?? '',
      controller: true,
    };
    for (let pod = 0; pod < podsPerOwner; pod++)
      client.seed(kinds.pods, {
        metadata: {
          ...metadata(`p-${pod * owners + index}`, index),
          ownerReferences: [owner],
        },
        spec: { ...spec, nodeName: `n-${index}` },
        status: statusOf('True', pod),
      });
  }
}

function statusOf(ready: 'True' | 'False', index: number): NonNullable<Pod['status']> {
  const podIP = `10.0.0.${1 + (index % 250)}`;
  const conditions = [{ type: 'Ready', status: ready, lastTransitionTime: '2026-01-01T00:00:00Z' }];
  return { phase: 'Running', podIP, podIPs: [{ ip: podIP }], conditions };
}

interface Cost {
  readonly looks: Readonly<Record<string, number>>;
  readonly writes: number;
}

/** What is looked at and written for each of some changes. */
async function costsWith(pods: number): Promise<Record<string, Cost>> {
  const clock = createFakeClock(Date.UTC(2026, 0, 1));
  const client = createFakeApiClient(clock);
  seedCluster(client, pods);
  const real = createInformers({ client, clock, random: () => 0.5 });
  const { informers, looks } = counting(real);
  const shared = { informers, clock, logger: silentLogger };
  const scheduler = startScheduler({ ...shared, client });
  const controllers = startControllers({
    ...shared,
    clientAs: () => client,
    clusterCidrs: ['10.0.0.0/8'],
    rootCa: { pem: 'PEM' },
  });
  const settle = async (ms: number): Promise<void> => {
    for (let passed = 0; passed <= ms; passed += 500) {
      await untilTurnsEnd();
      clock.advance(500);
    }
    await untilTurnsEnd();
  };
  await settle(4_000);
  const costs: Record<string, Cost> = {};
  const cost = async (name: string, change: () => Promise<unknown>): Promise<void> => {
    looks.clear();
    const from = client.writes.length;
    await change();
    await settle(2_000);
    costs[name] = { looks: Object.fromEntries([...looks].toSorted()), writes: client.writes.length - from };
  };
  const patch = (index: number, ready: 'True' | 'False'): Promise<unknown> =>
    client.patch(
      kinds.pods,
      { namespace: `ns-${index}`, name: `p-${index}` },
      {
        kind: 'strategic',
        body: { status: statusOf(ready, index) },
        subresource: 'status',
      },
    );
  await cost('a pod is not ready', () => patch(1, 'False'));
  await cost('a pod is ready', () => patch(1, 'True'));
  await cost('a pod goes', () =>
    client.delete(kinds.pods, { namespace: 'ns-2', name: 'p-2' }, { gracePeriodSeconds: 0 }),
  );
  await cost('a pod comes', () =>
    client.create(kinds.pods, {
      metadata: { namespace: 'ns-0', name: 'new' },
      spec: { containers: [{ name: 'c', image: 'i' }] },
    }),
  );
  await cost('a node says that it lives', async () => {
    const node = await client.get(kinds.nodes, { name: 'n-4' });
    return client.update(kinds.nodes, { ...node, metadata: { ...node.metadata, annotations: { a: 'b' } } });
  });
  await cost('a pod of a silent node', () => {
    const unheard: Node = readyNode('silent');
    const taints = [{ key: 'node.kubernetes.io/unreachable', effect: 'NoExecute' }] as const;
    const status = { ...unheard.status, conditions: [{ type: 'Ready', status: 'Unknown' }] };
    client.seed(kinds.nodes, { ...unheard, spec: { taints, podCIDR: '10.255.0.0/24' }, status });
    const spec = { nodeName: 'silent', containers: [{ name: 'c', image: 'i' }] };
    return client.create(kinds.pods, { metadata: { namespace: 'ns-0', name: 'unheard' }, spec });
  });
  await scheduler[Symbol.asyncDispose]();
  await controllers[Symbol.asyncDispose]();
  await real[Symbol.asyncDispose]();
  return costs;
}

/** `PODWRIGHT_COST_PODS=5000`: beside a tenth of them. */
const most = Number(process.env['PODWRIGHT_COST_PODS'] ?? 600);

/** Whether two changes of one key are one look or two is a matter of turns. */
const turnsOfLuck = 2;

it('what a change costs all loops does not grow with the cluster', async () => {
  const small = await costsWith(Math.max(150, most / 10));
  for (const [change, { looks, writes }] of Object.entries(await costsWith(most))) {
    const before = small[change];
    expect(writes, change).toBe(before?.writes);
    for (const [kind, count] of Object.entries(looks))
      expect(count, `${change}: ${kind} looked at`).toBeLessThanOrEqual(
        (before?.looks[kind] ?? 0) + turnsOfLuck,
      );
  }
});
