import { expect, it } from 'vitest';
import type { JsonObject } from '#api/meta/object.ts';
import type { Node, PersistentVolume, PersistentVolumeClaim, Pod } from '#api/generated/objects.ts';
import { schedulerSettings } from '#control-plane/scheduler/config/scheduler-configuration.ts';
import { decide } from '#control-plane/scheduler/decide.ts';
import { createProfile, defaultProfile } from '#control-plane/scheduler/profile.ts';
import { nodeInfo, type Snapshot } from '#control-plane/scheduler/snapshot.ts';
import type { VolumeLookUp } from '#control-plane/scheduler/volumes/look-up.ts';

type Spec = NonNullable<Pod['spec']>;
type Labels = Readonly<Record<string, string>>;

interface Given {
  /** Of a profile. */
  readonly profile?: JsonObject;
  readonly pod?: Partial<Spec>;
  readonly labels?: Labels;
  readonly owner?: string;
  /** Default: ReplicaSet. */
  readonly ownerKind?: string;
  /** By name; a node is ready, empty and has 4 cpus, 8 Gi of memory and 4 gpus. */
  readonly nodes?: Readonly<Record<string, { readonly labels?: Labels; readonly status?: Node['status'] }>>;
  readonly running?: readonly (Partial<Spec> & {
    readonly on: string;
    readonly labels?: Labels;
    readonly owner?: string;
    readonly ownerKind?: string;
    readonly namespace?: string;
    readonly isGoing?: boolean;
  })[];
  readonly claims?: Readonly<Record<string, { readonly mode?: string; readonly volumeLabels?: Labels }>>;
}

const asking = (requests: Labels): Spec['containers'] => [{ name: 'c', image: 'i', resources: { requests } }];
const room = { cpu: '4', memory: '8Gi', pods: '10', 'x.io/gpu': '4' };

interface Meta {
  readonly labels?: Labels | undefined;
  readonly owner?: string | undefined;
  readonly ownerKind?: string | undefined;
  readonly namespace?: string | undefined;
  readonly isGoing?: boolean | undefined;
}

function metadataOf(name: string, { labels = {}, owner, ownerKind, namespace, isGoing = false }: Meta) {
  const [kind, apiVersion] = [ownerKind ?? 'ReplicaSet', ownerKind === 'Job' ? 'batch/v1' : 'apps/v1'];
  const ref = { apiVersion, kind, name: 'r', uid: owner ?? '', controller: true };
  return {
    ...{ name, namespace: namespace ?? 'default', uid: name, labels },
    ...(isGoing ? { deletionTimestamp: '2026-01-01T00:00:00Z' } : {}),
    ownerReferences: owner === undefined ? [] : [ref],
  };
}

function volumesOf({ running = [], claims = {} }: Given): VolumeLookUp {
  const claimOf = (key: string): PersistentVolumeClaim | undefined => {
    const name = key.slice('default/'.length);
    const found = claims[name];
    const accessModes = [found?.mode ?? 'ReadWriteOnce'];
    const annotations = { 'pv.kubernetes.io/bind-completed': 'yes' };
    return (
      found && {
        metadata: { name, namespace: 'default', annotations },
        spec: { accessModes, volumeName: name },
      }
    );
  };
  const volume = (name: string): PersistentVolume => ({
    metadata: { name, labels: claims[name]?.volumeLabels },
  });
  const users = (key: string): readonly string[] =>
    running
      .filter(({ volumes = [] }) =>
        volumes.some((one) => `default/${one.persistentVolumeClaim?.claimName ?? ''}` === key),
      )
      .map(({ on }) => on);
  return {
    ...{ claim: claimOf, volume, usedOn: users, storageClass: () => undefined, offered: () => [] },
    ...{ isTaken: () => false, chosenNode: () => undefined },
  };
}

