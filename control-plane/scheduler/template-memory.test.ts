import { expect, it } from 'vitest';
import { createRandom } from '#base/random.fixture.ts';
import type { Namespace, Node, Pod, Service } from '#api/generated/objects.ts';
import { createClusterCache, type ClusterCache } from './cluster-cache.ts';
import { decide, searchNodes } from './decide.ts';
import type { Profile } from './plugin.ts';
import { defaultProfile } from './profile.ts';
import type { Snapshot } from './snapshot.ts';
import { createTemplateMemories } from './template-memory.ts';

const room = { cpu: '4', memory: '8Gi', pods: '20' };
const node = (
  name: string,
  { labels = {}, ...spec }: NonNullable<Node['spec']> & { labels?: Record<string, string> },
): Node => ({
  metadata: { name, labels: { 'kubernetes.io/hostname': name, ...labels } },
  spec,
  status: { allocatable: room },
});
const term = (app: string, topologyKey: string, more: object = {}) => ({
  ...{ labelSelector: { matchLabels: { app } }, topologyKey },
  ...more,
});
const teams = { namespaceSelector: { matchLabels: { team: 'a' } } };
const spread = (
  whenUnsatisfiable: 'DoNotSchedule' | 'ScheduleAnyway',
  topologyKey: string,
  more: object = {},
) => ({
  ...{ maxSkew: 1, topologyKey, whenUnsatisfiable, labelSelector: { matchLabels: { app: 'x' } } },
  ...more,
});
/** What pods ask for: of each plugin something. */
const asks: readonly Partial<NonNullable<Pod['spec']>>[] = [
  {},
  { nodeSelector: { zone: 'z1' } },
  { tolerations: [{ key: 'k', operator: 'Exists' }] },
  { topologySpreadConstraints: [spread('DoNotSchedule', 'zone')] },
  {
    topologySpreadConstraints: [
      spread('ScheduleAnyway', 'zone'),
      spread('ScheduleAnyway', 'kubernetes.io/hostname'),
    ],
  },
  {
    topologySpreadConstraints: [
      spread('DoNotSchedule', 'zone', { nodeTaintsPolicy: 'Honor', minDomains: 3 }),
    ],
  },
  { affinity: { podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [term('x', 'zone')] } } },
  {
    affinity: {
      podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [term('y', 'zone', teams)] },
    },
  },
  {
    affinity: {
      podAntiAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: [term('x', 'kubernetes.io/hostname')],
      },
    },
  },
  {
    affinity: {
      podAffinity: {
        preferredDuringSchedulingIgnoredDuringExecution: [
          { weight: 5, podAffinityTerm: term('x', 'zone', teams) },
        ],
      },
    },
  },
  {
    affinity: {
      podAntiAffinity: {
        preferredDuringSchedulingIgnoredDuringExecution: [
          { weight: 3, podAffinityTerm: term('x', 'kubernetes.io/hostname') },
        ],
      },
    },
  },
];

function snapshotOf(
  cache: ClusterCache,
  more: {
    readonly namespaces: readonly Namespace[];
    readonly version: number;
    readonly services: readonly Service[];
  },
): Snapshot {
  return {
    ...{ nodes: cache.nodes(), nodeNamed: cache.node, nodesWithImage: cache.nodesWithImage },
    ...{
      antiAffineNodes: cache.antiAffineNodes(),
      affineNodes: cache.affineNodes(),
      ...cache.affineCounts(),
    },
    services: () => more.services,
    namespaceLabels: (name) =>
      more.namespaces.find(({ metadata }) => metadata?.name === name)?.metadata?.labels ?? {},
    namespaceVersion: more.version,
  };
}

