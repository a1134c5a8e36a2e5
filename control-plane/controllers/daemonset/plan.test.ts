import { describe, expect, it } from 'vitest';
import type { DaemonSet, Node, Pod } from '#api/generated/objects.ts';
import {
  computeDaemonStatus,
  placementsOf,
  planDaemons,
  podSpecOf,
  revisionHashLabel,
  type DaemonState,
} from './plan.ts';

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
  ];
  it.each(rows)('$name', ({ given, want }) => {
    const { createOn, deletePods } = planDaemons(state(given));
    const text = [
      ...createOn.map((name) => `+${name}`),
      ...deletePods.map((one) => `-${one.metadata?.name}`),
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
