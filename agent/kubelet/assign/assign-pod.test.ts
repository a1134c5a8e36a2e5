import { describe, expect, test } from 'vitest';
import type { Container, Pod } from '#api/generated/objects.ts';
import { createRandom } from '#base/random.fixture.ts';
import { assignPod, isRefusal } from './assign-pod.ts';
import type { Assigned, AssignInput, AssignRules, HintDraft } from './assignment.ts';
import { formatCpuList } from './cpu-list.ts';
import { nodesIn, type Hints } from './hints.ts';
import { inputOf, machineOf } from './machine.fixture.ts';
import { sharedCpus } from './share-cpus.ts';

const container = (name: string, cpu: string, more: Readonly<Record<string, string>> = {}): Container => ({
  name,
  image: 'i',
  resources: { limits: { cpu, memory: '1', ...more } },
});
const podOf = (
  uid: string,
  containers: readonly Container[],
  initContainers: readonly Container[] = [],
): Pod => ({
  metadata: { uid },
  spec: { containers, initContainers },
});

/** `uid/container=CPUS@NODES`, or the reason of the refusal. */
function show(pods: readonly Pod[], input: AssignInput): string {
  let assigned: Assigned = new Map();
  for (const pod of pods) {
    const result = assignPod(pod, assigned, input);
    if (isRefusal(result)) return `${result.reason}: ${result.message}`;
    assigned = result;
  }
  const parts = [...assigned].flatMap(([uid, containers]) =>
    [...containers].map(([name, { cpus, memory }]) => {
      const nodes = memory.map(({ nodes: mask }) => `@${formatCpuList(nodesIn(mask))}`)[0] ?? '';
      return `${uid}/${name}=${formatCpuList(cpus)}${nodes}`;
    }),
  );
  return [...parts, `shared=${formatCpuList(sharedCpus(input, assigned))}`].join(' ');
}

const small = machineOf({ sockets: 1, cores: 4, threads: 2 });
const large = machineOf({ sockets: 2, cores: 4, threads: 2 });
const cached = machineOf({ sockets: 1, cores: 8, cacheCores: 4 });
const fours = machineOf({ sockets: 2, nodes: 2, cores: 2 });
const take = { isWholeCores: false, isSpread: false, isCacheAligned: false };
const memory = (bytes: string): Container => container('c', '500m', { memory: bytes });

