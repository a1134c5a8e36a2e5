import { expect, it } from 'vitest';
import type { NodeDevices } from '#agent/device/node-devices.ts';
import type { Pod } from '#api/generated/objects.ts';
import type { NodeAssignments } from '#agent/kubelet/assign/node-assignments.ts';
import type { DeviceVerdict } from '#agent/device/device-manager.ts';
import { noDevices } from '#agent/device/container-devices.ts';
import { startTestNode } from '#agent/kubelet/test-node.fixture.ts';

/** Devices that do as they are told. */
function fakeDevices(): Pick<
  NodeDevices,
  'lacks' | 'admit' | 'start' | 'healthOf' | 'collectBy' | 'onChange'
> & {
  verdict: DeviceVerdict;
  lacking: ReturnType<NodeDevices['lacks']>;
  isActive: (uid: string) => boolean;
  health: 'Healthy' | 'Unhealthy';
  readonly asked: string[];
  change(uid: string): void;
} {
  const listeners = new Set<(uids: readonly string[]) => void>();
  const fake = {
    verdict: { kind: 'admitted' } as DeviceVerdict,
    lacking: undefined as ReturnType<NodeDevices['lacks']>,
    isActive: (_uid: string): boolean => true,
    health: 'Healthy' as 'Healthy' | 'Unhealthy',
    asked: [] as string[],
    change: (uid: string): void => listeners.forEach((listener) => listener([uid])),
    lacks: () => fake.lacking,
    admit: async (pod: { readonly metadata?: { readonly name?: string } }): Promise<DeviceVerdict> => {
      fake.asked.push(pod.metadata?.name ?? '');
      return fake.verdict;
    },
    start: async () => ({
      ...noDevices,
      env: [
        { name: 'OWN', value: 'plugin' },
        { name: 'GPU', value: '0' },
      ],
      devices: [{ path: '/dev/gpu', type: 'c' as const, major: 1, minor: 3, mode: 0o666 }],
      mounts: [{ type: 'bind' as const, source: '/lib', target: '/lib/gpu', options: ['rbind'] }],
      additionalGids: [7],
    }),
    healthOf: () =>
      new Map([['c', [{ name: 'a.b/c', resources: [{ resourceID: 'x', health: fake.health }] }]]]),
    collectBy: (isActive: (uid: string) => boolean) => void (fake.isActive = isActive),
    onChange: (listener: (uids: readonly string[]) => void) => {
      listeners.add(listener);
      return { [Symbol.dispose]: () => void listeners.delete(listener) };
    },
  };
  return fake;
}

const start = (fake: ReturnType<typeof fakeDevices>): ReturnType<typeof startTestNode> =>
  startTestNode({ devices: fake as unknown as NodeDevices });
const spec = { containers: [{ name: 'c', image: 'busybox', env: [{ name: 'OWN', value: 'pod' }] }] };

it('a container has what plugins give, its own variables first, and its devices show in the status', async () => {
  const fake = fakeDevices();
  await using node = await start(fake);
  node.create('p', spec);
  await node.settle();
  const [config] = node.startedConfigs;
  const own = config?.env.filter(({ name }) => name === 'GPU' || name === 'OWN');
  expect(own?.map(({ name, value }) => `${name}=${value}`)).toEqual(['GPU=0', 'OWN=pod']);
  expect(config).toMatchObject({
    devices: [{ path: '/dev/gpu' }],
    mounts: expect.arrayContaining([expect.objectContaining({ target: '/lib/gpu' })]),
    user: { fsGroups: [7] },
  });
  const shown = (): unknown => node.get('p')?.status?.containerStatuses?.[0]?.allocatedResourcesStatus;
  expect(shown()).toMatchObject([{ resources: [{ health: 'Healthy' }] }]);
  fake.health = 'Unhealthy';
  fake.change(node.get('p')?.metadata?.uid ?? '');
  await node.settle();
  expect(shown()).toMatchObject([{ resources: [{ health: 'Unhealthy' }] }]);
});

it('a pod that cannot have its devices fails, and one whose plugin is awaited waits', async () => {
  const fake = fakeDevices();
  await using node = await start(fake);
  fake.verdict = { kind: 'refused', message: 'Allocate failed due to x, which is unexpected' };
  node.create('p', spec);
  await node.settle();
  expect(node.get('p')?.status).toMatchObject({
    phase: 'Failed',
    reason: 'UnexpectedAdmissionError',
    message: 'Pod was rejected: Allocate failed due to x, which is unexpected',
  });
  expect(fake.isActive(node.get('p')?.metadata?.uid ?? '')).toBe(false);
  fake.verdict = { kind: 'notYet', retryMs: 1000 };
  node.create('q', spec);
  await node.settle();
  expect(node.get('q')?.status?.phase).toBe('Pending');
  expect(node.startedConfigs).toEqual([]);
  fake.verdict = { kind: 'admitted' };
  await node.advance(1000);
  expect(node.get('q')?.status?.phase).toBe('Running');
  const uid = node.get('q')?.metadata?.uid ?? '';
  expect(fake.isActive(uid)).toBe(true);
  // A pod that runs is not asked about again, whatever its plugin would say.
  fake.verdict = { kind: 'refused', message: 'no' };
  fake.asked.length = 0;
  await node.restart();
  await node.settle();
  expect(fake.asked).not.toContain('q');
  expect(node.get('q')?.status?.phase).toBe('Running');
});

it('what is to lie together is decided when the plugins are there, and may be refused', async () => {
  const fake = fakeDevices();
  const decided: string[] = [];
  const words = { reason: 'TopologyAffinityError', message: 'Resources cannot be allocated' };
  const given = {
    aligns: true,
    admit: ({ metadata }: Pod) => {
      decided.push(metadata?.name ?? '');
      return metadata?.name === 'far' ? words : undefined;
    },
    keepOnly: () => false,
    placementOf: () => ({ cpus: undefined, mems: undefined, isAlone: false }),
    written: async () => undefined,
  };
  const assignments = { given: given as unknown as NodeAssignments, everyMs: 10_000 };
  await using node = await startTestNode({
    devices: fake as unknown as NodeDevices,
    workers: { assignments },
  });
  [fake.lacking, fake.verdict] = ['plugins', { kind: 'notYet', retryMs: 1000 }];
  node.create('near', spec);
  node.create('far', spec);
  await node.settle();
  expect(decided).toEqual([]);
  [fake.lacking, fake.verdict] = ['devices', { kind: 'admitted' }];
  await node.advance(1000);
  expect(decided.toSorted()).toEqual(['far', 'near']);
  expect(node.get('near')?.status?.phase).toBe('Running');
  expect(node.get('far')?.status).toMatchObject({
    ...{ phase: 'Failed', reason: words.reason },
    message: `Pod was rejected: ${words.message}`,
  });
  // One without devices is decided on as it comes.
  fake.lacking = undefined;
  node.create('plain', spec);
  await node.settle();
  expect(decided.at(-1)).toBe('plain');
});
