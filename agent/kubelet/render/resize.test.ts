import { describe, expect, test } from 'vitest';
import { events, pods } from '#api/schema/kind-ref.ts';
import type { Container, Pod, PodSpec, ResourceRequirements } from '#api/generated/objects.ts';
import type { ContainerObservation } from '#agent/runtime/runtime.ts';
import {
  allocationOf,
  decideResize,
  reportedAllocation,
  withAllocation,
  type PendingResize,
} from '#agent/kubelet/allocation.ts';
import { viewContainers } from '#agent/kubelet/sync/container-view.ts';
import type { NodeFacts } from '#agent/kubelet/node-facts.ts';
import { planResize } from './resize.ts';
import type { ResizeFact } from '#agent/kubelet/sync/pod-input.ts';
import { podCgroupResources, withPodLimits } from './resources.ts';
import { startTestNode, type TestNode } from '#agent/kubelet/test-node.fixture.ts';

const both = (cpu: string, memory: string): ResourceRequirements => ({
  requests: { cpu, memory },
  limits: { cpu, memory },
});
const container = (
  name: string,
  resources?: ResourceRequirements,
  more: Partial<Container> = {},
): Container => ({
  name,
  image: 'busybox',
  ...(resources === undefined ? {} : { resources }),
  ...more,
});
const podOf = (...containers: readonly Container[]): Pod => ({
  metadata: { uid: 'u', name: 'p', namespace: 'ns' },
  spec: { containers },
});
const node: NodeFacts = {
  name: 'n',
  ips: [],
  allocatable: { cpuMilli: 2000, memoryBytes: 1000, storageBytes: 1000 },
  memoryBytes: 1000,
  podsMax: 1,
  podPidsMax: undefined,
  isSelinuxEnabled: false,
  userNamespaceProblem: undefined,
  hostsFile: '',
};

describe('decideResize()', () => {
  const given = allocationOf(podOf(container('a', both('1', '100'))));
  const other = podOf(container('x', both('500m', '800')));
  test.each<[string, Pod, 'same' | 'give' | PendingResize]>([
    ['the same in other words', podOf(container('a', both('1000m', '0.1k'))), 'same'],
    ['what fits', podOf(container('a', both('1500m', '100'))), 'give'],
    [
      'what does not fit beside others',
      podOf(container('a', both('1501m', '100'))),
      {
        reason: 'Deferred',
        message: "Node didn't have enough resource: cpu, requested: 1501, used: 500, capacity: 2000",
      },
    ],
    [
      'what never fits',
      podOf(container('a', both('1', '1001'))),
      {
        reason: 'Infeasible',
        message: "Node didn't have enough capacity: memory, requested: 1001, capacity: 1000",
      },
    ],
    ['less', podOf(container('a', both('1', '50'))), 'give'],
  ])('%s', (_name, pod, want) => {
    expect(decideResize(pod, given, { others: () => [other], node })).toEqual(want);
  });

  test('less of one is given though another is overcommitted', () => {
    const crowd = podOf(container('x', both('1500m', '950')));
    const pod = podOf(container('a', both('500m', '100')));
    expect(decideResize(pod, given, { others: () => [crowd], node })).toBe('give');
  });
});

describe('reportedAllocation()', () => {
  test('takes what the status says of the pod as a whole, but for the sums of its containers', () => {
    const asked = { ...podOf(container('a', both('1', '100'))) };
    const pod: Pod = {
      ...asked,
      spec: {
        ...asked.spec,
        containers: asked.spec?.containers ?? [],
        resources: { limits: { memory: '200' } },
      },
      status: { resources: both('1', '150'), allocatedResources: { cpu: '1', memory: '100' } },
    };
    expect(reportedAllocation(pod).pod).toEqual({ limits: { memory: '150' } });
  });

  test('takes what the status says was given, limits as they were set', () => {
    const asked = podOf(container('a', both('2', '200')));
    const status = {
      containerStatuses: [
        {
          name: 'a',
          image: '',
          imageID: '',
          ready: true,
          restartCount: 0,
          resources: both('1', '100'),
          allocatedResources: { cpu: '1', memory: '100' },
        },
      ],
    };
    expect(reportedAllocation({ ...asked, status })).toEqual(
      allocationOf(podOf(container('a', both('1', '100')))),
    );
    expect(reportedAllocation(asked)).toEqual(allocationOf(asked));
  });
});

