import { describe, expect, it } from 'vitest';
import { createRandom } from '#base/random.fixture.ts';
import type { Node } from '#api/generated/objects.ts';
import { findCondition } from '#api/meta/condition.ts';
import { formatMicroTime, formatTime } from '#api/meta/time.ts';
import { leases, nodes } from '#api/schema/kind-ref.ts';
import { startCluster, type Cluster } from '#control-plane/controllers/cluster.fixture.ts';
import { planZones, ZoneCounts, ZonePace, zoneDefaults, zoneKey } from './zones.ts';

function nodesOf(zone: string, ready: number, silent: number): readonly Node[] {
  const of = (status: string): Node => ({
    metadata: { labels: zone === '' ? {} : { 'topology.kubernetes.io/zone': zone } },
    status: { conditions: [{ type: 'Ready', status }] },
  });
  return [
    ...Array.from({ length: ready }, () => of('True')),
    ...Array.from({ length: silent }, () => of('Unknown')),
  ];
}

function countsOf(all: readonly Node[]): ZoneCounts {
  const counts = new ZoneCounts();
  for (const [index, node] of all.entries()) counts.put(`n${index}`, node);
  return counts;
}

type Counts = Readonly<Record<string, readonly [ready: number, silent: number]>>;

describe('planZones()', () => {
  it.each<{ readonly name: string; readonly given: Counts; readonly want: string }>([
    { name: 'no nodes', given: {}, want: '' },
    { name: 'all well', given: { a: [3, 0] }, want: 'a Normal 0.1' },
    { name: 'two of three are few', given: { a: [1, 2] }, want: 'a Normal 0.1' },
    { name: 'more than half and a bit', given: { a: [2, 3] }, want: 'a PartialDisruption 0' },
    { name: 'half is not', given: { a: [3, 3] }, want: 'a Normal 0.1' },
    { name: 'a large zone, slowly', given: { a: [20, 31] }, want: 'a PartialDisruption 0.01' },
    { name: 'fifty are not large', given: { a: [20, 30] }, want: 'a PartialDisruption 0' },
    { name: 'one zone of two', given: { a: [0, 5], b: [5, 0] }, want: 'a FullDisruption 0.1, b Normal 0.1' },
    {
      name: 'one beside another that is partly silent',
      given: { a: [0, 1], b: [1, 3] },
      want: 'a FullDisruption 0.1, b PartialDisruption 0',
    },
    {
      name: 'all of them',
      given: { a: [0, 1], '': [0, 3] },
      want: 'a FullDisruption 0,  FullDisruption 0 nobody',
    },
  ])('$name', ({ given, want }) => {
    const all = Object.entries(given).flatMap(([zone, counts]) => nodesOf(zone, ...counts));
    const { zones, isNobodyHeard } = planZones(countsOf(all), zoneDefaults);
    const shown = [...zones].map(
      ([key, { state, perSecond }]) => `${key.replace(':', '')} ${state} ${perSecond}`,
    );
    expect(`${shown.join(', ')}${isNobodyHeard ? ' nobody' : ''}`).toBe(want);
  });

  it('leaves nodes out that are to say nothing of their zone', () => {
    const silent = nodesOf('a', 0, 3).map((node): Node => {
      const labels = { ...node.metadata?.labels, 'node.kubernetes.io/exclude-disruption': '' };
      return { ...node, metadata: { labels } };
    });
    const { zones, isNobodyHeard } = planZones(countsOf([...nodesOf('a', 1, 2), ...silent]), zoneDefaults);
    expect([...zones.values()].map(({ state }) => state)).toEqual(['Normal']);
    expect(isNobodyHeard).toBe(false);
    expect(planZones(countsOf(silent), zoneDefaults).isNobodyHeard).toBe(false);
  });

  it('tells zones of two regions apart', () => {
    const of = (region: string): Node => ({
      metadata: {
        labels: { 'topology.kubernetes.io/region': region, 'topology.kubernetes.io/zone': 'a' },
      },
    });
    expect(zoneKey(of('x'))).not.toBe(zoneKey(of('y')));
    expect(zoneKey({})).toBe('');
  });
});

describe('ZoneCounts', () => {
  it('after any changes are those of a look at all nodes', () => {
    const seed = Number(process.env['PODWRIGHT_FUZZ_SEED'] ?? (Math.random() * 2 ** 31) | 0);
    console.log('seed', seed);
    const random = createRandom(seed);
    const counts = new ZoneCounts();
    const known = new Map<string, Node>();
    const shown = ({ zones, isNobodyHeard }: ZoneCounts): unknown => [[...zones].toSorted(), isNobodyHeard];
    for (let step = 0; step < 1_000; step++) {
      const name = `n${Math.floor(random() * 8)}`;
      const [ready, silent] = random() < 0.5 ? [1, 0] : [0, 1];
      const node = random() < 0.3 ? undefined : nodesOf('abc'[step % 3] ?? '', ready, silent)[0];
      counts.put(name, node);
      known.delete(name);
      if (node !== undefined) known.set(name, node);
      expect(shown(counts)).toEqual(shown(countsOf([...known.values()])));
    }
  });
});

