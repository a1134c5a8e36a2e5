/** Devices that are to lie near CPUs and memory, through the topology policies of a node. */
import { join } from 'node:path';
import { describe, expect, it, test } from 'vitest';
import { createFakeClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { scratchDirectory } from '#base/scratch-directory.fixture.ts';
import type { Container, Pod } from '#api/generated/objects.ts';
import type { AssignRules } from '#agent/kubelet/assign/assignment.ts';
import { inputOf, machineOf } from '#agent/kubelet/assign/machine.fixture.ts';
import { NodeAssignments } from '#agent/kubelet/assign/node-assignments.ts';
import { deviceHints } from './device-draft.ts';
import { createDeviceManager, type DeviceManager } from './device-manager.ts';
import type { Device } from './device.ts';
import type { DevicePluginOptionsOf, Preference } from './device-plugin.ts';

const root = scratchDirectory('draft-');
const { signal } = new AbortController();
const gpu = 'example.com/gpu';
const nic = 'example.com/nic';

const at = (id: string, ...numaNodes: readonly number[]): Device => ({ id, isHealthy: true, numaNodes });
const container = (
  name: string,
  cpu: string,
  limits: Readonly<Record<string, string>>,
  more: Partial<Container> = {},
): Container => ({ name, image: 'i', resources: { limits: { cpu, memory: '1', ...limits } }, ...more });
const podOf = (
  uid: string,
  containers: readonly Container[],
  initContainers: readonly Container[] = [],
): Pod => ({ metadata: { uid }, spec: { containers, initContainers } });

interface Node {
  readonly assignments: NodeAssignments;
  readonly manager: DeviceManager;
  /** What plugins were asked to choose from. */
  readonly wishes: Preference[];
  /** While a plugin is asked what it prefers. */
  meanwhile: () => void;
  prefer: (wish: Preference) => readonly string[];
}

let count = 0;

/** Two NUMA nodes of four CPUs each, of which CPU 0 is reserved. */
async function nodeOf(
  rules: Partial<AssignRules>,
  resources: Readonly<Record<string, readonly Device[]>>,
): Promise<Node> {
  const directory = join(root, String(count++));
  const lists: (() => void)[] = [];
  const connect = async ({ endpoint, onDevices }: DevicePluginOptionsOf) => {
    lists.push(() => onDevices(new Map((resources[endpoint] ?? []).map((each) => [each.id, each]))));
    return {
      allocate: async () => ({ env: [], mounts: [], nodes: [], annotations: {}, cdiDevices: [] }),
      prefer: async (wish: Preference) => {
        node.wishes.push(wish);
        node.meanwhile();
        return node.prefer(wish);
      },
      preStart: async () => undefined,
      [Symbol.asyncDispose]: async () => undefined,
    };
  };
  const clock = createFakeClock();
  const manager = await createDeviceManager({
    ...{ checkpoint: join(root, `${count}.json`), clock, connect },
    ...{ logger: silentLogger, onChange: () => undefined },
  });
  for (const resource of Object.keys(resources)) await manager.connect({ resource, endpoint: resource });
  for (const list of lists) list();
  const input = inputOf(machineOf({ sockets: 2, cores: 4 }), rules);
  const assignments = await NodeAssignments.open({ ...input, directory, providers: [manager] });
  const node: Node = {
    ...{ assignments, manager, wishes: [], meanwhile: () => undefined, prefer: () => [] },
  };
  return node;
}

const active = new Set(['a', 'b', 'c']);

/** `container=CPUS+DEVICES` of each, or the reason of the refusal. */
async function admitted({ assignments, manager }: Node, pod: Pod): Promise<string> {
  const refusal = assignments.admit(pod, active);
  if (refusal !== undefined) return refusal.reason;
  const verdict = await manager.admit(pod, signal);
  if (verdict.kind !== 'admitted') return JSON.stringify(verdict);
  const uid = pod.metadata?.uid ?? '';
  return [...(pod.spec?.initContainers ?? []), ...(pod.spec?.containers ?? [])]
    .map(({ name }) => {
      const placement = assignments.placementOf(uid, name);
      const ids = manager.ofContainer(uid, name).flatMap((each) => each.ids);
      return `${name}=${placement.isAlone ? placement.cpus : ''}+${formatIds(ids)}`;
    })
    .join(' ');
}

const formatIds = (ids: readonly string[]): string => [...ids].toSorted().join(',');
const gpus = [at('g0', 0), at('g1', 0), at('h0', 1), at('h1', 1)];

/** Rules, resources, pods in their order, and what becomes of each. */
const rows: readonly (readonly [
  name: string,
  Partial<AssignRules>,
  Readonly<Record<string, readonly Device[]>>,
  readonly Pod[],
  readonly string[],
])[] = [
  [
    'single-numa-node: CPUs go where the devices are',
    { topologyPolicy: 'single-numa-node' },
    { [gpu]: [at('h0', 1)] },
    [podOf('a', [container('c', '2', { [gpu]: '1' })])],
    ['c=4-5+h0'],
  ],
  [
    'single-numa-node: devices go where the CPUs are',
    { topologyPolicy: 'single-numa-node' },
    { [gpu]: gpus },
    [podOf('a', [container('c', '4', { [gpu]: '1' })])],
    ['c=4-7+h0'],
  ],
  [
    'single-numa-node: what no node has all of is refused',
    { topologyPolicy: 'single-numa-node' },
    { [gpu]: [at('g0', 0), at('g1', 0)] },
    [podOf('a', [container('c', '4', { [gpu]: '1' })])],
    ['TopologyAffinityError'],
  ],
  [
    'single-numa-node: two kinds of devices decide, too',
    { topologyPolicy: 'single-numa-node', cpuPolicy: 'none' },
    { [gpu]: gpus, [nic]: [at('n1', 1)] },
    [
      podOf('a', [container('c', '1', { [gpu]: '1', [nic]: '1' })]),
      podOf('b', [container('c', '1', { [gpu]: '2' })]),
      podOf('c', [container('c', '1', { [gpu]: '2' })]),
    ],
    ['c=+h0,n1', 'c=+g0,g1', 'TopologyAffinityError'],
  ],
  [
    'best-effort: apart where it has to be',
    { topologyPolicy: 'best-effort' },
    { [gpu]: [at('g0', 0), at('g1', 0)] },
    [podOf('a', [container('c', '4', { [gpu]: '1' })])],
    ['c=1-4+g0'],
  ],
  [
    'restricted: more than one node has may be of both',
    { topologyPolicy: 'restricted' },
    { [gpu]: gpus },
    [podOf('a', [container('c', '1', { [gpu]: '3' })]), podOf('b', [container('c', '1', { [gpu]: '2' })])],
    ['c=1+g0,g1,h0', 'TopologyAffinityError'],
  ],
  [
    'each container of its own; a pod as a whole of one',
    { topologyPolicy: 'single-numa-node', scope: 'pod' },
    { [gpu]: gpus },
    [
      podOf('a', [container('c', '1', { [gpu]: '1' }), container('d', '1', { [gpu]: '1' })]),
      podOf('b', [container('c', '1', { [gpu]: '2' }), container('d', '1', { [gpu]: '1' })]),
    ],
    ['c=1+g0 d=2+g1', 'TopologyAffinityError'],
  ],
  [
    'what an init container had is near to the next one',
    { topologyPolicy: 'single-numa-node' },
    { [gpu]: [at('g0', 0), at('h0', 1)] },
    [
      podOf('a', [container('c', '1', { [gpu]: '1' })], [container('i', '4', { [gpu]: '1' })]),
      podOf('b', [container('c', '1', { [gpu]: '1' })]),
    ],
    ['i=4-7+h0 c=4+h0', 'c=1+g0'],
  ],
  [
    'devices that are near to nothing do not matter',
    { topologyPolicy: 'single-numa-node' },
    { [gpu]: [at('x'), at('y')] },
    [podOf('a', [container('c', '4', { [gpu]: '2' })])],
    ['c=4-7+x,y'],
  ],
  [
    'a class without guarantee has them of one node, too',
    { topologyPolicy: 'single-numa-node' },
    { [gpu]: [at('g0', 0), at('h0', 1)] },
    [
      podOf('a', [{ name: 'c', image: 'i', resources: { limits: { [gpu]: '2' } } }]),
      podOf('b', [{ name: 'c', image: 'i', resources: { limits: { [gpu]: '1' } } }]),
    ],
    ['TopologyAffinityError', 'c=+g0'],
  ],
  [
    'without a policy nobody is asked',
    { topologyPolicy: 'none' },
    { [gpu]: [at('h0', 1)] },
    [podOf('a', [container('c', '2', { [gpu]: '1' })])],
    ['c=1-2+h0'],
  ],
  [
    'too few devices: the words of the kubelet',
    { topologyPolicy: 'best-effort' },
    { [gpu]: [at('g0', 0)] },
    [podOf('a', [container('c', '1', { [gpu]: '2' })])],
    ['UnexpectedAdmissionError'],
  ],
];

describe('devices and the topology manager', () => {
  test.each(rows)('%s', async (_name, rules, resources, pods, want) => {
    const node = await nodeOf(rules, resources);
    const results: string[] = [];
    for (const pod of pods) results.push(await admitted(node, pod));
    expect(results).toEqual(want);
  });

  it('a plugin is asked for its preference among what lies near, and others cannot take that meanwhile', async () => {
    const rules = { topologyPolicy: 'single-numa-node', cpuPolicy: 'none' } as const;
    const node = await nodeOf(rules, { [gpu]: [...gpus, at('g2', 0)] });
    const other = podOf('b', [container('c', '1', { [gpu]: '2' })]);
    let result: Promise<string> | undefined;
    node.prefer = ({ available }) => available.toReversed();
    // In between another pod is admitted: it finds two free near node 0, of which none is the first one's.
    node.meanwhile = () => {
      node.meanwhile = () => undefined;
      result = admitted(node, other);
    };
    expect(await admitted(node, podOf('a', [container('c', '1', { [gpu]: '1' })]))).toBe('c=+g0');
    expect(node.wishes[0]).toEqual({ available: ['g0', 'g1', 'g2'], certain: [], count: 1 });
    expect(await result).toBe('c=+g1,g2');
    node.manager.collectBy((uid) => uid !== 'b');
    expect(await admitted(node, podOf('c', [container('c', '1', { [gpu]: '1' })]))).toBe('c=+g2');
    const used = node.manager.allocations().flatMap(({ ids }) => ids);
    expect(new Set(used).size).toBe(used.length);
  });

  it('what was set aside for a pod that is refused is free again', async () => {
    const rules = { topologyPolicy: 'single-numa-node', cpuPolicy: 'none' } as const;
    const node = await nodeOf(rules, { [gpu]: [at('g0', 0)] });
    const pod = podOf('a', [container('c', '1', { [gpu]: '1' })]);
    expect(node.assignments.admit(pod, active)).toBeUndefined();
    const other = podOf('b', [container('c', '1', { [gpu]: '1' })]);
    expect(await admitted(node, other)).toBe('TopologyAffinityError');
    node.manager.collectBy((uid) => uid !== 'a');
    expect(await admitted(node, other)).toBe('c=+g0');
  });
});

it.each([
  [1, [], '1! 2! 3'],
  [3, [], '3!'],
  [1, ['h0'], '2! 3'],
  [2, ['h0'], '3'],
] as const)('hints for %d with %j in hand: %s', (wanted, reusable, want) => {
  const all = new Map([at('g0', 0), at('g1', 0), at('h0', 1), at('h1', 1)].map((each) => [each.id, each]));
  const available = new Set(['g0', 'g1', 'h0']);
  const hints = deviceHints(all, { available, count: wanted, nodes: [0, 1], reusable });
  expect(hints.map(({ nodes, isPreferred }) => `${nodes}${isPreferred ? '!' : ''}`).join(' ')).toBe(want);
});