it('whatever comes and goes, what is remembered decides as if all were asked anew', () => {
  const seed = Number(process.env['PODWRIGHT_FUZZ_SEED'] ?? 11);
  const random = createRandom(seed);
  const below = (count: number): number => Math.floor(random() * count);
  const cache = createClusterCache();
  const memories = createTemplateMemories();
  const placed = new Map<string, Pod>();
  let world: Parameters<typeof snapshotOf>[1] = { namespaces: [], version: 0, services: [] };
  const labelsOf = (): Record<string, string> => ({ app: ['x', 'y'][below(2)] ?? '' });
  // Few kinds at a time, as what is remembered of a kind that comes once is not asked for.
  const kindsNow = (): readonly (() => Pod)[] =>
    Array.from({ length: 4 }, () => {
      const metadata = { namespace: ['one', 'two'][below(2)] ?? '', labels: labelsOf() };
      const owner = {
        apiVersion: 'apps/v1',
        kind: 'ReplicaSet',
        name: 'r',
        uid: `r-${below(2)}`,
        controller: true,
      };
      const ownerReferences = below(3) === 0 ? [] : [owner];
      const resources = { requests: { cpu: below(2) === 0 ? '1' : '100m' } };
      const spec = { containers: [{ name: 'c', image: 'i', resources }], ...asks[below(asks.length)] };
      return () => ({ metadata: { ...metadata, ownerReferences, name: `p-${made++}` }, spec });
    });
  let [made, kinds] = [0, kindsNow()];
  for (let step = 0; step < 900; step++) {
    if (step % 60 === 0) kinds = kindsNow();
    const name = `n-${below(12)}`;
    const [key = '', there] = [...placed][below(placed.size)] ?? [];
    switch (below(16)) {
      case 0:
        if (below(3) === 0) cache.setNode(name, undefined);
        break;
      case 1:
      case 2: {
        const taints =
          [
            [],
            [{ key: 'k', effect: 'NoSchedule' as const }],
            [{ key: 'k', effect: 'PreferNoSchedule' as const }],
          ][below(9)] ?? [];
        cache.setNode(
          name,
          node(name, {
            taints,
            unschedulable: below(12) === 0,
            labels: below(6) === 0 ? {} : { zone: `z${below(3)}` },
          }),
        );
        break;
      }
      case 3:
      case 4:
        cache.setPod(key, undefined);
        placed.delete(key);
        break;
      case 5:
      case 6:
        // Its labels change, or it is told to end: nothing else of it counts otherwise.
        if (there !== undefined)
          cache.setPod(key, {
            ...there,
            metadata: {
              ...there.metadata,
              ...(below(2) === 0 ? { labels: labelsOf() } : { deletionTimestamp: '2026-01-01T00:00:00Z' }),
            },
          });
        break;
      case 7: {
        const labels = below(2) === 0 ? {} : { team: 'a' };
        world = { ...world, namespaces: [{ metadata: { name: 'two', labels } }], version: step };
        break;
      }
      case 8:
        world = { ...world, services: below(2) === 0 ? [] : [{ spec: { selector: labelsOf() } }] };
        break;
      default: {
        const pod = kinds[below(kinds.length)]?.() ?? {};
        const context = { pod, snapshot: snapshotOf(cache, world) };
        const start = below(12);
        const want = decide(context, start);
        const memory = memories.for(pod, 'default');
        expect(decide({ ...context, memory }, start), `seed ${seed}, step ${step}`).toEqual(want);
        if (want.kind !== 'node') break;
        const bound = { ...pod, spec: { containers: [], ...pod.spec, nodeName: want.nodeName } };
        cache.assume(bound, want.nodeName);
        placed.set(`${pod.metadata?.namespace}/${pod.metadata?.name}`, bound);
      }
    }
  }
});

it.each<[string, NonNullable<Pod['metadata']>]>([
  ['that has other labels', { labels: { app: 'y' } }],
  ['that is told to end', { labels: { app: 'x' }, deletionTimestamp: '2026-01-01T00:00:00Z' }],
])('a pod %s counts no more for a constraint', (_what, change) => {
  const cache = createClusterCache();
  for (const name of ['a', 'b']) cache.setNode(name, node(name, { labels: { zone: name } }));
  const memories = createTemplateMemories();
  const named = (name: string, nodeName?: string): Pod => ({
    metadata: { name, namespace: 'one', labels: { app: 'x' } },
    spec: {
      ...(nodeName === undefined ? {} : { nodeName }),
      containers: [{ name: 'c', image: 'i' }],
      topologySpreadConstraints: [spread('DoNotSchedule', 'zone')],
    },
  });
  cache.setPod('one/there', named('there', 'a'));
  const where = (): unknown => {
    const [pod, snapshot] = [named('p'), snapshotOf(cache, { namespaces: [], version: 0, services: [] })];
    return decide({ pod, snapshot, memory: memories.for(pod, 'x') });
  };
  const large = {
    containers: [{ name: 'c', image: 'i', resources: { requests: { cpu: '2' } } }],
    nodeName: 'b',
  };
  cache.setPod('one/large', { metadata: { name: 'large', namespace: 'one' }, spec: large });
  expect(where()).toMatchObject({ nodeName: 'b' });
  const there = named('there', 'a');
  cache.setPod('one/there', { ...there, metadata: { ...there.metadata, ...change } });
  expect(where()).toMatchObject({ nodeName: 'a' });
});