describe('planResize()', () => {
  const run = (name: string): ContainerObservation => ({
    id: `id-${name}`,
    name,
    attempt: 0,
    image: '',
    imageId: '',
    logPath: undefined,
    state: { state: 'running', startedAtMs: 0, pid: 1 },
  });
  const planned = (before: Pod, after: Pod): readonly string[] => {
    const sandbox = {
      id: 's',
      attempt: 0,
      state: 'ready' as const,
      createdAtMs: 0,
      ips: [],
      netnsPath: undefined,
    };
    const containers = (after.spec?.containers ?? []).map(({ name }) => run(name));
    const views = viewContainers(after, { uid: 'u', namespace: 'ns', name: 'p', sandbox, containers });
    const fact: ResizeFact = {
      allocated: allocationOf(after),
      podCgroup: podCgroupResources(before, undefined),
      actuated: new Map(
        (before.spec?.containers ?? []).map(({ name, resources }) => [
          `id-${name}`,
          withPodLimits(resources, before.spec?.resources),
        ]),
      ),
      reportedWhole: before.spec?.resources,
      pending: undefined,
      failure: undefined,
      generation: undefined,
      restarts: new Set(),
      isUnderWay: true,
      isAnnounced: false,
    };
    const { steps, restarts } = planResize(after, views, fact);
    return [
      ...steps.map(({ container: target, resources, lowersMemory }) => {
        const { cpuWeight, cpuQuotaUs, memoryMaxBytes } = resources;
        const numbers = `${cpuWeight ?? '-'} ${cpuQuotaUs ?? '-'} ${memoryMaxBytes ?? '-'}`;
        return `${target?.name ?? 'pod'}: ${numbers}${lowersMemory ? ' less memory' : ''}`;
      }),
      ...restarts.map(({ name }) => `restart ${name}`),
    ];
  };
  const whole = (pod: Pod, resources: ResourceRequirements): Pod => ({
    ...pod,
    spec: { containers: [], ...pod.spec, resources },
  });
  const restarting = { resizePolicy: [{ resourceName: 'memory', restartPolicy: 'RestartContainer' }] };

  test.each<[string, Pod, Pod, readonly string[]]>([
    ['nothing', podOf(container('a', both('1', '100'))), podOf(container('a', both('1000m', '100'))), []],
    [
      'growth: the pod first',
      podOf(container('a', both('1', '100'))),
      podOf(container('a', both('2', '200'))),
      ['pod: 174 200000 200', 'a: 174 200000 200'],
    ],
    [
      'shrinking: the pod last',
      podOf(container('a', both('2', '200'))),
      podOf(container('a', both('1', '100'))),
      ['a: 100 100000 100 less memory', 'pod: 100 100000 100 less memory'],
    ],
    [
      'memory moved from one to the other: it is freed before it is given',
      podOf(container('a', both('1', '100')), container('b', both('1', '200'))),
      podOf(container('a', both('1', '200')), container('b', both('1', '100'))),
      ['b: 100 100000 100 less memory', 'a: 100 100000 200'],
    ],
    [
      'more cpu and less memory',
      podOf(container('a', both('1', '200'))),
      podOf(container('a', both('2', '100'))),
      ['pod: 174 200000 200', 'a: 174 200000 100 less memory', 'pod: 174 200000 100 less memory'],
    ],
    [
      'a request of memory, which no cgroup file holds',
      podOf(container('a', { requests: { memory: '1' } })),
      podOf(container('a', { requests: { memory: '2' } })),
      ['a: 1 - -'],
    ],
    [
      'a restart that frees memory: the pod waits for it',
      podOf(container('a', both('1', '200'), restarting)),
      podOf(container('a', both('1', '100'), restarting)),
      ['restart a'],
    ],
    [
      'more for the pod: who has its limits gets them, others stay',
      whole(podOf(container('a'), container('b', both('1', '50'))), both('1', '100')),
      whole(podOf(container('a'), container('b', both('1', '50'))), both('2', '200')),
      ['pod: 174 200000 200', 'a: 174 200000 200'],
    ],
    [
      'less for the pod: it is last, and memory of who has its limit is looked at',
      whole(podOf(container('a')), both('2', '200')),
      whole(podOf(container('a')), both('1', '100')),
      ['a: 100 100000 100 less memory', 'pod: 100 100000 100 less memory'],
    ],
    [
      'the policy of who has the limits of the pod is asked',
      whole(podOf(container('a', undefined, restarting), container('b')), both('1', '100')),
      whole(podOf(container('a', undefined, restarting), container('b')), both('1', '200')),
      ['pod: 100 100000 200', 'b: 100 100000 200', 'restart a'],
    ],
    [
      'a limit of its own in the place of that of the pod',
      whole(podOf(container('a', { limits: { cpu: '1' } })), both('2', '200')),
      whole(podOf(container('a', { limits: { cpu: '1', memory: '200' } })), both('2', '200')),
      [],
    ],
    [
      'a restart of one resource does not come of another',
      podOf(container('a', both('1', '100'), restarting)),
      podOf(container('a', both('2', '100'), restarting)),
      ['pod: 174 200000 100', 'a: 174 200000 100'],
    ],
  ])('%s', (_name, before, after, want) => {
    expect(planned(before, after)).toEqual(want);
  });

  test('a pod with an allocation asks for just that', () => {
    const small = podOf(container('a', both('1', '100')));
    const large = podOf(container('a', both('2', '200')));
    expect(withAllocation(large, allocationOf(small))).toEqual(small);
  });
});

