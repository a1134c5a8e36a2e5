import { describe, expect, it } from 'vitest';
import type { DaemonSet, Node, Pod } from '#api/generated/objects.ts';
import { computeDaemonStatus, placementsOf, planDaemons, podSpecOf, type DaemonState } from './plan.ts';
import { FailedPods } from './failed-pods.ts';
import { revisionHashLabel } from './plan-update.ts';

const daemonSet: DaemonSet = {
  metadata: { name: 'd', namespace: 'default', generation: 3 },
  spec: {
    selector: { matchLabels: { a: 'b' } },
    template: { spec: { containers: [{ name: 'c', image: 'i' }] } },
  },
};
const node = (name: string, change: Partial<Node> = {}): Node => ({ metadata: { name }, ...change });
const pod = (name: string, nodeName: string, change: Partial<Pod> = {}): Pod => ({
  metadata: { name, uid: name, labels: { [revisionHashLabel]: 'new' } },
  spec: { nodeName, containers: [] },
  status: { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] },
  ...change,
});
const old = (name: string): Partial<Pod> => ({
  metadata: { name, uid: name, labels: { [revisionHashLabel]: 'old' } },
});
/** Not ready. */
const ill: Partial<Pod> = { status: { phase: 'Running', conditions: [{ type: 'Ready', status: 'False' }] } };
/** Where no pod comes, and those that are there may stay. */
const tainted: Partial<Node> = { spec: { taints: [{ key: 'k', effect: 'NoSchedule' }] } };
const failed: Partial<Pod> = { status: { phase: 'Failed' } };
const going = (name: string): Partial<Pod> => ({
  metadata: { name, uid: name, deletionTimestamp: '2026-01-01T00:00:00Z' },
});
const replacing = (maxUnavailable: number | string): DaemonSet => ({
  ...daemonSet,
  spec: {
    ...{ selector: {}, template: {}, ...daemonSet.spec },
    updateStrategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable } },
  },
});
const surging = (maxSurge: number | string, minReadySeconds = 0): DaemonSet => ({
  ...daemonSet,
  spec: {
    ...{ selector: {}, template: {}, ...daemonSet.spec, minReadySeconds },
    updateStrategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge, maxUnavailable: 0 } },
  },
});
const state = (change: Partial<DaemonState>): DaemonState => ({
  ...{ daemonSet, nodes: [node('a'), node('b')], pods: [], hash: 'new', deletedUids: new Set() },
  ...{ nowMs: 0 },
  ...change,
});

