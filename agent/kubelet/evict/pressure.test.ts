import { describe, expect, test } from 'vitest';
import { events } from '#api/schema/kind-ref.ts';
import type { Pod, PodSpec } from '#api/generated/objects.ts';
import type { CgroupStats } from '#native/cgroup/cgroup.ts';
import { readSettings } from '#agent/kubelet/config/settings.ts';
import { startTestNode } from '#agent/kubelet/test-node.fixture.ts';
import { NodePressure, observationOfPods } from './node-pressure.ts';
import {
  evictionNotice,
  noPressure,
  rankPods,
  stepPressure,
  type Observations,
  type PodUse,
  type PressureState,
} from './pressure.ts';
import type { EvictionSettings, Signal } from './thresholds.ts';

const { eviction } = readSettings({
  evictionHard: { 'memory.available': '100', 'nodefs.available': '10%' },
  evictionSoft: { 'memory.available': '200' },
  evictionSoftGracePeriod: { 'memory.available': '30s' },
  evictionMinimumReclaim: { 'memory.available': '50', 'nodefs.available': '50' },
  evictionPressureTransitionPeriod: '1m',
  evictionMaxPodGracePeriod: 7,
});

const seen = (memory: number, disk = 900): Observations =>
  new Map<Signal, { available: number; capacity: number }>([
    ['memory.available', { available: memory, capacity: 1000 }],
    ['nodefs.available', { available: disk, capacity: 1000 }],
  ]);

/** By second: what is seen, which conditions hold, and what is due. */
type Moment = readonly [seconds: number, observations: Observations, conditions: string, due: string];

function run(
  moments: readonly Moment[],
  settings: EvictionSettings = eviction,
): readonly (readonly string[])[] {
  let state: PressureState = noPressure;
  return moments.map(([seconds, observations]) => {
    const step = stepPressure(state, observations, settings, seconds * 1000);
    state = step.state;
    const due = step.due === undefined ? '' : `${step.due.isHard ? 'hard' : 'soft'} ${step.due.signal}`;
    return [[...step.conditions].join(' '), due];
  });
}

describe('stepPressure()', () => {
  test.each<[string, readonly Moment[]]>([
    ['nothing is short', [[0, seen(500), '', '']]],
    ['a hard threshold acts at once', [[0, seen(99), 'MemoryPressure', 'hard memory.available']]],
    [
      'a soft one after its grace, and from the beginning where it was not short between',
      [
        [0, seen(150), 'MemoryPressure', ''],
        [20, seen(150), 'MemoryPressure', ''],
        [25, seen(300), 'MemoryPressure', ''],
        [30, seen(150), 'MemoryPressure', ''],
        [60, seen(150), 'MemoryPressure', 'soft memory.available'],
      ],
    ],
    [
      'a condition stays for the transition period',
      [
        [0, seen(50), 'MemoryPressure', 'hard memory.available'],
        [30, seen(500), 'MemoryPressure', ''],
        [59, seen(500), 'MemoryPressure', ''],
        [60, seen(500), '', ''],
      ],
    ],
    [
      'what is to be there again is more than the threshold',
      [
        [0, seen(500, 99), 'DiskPressure', 'hard nodefs.available'],
        [10, seen(500, 120), 'DiskPressure', 'hard nodefs.available'],
        [20, seen(500, 150), 'DiskPressure', ''],
        [30, seen(500, 120), 'DiskPressure', ''],
      ],
    ],
    [
      'of a soft one more has to be there again only once its grace is over',
      [
        [0, seen(150), 'MemoryPressure', ''],
        [10, seen(220), 'MemoryPressure', ''],
        [20, seen(150), 'MemoryPressure', ''],
        [50, seen(150), 'MemoryPressure', 'soft memory.available'],
        [60, seen(220), 'MemoryPressure', 'soft memory.available'],
        [70, seen(250), 'MemoryPressure', ''],
      ],
    ],
    ['memory comes first', [[0, seen(50, 50), 'MemoryPressure DiskPressure', 'hard memory.available']]],
  ])('%s', (_name, moments) => {
    expect(run(moments)).toEqual(moments.map(([, , conditions, due]) => [conditions, due]));
  });

  test('pods together keep below their limit what the node is to keep', () => {
    const stats = (workingSetBytes: number) => ({ memory: { workingSetBytes } }) as CgroupStats;
    const of = (workingSetBytes: number): Observations =>
      new Map([...seen(500), ...observationOfPods(800, stats(workingSetBytes))]);
    const moments: readonly Moment[] = [
      [0, of(600), '', ''],
      [10, of(701), 'MemoryPressure', 'hard allocatableMemory.available'],
      [20, of(650), 'MemoryPressure', ''],
    ];
    expect(run(moments)).toEqual(moments.map(([, , conditions, due]) => [conditions, due]));
    expect(observationOfPods(undefined, stats(1))).toEqual(new Map());
    expect(observationOfPods(800, undefined)).toEqual(new Map());
  });

  test('what is not observed is not short', () => {
    expect(run([[0, new Map(), '', '']])).toEqual([['', '']]);
  });
});