/** The default profile, which counts how often its steady plugins are asked about a node. */
function counted(): { readonly profile: Profile; asked: number } {
  const counting = <T>(ask: ((node: never) => T) | undefined): ((node: never) => T) | undefined =>
    ask && ((one) => (result.asked++, ask(one)));
  const result = {
    asked: 0,
    profile: {
      ...defaultProfile,
      filters: defaultProfile.filters.map((plugin) =>
        plugin.isSteady === true
          ? { ...plugin, filter: (context: never) => counting(plugin.filter(context)) }
          : plugin,
      ),
      scores: defaultProfile.scores.map((plugin) =>
        plugin.isSteady === true
          ? { ...plugin, score: (...given: [never, never]) => counting(plugin.score(...given)) }
          : plugin,
      ),
    } as Profile,
  };
  return result;
}

it('a pod like others costs the plugins a look at the nodes that changed, however many there are', () => {
  const costs = [500, 5_000].map((count) => {
    const cache = createClusterCache();
    for (let index = 0; index < count; index++) cache.setNode(`n-${index}`, node(`n-${index}`, {}));
    const memories = createTemplateMemories();
    const result = counted();
    let start = 0;
    const bind = (index: number): void => {
      const pod: Pod = {
        metadata: { name: `p-${index}`, namespace: 'one' },
        spec: { containers: [{ name: 'c', image: 'i', resources: { requests: { cpu: '1m' } } }] },
      };
      const snapshot = snapshotOf(cache, { namespaces: [], version: 0, services: [] });
      const context = { pod, snapshot, profile: result.profile, memory: memories.for(pod, 'x') };
      const decision = decide(context, start);
      start = (start + decision.examined) % count;
      if (decision.kind === 'node')
        cache.assume(
          { ...pod, spec: { containers: [], ...pod.spec, nodeName: decision.nodeName } },
          decision.nodeName,
        );
    };
    for (let index = 0; index < 12; index++) bind(index); // Each node has been looked at.
    result.asked = 0;
    for (let index = 12; index < 32; index++) bind(index);
    return result.asked;
  });
  expect(costs[0]).toBe(costs[1]);
  expect(costs[0]).toBeLessThan(20 * 10);
});

it('is bounded: of templates and of what is summed', () => {
  const memories = createTemplateMemories();
  const podOf = (image: string): Pod => ({
    metadata: { name: 'p' },
    spec: { containers: [{ name: 'c', image }] },
  });
  const first = memories.for(podOf('0'), 'x').answers;
  for (let index = 1; index < 16; index++) memories.for(podOf(`${index}`), 'x');
  expect(memories.for(podOf('0'), 'x').answers).toBe(first);
  for (let index = 1; index <= 16; index++) memories.for(podOf(`${index}`), 'x');
  expect(memories.for(podOf('0'), 'x').answers).not.toBe(first);
});

it('nodes that are looked for by name are asked by name', () => {
  const cache = createClusterCache();
  for (const name of ['a', 'b', 'c']) cache.setNode(name, node(name, {}));
  const memories = createTemplateMemories();
  const onNode = (name: string): Pod => {
    const matchFields = [{ key: 'metadata.name', operator: 'In' as const, values: [name] }];
    const affinity = {
      nodeAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [{ matchFields }] },
      },
    };
    return { metadata: { name: 'p' }, spec: { containers: [], affinity } };
  };
  const snapshot = snapshotOf(cache, { namespaces: [], version: 0, services: [] });
  for (const name of ['c', 'a']) {
    const pod = onNode(name);
    expect(searchNodes({ pod, snapshot, memory: memories.for(pod, 'x') }, 0)).toMatchObject({
      feasible: [{ name }],
    });
  }
});
