import { expect, it } from 'vitest';
import type { Node, Pod, Service } from '#api/generated/objects.ts';
import { decide } from './decide.ts';
import { nodeInfo, type Snapshot } from './snapshot.ts';

interface Given {
  readonly pod?: Pod['spec'];
  readonly podLabels?: Readonly<Record<string, string>>;
  readonly owner?: string;
  readonly nodes?: readonly Node[];
  /** Pods that are there, by node. */
  readonly running?: readonly { readonly on: string; readonly pod: Pod }[];
  readonly services?: readonly Service[];
}

const node = (name: string, change: Partial<Node> = {}): Node => ({
  metadata: { name, labels: { 'kubernetes.io/hostname': name, zone: `zone-of-${name}` } },
  status: {
    allocatable: { cpu: '2', memory: '4Gi', 'ephemeral-storage': '10Gi', pods: '10', 'x.io/gpu': '1' },
  },
  ...change,
});
const requests = (amounts: Record<string, string>): Pod['spec'] => ({
  containers: [{ name: 'c', image: 'i', resources: { requests: amounts } }],
});
const plain: NonNullable<Pod['spec']> = { containers: [{ name: 'c', image: 'i' }] };
const labelled = (name: string, labels: Record<string, string>, spec = plain): Pod => ({
  metadata: { name, namespace: 'default', labels },
  spec,
});

function run(given: Given): string {
  const nodes = given.nodes ?? [node('a'), node('b')];
  const snapshot: Snapshot = {
    nodes: nodes.map((one) => {
      const here = (given.running ?? []).filter(({ on }) => on === one.metadata?.name);
      return nodeInfo(one, new Map(here.map(({ pod }) => [`default/${pod.metadata?.name ?? ''}`, pod])));
    }),
    services: () => given.services ?? [],
    namespaceLabels: () => ({}),
  };
  const owners =
    given.owner === undefined
      ? []
      : [{ apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'r', uid: given.owner, controller: true }];
  const pod: Pod = {
    metadata: { name: 'p', namespace: 'default', labels: given.podLabels, ownerReferences: owners },
    spec: given.pod ?? plain,
  };
  const decision = decide({ pod, snapshot });
  return decision.kind === 'node' ? decision.nodeName : decision.message;
}

const tainted = (effect: 'NoSchedule' | 'PreferNoSchedule', value = 'v'): Partial<Node> => ({
  spec: { taints: [{ key: 'k', value, effect }] },
});
const affinityTo = (labels: Record<string, string>) => [
  { labelSelector: { matchLabels: labels }, topologyKey: 'kubernetes.io/hostname' },
];

