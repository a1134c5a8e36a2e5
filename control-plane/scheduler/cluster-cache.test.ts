import { expect, it } from 'vitest';
import { objectKey } from '#api/meta/object.ts';
import type { Node, Pod } from '#api/generated/objects.ts';
import { createClusterCache } from './cluster-cache.ts';
import { askedCountMax, requestsOf, scoringRequestsOf } from './pod-facts.ts';
import { nodeInfo } from './snapshot.ts';

const node = (name: string, version = '1'): Node => ({ metadata: { name, resourceVersion: version } });

function pod(name: string, nodeName: string, cpu: string): Pod {
  const antiAffinity = {
    requiredDuringSchedulingIgnoredDuringExecution: [{ topologyKey: 'kubernetes.io/hostname' }],
  };
  const affinity = { podAntiAffinity: antiAffinity };
  const ports = [{ containerPort: 80, hostPort: 8000 + Number(cpu) }];
  const containers = [{ name: 'c', image: 'i', ports, resources: { requests: { cpu } } }];
  return {
    metadata: { name, namespace: 'default' },
    spec: { nodeName, containers, ...(Number(cpu) % 3 === 0 ? { affinity } : {}) },
  };
}

it('a change makes the state of its node anew, and of no other', () => {
  const cache = createClusterCache();
  for (let index = 0; index < 100; index++) cache.setNode(`n-${index}`, node(`n-${index}`));
  const before = [...cache.nodes()];
  const changed = (): number => cache.nodes().filter((info, index) => info !== before[index]).length;
  const one = pod('p', 'n-7', '1');
  cache.assume(one, 'n-7');
  expect(changed()).toBe(1);
  const assumed = cache.nodes()[7];
  cache.setPod('default/p', { ...one, status: { phase: 'Running' } });
  expect(cache.nodes()[7]).toBe(assumed);
  expect(cache.nodes()[7]?.pods.get('default/p')?.status?.phase).toBe('Running');
});

it('pods that ask for the same share it, versions and copies of one, too', () => {
  const asking = (cpu: string, more: Partial<Pod['status']> = {}): Pod => ({
    ...pod('p', 'a', '1'),
    spec: { containers: [{ name: 'c', image: 'i', resources: { requests: { cpu } } }] },
    status: more,
  });
  const own = asking('1');
  expect(requestsOf(asking('1', { phase: 'Running' }))).toBe(requestsOf(own));
  expect(scoringRequestsOf(asking('1'))).toBe(scoringRequestsOf(own));
  const held = { ...{ name: 'c', image: 'i', imageID: '', ready: true, restartCount: 0 } };
  const resized = asking('1', { containerStatuses: [{ ...held, allocatedResources: { cpu: '2' } }] });
  expect([requestsOf(resized).get('cpu'), requestsOf(own).get('cpu')]).toEqual([2000, 1000]);
  expect([...scoringRequestsOf(own)]).toEqual([
    ['cpu', 1000],
    ['memory', 209_715_200],
  ]);
  // Not more than so many are kept.
  for (let cpu = 0; cpu < askedCountMax; cpu++) requestsOf(asking(`${2 + cpu}`));
  expect(requestsOf(asking('1'))).not.toBe(requestsOf(own));
});

it('whatever came and went, each node counts as if it were counted anew', () => {
  const cache = createClusterCache();
  const nodes = new Map<string, Node>();
  const pods = new Map<string, Pod>();
  let seed = 7;
  const random = (below: number): number => {
    seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
    return (seed >> 8) % below;
  };
  for (let step = 0; step < 2_000; step++) {
    const name = `n-${random(5)}`;
    const key = `p-${random(12)}`;
    const asked = pod(key, name, String(1 + random(6)));
    const one = { ...asked, spec: { containers: [], ...asked.spec, priority: random(4) } };
    switch (random(6)) {
      case 0:
        cache.setNode(name, node(name, String(step)));
        nodes.set(name, node(name, String(step)));
        break;
      case 1:
        cache.setNode(name, undefined);
        nodes.delete(name);
        break;
      case 2:
        cache.setPod(objectKey(one), undefined);
        pods.delete(objectKey(one));
        break;
      default:
        if (random(2) === 0) cache.assume(one, name);
        else cache.setPod(objectKey(one), one);
        pods.set(objectKey(one), one);
    }
    for (const priority of [0, 1, 3, 9]) {
      const below = cache.nodes().filter(({ lowestPriority }) => lowestPriority < priority);
      expect(cache.nodesBelow(priority), `step ${step}, priority ${priority}`).toBe(below.length);
    }
  }
  const counted = [...nodes].map(([name, one]) => {
    const here = [...pods].filter(([, { spec }]) => spec?.nodeName === name);
    return nodeInfo(one, new Map(here));
  });
  const sorted = (infos: readonly { readonly name: string }[]) =>
    infos.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  const withSortedPorts = (infos: ReturnType<typeof cache.nodes>) =>
    sorted(
      infos.map((info) => ({
        ...info,
        hostPorts: new Map([...info.hostPorts].map(([port, all]) => [port, all.length])),
      })),
    );
  expect(withSortedPorts(cache.nodes())).toEqual(withSortedPorts(counted));
  expect(
    cache
      .antiAffineNodes()
      .map(({ name }) => name)
      .toSorted(),
  ).toEqual(
    counted
      .filter(({ antiAffinePods }) => antiAffinePods.size > 0)
      .map(({ name }) => name)
      .toSorted(),
  );
});