describe('kubelet', () => {
  const resize = async (on: TestNode, name: string, resources: ResourceRequirements): Promise<void> => {
    const { spec } = on.get(name) ?? {};
    const containers = (spec?.containers ?? []).map((each) => ({ ...each, resources }));
    await on.client.patch(
      pods,
      { namespace: 'default', name },
      { kind: 'merge', body: { spec: { containers } } },
    );
    await on.settle();
  };
  const start = (
    on: TestNode,
    name: string,
    resources: ResourceRequirements,
    more: Partial<Container> = {},
  ): Pod => on.create(name, { containers: [container('main', resources, more)], restartPolicy: 'OnFailure' });
  const condition = (on: TestNode, name: string, type: string) =>
    on.get(name)?.status?.conditions?.find((each) => each.type === type);
  const main = (on: TestNode, name: string) => on.get(name)?.status?.containerStatuses?.[0];

  test('resizes a running pod in place, and says so', async () => {
    await using on = await startTestNode();

    const { uid = '' } = start(on, 'web', both('500m', '100M')).metadata ?? {};
    await on.settle();
    await resize(on, 'web', both('1', '200M'));
    expect(main(on, 'web')).toMatchObject({
      restartCount: 0,
      resources: both('1', '200M'),
      allocatedResources: { cpu: '1', memory: '200M' },
    });
    expect(on.runtime.resourcesOf(uid, main(on, 'web')?.containerID?.slice(-64) ?? '')).toMatchObject({
      cpuQuotaUs: 100_000,
      memoryMaxBytes: 2e8,
    });
    expect(on.runtime.podResourcesOf(uid)).toMatchObject({ cpuQuotaUs: 100_000, memoryMaxBytes: 2e8 });
    expect(condition(on, 'web', 'PodResizePending')).toBeUndefined();
    expect(condition(on, 'web', 'PodResizeInProgress')).toBeUndefined();
    await on.advance(500); // Normal events wait so long to be written.
    expect(on.client.all(events).map((e) => e.reason)).toEqual(
      expect.arrayContaining(['ResizeStarted', 'ResizeCompleted']),
    );
    expect(on.get('web')?.status?.observedGeneration).toBe(on.get('web')?.metadata?.generation);
  });

  test('resizes a pod as a whole, with the containers that have its limits', async () => {
    await using on = await startTestNode();

    const spec = { containers: [container('main'), container('own', both('100m', '50M'))] };
    const { uid = '' } = on.create('web', { ...spec, resources: both('500m', '100M') }).metadata ?? {};
    await on.settle();
    const told = () => on.get('web')?.status;
    expect(told()).toMatchObject({
      resources: both('500m', '100M'),
      allocatedResources: { cpu: '500m', memory: '100M' },
    });
    expect(told()?.containerStatuses?.map(({ resources }) => resources)).toEqual([{}, both('100m', '50M')]);
    expect(new Set(on.startedConfigs.map(({ resources }) => resources.memoryMaxBytes))).toEqual(
      new Set([1e8, 5e7]),
    );
    on.runtime.failNext.set('updateSandboxResources', new Error('no such file'));
    const larger = async (resources: ResourceRequirements): Promise<void> => {
      const place = { namespace: 'default', name: 'web' };
      await on.client.patch(pods, place, { kind: 'merge', body: { spec: { resources } } });
      await on.settle();
    };
    await larger(both('1', '200M'));
    expect(told()).toMatchObject({
      resources: both('500m', '100M'),
      allocatedResources: { cpu: '1', memory: '200M' },
    });
    await on.restart();
    await on.settle();
    expect(told()).toMatchObject({ resources: both('1', '200M') });
    expect(condition(on, 'web', 'PodResizeInProgress')).toBeUndefined();
    const of = (name: string) =>
      on.runtime.resourcesOf(
        uid,
        told()
          ?.containerStatuses?.find((each) => each.name === name)
          ?.containerID?.slice(-64) ?? '',
      );
    expect(of('main')).toMatchObject({ cpuQuotaUs: 100_000, memoryMaxBytes: 2e8 });
    expect(of('own')).toMatchObject({ memoryMaxBytes: 5e7 });
    expect(on.runtime.podResourcesOf(uid)).toMatchObject({ cpuQuotaUs: 100_000, memoryMaxBytes: 2e8 });
  });

  test.each<[string, Partial<PodSpec>, object]>([
    ['nothing', {}, { resources: {} }],
    [
      'the sum of its containers, limits where all have them',
      { containers: [container('a', both('1', '100M')), container('b', { limits: { memory: '50M' } })] },
      {
        resources: { limits: { memory: '150M' }, requests: { cpu: '1', memory: '100M' } },
        allocatedResources: { cpu: '1', memory: '100M' },
      },
    ],
    [
      'what it says itself, and the sum of the rest',
      {
        containers: [
          container('a', { requests: { cpu: '100m', 'ephemeral-storage': '1G' } }),
          container('b'),
        ],
        resources: { requests: { cpu: '1' }, limits: { memory: '1G' } },
      },
      {
        resources: { limits: { memory: '1G' }, requests: { cpu: '1', 'ephemeral-storage': '1G' } },
        allocatedResources: { cpu: '1', 'ephemeral-storage': '1G' },
      },
    ],
  ])('the status tells what a pod has as a whole: %s', async (_name, spec, want) => {
    await using on = await startTestNode();

    on.create('web', { containers: [container('a')], ...spec });
    await on.settle();
    const { resources, allocatedResources } = on.get('web')?.status ?? {};
    expect({ resources, allocatedResources }).toEqual(want);
  });

  test('restarts a container whose policy asks for it, whatever its exit', async () => {
    await using on = await startTestNode();

    const resizePolicy = [{ resourceName: 'memory', restartPolicy: 'RestartContainer' }];
    start(on, 'web', both('500m', '100M'), { resizePolicy });
    await on.settle();
    await resize(on, 'web', both('500m', '200M'));
    await on.advance(1000);
    expect(main(on, 'web')).toMatchObject({ restartCount: 1, ready: true, resources: both('500m', '200M') });
    expect(on.startedConfigs.at(-1)?.resources.memoryMaxBytes).toBe(2e8);
  });

  test('defers what does not fit, gives it when there is room, and says what never will', async () => {
    await using on = await startTestNode();

    start(on, 'big', both('1500m', '100M'));
    start(on, 'web', both('500m', '100M'));
    await on.settle();
    await resize(on, 'web', both('600m', '100M'));
    expect(condition(on, 'web', 'PodResizePending')).toMatchObject({ status: 'True', reason: 'Deferred' });
    expect(main(on, 'web')?.resources).toEqual(both('500m', '100M'));
    await on.restart();
    await on.settle();
    expect(condition(on, 'web', 'PodResizePending')).toMatchObject({ reason: 'Deferred' });
    await resize(on, 'big', both('1', '100M'));
    await on.settle();
    expect(condition(on, 'web', 'PodResizePending')).toBeUndefined();
    expect(main(on, 'web')?.resources).toEqual(both('600m', '100M'));
    await resize(on, 'web', both('3', '100M'));
    expect(condition(on, 'web', 'PodResizePending')).toMatchObject({ status: 'True', reason: 'Infeasible' });
  });

  test('goes on with a resize that an agent was stopped in, and tells what went wrong', async () => {
    await using on = await startTestNode();

    start(on, 'web', both('500m', '100M'));
    await on.settle();
    on.runtime.failNext.set('updateContainerResources', new Error('no such file'));
    await resize(on, 'web', both('1', '100M'));
    expect(condition(on, 'web', 'PodResizeInProgress')).toMatchObject({
      status: 'True',
      reason: 'Error',
      message: 'no such file',
    });
    expect(main(on, 'web')).toMatchObject({
      resources: both('500m', '100M'),
      allocatedResources: { cpu: '1', memory: '100M' },
    });
    await on.restart();
    await on.settle();
    expect(condition(on, 'web', 'PodResizeInProgress')).toBeUndefined();
    expect(main(on, 'web')?.resources).toEqual(both('1', '100M'));
  });

  test('lowers no memory limit below what is in use', async () => {
    await using on = await startTestNode();

    start(on, 'web', both('500m', '200M'));
    await on.settle();
    on.runtime.useMemory('main', 150e6);
    await resize(on, 'web', both('500m', '100M'));
    expect(condition(on, 'web', 'PodResizeInProgress')).toMatchObject({
      reason: 'Error',
      message: 'attempting to set container "main" memory limit (100000000) below current usage (150000000)',
    });
    on.runtime.useMemory('main', 50e6);
    await on.advance(5000);
    expect(condition(on, 'web', 'PodResizeInProgress')).toBeUndefined();
    expect(main(on, 'web')?.resources).toEqual(both('500m', '100M'));
  });
});
