import { expect, it } from 'vitest';
import { createFakeClock } from '#base/clock.ts';
import { untilTurnsEnd } from '#base/quiet.fixture.ts';
import { silentLogger } from '#base/log.ts';
import * as kinds from '#api/schema/kind-ref.ts';
import type { Node, Pod } from '#api/generated/objects.ts';
import { createFakeApiClient } from '#client/client.fake.ts';
import { createInformers } from '#client/informers.ts';
import { decide, feasibleWanted } from './decide.ts';
import { nodeInfo, type Snapshot } from './snapshot.ts';
import { startScheduler } from './scheduler.ts';

const node = (name: string, cpu = '2'): Node => ({
  metadata: { name, labels: { 'kubernetes.io/hostname': name } },
  status: { allocatable: { cpu, memory: '4Gi', pods: '110' } },
});
const pod = (name: string, cpu: string, nodeName?: string): Pod => ({
  metadata: { name, namespace: 'default' },
  spec: {
    containers: [{ name: 'c', image: 'i', resources: { requests: { cpu } } }],
    ...(nodeName === undefined ? {} : { nodeName }),
  },
});

// kube-scheduler's numFeasibleNodesToFind of the same counts.
it.each([
  [0, 0],
  [1, 1],
  [99, 99],
  [100, 100],
  [300, 144],
  [1000, 420],
  [5000, 500],
  [6000, 300],
])('of %d nodes as many are compared as kube-scheduler does: %d', (count, want) => {
  expect(feasibleWanted(count)).toBe(want);
});

it('a decision looks at a part of the nodes, from where it is told to begin, and at all before it says no', () => {
  const nodes = Array.from({ length: 5000 }, (_, index) => nodeInfo(node(`n-${index}`), new Map()));
  const snapshot: Snapshot = { nodes, services: () => [], namespaceLabels: () => ({}) };
  expect(decide({ pod: pod('p', '1'), snapshot })).toEqual({ kind: 'node', nodeName: 'n-0', examined: 500 });
  expect(decide({ pod: pod('p', '1'), snapshot }, 4_900)).toMatchObject({ nodeName: 'n-0', examined: 500 });
  expect(decide({ pod: pod('p', '1'), snapshot }, 500)).toMatchObject({ nodeName: 'n-500', examined: 500 });
  expect(decide({ pod: pod('p', '3'), snapshot })).toMatchObject({ kind: 'unschedulable', examined: 5000 });
});

async function startCluster(nodes: readonly Node[]) {
  const clock = createFakeClock(Date.UTC(2026, 0, 1));
  const client = createFakeApiClient(clock);
  const informers = createInformers({ client, clock, random: () => 0.5 });
  client.seed(kinds.namespaces, { metadata: { name: 'default' } });
  for (const one of nodes) client.seed(kinds.nodes, one);
  const scheduler = startScheduler({ informers, client, clock, logger: silentLogger });
  const settle = async (ms = 0): Promise<void> => {
    for (let passed = 0; ; passed += 500) {
      await untilTurnsEnd();
      if (passed >= ms) return;
      clock.advance(500);
    }
  };
  await settle();
  return { client, informers, scheduler, settle };
}

it('pods that wait write nothing when others are bound, and are tried when a node comes that has room', async () => {
  const { client, informers, scheduler, settle } = await startCluster([node('n-0'), node('n-1')]);
  const waiting = Array.from({ length: 1000 }, (_, index) => `w-${index}`);
  for (const name of waiting) await client.create(kinds.pods, pod(name, '8'));
  await settle(30_000);
  const writesOf = (from: number): readonly string[] => client.writes.slice(from);
  expect(writesOf(0).filter((write) => write.startsWith('patch pods/status'))).toHaveLength(1000);

  let from = client.writes.length;
  for (const name of ['a', 'b', 'c']) await client.create(kinds.pods, pod(name, '100m'));
  await settle(60_000);
  expect(writesOf(from).filter((write) => write.includes('w-'))).toEqual([]);

  // One that goes makes room of a kind that may help; they are tried, and have no news to tell.
  from = client.writes.length;
  await client.delete(kinds.pods, { namespace: 'default', name: 'a' }, { gracePeriodSeconds: 0 });
  await settle(60_000);
  expect(writesOf(from).filter((write) => write.includes('w-'))).toEqual([]);

  await client.create(kinds.nodes, node('n-2', '16'));
  const large = client.all(kinds.nodes).find(({ metadata }) => metadata?.name === 'n-2');
  const status = { allocatable: { cpu: '16', memory: '4Gi', pods: '110' } };
  await client.update(kinds.nodes, { ...large, status }, { subresource: 'status' });
  await settle(60_000);
  const bound = client.all(kinds.pods).filter(({ spec }) => spec?.nodeName === 'n-2');
  expect(bound).toHaveLength(2);
  await scheduler[Symbol.asyncDispose]();
  await informers[Symbol.asyncDispose]();
});