/** Machine, rules, pods in their order, what they get. */
const rows: readonly (readonly [
  name: string,
  AssignInput['topology'],
  Partial<AssignRules>,
  readonly Pod[],
  string,
])[] = [
  ['a whole core first', small, {}, [podOf('a', [container('c', '2')])], 'a/c=1,5 shared=0,2-4,6-7'],
  [
    'a single CPU of a core that is begun',
    small,
    {},
    [podOf('a', [container('c', '1')])],
    'a/c=4 shared=0-3,5-7',
  ],
  ['parts of CPUs are shared', small, {}, [podOf('a', [container('c', '1500m')])], 'shared=0-7'],
  [
    'init containers leave theirs to those that come after',
    small,
    {},
    [podOf('a', [container('c', '3')], [container('i', '2')])],
    'a/i=1,5 a/c=1,4-5 shared=0,2-3,6-7',
  ],
  [
    'nobody runs on what is reserved strictly',
    small,
    { isStrict: true, reservedCpus: [0, 4] },
    [podOf('a', [container('c', '2')])],
    'a/c=1,5 shared=2-3,6-7',
  ],
  [
    'more than there is',
    small,
    {},
    [podOf('a', [container('c', '8')])],
    'UnexpectedAdmissionError: Allocate failed due to not enough cpus available to satisfy request: requested=8, available=7, which is unexpected',
  ],
  [
    'a core has two threads',
    small,
    { take: { ...take, isWholeCores: true } },
    [podOf('a', [container('c', '3')])],
    'SMTAlignmentError: SMT Alignment Error: requested 3 cpus not multiple cpus per core = 2',
  ],
  [
    'cores that are begun do not count',
    small,
    { take: { ...take, isWholeCores: true } },
    [podOf('a', [container('c', '8')])],
    'SMTAlignmentError: SMT Alignment Error: not enough free physical CPUs: available physical CPUs = 6, requested CPUs = 8, CPUs per core = 2',
  ],
  [
    'as many from each node',
    large,
    { take: { ...take, isSpread: true } },
    [podOf('a', [container('c', '10')])],
    'a/c=1-2,4-6,8-10,12-13 shared=0,3,7,11,14-15',
  ],
  [
    'of one cache',
    cached,
    { take: { ...take, isCacheAligned: true } },
    [podOf('a', [container('c', '2')]), podOf('b', [container('c', '4')])],
    'a/c=1-2 b/c=4-7 shared=0,3',
  ],
  [
    'restricted: what one node could have is had of one node',
    large,
    { topologyPolicy: 'restricted' },
    [podOf('a', [container('c', '6')]), podOf('b', [container('c', '6')]), podOf('c', [container('c', '4')])],
    'TopologyAffinityError: Resources cannot be allocated with Topology locality',
  ],
  [
    'restricted: what no node has may be of two',
    large,
    { topologyPolicy: 'restricted' },
    [podOf('a', [container('c', '10')])],
    'a/c=1,4-7,9,12-15 shared=0,2-3,8,10-11',
  ],
  [
    'single-numa-node: what no node has is refused',
    large,
    { topologyPolicy: 'single-numa-node' },
    [podOf('a', [container('c', '10')])],
    'TopologyAffinityError: Resources cannot be allocated with Topology locality',
  ],
  [
    'best-effort: it is taken as it comes',
    large,
    { topologyPolicy: 'best-effort' },
    [podOf('a', [container('c', '6')]), podOf('b', [container('c', '8')])],
    'a/c=1-3,9-11 b/c=4-7,12-15 shared=0,8',
  ],
  [
    'scope container: each may lie elsewhere',
    large,
    { topologyPolicy: 'single-numa-node' },
    [podOf('a', [container('c', '6'), container('d', '6')])],
    'a/c=1-3,9-11 a/d=4-6,12-14 shared=0,7-8,15',
  ],
  [
    'scope pod: they lie together or not at all',
    large,
    { topologyPolicy: 'single-numa-node', scope: 'pod' },
    [podOf('a', [container('c', '6'), container('d', '6')])],
    'TopologyAffinityError: Resources cannot be allocated with Topology locality',
  ],
  [
    'closest: of two nodes those of one socket',
    fours,
    { topologyPolicy: 'best-effort', isClosest: true, reservedCpus: [0, 2] },
    [podOf('a', [container('c', '4')])],
    'a/c=4-7 shared=0-3',
  ],
  [
    'memory of one node, then of the other',
    large,
    { memoryPolicy: 'Static' },
    [podOf('a', [memory('600')]), podOf('b', [memory('600')])],
    'a/c=@0 b/c=@1 shared=0-15',
  ],
  [
    'nodes that give together give nothing of one alone',
    large,
    { memoryPolicy: 'Static' },
    [podOf('a', [memory('1500')]), podOf('b', [memory('100')])],
    'a/c=@0-1 b/c=@0-1 shared=0-15',
  ],
  [
    'more memory than there is',
    large,
    { memoryPolicy: 'Static' },
    [podOf('a', [memory('2001')])],
    'UnexpectedAdmissionError: Allocate failed due to [memorymanager] failed to find NUMA nodes to extend the current topology hint, which is unexpected',
  ],
  [
    'memory that is reserved is not given',
    large,
    { memoryPolicy: 'Static', reservedMemory: new Map([[0, new Map([['memory', 500]])]]) },
    [podOf('a', [memory('600')])],
    'a/c=@1 shared=0-15',
  ],
  [
    'CPUs and memory of one node',
    large,
    {
      memoryPolicy: 'Static',
      topologyPolicy: 'single-numa-node',
      reservedMemory: new Map([[0, new Map([['memory', 500]])]]),
    },
    [podOf('a', [container('c', '2', { memory: '600' })])],
    'a/c=4,12@1 shared=0-3,5-11,13-15',
  ],
  [
    'memory of an init container is the next one’s',
    machineOf({ sockets: 1, cores: 2 }),
    { memoryPolicy: 'Static' },
    [podOf('a', [memory('600')], [{ ...memory('900'), name: 'i' }]), podOf('b', [memory('100')])],
    'a/i=@0 a/c=@0 b/c=@0 shared=0-1',
  ],
];