function run(given: Given): string {
  const { nodes = { a: {}, b: {} }, running = [], pod = {}, labels, owner, ownerKind, profile } = given;
  const snapshot: Snapshot = {
    nodes: Object.entries(nodes).map(([name, { labels: more = {}, status }]) => {
      const node: Node = {
        metadata: { name, labels: { 'kubernetes.io/hostname': name, ...more } },
        status: { allocatable: room, ...status },
      };
      const here = running.flatMap(
        ({ on, labels: its, owner, ownerKind, namespace, isGoing, ...spec }, index) => {
          const metadata = metadataOf(`r${index}`, { labels: its, owner, ownerKind, namespace, isGoing });
          const one: Pod = { metadata, spec: { containers: asking({}), ...spec } };
          return on === name ? [[`default/r${index}`, one] as const] : [];
        },
      );
      return nodeInfo(node, new Map(here));
    }),
    services: () => [],
    namespaceLabels: (namespace): Labels => ({ name: namespace }),
    volumes: volumesOf(given),
  };
  const [settings] = schedulerSettings({ profiles: [profile ?? {}] }).profiles;
  const wanted: Pod = {
    metadata: metadataOf('p', { labels, owner, ownerKind }),
    spec: { containers: asking({ cpu: '1' }), ...pod },
  };
  const context = {
    ...{ pod: wanted, snapshot },
    profile: settings === undefined ? defaultProfile : createProfile(settings),
  };
  const decision = decide(context);
  return decision.kind === 'node' ? decision.nodeName : decision.message;
}

const disk = { name: 'd', gcePersistentDisk: { pdName: 'd' } };
const configured = (name: string, args: JsonObject): JsonObject => ({ pluginConfig: [{ name, args }] });
const scored = (name: string, args: JsonObject = {}): JsonObject => ({
  ...configured(name, args),
  plugins: { score: { disabled: [{ name: '*' }], enabled: [{ name }] } },
});
const strategy = (type: string, more: JsonObject = {}): JsonObject =>
  scored('NodeResourcesFit', { scoringStrategy: { type, ...more } });
const gpus = [{ name: 'x.io/gpu', weight: 1 }];
const image = (name: string, sizeBytes: number): Node['status'] => ({
  images: [{ names: [name], sizeBytes }],
});
const zoneLabel = 'topology.kubernetes.io/zone';
const app = (name: string) => ({ matchLabels: { app: name } });
const spread = (change: object): Partial<Spec> => ({
  topologySpreadConstraints: [
    {
      ...{ maxSkew: 1, topologyKey: 'zone', whenUnsatisfiable: 'DoNotSchedule', labelSelector: app('w') },
      ...change,
    },
  ],
});
const [host, required] = [
  'kubernetes.io/hostname',
  'requiredDuringSchedulingIgnoredDuringExecution',
] as const;
const inZone = (zone: string) => ({ labels: { [zoneLabel]: zone } });
/** One term for each list, which names all of these. */
const onNodes = (...terms: readonly (readonly string[])[]): Partial<Spec> => ({
  affinity: {
    nodeAffinity: {
      [required]: {
        nodeSelectorTerms: terms.map((names) => ({
          matchFields: names.map((name) => ({ key: 'metadata.name', operator: 'In', values: [name] })),
        })),
      },
    },
  },
});
const zones = { a: { labels: { zone: '1' } }, b: { labels: { zone: '2' } } };
const preferring = (which: 'podAffinity' | 'podAntiAffinity', name: string): Partial<Spec> => ({
  affinity: {
    [which]: {
      preferredDuringSchedulingIgnoredDuringExecution: [
        { weight: 10, podAffinityTerm: { topologyKey: host, labelSelector: app(name) } },
      ],
    },
  },
});
const joining = (...terms: readonly object[]): Partial<Spec> => ({
  affinity: { podAffinity: { [required]: terms.map((term) => ({ topologyKey: host, ...term })) } },
});
const using = (claimName: string): Partial<Spec> => ({
  volumes: [{ name: 'v', persistentVolumeClaim: { claimName } }],
});

const mebibytes = (count: number): number => count * 1_048_576;