describe('planDaemons()', () => {
  const rows: readonly {
    readonly name: string;
    readonly given: Partial<DaemonState>;
    readonly want: string;
  }[] = [
    { name: 'makes a pod on each node', given: {}, want: '+a +b' },
    { name: 'leaves a node that has one alone', given: { pods: [pod('p', 'a')] }, want: '+b' },
    {
      name: 'counts a pod that is meant for a node, though the scheduler has not put it there',
      given: { pods: [pod('p', '', { spec: podSpecOf(daemonSet, 'b') })] },
      want: '+a',
    },
    { name: 'keeps one of two', given: { pods: [pod('p', 'a'), pod('q', 'a'), pod('r', 'b')] }, want: '-q' },
    {
      name: 'keeps the one that has its node, though another is older',
      given: {
        nodes: [node('a')],
        pods: [pod('p', '', { spec: podSpecOf(daemonSet, 'a') }), pod('q', 'a')],
      },
      want: '-p',
    },
    {
      name: 'waits for a pod that goes',
      given: { nodes: [node('a')], pods: [pod('p', 'a', going('p'))] },
      want: '',
    },
    {
      name: 'waits for a pod whose deletion was asked for, though it does not show it yet',
      given: { nodes: [node('a')], pods: [pod('p', 'a')], deletedUids: new Set(['p']) },
      want: '',
    },
    {
      name: 'does not wait for the finalizers of one that ended',
      given: { nodes: [node('a')], pods: [pod('p', 'a', { ...failed, ...going('p') })] },
      want: '+a',
    },
    {
      name: 'removes a pod of a node that it does not tolerate any more',
      given: {
        nodes: [node('a', { spec: { taints: [{ key: 'k', effect: 'NoExecute' }] } })],
        pods: [pod('p', 'a')],
      },
      want: '-p',
    },
    {
      name: 'lets a pod stay where no new one would come',
      given: {
        nodes: [node('a', { spec: { taints: [{ key: 'k', effect: 'NoSchedule' }] } })],
        pods: [pod('p', 'a')],
      },
      want: '',
    },
    {
      name: 'updates as many as may be unavailable',
      given: { pods: [pod('p', 'a', old('p')), pod('q', 'b', old('q'))] },
      want: '-p',
    },
    {
      name: 'updates old ones that are unavailable whatever the limit, and counts them',
      given: {
        daemonSet: replacing(3),
        nodes: ['a', 'b', 'c', 'd'].map((name) => node(name)),
        pods: [
          ...['p', 'q'].map((name, index) => pod(name, 'ab'.charAt(index), { ...old(name), ...ill })),
          ...['r', 's'].map((name, index) => pod(name, 'cd'.charAt(index), old(name))),
        ],
      },
      want: '-p -q -r',
    },
    {
      name: 'updates no available one while new ones are unavailable',
      given: {
        daemonSet: replacing(2),
        nodes: ['a', 'b', 'c', 'd'].map((name) => node(name)),
        pods: [
          ...[pod('p', 'a', ill), pod('q', 'b', ill), pod('r', 'c', { ...old('r'), ...ill })],
          pod('s', 'd', old('s')),
        ],
      },
      want: '-r',
    },
    {
      name: 'lets one go at least',
      given: { daemonSet: replacing('0%'), pods: [pod('p', 'a', old('p')), pod('q', 'b', old('q'))] },
      want: '-p',
    },
    {
      name: 'reckons what may be unavailable as a share of the nodes, rounded up',
      given: {
        daemonSet: replacing('50%'),
        nodes: ['a', 'b', 'c'].map((name) => node(name)),
        pods: ['a', 'b', 'c'].map((name) => pod(name, name, old(name))),
      },
      want: '-a -b',
    },
    {
      name: 'puts as many beside old ones as may surge',
      given: { daemonSet: surging(1), pods: [pod('p', 'a', old('p')), pod('q', 'b', old('q'))] },
      want: '+a',
    },
    {
      name: 'reckons the surge as a share of the nodes',
      given: { daemonSet: surging('60%'), pods: [pod('p', 'a', old('p')), pod('q', 'b', old('q'))] },
      want: '+a +b',
    },
    {
      name: 'puts one beside an old one that is not available at once, whatever the surge',
      given: {
        daemonSet: surging(1),
        pods: [pod('p', 'a', old('p')), pod('q', 'b', { ...old('q'), ...ill })],
      },
      want: '+b +a',
    },
    {
      name: 'waits with the next while the new pod of a surge is not available',
      given: {
        daemonSet: surging(1),
        pods: [pod('p', 'a', old('p')), pod('n', 'a', ill), pod('q', 'b', old('q'))],
      },
      want: '',
    },
    {
      name: 'ends the old pod once the new one beside it is available, and goes on',
      given: {
        daemonSet: surging(1),
        pods: [pod('p', 'a', old('p')), pod('n', 'a'), pod('q', 'b', old('q'))],
      },
      want: '+b -p',
    },
    {
      name: 'ends an old pod that is not ready any more, though the new one is not either',
      given: {
        daemonSet: surging(1),
        nodes: [node('a')],
        pods: [pod('p', 'a', { ...old('p'), ...ill }), pod('n', 'a', ill)],
      },
      want: '-p',
    },
    {
      name: 'keeps one of each template while it surges',
      given: {
        daemonSet: surging(1),
        nodes: [node('a')],
        pods: [pod('n', 'a', ill), pod('o', 'a', ill), pod('p', 'a', old('p')), pod('q', 'a', old('q'))],
      },
      want: '-o -q',
    },
    {
      name: 'does not surge by OnDelete',
      given: {
        daemonSet: {
          ...daemonSet,
          spec: { selector: {}, template: {}, ...daemonSet.spec, updateStrategy: { type: 'OnDelete' } },
        },
        pods: [pod('p', 'a', old('p')), pod('q', 'b', old('q'))],
      },
      want: '',
    },
    {
      name: 'updates an old pod where none would come now, by its going, within what may be unavailable',
      given: {
        nodes: [node('a', tainted), node('b'), node('c', tainted)],
        pods: [pod('p', 'a', old('p')), pod('q', 'b', old('q')), pod('r', 'c', old('r'))],
      },
      want: '-p',
    },
    {
      name: 'waits with it while another is unavailable',
      given: {
        nodes: [node('a', tainted), node('b')],
        pods: [pod('p', 'a', old('p')), pod('q', 'b', ill)],
      },
      want: '',
    },
    {
      name: 'leaves one of the present template where none would come now',
      given: { nodes: [node('a', tainted), node('b')], pods: [pod('p', 'a'), pod('q', 'b')] },
      want: '',
    },
    {
      name: 'by surge, ends it at once where it is not available',
      given: {
        daemonSet: surging(1),
        nodes: [node('a', tainted), node('b')],
        pods: [pod('p', 'a', { ...old('p'), ...ill }), pod('q', 'b')],
      },
      want: '-p',
    },
    {
      name: 'by surge, ends it once there are enough without it',
      given: {
        daemonSet: surging(1),
        nodes: [node('a', tainted), node('b')],
        pods: [pod('p', 'a', old('p')), pod('q', 'b')],
      },
      want: '-p',
    },
    {
      name: 'by surge, keeps it as long as there are not',
      given: {
        daemonSet: surging(1),
        nodes: [node('a', tainted), node('b')],
        pods: [pod('p', 'a', old('p')), pod('q', 'b', ill)],
      },
      want: '',
    },
    {
      name: 'replaces what failed, in its turn',
      given: {
        pods: [pod('p', 'a', failed), pod('q', 'b', failed)],
        failedWaitMs: (name) => (name === 'a' ? 500 : 0),
      },
      want: '-q again in 500',
    },
    {
      name: 'waits with nothing where no pod is to be',
      given: {
        nodes: [node('a', { spec: { taints: [{ key: 'k', effect: 'NoExecute' }] } })],
        pods: [pod('p', 'a', failed)],
        failedWaitMs: () => 500,
      },
      want: '-p',
    },
    {
      name: 'surges no further while a new pod that failed waits to be replaced',
      given: {
        daemonSet: surging(1),
        pods: [pod('n', 'a', failed), pod('p', 'a', old('p')), pod('q', 'b', old('q'))],
        failedWaitMs: () => 500,
      },
      want: 'again in 500',
    },
  ];
  it.each(rows)('$name', ({ given, want }) => {
    const { createOn, deletePods, againInMs } = planDaemons(state(given));
    const text = [
      ...createOn.map((name) => `+${name}`),
      ...deletePods.map((one) => `-${one.metadata?.name}`),
      ...(againInMs === undefined ? [] : [`again in ${againInMs}`]),
    ];
    expect(text.join(' ')).toBe(want);
  });
});