const pinnedTo = (...values: string[]): Pod['spec'] => ({
  ...plain,
  affinity: {
    nodeAffinity: {
      requiredDuringSchedulingIgnoredDuringExecution: {
        nodeSelectorTerms: values.map((value) => ({
          matchFields: [{ key: 'metadata.name', operator: 'In', values: [value] }],
        })),
      },
    },
  },
});
const rows: readonly { readonly name: string; readonly given: Given; readonly want: string }[] = [
  { name: 'takes the first of equal nodes', given: {}, want: 'a' },
  { name: 'no nodes', given: { nodes: [] }, want: 'no nodes available to schedule pods' },
  {
    name: 'counts each reason, in order of text',
    given: {
      pod: requests({ cpu: '3', memory: '1Ti' }),
      nodes: [node('a'), node('b', tainted('NoSchedule'))],
    },
    want: '0/2 nodes are available: 1 Insufficient cpu, 1 Insufficient memory, 1 node(s) had untolerated taint(s).',
  },
  {
    name: 'lower priority on a full node',
    given: {
      pod: { ...plain, ...requests({ cpu: '1500m' }), priority: 10 },
      running: [
        { on: 'a', pod: labelled('r', {}, requests({ cpu: '1' })) },
        { on: 'b', pod: labelled('s', {}, { ...plain, ...requests({ cpu: '1' }), priority: 10 }) },
      ],
    },
    want: '0/2 nodes are available: 2 Insufficient cpu.',
  },
  {
    name: 'lower priority on a full node, of a pod that does not preempt',
    given: {
      pod: { ...plain, ...requests({ cpu: '3' }), priority: 10, preemptionPolicy: 'Never' },
      running: [{ on: 'a', pod: labelled('r', {}) }],
    },
    want: '0/2 nodes are available: 2 Insufficient cpu.',
  },
  {
    name: 'lower priority on a node that has a taint',
    given: {
      pod: { ...plain, priority: 10 },
      nodes: [node('a', tainted('NoSchedule'))],
      running: [{ on: 'a', pod: labelled('r', {}) }],
    },
    want: '0/1 nodes are available: 1 node(s) had untolerated taint(s).',
  },
  {
    name: 'extended resources',
    given: { pod: requests({ 'x.io/gpu': '2' }) },
    want: '0/2 nodes are available: 2 Insufficient x.io/gpu.',
  },
  {
    name: 'ephemeral storage',
    given: { pod: requests({ 'ephemeral-storage': '11Gi' }) },
    want: '0/2 nodes are available: 2 Insufficient ephemeral-storage.',
  },
  {
    name: 'requests of running pods count',
    given: {
      pod: requests({ cpu: '1500m' }),
      running: [{ on: 'a', pod: labelled('r', {}, requests({ cpu: '1' })) }],
    },
    want: 'b',
  },
  {
    name: 'number of pods',
    given: { nodes: [node('a', { status: { allocatable: { cpu: '1', memory: '1Gi', pods: '0' } } })] },
    want: '0/1 nodes are available: 1 Too many pods.',
  },
  { name: 'prefers the emptier node', given: { running: [{ on: 'a', pod: labelled('r', {}) }] }, want: 'b' },
  {
    name: 'cordoned nodes are left out',
    given: { nodes: [node('a', { spec: { unschedulable: true } })] },
    want: '0/1 nodes are available: 1 node(s) were unschedulable.',
  },
  {
    name: 'node selector',
    given: { pod: { ...plain, nodeSelector: { zone: 'zone-of-b' } } },
    want: 'b',
  },
  {
    name: 'node selector that matches none',
    given: { pod: { ...plain, nodeSelector: { zone: 'x' } } },
    want: "0/2 nodes are available: 2 node(s) didn't match Pod's node affinity/selector.",
  },
  {
    name: 'preferred node affinity',
    given: {
      pod: {
        ...plain,
        affinity: {
          nodeAffinity: {
            preferredDuringSchedulingIgnoredDuringExecution: [
              {
                weight: 1,
                preference: { matchExpressions: [{ key: 'zone', operator: 'In', values: ['zone-of-b'] }] },
              },
            ],
          },
        },
      },
    },
    want: 'b',
  },
  {
    name: 'a tolerated taint is no obstacle',
    given: {
      pod: { ...plain, tolerations: [{ key: 'k', operator: 'Exists' }] },
      nodes: [node('a', tainted('NoSchedule'))],
    },
    want: 'a',
  },
  {
    name: 'PreferNoSchedule is avoided',
    given: { nodes: [node('a', tainted('PreferNoSchedule')), node('b')] },
    want: 'b',
  },
  {
    name: 'the port of the kubelet',
    given: {
      pod: { containers: [{ name: 'c', image: 'i', ports: [{ containerPort: 80, hostPort: 10_250 }] }] },
    },
    want: "0/2 nodes are available: 2 node(s) didn't have free ports for the requested pod ports.",
  },
  {
    name: 'host ports',
    given: {
      pod: { containers: [{ name: 'c', image: 'i', ports: [{ containerPort: 80, hostPort: 80 }] }] },
      running: ['a', 'b'].map((on) => ({
        on,
        pod: labelled(
          on,
          {},
          {
            containers: [
              { name: 'c', image: 'i', ports: [{ containerPort: 1, hostPort: 80, hostIP: '127.0.0.1' }] },
            ],
          },
        ),
      })),
    },
    want: "0/2 nodes are available: 2 node(s) didn't have free ports for the requested pod ports.",
  },
  {
    name: 'pods of a controller spread, though the node is fuller',
    given: {
      owner: 'u',
      running: [
        {
          on: 'a',
          pod: {
            ...labelled('x', {}),
            metadata: {
              name: 'x',
              namespace: 'default',
              ownerReferences: [
                { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'r', uid: 'u', controller: true },
              ],
            },
          },
        },
        { on: 'b', pod: labelled('big', {}, requests({ cpu: '1', memory: '1Gi' })) },
      ],
    },
    want: 'b',
  },
  {
    name: 'pods of a Service spread',
    given: {
      podLabels: { app: 'w' },
      services: [{ spec: { selector: { app: 'w' } } }],
      running: [
        { on: 'a', pod: labelled('x', { app: 'w' }) },
        { on: 'b', pod: labelled('big', {}, requests({ cpu: '1', memory: '1Gi' })) },
      ],
    },
    want: 'b',
  },
  {
    name: 'topology spread refuses a skew',
    given: {
      podLabels: { app: 'w' },
      pod: {
        ...plain,
        topologySpreadConstraints: [
          {
            maxSkew: 1,
            topologyKey: 'zone',
            whenUnsatisfiable: 'DoNotSchedule',
            labelSelector: { matchLabels: { app: 'w' } },
          },
        ],
      },
      running: [
        { on: 'a', pod: labelled('x', { app: 'w' }) },
        { on: 'b', pod: labelled('full', {}, requests({ cpu: '2', memory: '4Gi' })) },
      ],
    },
    want: 'b',
  },
  {
    name: 'anti-affinity to its own kind',
    given: {
      podLabels: { app: 'w' },
      pod: {
        ...plain,
        affinity: {
          podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: affinityTo({ app: 'w' }) },
        },
      },
      running: ['a', 'b'].map((on) => ({ on, pod: labelled(on, { app: 'w' }) })),
    },
    want: "0/2 nodes are available: 2 node(s) didn't match pod anti-affinity rules.",
  },
  {
    name: 'anti-affinity of a pod that is there',
    given: {
      podLabels: { app: 'w' },
      running: [
        {
          on: 'a',
          pod: labelled(
            'x',
            {},
            {
              ...plain,
              affinity: {
                podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: affinityTo({ app: 'w' }) },
              },
            },
          ),
        },
        { on: 'b', pod: labelled('big', {}, requests({ cpu: '1', memory: '1Gi' })) },
      ],
    },
    want: 'b',
  },
  {
    name: 'affinity joins',
    given: {
      pod: {
        ...plain,
        affinity: {
          podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: affinityTo({ app: 'db' }) },
        },
      },
      running: [{ on: 'b', pod: labelled('x', { app: 'db' }) }],
    },
    want: 'b',
  },
  {
    name: 'affinity with nobody to join',
    given: {
      pod: {
        ...plain,
        affinity: {
          podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: affinityTo({ app: 'db' }) },
        },
      },
    },
    want: "0/2 nodes are available: 2 node(s) didn't match pod affinity rules.",
  },
  {
    name: 'affinity to its own kind lets the first begin',
    given: {
      podLabels: { app: 'w' },
      pod: {
        ...plain,
        affinity: {
          podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: affinityTo({ app: 'w' }) },
        },
      },
    },
    want: 'a',
  },
  { name: 'a node that the pod names', given: { pod: pinnedTo('b') }, want: 'b' },
  { name: 'one of two that the pod names', given: { pod: pinnedTo('none', 'a') }, want: 'a' },
  {
    name: 'a named node that has no room: the others count as one reason',
    given: { pod: { ...plain, ...requests({ cpu: '3' }), affinity: pinnedTo('b')?.affinity } },
    want: "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) didn't satisfy plugin(s) [NodeAffinity].",
  },
  {
    name: 'a named node that is not there',
    given: { pod: pinnedTo('c') },
    want: "0/2 nodes are available: 2 node(s) didn't satisfy plugin(s) [NodeAffinity].",
  },
];

it('decide() looks at no node but those that the pod names', () => {
  const nodes = Array.from({ length: 1_000 }, (_, index) => nodeInfo(node(`n${index}`), new Map()));
  const byName = new Map(nodes.map((one) => [one.name, one]));
  const snapshot: Snapshot = {
    nodes,
    nodeNamed: (name) => byName.get(name),
    services: () => [],
    namespaceLabels: () => ({}),
  };
  const decision = decide({ pod: { metadata: { name: 'p' }, spec: pinnedTo('n700') }, snapshot });
  expect(decision).toEqual({ kind: 'node', nodeName: 'n700', examined: 1 });
});

it.each(rows)('decide() $name', ({ given, want }) => {
  expect(run(given)).toBe(want);
});