const rows: readonly { readonly name: string; readonly given: Given; readonly want: string }[] = [
  {
    name: 'the overhead of a RuntimeClass takes room as what containers ask for',
    given: {
      profile: strategy('MostAllocated'),
      running: [{ on: 'a', containers: asking({ cpu: '1' }), overhead: { cpu: '2500m' } }],
    },
    want: 'b',
  },
  {
    name: 'a pod needs room for its overhead',
    given: {
      profile: strategy('MostAllocated'),
      nodes: { a: { status: { allocatable: { ...room, cpu: '1' } } }, b: {} },
      pod: { overhead: { cpu: '100m' } },
    },
    want: 'b',
  },
  {
    name: 'MostAllocated fills the fuller node',
    given: {
      profile: strategy('MostAllocated'),
      running: [{ on: 'b', containers: asking({ cpu: '1' }) }],
    },
    want: 'b',
  },
  {
    name: 'LeastAllocated by what it names: gpus',
    given: {
      profile: strategy('LeastAllocated', { resources: gpus }),
      pod: { containers: asking({ 'x.io/gpu': '1' }) },
      running: [
        { on: 'a', containers: asking({ 'x.io/gpu': '1' }) },
        { on: 'b', containers: asking({ cpu: '3' }) },
      ],
    },
    want: 'b',
  },
  {
    name: 'a resource that the pod does not ask for says nothing',
    given: {
      profile: strategy('LeastAllocated', { resources: gpus }),
      running: [{ on: 'a', containers: asking({ 'x.io/gpu': '1' }) }],
    },
    want: 'a',
  },
  {
    name: 'RequestedToCapacityRatio: half full is best',
    given: {
      profile: strategy('RequestedToCapacityRatio', {
        resources: [{ name: 'cpu', weight: 1 }],
        requestedToCapacityRatio: {
          shape: [
            { utilization: 0, score: 0 },
            { utilization: 50, score: 10 },
            { utilization: 100, score: 0 },
          ],
        },
      }),
      nodes: { a: {}, b: {}, c: {} },
      running: [
        { on: 'b', containers: asking({ cpu: '1' }) },
        { on: 'c', containers: asking({ cpu: '2' }) },
      ],
    },
    want: 'b',
  },
  {
    name: 'ignored resources are not counted',
    given: {
      profile: configured('NodeResourcesFit', { ignoredResourceGroups: ['x.io'] }),
      pod: { containers: asking({ 'x.io/gpu': '9' }) },
    },
    want: 'a',
  },
  {
    name: 'balance over three resources',
    given: {
      profile: scored('NodeResourcesBalancedAllocation', {
        resources: [{ name: 'cpu' }, { name: 'memory' }, ...gpus],
      }),
      pod: { containers: asking({ cpu: '1', memory: '2Gi', 'x.io/gpu': '2' }) },
      running: [
        { on: 'a', containers: asking({ 'x.io/gpu': '2' }) },
        { on: 'b', containers: asking({ cpu: '2', memory: '4Gi' }) },
      ],
    },
    want: 'b',
  },
  {
    name: 'balance: where the pod makes it better, and not where it is best with it',
    given: {
      profile: scored('NodeResourcesBalancedAllocation'),
      pod: { containers: asking({ cpu: '1', memory: '3Gi' }) },
      // a: 1/4 and 1/4, then 2/4 and 5/8; b: 3/4 and 1/8, then 4/4 and 4/8.
      running: [
        { on: 'a', containers: asking({ cpu: '1', memory: '2Gi' }) },
        { on: 'b', containers: asking({ cpu: '3', memory: '1Gi' }) },
      ],
    },
    want: 'b',
  },
  {
    name: 'a pod that asks for nothing does not care for balance',
    given: {
      profile: scored('NodeResourcesBalancedAllocation'),
      pod: { containers: asking({}) },
      running: [{ on: 'a', containers: asking({ cpu: '4' }) }],
    },
    want: 'a',
  },
  {
    name: 'an image that is there, of an init container too',
    given: {
      profile: scored('ImageLocality'),
      pod: { initContainers: [{ name: 'i', image: 'big' }] },
      nodes: { a: {}, b: { status: image('big:latest', mebibytes(900)) } },
    },
    want: 'b',
  },
  {
    name: 'an image that few have counts little',
    given: {
      profile: scored('ImageLocality'),
      pod: { containers: [{ name: 'c', image: 'rare' }] },
      nodes: {
        ...Object.fromEntries(['a', 'c', 'd', 'e'].map((name) => [name, {}])),
        b: { status: image('rare:latest', mebibytes(110)) }, // A fifth of it is less than 23 MiB.
      },
    },
    want: 'a',
  },
  {
    name: 'affinity that the configuration adds',
    given: {
      profile: configured('NodeAffinity', {
        addedAffinity: {
          [required]: {
            nodeSelectorTerms: [{ matchExpressions: [{ key: 'zone', operator: 'In', values: ['2'] }] }],
          },
        },
      }),
      nodes: zones,
    },
    want: 'b',
  },
  {
    name: 'affinity that the configuration adds and no node has',
    given: {
      profile: configured('NodeAffinity', {
        addedAffinity: {
          [required]: { nodeSelectorTerms: [{ matchExpressions: [{ key: 'zone', operator: 'Exists' }] }] },
        },
      }),
    },
    want: "0/2 nodes are available: 2 node(s) didn't match scheduler-enforced node affinity.",
  },
  {
    name: 'too few domains: the emptiest counts as 0',
    given: {
      ...{ pod: spread({ minDomains: 3 }), labels: { app: 'w' }, nodes: zones },
      running: ['a', 'b'].map((on) => ({ on, labels: { app: 'w' } })),
    },
    want: "0/2 nodes are available: 2 node(s) didn't match pod topology spread constraints.",
  },
  {
    name: 'a node without one of the labels counts for none of the constraints',
    given: {
      pod: {
        topologySpreadConstraints: [
          ...(spread({}).topologySpreadConstraints ?? []),
          ...(spread({ topologyKey: 'rack' }).topologySpreadConstraints ?? []),
        ],
      },
      labels: { app: 'w' },
      nodes: {
        a: { labels: { zone: '1', rack: '1' } },
        b: { labels: { zone: '2' } },
      },
      running: [{ on: 'a', labels: { app: 'w' } }],
    },
    want: 'a',
  },
  {
    name: 'nodeAffinityPolicy Ignore counts nodes that the pod cannot go to',
    given: {
      pod: { ...spread({ nodeAffinityPolicy: 'Ignore' }), nodeSelector: { zone: '1' } },
      ...{ labels: { app: 'w' }, nodes: zones, running: [{ on: 'a', labels: { app: 'w' } }] },
    },
    want: "0/2 nodes are available: 1 node(s) didn't match Pod's node affinity/selector, 1 node(s) didn't match pod topology spread constraints.",
  },
  {
    name: 'matchLabelKeys: pods of another revision do not count',
    given: {
      pod: spread({ matchLabelKeys: ['rev'] }),
      ...{ labels: { app: 'w', rev: '2' }, nodes: { a: zones.a } },
      running: [{ on: 'a', labels: { app: 'w', rev: '1' } }],
    },
    want: 'a',
  },
  {
    name: 'an empty selector of a constraint counts nobody',
    given: {
      ...{ pod: spread({ labelSelector: {} }), nodes: zones },
      running: ['a', 'a', 'b'].map((on) => ({ on })),
    },
    want: 'b',
  },
  {
    name: 'ScheduleAnyway: the emptier zone, and not the node without one',
    given: {
      profile: scored('PodTopologySpread'),
      pod: spread({ whenUnsatisfiable: 'ScheduleAnyway' }),
      ...{ labels: { app: 'w' }, nodes: { 0: {}, ...zones } },
      running: [{ on: 'a', labels: { app: 'w' } }],
    },
    want: 'b',
  },
  {
    name: 'an image that is there for a volume',
    given: {
      profile: scored('ImageLocality'),
      pod: { volumes: [{ name: 'i', image: { reference: 'big' } }] },
      nodes: { a: {}, b: { status: image('big:latest', mebibytes(900)) } },
    },
    want: 'b',
  },
  {
    name: 'ScheduleAnyway: zones that are alike, and not the node without one',
    given: {
      profile: scored('PodTopologySpread'),
      pod: spread({ whenUnsatisfiable: 'ScheduleAnyway' }),
      ...{ labels: { app: 'w' }, nodes: { 0: {}, ...zones } },
    },
    want: 'a',
  },
  {
    name: 'without constraints: over zones, too',
    given: {
      ...{ profile: scored('PodTopologySpread'), owner: 'u' },
      nodes: { a: inZone('1'), b: inZone('1'), c: inZone('2') },
      running: [
        { on: 'a', owner: 'u' },
        { on: 'b', owner: 'u' },
        { on: 'c', owner: 'u' },
      ],
    },
    want: 'c',
  },
  {
    name: 'without constraints: a node counts before a zone, and one without a zone, too',
    given: {
      ...{ profile: scored('PodTopologySpread'), owner: 'u' },
      nodes: { a: inZone('1'), b: inZone('2'), c: {} },
      running: [
        { on: 'a', owner: 'u' },
        { on: 'b', owner: 'u' },
      ],
    },
    want: 'c',
  },
  {
    name: 'without constraints: pods that go do not count',
    given: {
      ...{ profile: scored('PodTopologySpread'), owner: 'u' },
      running: [
        { on: 'a', owner: 'u' },
        { on: 'b', owner: 'u', isGoing: true },
      ],
    },
    want: 'b',
  },
  {
    name: 'pods of a Job are not spread by what the configuration says',
    given: {
      profile: configured('PodTopologySpread', {
        defaultingType: 'List',
        defaultConstraints: [{ maxSkew: 1, topologyKey: 'zone', whenUnsatisfiable: 'DoNotSchedule' }],
      }),
      ...{ owner: 'u', ownerKind: 'Job', nodes: zones },
      running: [
        { on: 'a', owner: 'u', ownerKind: 'Job' },
        { on: 'b', containers: asking({ cpu: '3' }) },
      ],
    },
    want: 'a',
  },
  {
    name: 'a pod that names two nodes at once',
    given: { pod: onNodes(['a', 'b']) },
    want: '0/2 nodes are available: pod affinity terms conflict.',
  },
  {
    name: 'a pod that names two nodes at once, or a third',
    given: { pod: onNodes(['a', 'b'], ['b']) },
    want: 'b',
  },
  {
    name: 'constraints of the configuration, for pods of a controller',
    given: {
      profile: configured('PodTopologySpread', {
        defaultingType: 'List',
        defaultConstraints: [{ maxSkew: 1, topologyKey: 'zone', whenUnsatisfiable: 'DoNotSchedule' }],
      }),
      ...{ owner: 'u', nodes: zones },
      running: [
        { on: 'a', owner: 'u' },
        { on: 'b', containers: asking({ cpu: '3' }) },
      ],
    },
    want: 'b',
  },
  {
    name: 'a pod of another who would be with this one',
    given: {
      profile: scored('InterPodAffinity'),
      labels: { app: 'w' },
      running: [{ on: 'b', ...preferring('podAffinity', 'w') }],
    },
    want: 'b',
  },
  {
    name: 'a pod of another who would be without this one',
    given: {
      profile: scored('InterPodAffinity'),
      labels: { app: 'w' },
      running: [{ on: 'a', ...preferring('podAntiAffinity', 'w') }],
    },
    want: 'b',
  },
  {
    name: 'preferences of others may be ignored',
    given: {
      profile: scored('InterPodAffinity', { ignorePreferredTermsOfExistingPods: true }),
      labels: { app: 'w' },
      running: [{ on: 'a', ...preferring('podAntiAffinity', 'w') }],
    },
    want: 'a',
  },
  {
    name: 'preferences of others are ignored for pods without their own alone',
    given: {
      profile: scored('InterPodAffinity', { ignorePreferredTermsOfExistingPods: true }),
      ...{ labels: { app: 'w' }, pod: preferring('podAffinity', 'nobody') },
      running: [{ on: 'a', ...preferring('podAntiAffinity', 'w') }],
    },
    want: 'b',
  },
  {
    name: 'what others require counts a little',
    given: {
      profile: scored('InterPodAffinity'),
      labels: { app: 'w' },
      running: [{ on: 'b', ...joining({ labelSelector: app('w') }) }],
    },
    want: 'b',
  },
  {
    name: 'two terms of affinity are of the same pod',
    given: {
      pod: joining({ labelSelector: app('x') }, { labelSelector: app('y') }),
      running: [
        { on: 'a', labels: { app: 'x' } },
        { on: 'a', labels: { app: 'y' } },
      ],
    },
    want: "0/2 nodes are available: 2 node(s) didn't match pod affinity rules.",
  },
  {
    name: 'namespaceSelector joins pods of other namespaces',
    given: {
      pod: joining({ labelSelector: app('x'), namespaceSelector: { matchLabels: { name: 'n' } } }),
      running: [
        { on: 'a', labels: { app: 'x' } },
        { on: 'b', labels: { app: 'x' }, namespace: 'n' },
      ],
    },
    want: 'b',
  },
  {
    name: 'mismatchLabelKeys: not with its own',
    given: {
      pod: joining({ labelSelector: app('x'), mismatchLabelKeys: ['tenant'] }),
      labels: { tenant: '1' },
      running: [
        { on: 'a', labels: { app: 'x', tenant: '1' } },
        { on: 'b', labels: { app: 'x', tenant: '2' } },
      ],
    },
    want: 'b',
  },
  {
    name: 'the zone of a volume',
    given: {
      pod: using('v'),
      claims: { v: { volumeLabels: { [zoneLabel]: '2__3' } } },
      nodes: { a: { labels: { [zoneLabel]: '1' } }, b: { labels: { [zoneLabel]: '3' } } },
    },
    want: 'b',
  },
  {
    name: 'the zone of a volume, and a node that says its region alone',
    given: {
      pod: using('v'),
      claims: { v: { volumeLabels: { [zoneLabel]: '1' } } },
      nodes: { a: { labels: { 'topology.kubernetes.io/region': 'r' } } },
    },
    want: '0/1 nodes are available: 1 node(s) had no available volume zone.',
  },
  {
    name: 'the zone of a volume, by the older label',
    given: {
      pod: using('v'),
      claims: { v: { volumeLabels: { 'failure-domain.beta.kubernetes.io/zone': '1' } } },
      nodes: {
        a: { labels: { [zoneLabel]: '2' } },
        b: { labels: { [zoneLabel]: '1' } },
      },
    },
    want: 'b',
  },
  {
    name: 'the zone of a volume, and a node of the older label alone',
    given: {
      pod: using('v'),
      claims: { v: { volumeLabels: { [zoneLabel]: '1' } } },
      nodes: { a: { labels: { 'failure-domain.beta.kubernetes.io/zone': '1' } } },
    },
    want: '0/1 nodes are available: 1 node(s) had no available volume zone.',
  },
  {
    name: 'a volume of two zones, as its two labels say',
    given: {
      pod: using('v'),
      claims: {
        v: { volumeLabels: { [zoneLabel]: '1', 'failure-domain.beta.kubernetes.io/zone': '2' } },
      },
      nodes: { a: { labels: { [zoneLabel]: '1' } }, b: {} },
    },
    want: 'b',
  },
  {
    name: 'ReadWriteOncePod that another has',
    given: {
      ...{ pod: using('v'), claims: { v: { mode: 'ReadWriteOncePod' } } },
      running: [{ on: 'a', ...using('v') }],
    },
    want: '0/2 nodes are available: 2 node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode.',
  },
  {
    name: 'a disk that a pod there writes',
    given: { pod: { volumes: [disk] }, running: [{ on: 'a', volumes: [disk] }] },
    want: 'b',
  },
  {
    name: 'a node that does not declare what the pod needs',
    given: {
      pod: {
        containers: [
          {
            ...{ name: 'c', image: 'i' },
            restartPolicyRules: [
              { action: 'RestartAllContainers', exitCodes: { operator: 'In', values: [1] } },
            ],
          },
        ],
      },
      nodes: { a: {}, b: { status: { declaredFeatures: ['RestartAllContainersOnContainerExits'] } } },
    },
    want: 'b',
  },
];

it.each(rows)('$name', ({ given, want }) => {
  expect(run(given)).toBe(want);
});