it('planDaemons() and computeDaemonStatus() look at a pod a few times, however many nodes there are', () => {
  const count = 500;
  let looks = 0;
  const counted = (name: string, nodeName: string): Pod => {
    const { spec, ...rest } = pod(name, nodeName);
    return Object.defineProperty(rest, 'spec', {
      enumerable: true,
      get: () => {
        looks++;
        return spec;
      },
    });
  };
  const nodes = Array.from({ length: count }, (_, index) => node(`n${index}`));
  const pods = nodes.map(({ metadata }, index) => counted(`p${index}`, metadata?.name ?? ''));
  const given = state({ nodes, pods });
  expect(planDaemons(given)).toEqual({ createOn: [], deletePods: [] });
  expect(computeDaemonStatus(given)).toMatchObject({
    ...{ currentNumberScheduled: count, desiredNumberScheduled: count, numberReady: count },
    ...{ numberMisscheduled: 0, updatedNumberScheduled: count, observedGeneration: 3 },
  });
  expect(looks).toBeLessThan(20 * count);
});

it.each<{ readonly name: string; readonly change: Partial<Pod>; readonly want: object }>([
  {
    name: 'goes and is ready',
    change: {
      metadata: {
        name: 'p',
        deletionTimestamp: '2026-01-01T00:00:00Z',
        labels: { [revisionHashLabel]: 'old' },
      },
    },
    want: { currentNumberScheduled: 1, numberReady: 1, numberAvailable: 1 },
  },
  { name: 'failed and waits', change: failed, want: { currentNumberScheduled: 1, numberReady: 0 } },
  {
    name: 'failed and goes',
    change: { ...failed, metadata: { name: 'p', deletionTimestamp: '2026-01-01T00:00:00Z' } },
    want: { currentNumberScheduled: 0, numberReady: 0 },
  },
])('computeDaemonStatus() of a node whose pod $name', ({ change, want }) => {
  const given = state({ nodes: [node('a')], pods: [pod('p', 'a', change)] });
  expect(computeDaemonStatus(given)).toMatchObject({ ...want, desiredNumberScheduled: 1 });
});