describe('ZonePace', () => {
  it('lets one go, then another when its time has come', () => {
    const pace = new ZonePace();
    const at = (nowMs: number, key = 'a') => pace.take(key, { perSecond: 0.2 }, nowMs);
    expect([at(0), at(1_000), at(4_999), at(0, 'b'), at(5_000), at(5_000)]).toEqual([
      ...[0, 4_000, 1, 0],
      ...[0, 5_000],
    ]);
    expect(pace.take('c', { perSecond: 0 }, 0)).toBe(5_000);
    pace.forget(new Map());
    expect(at(5_001)).toBe(0);
  });
});

describe('a cluster of zones', () => {
  const inA = ['a1', 'a2', 'a3', 'a4'];
  const inB = ['b1', 'b2'];

  /** Lets time pass while those nodes say that they live. */
  async function pass(
    { client, clock, settle }: Cluster,
    ms: number,
    alive: readonly string[],
  ): Promise<void> {
    for (let passed = 0; passed < ms; passed += 5_000) {
      for (const name of alive) {
        const renewTime = formatMicroTime(clock.now());
        const lease = { metadata: { name, namespace: 'kube-node-lease' }, spec: { renewTime } };
        await client.create(leases, lease).catch(() => client.update(leases, lease));
      }
      await settle(5_000);
    }
  }

  const evicted = ({ client }: Cluster): readonly string[] =>
    client
      .all(nodes)
      .filter(({ spec }) => spec?.taints?.some(({ effect }) => effect === 'NoExecute') === true)
      .map(({ metadata }) => metadata?.name ?? '')
      .toSorted();

  it('loses pods of a silent zone node by node, none of one that is partly silent, and none where all are', async () => {
    await using cluster = await startCluster([...inA, ...inB]);
    const { client } = cluster;
    for (const name of [...inA, ...inB]) {
      const labels = { 'topology.kubernetes.io/zone': name.slice(0, 1) };
      await client.patch(nodes, { name }, { kind: 'merge', body: { metadata: { labels } } });
    }
    await pass(cluster, 60_000, ['a1']);
    expect(evicted(cluster)).toHaveLength(1);
    await pass(cluster, 15_000, ['a1']);
    expect(evicted(cluster)).toEqual(inB);
    // Everybody is told not to go to those of a, though none has to leave.
    expect(
      client
        .all(nodes)
        .filter(({ spec }) => spec?.taints?.some(({ effect }) => effect === 'NoSchedule') === true),
    ).toHaveLength(5);
    await pass(cluster, 60_000, []);
    expect(evicted(cluster)).toEqual([]);
    for (const name of [...inA, ...inB]) {
      const body = { status: { conditions: [{ type: 'Ready', status: 'True' }] } };
      await client.patch(nodes, { name }, { kind: 'merge', body, subresource: 'status' });
    }
    await pass(cluster, 5_000, [...inA, ...inB]);
    expect(client.all(nodes).flatMap(({ spec }) => spec?.taints ?? [])).toEqual([]);
  });

  it('waits a minute for the first word of a node', async () => {
    await using cluster = await startCluster(inA);
    const { client } = cluster;
    const taints = [{ key: 'node.kubernetes.io/not-ready', effect: 'NoSchedule' as const }];
    client.seed(nodes, { metadata: { name: 'new' }, spec: { taints } });
    await pass(cluster, 55_000, inA);
    const found = () => client.get(nodes, { name: 'new' });
    expect(await found()).not.toHaveProperty('status.conditions');
    expect((await found()).spec?.taints ?? []).toEqual([]);
    await pass(cluster, 15_000, inA);
    expect((await found()).status?.conditions?.[0]).toMatchObject({
      ...{ type: 'Ready', status: 'Unknown', reason: 'NodeStatusNeverUpdated' },
    });
    expect(evicted(cluster)).toEqual(['new']);
  });

  it('takes the words of others about a node for none of its own', async () => {
    await using cluster = await startCluster(['a1', 'a2']);
    const { client, clock } = cluster;
    for (let round = 0; round < 12; round++) {
      const lastHeartbeatTime = formatTime(clock.now());
      const conditions = [{ type: 'KernelDeadlock', status: 'False', lastHeartbeatTime }];
      const body = { status: { conditions } };
      await client.patch(nodes, { name: 'a2' }, { kind: 'strategic', body, subresource: 'status' });
      await pass(cluster, 5_000, ['a1']);
    }
    const ready = client.all(nodes).map(({ status }) => findCondition(status?.conditions, 'Ready')?.status);
    expect(ready).toEqual(['True', 'Unknown']);
  });
});
