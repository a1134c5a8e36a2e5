import { describe, expect, it } from 'vitest';
import * as kinds from '#api/schema/kind-ref.ts';
import { gang, nodeOf, podOf, startGangCluster, type GangCluster } from './gang.fixture.ts';

const where = (name: string): { readonly namespace: string; readonly name: string } => ({
  namespace: 'default',
  name,
});
const create = async (cluster: GangCluster, names: readonly string[], group: string, change = {}) => {
  for (const name of names) await cluster.client.create(kinds.pods, podOf(name, group, change));
};
const waiting = 'False SchedulingGated: waiting for minCount pods from a gang to appear in scheduling queue';

describe('a gang', () => {
  it('is not tried before its group and enough of its pods are there', async () => {
    await using cluster = await startGangCluster({ n: '8' });

    await create(cluster, ['g-1'], 'g');
    await cluster.settle();
    expect(cluster.told('pod', 'g-1')).toBe(
      'False SchedulingGated: waiting for pod\'s pod group "g" to appear in scheduling queue',
    );
    await cluster.client.create(kinds.podGroups, gang('g', 3));
    await create(cluster, ['g-2'], 'g');
    await cluster.settle(20_000);
    expect(cluster.placed('g-')).toEqual(['', '']);
    expect([cluster.told('pod', 'g-1'), cluster.told('pod', 'g-2')]).toEqual([waiting, waiting]);
    await create(cluster, ['g-3', 'g-4'], 'g');
    await cluster.settle();
    expect(cluster.placed('g-')).toEqual(['n', 'n', 'n', 'n']);
    expect(cluster.told('group', 'g')).toBe('True Scheduled: ');
  });

  it('takes nothing until there is room for its minimum', async () => {
    await using cluster = await startGangCluster({ a: '1', b: '1' });

    await cluster.client.create(kinds.podGroups, gang('g', 3));
    await create(cluster, ['g-1', 'g-2', 'g-3'], 'g');
    await cluster.settle(20_000);
    expect(cluster.pod('g-1')?.spec?.schedulingGroup).toEqual({ podGroupName: 'g' });
    expect(cluster.placed('g-')).toEqual(['', '', '']);
    expect(cluster.told('pod', 'g-1')).toBe(
      'False Unschedulable: waiting for minCount pods from a gang to be scheduled',
    );
    expect(cluster.told('pod', 'g-3')).toMatch(/^False Unschedulable: 0\/2 nodes .* 2 Insufficient cpu/);
    expect(cluster.told('group', 'g')).toBe(
      'False Unschedulable: pod group is unschedulable: 2 of 3 pods that it needs find a node, pod group preemption: No preemption victims found for incoming preemptor',
    );
    await cluster.client.create(kinds.pods, podOf('alone')); // What it does not take, others have.
    await cluster.settle();
    expect(cluster.placed('alone')).not.toContain('');
    cluster.client.seed(kinds.nodes, nodeOf('c', '2'));
    await cluster.settle(11_000);
    expect(cluster.placed('g-')).not.toContain('');
    expect(cluster.told('group', 'g')).toBe('True Scheduled: ');
  });

  it('is bound without those beyond its minimum that find no node', async () => {
    await using cluster = await startGangCluster({ a: '2' });

    await cluster.client.create(kinds.podGroups, gang('g', 2));
    await create(cluster, ['g-1', 'g-2', 'g-3'], 'g');
    await cluster.settle(20_000);
    expect(cluster.placed('g-')).toEqual(['a', 'a', '']);
    expect(cluster.told('group', 'g')).toBe('True Scheduled: ');
    cluster.client.seed(kinds.nodes, nodeOf('b', '2'));
    await cluster.settle(11_000);
    expect(cluster.placed('g-')).toEqual(['a', 'a', 'b']);
  });

  it('does not block another one, nor is it blocked for ever', async () => {
    await using cluster = await startGangCluster({ a: '2', b: '2' });

    for (const name of ['g', 'h']) await cluster.client.create(kinds.podGroups, gang(name, 3));
    for (const index of [1, 2, 3])
      for (const name of ['g', 'h']) await create(cluster, [`${name}-${index}`], name);
    await cluster.settle(20_000);
    const counts = ['g-', 'h-'].map((prefix) => cluster.placed(prefix).filter((node) => node !== '').length);
    expect(counts.toSorted()).toEqual([0, 3]);
    const [first, second] = counts[0] === 3 ? ['g', 'h'] : ['h', 'g'];
    for (const index of [1, 2, 3]) await cluster.client.delete(kinds.pods, where(`${first}-${index}`));
    await cluster.settle(11_000);
    expect(cluster.placed(`${second}-`)).not.toContain('');
  });

  it('is refused when its pods are of several schedulers of ours only by their names', async () => {
    await using cluster = await startGangCluster({ a: '4' });

    await cluster.client.create(kinds.podGroups, gang('g', 2));
    await create(cluster, ['g-1'], 'g');
    await create(cluster, ['g-2'], 'g', { schedulerName: 'somebody-elses' });
    await cluster.settle(2000);
    expect(cluster.told('pod', 'g-1')).toBe(waiting); // Pods of others do not count.
    expect(cluster.placed('g-')).toEqual(['', '']);
  });

  it('of the basic policy is no gang, but waits for its group', async () => {
    await using cluster = await startGangCluster({ a: '1' });

    await create(cluster, ['g-1', 'g-2'], 'g');
    await cluster.settle(2000);
    expect(cluster.placed('g-')).toEqual(['', '']);
    const basic = { ...gang('g', 1), spec: { schedulingPolicy: { basic: {} } } };
    await cluster.client.create(kinds.podGroups, basic);
    await cluster.settle(2000);
    expect(cluster.placed('g-')).toEqual(['a', '']);
  });
});