describe('rankPods()', () => {
  const use = (name: string, memoryBytes: number, spec: Partial<PodSpec> = {}, requests = '0'): PodUse => {
    const containers = [{ name: 'c', image: 'i', resources: { requests: { memory: requests } } }];
    const pod: Pod = { metadata: { name, uid: name }, spec: { containers, ...spec } };
    return {
      pod,
      memoryBytes,
      storageBytes: 1000 - memoryBytes,
      inodes: memoryBytes,
      processes: memoryBytes,
      containers: [],
    };
  };
  const ranked = (signal: Signal, ...uses: readonly PodUse[]): string =>
    rankPods(signal, uses)
      .map(({ pod }) => pod.metadata?.name)
      .join(' ');

  test('begins with who uses more than it asked for, then by priority, then by how much', () => {
    const uses = [
      use('within', 300, {}, '400'),
      use('beyond', 500, {}, '400'),
      use('far', 600, {}, '100'),
      use('important', 900, { priority: 100 }),
      use('critical', 900, { priority: 2_000_000_000 }),
    ];
    expect(ranked('memory.available', ...uses)).toBe('far beyond important within');
    expect(ranked('allocatableMemory.available', ...uses)).toBe('far beyond important within');
    expect(ranked('nodefs.available', ...uses)).toBe('within beyond far important');
    expect(ranked('pid.available', ...uses)).toBe('far beyond within important');
    expect(ranked('nodefs.inodesFree', ...uses)).toBe('far beyond within important');
  });

  test('what a RuntimeClass adds to a pod is asked for, too', () => {
    const uses = [use('with', 500, { overhead: { memory: '150' } }, '400'), use('without', 450, {}, '400')];
    expect(ranked('memory.available', ...uses)).toBe('without with');
  });
});