describe('assignPod()', () => {
  test.each(rows)('%s', (_name, topology, rules, pods, want) => {
    expect(show(pods, inputOf(topology, rules))).toBe(want);
  });

  test('hints of devices count as those of CPUs', () => {
    const input = inputOf(large, { topologyPolicy: 'single-numa-node' });
    const drafting = (hints: Hints): HintDraft => ({
      hints: () => [hints],
      give: () => undefined,
      keep: () => undefined,
    });
    const pod = podOf('a', [container('c', '2')]);
    const near = assignPod(pod, new Map(), input, [drafting([{ nodes: 0b10, isPreferred: true }])]);
    expect(isRefusal(near) ? near : near.get('a')?.get('c')?.cpus).toEqual([4, 12]);
    expect(assignPod(pod, new Map(), input, [drafting([])])).toMatchObject({
      reason: 'TopologyAffinityError',
    });
  });

  test('a pod of another class, or with resources of its own, shares', () => {
    const burstable: Pod = {
      metadata: { uid: 'a' },
      spec: { containers: [{ name: 'c', image: 'i', resources: { requests: { cpu: '2', memory: '1' } } }] },
    };
    const whole = podOf('b', [container('c', '2')]);
    const asWhole = {
      ...whole,
      spec: { ...whole.spec, containers: whole.spec?.containers ?? [], resources: { limits: { cpu: '2' } } },
    };
    expect(show([burstable, asWhole], inputOf(small))).toBe('shared=0-7');
  });

  test('whatever comes and goes: no CPU is given twice, none that is reserved, and all is given back', () => {
    const seed = Number(process.env['PODWRIGHT_FUZZ_SEED'] ?? 7);
    const random = createRandom(seed);
    const below = (limit: number): number => Math.floor(random() * limit);
    for (let run = 0; run < 40; run++) {
      const topology = machineOf({
        sockets: 1 + below(2),
        nodes: 1 + below(2),
        cores: 2 + below(3),
        threads: 1 + below(2),
        cacheCores: 2,
      });
      const policies = ['none', 'best-effort', 'restricted', 'single-numa-node'] as const;
      const input = inputOf(topology, {
        topologyPolicy: policies[below(4)] ?? 'none',
        memoryPolicy: below(2) === 0 ? 'None' : 'Static',
        scope: below(2) === 0 ? 'pod' : 'container',
        take: { isWholeCores: below(2) === 0, isSpread: below(2) === 0, isCacheAligned: below(2) === 0 },
      });
      let assigned: Assigned = new Map();
      for (let step = 0; step < 12; step++) {
        const uid = `p${below(6)}`;
        if (assigned.has(uid)) assigned = new Map([...assigned].filter(([other]) => other !== uid));
        else {
          const size = (): string => String(1 + below(4));
          const pod = podOf(
            uid,
            [container('a', size(), { memory: String(1 + below(900)) }), container('b', size())],
            [container('i', size())],
          );
          const result = assignPod(pod, assigned, input);
          if (!isRefusal(result)) assigned = result;
        }
        const lasting = [...assigned.values()].flatMap((pod) =>
          [...pod].filter(([name]) => name !== 'i').flatMap(([, { cpus }]) => cpus),
        );
        expect(new Set(lasting).size, `seed ${seed}, run ${run}`).toBe(lasting.length);
        expect(lasting).not.toContain(0);
        const perNode = topology.nodes.map(({ id }) =>
          [...assigned.values()]
            .flatMap((pod) => [...pod.values()].flatMap(({ memory: blocks }) => blocks))
            .filter(({ nodes }) => nodes === 1 << id)
            .reduce((sum, { bytes }) => sum + bytes, 0),
        );
        expect(Math.max(...perNode), `seed ${seed}, run ${run}`).toBeLessThanOrEqual(1000);
      }
    }
  });
});