describe('preemption by a gang', () => {
  const low = { priority: 1 };

  it('evicts as few as it needs, and only when it fits then', async () => {
    await using cluster = await startGangCluster({ a: '2', b: '2' });

    for (const name of ['low-1', 'low-2', 'low-3', 'low-4'])
      await cluster.client.create(kinds.pods, podOf(name, undefined, low));
    await cluster.settle();
    await cluster.client.create(kinds.podGroups, gang('big', 5, { priority: 100 }));
    await create(cluster, ['big-1', 'big-2', 'big-3', 'big-4', 'big-5'], 'big', { priority: 100 });
    await cluster.settle(12_000);
    expect(cluster.placed('low-')).not.toContain('');
    expect(cluster.placed('low-')).toHaveLength(4); // Five do not fit, whoever goes.
    await cluster.client.create(kinds.podGroups, gang('g', 3, { priority: 100 }));
    await create(cluster, ['g-1', 'g-2', 'g-3'], 'g', { priority: 100 });
    await cluster.settle();
    expect(cluster.placed('low-')).toHaveLength(1);
    await cluster.settle(12_000);
    expect(cluster.placed('g-')).not.toContain('');
    expect(cluster.told('group', 'g')).toBe('True Scheduled: ');
  });

  it('leaves alone who has a higher priority', async () => {
    await using cluster = await startGangCluster({ a: '2' });

    await cluster.client.create(kinds.pods, podOf('high', undefined, { priority: 200 }));
    await cluster.client.create(kinds.pods, podOf('low', undefined, low));
    await cluster.settle();
    await cluster.client.create(kinds.podGroups, gang('g', 2, { priority: 100 }));
    await create(cluster, ['g-1', 'g-2'], 'g', { priority: 100 });
    await cluster.settle(12_000);
    expect(cluster.placed('high')).toEqual(['a']);
    expect(cluster.placed('low')).toEqual(['a']);
    expect(cluster.told('group', 'g')).toContain('pod group preemption: pod group is unschedulable');
  });

  it('takes a gang that goes together as a whole', async () => {
    await using cluster = await startGangCluster({ a: '2', b: '2' });

    await cluster.client.create(kinds.podGroups, gang('v', 2, { priority: 1, disruptionMode: 'PodGroup' }));
    await create(cluster, ['v-1', 'v-2'], 'v', low);
    await cluster.settle();
    await cluster.client.create(kinds.podGroups, gang('g', 3, { priority: 100 }));
    await create(cluster, ['g-1', 'g-2', 'g-3'], 'g', { priority: 100 });
    await cluster.settle(12_000);
    expect(cluster.placed('v-')).toEqual([]);
    expect(cluster.placed('g-')).not.toContain('');
    const [victim] = cluster.client
      .all(kinds.podGroups)
      .filter(({ metadata }) => metadata?.name === 'v')
      .flatMap(({ status }) => status?.conditions ?? [])
      .filter(({ type }) => type === 'DisruptionTarget');
    expect(victim).toMatchObject({ status: 'True', reason: 'PreemptionByScheduler' });
  });

  it('takes who is on its own rather than who is of a group, of the same priority', async () => {
    await using cluster = await startGangCluster({ a: '2' });

    await cluster.client.create(kinds.podGroups, gang('v', 1, { priority: 1 }));
    cluster.client.seed(kinds.pods, podOf('single', undefined, { ...low, nodeName: 'a' }));
    cluster.client.seed(kinds.pods, podOf('v-1', 'v', { ...low, nodeName: 'a' }));
    await cluster.settle();
    await cluster.client.create(kinds.podGroups, gang('g', 1, { priority: 100 }));
    await create(cluster, ['g-1'], 'g', { priority: 100 });
    await cluster.settle(12_000);
    expect([cluster.placed('single'), cluster.placed('v-'), cluster.placed('g-')]).toEqual([
      [],
      ['a'],
      ['a'],
    ]);
  });

  it.each([
    ['a', 'b'],
    ['b', 'a'],
  ])('goes where the less important are: on %s is the more important', async (high, other) => {
    await using cluster = await startGangCluster({ a: '1', b: '1' });

    cluster.client.seed(kinds.pods, podOf('high', undefined, { priority: 50, nodeName: high }));
    cluster.client.seed(kinds.pods, podOf('low', undefined, { ...low, nodeName: other }));
    await cluster.settle();
    await cluster.client.create(kinds.podGroups, gang('g', 1, { priority: 100 }));
    await create(cluster, ['g-1'], 'g', { priority: 100 });
    await cluster.settle(12_000);
    expect([cluster.placed('high'), cluster.placed('low'), cluster.placed('g-')]).toEqual([
      [high],
      [],
      [other],
    ]);
  });

  it('evicts for more of its pods than it needs, where they may have the room', async () => {
    await using cluster = await startGangCluster({ a: '1', b: '1' });

    cluster.client.seed(kinds.pods, podOf('high', undefined, { priority: 50, nodeName: 'a' }));
    cluster.client.seed(kinds.pods, podOf('low', undefined, { ...low, nodeName: 'b' }));
    await cluster.settle();
    await create(cluster, ['g-1', 'g-2'], 'g', { priority: 100 });
    await cluster.client.create(kinds.podGroups, gang('g', 1, { priority: 100 }));
    await cluster.settle(12_000);
    expect(cluster.placed('g-').toSorted()).toEqual(['a', 'b']);
  });

  it('waits for those that it evicted, and evicts no others meanwhile', async () => {
    await using cluster = await startGangCluster({ a: '1', b: '1' });

    const stays = { terminationGracePeriodSeconds: 30, ...low };
    for (const name of ['low-1', 'low-2']) {
      const pod = podOf(name, undefined, stays);
      cluster.client.seed(kinds.pods, { ...pod, metadata: { ...pod.metadata, finalizers: ['a/b'] } });
    }
    await cluster.settle();
    await cluster.client.create(kinds.podGroups, gang('g', 1, { priority: 100 }));
    await create(cluster, ['g-1'], 'g', { priority: 100 });
    await cluster.settle(30_000);
    const going = (): number =>
      cluster.client.all(kinds.pods).filter(({ metadata }) => metadata?.deletionTimestamp !== undefined)
        .length;
    expect(going()).toBe(1);
    expect(cluster.pod('g-1')?.status?.nominatedNodeName).toMatch(/^[ab]$/);
    expect(cluster.told('pod', 'g-1')).toBe(
      'False Unschedulable: pod group is waiting for preemption to complete',
    );
    const gone = cluster.client
      .all(kinds.pods)
      .find(({ metadata }) => metadata?.deletionTimestamp !== undefined);
    const body = { metadata: { finalizers: null } };
    await cluster.client.patch(kinds.pods, where(gone?.metadata?.name ?? ''), { kind: 'merge', body });
    await cluster.settle(12_000);
    expect(cluster.placed('g-')).not.toContain('');
    expect(cluster.placed('low-')).toHaveLength(1);
  });
});