describe('evictionNotice()', () => {
  const [hard] = eviction.thresholds;
  if (hard === undefined) throw new Error('no threshold');
  const memory = { ...hard, value: { amount: 100 * 1024 * 1024 } };
  const disk = { ...hard, signal: 'nodefs.available', value: { fraction: 0.1 } } as const;
  const pids = { ...hard, signal: 'pid.available', value: { amount: 2048 } } as const;
  const pod: Pod = {
    spec: {
      containers: [
        { name: 'a', image: 'i', resources: { requests: { memory: '1Mi', 'ephemeral-storage': '2Ki' } } },
        { name: 'b', image: 'i' },
      ],
    },
  };
  const containers = [
    { name: 'a', memoryBytes: 1024 * 1024, storageBytes: 4096 },
    { name: 'b', memoryBytes: 5000, storageBytes: 0 },
    { name: 'first', memoryBytes: 9000, storageBytes: 0 },
  ];

  test('says what was short, and which main containers had more of it than they asked for', () => {
    expect(evictionNotice(memory, { available: 51_200, capacity: 1e9 }, { pod, containers })).toEqual({
      message:
        'The node was low on resource: memory. Threshold quantity: 100Mi, available: 50Ki. ' +
        'Container b was using 5000, request is 0, has larger consumption of memory. ',
      annotations: {
        offending_containers: 'b',
        offending_containers_usage: '5000',
        starved_resource: 'memory',
      },
    });
    expect(evictionNotice(disk, { available: 90, capacity: 20_005 }, { pod, containers }).message).toBe(
      'The node was low on resource: ephemeral-storage. Threshold quantity: 2000, available: 90. ' +
        'Container a was using 4Ki, request is 2Ki, has larger consumption of ephemeral-storage. ',
    );
  });

  test('what a container was given counts, where it asks for something else by now', () => {
    const given = { name: 'a', allocatedResources: { memory: '512Ki' } };
    const resized = { ...pod, status: { containerStatuses: [given] } } as unknown as Pod;
    const { message } = evictionNotice(memory, { available: 1, capacity: 1e9 }, { pod: resized, containers });
    expect(message).toContain('Container a was using 1Mi, request is 512Ki, ');
  });

  test('of process ids no container asks for any', () => {
    expect(evictionNotice(pids, { available: 1024, capacity: 9999 }, { pod, containers })).toEqual({
      message: 'The node was low on resource: pids. Threshold quantity: 2048, available: 1024. ',
      annotations: { offending_containers: '', offending_containers_usage: '', starved_resource: 'pids' },
    });
  });
});

test('one pod goes, the least important, and the next only when there is still too little', async () => {
  let memory = 50;
  const observe = async (): Promise<Observations> => seen(memory);
  const told: string[] = [];
  const pressure = new NodePressure({
    ...{ settings: eviction, observe, relieveDisk: async () => undefined },
    warn: (reason, message) => told.push(`${reason}: ${message}`),
  });
  await using node = await startTestNode({ pressure });
  for (const [name, priority] of [
    ['a', 5],
    ['b', 1],
    ['c', 9],
  ] as const)
    node.create(name, { priority });
  await node.settle();
  await node.advance(10_000);
  await node.settle();
  const phases = (): string => ['a', 'b', 'c'].map((name) => node.get(name)?.status?.phase).join(' ');
  expect(phases()).toBe('Running Failed Running');
  expect(node.get('b')?.status).toMatchObject({
    reason: 'Evicted',
    message:
      'The node was low on resource: memory. Threshold quantity: 100, available: 50. ' +
      'Container main was using 1Mi, request is 0, has larger consumption of memory. ',
  });
  expect(told).toEqual(['EvictionThresholdMet: Attempting to reclaim memory']);
  expect(node.client.all(events).find(({ reason }) => reason === 'Evicted')?.metadata?.annotations).toEqual({
    offending_containers: 'main',
    offending_containers_usage: '1Mi',
    starved_resource: 'memory',
  });
  memory = 500;
  await node.advance(10_000);
  await node.settle();
  expect(phases()).toBe('Running Failed Running');
  expect([...pressure.conditions]).toEqual(['MemoryPressure']);
});

test('where the disk is short, no pod goes if images that nobody uses make room', async () => {
  const disk = { free: 50, ofImages: 400 };
  const pressure = new NodePressure({
    settings: eviction,
    warn: () => undefined,
    observe: async () => seen(900, disk.free),
    relieveDisk: async () => {
      disk.free += disk.ofImages;
      disk.ofImages = 0;
    },
  });
  await using node = await startTestNode({ pressure });
  node.create('a', {});
  await node.settle();
  await node.advance(10_000);
  await node.settle();
  expect(node.get('a')?.status?.phase).toBe('Running');
  expect([...pressure.conditions]).toEqual(['DiskPressure']);
  disk.free = 50;
  await node.advance(10_000);
  await node.settle();
  expect(node.get('a')?.status).toMatchObject({ phase: 'Failed', reason: 'Evicted' });
});