it('a node without room for it is to have its pod: why it has none is for the scheduler to say', () => {
  const requests = { cpu: '64' };
  const large: DaemonSet = {
    ...daemonSet,
    spec: {
      selector: {},
      template: { spec: { containers: [{ name: 'c', image: 'i', resources: { requests } }] } },
    },
  };
  const given = state({ daemonSet: large, nodes: [node('a', { status: { allocatable: { cpu: '4' } } })] });
  expect(planDaemons(given).createOn).toEqual(['a']);
  expect(computeDaemonStatus(given).desiredNumberScheduled).toBe(1);
});

it('placementsOf() asks each node once, as long as it is the same', () => {
  let asked = 0;
  const node: Node = {
    get metadata() {
      asked++;
      return { name: 'n1' };
    },
  };
  const placement = placementsOf({
    spec: { selector: {}, template: { spec: { containers: [], nodeName: 'n1' } } },
  });
  const first = placement(node);
  const before = asked;
  expect(placement(node)).toBe(first);
  expect(asked).toBe(before);
});

describe('FailedPods', () => {
  it('lets each wait twice as long as the one before, to a quarter of an hour, and begins anew after twice that', () => {
    const pods = new FailedPods();
    const waits: number[] = [];
    let nowMs = 0;
    for (let times = 0; times < 12; times++) {
      nowMs += pods.waitMs('d', 'a', nowMs);
      pods.noteReplaced('d', 'a', nowMs);
      waits.push(pods.waitMs('d', 'a', nowMs) / 1000);
    }
    expect(waits).toEqual([1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]);
    expect([pods.waitMs('d', 'b', nowMs), pods.waitMs('another', 'a', nowMs)]).toEqual([0, 0]);
    expect(pods.waitMs('d', 'a', nowMs + 300_000)).toBe(600_000);
    nowMs += 1_800_001;
    pods.noteReplaced('d', 'a', nowMs);
    expect(pods.waitMs('d', 'a', nowMs)).toBe(1000);
    pods.forget('d');
    expect(pods.waitMs('d', 'a', nowMs)).toBe(0);
  });
});
