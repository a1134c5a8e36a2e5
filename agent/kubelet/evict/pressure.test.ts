import { describe, expect, test } from 'vitest';
import type { Pod, PodSpec } from '#api/generated/objects.ts';
import { readSettings } from '#agent/kubelet/config/settings.ts';
import { startTestNode } from '#agent/kubelet/test-node.fixture.ts';
import { NodePressure } from './node-pressure.ts';
import {
  evictionMessage,
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
  evictionMinimumReclaim: { 'nodefs.available': '50' },
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
        [0, seen(150), '', ''],
        [20, seen(150), '', ''],
        [25, seen(300), '', ''],
        [30, seen(150), '', ''],
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
    ['memory comes first', [[0, seen(50, 50), 'MemoryPressure DiskPressure', 'hard memory.available']]],
  ])('%s', (_name, moments) => {
    expect(run(moments)).toEqual(moments.map(([, , conditions, due]) => [conditions, due]));
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
    expect(ranked('nodefs.available', ...uses)).toBe('within beyond far important');
    expect(ranked('pid.available', ...uses)).toBe('far beyond within important');
    expect(ranked('nodefs.inodesFree', ...uses)).toBe('far beyond within important');
  });

  test('what a RuntimeClass adds to a pod is asked for, too', () => {
    const uses = [use('with', 500, { overhead: { memory: '150' } }, '400'), use('without', 450, {}, '400')];
    expect(ranked('memory.available', ...uses)).toBe('without with');
  });
});

test('a pod is told what was short', () => {
  const [hard] = eviction.thresholds;
  if (hard === undefined) throw new Error('no threshold');
  const message = evictionMessage({ ...hard, value: { amount: 2048 } }, { available: 1024, capacity: 1e6 });
  expect(message).toBe('The node was low on resource: memory. Threshold quantity: 2Ki, available: 1Ki. ');
});

test('one pod goes, the least important, and the next only when there is still too little', async () => {
  let memory = 50;
  const observe = async (): Promise<Observations> => seen(memory);
  const pressure = new NodePressure({ settings: eviction, observe, relieveDisk: async () => undefined });
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
    message: 'The node was low on resource: memory. Threshold quantity: 0Ki, available: 0Ki. ',
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
