/** Small clusters at random, of what filters of a scheduler look at. Plain objects, as a client would write them. */
import type {
  Node,
  NodeSelectorRequirement,
  Pod,
  PodAffinityTerm,
  PodSpec,
  Taint,
  Toleration,
  TopologySpreadConstraint,
  Volume,
} from '#api/generated/objects.ts';
import type { JsonObject } from '#api/meta/object.ts';

export interface RandomCluster {
  /** Spec and labels are written when they are made, the status after that. */
  readonly nodes: readonly Node[];
  /** With spec.nodeName. */
  readonly running: readonly Pod[];
  /** That wait for a node. */
  readonly pods: readonly Pod[];
}

export const namespaceNames = ['default', 'other'] as const;
const zoneLabel = 'topology.kubernetes.io/zone';
const hostLabel = 'kubernetes.io/hostname';
const zones = ['z1', 'z2', 'z3'];
const apps = ['a', 'b', 'c'];

/** What a seed's numbers are made into. */
export class Dice {
  readonly #random: () => number;

  constructor(random: () => number) {
    this.#random = random;
  }

  /** Whether something is so that is so of this share. */
  is(share: number): boolean {
    return this.#random() < share;
  }

  below(count: number): number {
    return Math.floor(this.#random() * count);
  }

  oneOf<T>(first: T, ...more: readonly T[]): T {
    return more[this.below(more.length + 1) - 1] ?? first;
  }

  among(list: readonly string[]): string {
    return list[this.below(list.length)] ?? '';
  }

  /** Of this share the member, of the others none. */
  maybe<T extends object>(share: number, member: () => T): T | object {
    return this.is(share) ? member() : {};
  }

  list<T>(most: number, item: (index: number) => T): readonly T[] {
    return Array.from({ length: this.below(most + 1) }, (_, index) => item(index));
  }
}

export function randomCluster(random: () => number): RandomCluster {
  const dice = new Dice(random);
  const nodes = Array.from({ length: 3 + dice.below(5) }, (_, index) => randomNode(dice, `n${index}`));
  const running = runningOn(dice, nodes.length);
  const pods = Array.from({ length: 20 }, (_, index) => randomPod(dice, `p${index}`, 0.25));
  return { nodes, running, pods };
}

/** No node has more than it can: 1.20 refuses pods for what they do not ask for, where a node has promised too much (kubernetes#116408). */
const askingMax = 3;

function runningOn(dice: Dice, nodeCount: number): readonly Pod[] {
  const asking = Array.from({ length: nodeCount }, () => 0);
  return dice.list(12, (index) => {
    const pod = randomPod(dice, `r${index}`, 0.15);
    const place = dice.below(nodeCount);
    const before = asking[place] ?? 0;
    const requests = before < askingMax ? { cpu: '250m', memory: '256Mi' } : {};
    asking[place] = before + 1;
    const { initContainers: _init, ...spec } = pod.spec ?? { containers: [] };
    const containers = spec.containers.map((one) => ({ ...one, resources: { requests } }));
    return { ...pod, spec: { ...spec, containers, nodeName: `n${place}` } };
  });
}

const taintKeys = ['dedicated', 'maintenance'];
const effects = ['NoSchedule', 'NoExecute', 'PreferNoSchedule'] as const;

export function randomNode(dice: Dice, name: string): Node {
  const taints: Taint[] = dice.is(0.4)
    ? [{ key: dice.among(taintKeys), value: dice.oneOf('x', 'y'), effect: dice.oneOf(...effects) }]
    : [];
  const allocatable = {
    cpu: String(1 + dice.below(4)),
    memory: `${1 + dice.below(4)}Gi`,
    'ephemeral-storage': '10Gi',
    pods: String(2 + dice.below(6)),
    ...dice.maybe(0.4, () => ({ 'x.io/gpu': String(1 + dice.below(2)) })),
  };
  return {
    metadata: {
      name,
      labels: {
        [hostLabel]: name,
        ...dice.maybe(0.85, () => ({ [zoneLabel]: dice.among(zones) })),
        ...dice.maybe(0.5, () => ({ disk: dice.oneOf('ssd', 'hdd') })),
        ...dice.maybe(0.5, () => ({ size: String(dice.below(10)) })),
      },
    },
    spec: { taints, ...dice.maybe(0.15, () => ({ unschedulable: true })) },
    status: { capacity: allocatable, allocatable, conditions: [{ type: 'Ready', status: 'True' }] },
  };
}

/** @param share of pods that have each of what a filter looks at */
export function randomPod(dice: Dice, name: string, share: number): Pod {
  // 1.20 counts pods of nodes that the pod's own selectors leave out (kubernetes#106971): a pod has one or the other.
  const isSpread = dice.is(share);
  const [selects, names] = [dice.is(share), dice.is(share)].map((is) => is && !isSpread);
  const affinity = {
    ...(selects === true ? { nodeAffinity: nodeAffinityOf(dice) } : {}),
    ...dice.maybe(share, () => ({ podAffinity: required(dice) })),
    ...dice.maybe(share, () => ({ podAntiAffinity: required(dice) })),
  };
  const ports = dice.is(share)
    ? [
        {
          containerPort: 80,
          hostPort: dice.oneOf(80, 81),
          ...dice.maybe(0.4, () => hostIpOf(dice)),
          ...protocolOf(dice),
        },
      ]
    : [];
  const spec: PodSpec = {
    containers: [{ name: 'c', image: 'i', ports, resources: resourcesOf(dice) }],
    ...dice.maybe(0.2, () => ({
      initContainers: [{ name: 'i', image: 'i', resources: resourcesOf(dice) }],
    })),
    ...(names === true ? { nodeSelector: selectorOf(dice) } : {}),
    ...dice.maybe(2 * share, () => ({ tolerations: [tolerationOf(dice)] })),
    ...(isSpread ? { topologySpreadConstraints: spreadOf(dice) } : {}),
    ...dice.maybe(share, () => ({ volumes: [volumeOf(dice)] })),
    ...(Object.keys(affinity).length === 0 ? {} : { affinity }),
  };
  const namespace = dice.oneOf<string>(...namespaceNames);
  return { metadata: { name, namespace, labels: { app: dice.among(apps) } }, spec };
}

function spreadOf(dice: Dice): readonly TopologySpreadConstraint[] {
  return [zoneLabel, ...(dice.is(0.3) ? [hostLabel] : [])].map((topologyKey) => ({
    ...{ maxSkew: 1 + dice.below(2), topologyKey, whenUnsatisfiable: 'DoNotSchedule' },
    labelSelector: { matchLabels: { app: dice.among(apps) } },
  }));
}

function hostIpOf(dice: Dice): object {
  return { hostIP: dice.oneOf('127.0.0.1', '192.0.2.7') };
}

function protocolOf(dice: Dice): object {
  return { protocol: dice.oneOf('TCP', 'TCP', 'UDP') };
}

function resourcesOf(dice: Dice): { requests: Record<string, string>; limits: Record<string, string> } {
  const requests = {
    ...dice.maybe(0.6, () => ({ cpu: `${250 * (1 + dice.below(10))}m` })),
    ...dice.maybe(0.5, () => ({ memory: `${256 * (1 + dice.below(10))}Mi` })),
    ...dice.maybe(0.1, () => ({ 'ephemeral-storage': dice.oneOf('1Gi', '11Gi') })),
  };
  const gpus = { ...dice.maybe(0.1, () => ({ 'x.io/gpu': '1' })) };
  return { requests: { ...requests, ...gpus }, limits: gpus };
}

function selectorOf(dice: Dice): Record<string, string> {
  return dice.oneOf<Record<string, string>>(
    { disk: 'ssd' },
    { [zoneLabel]: dice.among(zones) },
    { disk: 'none' },
  );
}

function nodeAffinityOf(dice: Dice) {
  const requirement = (): NodeSelectorRequirement =>
    dice.oneOf<NodeSelectorRequirement>(
      { key: zoneLabel, operator: 'In', values: [dice.among(zones), dice.among(zones)] },
      { key: zoneLabel, operator: 'NotIn', values: [dice.among(zones)] },
      { key: 'disk', operator: 'Exists' },
      { key: 'disk', operator: 'DoesNotExist' },
      { key: 'size', operator: 'Gt', values: [String(dice.below(10))] },
      { key: 'size', operator: 'Lt', values: [String(dice.below(10))] },
    );
  const terms = [requirement, ...dice.list(1, () => requirement)].map((make) => ({
    matchExpressions: [make(), ...dice.list(1, make)],
  }));
  return { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: terms } };
}

function required(dice: Dice): { requiredDuringSchedulingIgnoredDuringExecution: PodAffinityTerm[] } {
  const term = (): PodAffinityTerm => ({
    topologyKey: dice.oneOf(zoneLabel, hostLabel, 'disk'),
    labelSelector: dice.oneOf<object>(
      { matchLabels: { app: dice.among(apps) } },
      { matchExpressions: [{ key: 'app', operator: 'NotIn', values: [dice.among(apps)] }] },
      { matchExpressions: [{ key: 'app', operator: 'In', values: [dice.among(apps), dice.among(apps)] }] },
    ),
    ...dice.maybe(0.3, () => ({ namespaces: [dice.oneOf<string>(...namespaceNames)] })),
  });
  return { requiredDuringSchedulingIgnoredDuringExecution: [term(), ...dice.list(1, term)] };
}

function tolerationOf(dice: Dice): Toleration {
  return dice.oneOf<Toleration>(
    { operator: 'Exists' },
    { key: dice.among(taintKeys), operator: 'Exists' },
    { key: dice.among(taintKeys), operator: 'Equal', value: dice.oneOf('x', 'y') },
    { key: dice.among(taintKeys), operator: 'Exists', effect: dice.oneOf('NoSchedule', 'NoExecute') },
    { key: 'node.kubernetes.io/unschedulable', operator: 'Exists', effect: 'NoSchedule' },
  );
}

const claimNames = [
  'in-z1',
  'in-z1-or-z2',
  'labelled-z2',
  'late',
  'made',
  'made-z3',
  'lost',
  'unbound',
  'none',
];

function volumeOf(dice: Dice): Volume {
  const disk = dice.oneOf('d1', 'd2');
  const readOnly = dice.is(0.5);
  return {
    name: 'v',
    ...(dice.is(0.7)
      ? { persistentVolumeClaim: { claimName: dice.among(claimNames) } }
      : dice.oneOf<object>(
          { gcePersistentDisk: { pdName: disk, readOnly } },
          { awsElasticBlockStore: { volumeID: disk, readOnly } },
          {
            iscsi: {
              targetPortal: '192.0.2.1:3260',
              iqn: `iqn.2001-04.com.example:${disk}`,
              lun: 0,
              readOnly,
            },
          },
          { rbd: { monitors: ['192.0.2.2', dice.oneOf('192.0.2.3', '192.0.2.4')], image: disk, readOnly } },
        )),
  };
}

interface Written {
  readonly path: string;
  readonly object: JsonObject;
  /** Written after it was made. */
  readonly status?: JsonObject;
}

/** Classes, volumes and claims of each namespace that pods of all clusters name. */
export function storageOf(namespaces: readonly string[]): readonly Written[] {
  const inZones = (values: readonly string[]): JsonObject => ({
    required: {
      nodeSelectorTerms: [{ matchExpressions: [{ key: zoneLabel, operator: 'In', values: [...values] }] }],
    },
  });
  const classes = [
    { metadata: { name: 'late' }, provisioner: 'kubernetes.io/no-provisioner' },
    { metadata: { name: 'made' }, provisioner: 'example.com/disk' },
    {
      ...{ metadata: { name: 'made-z3' }, provisioner: 'example.com/disk' },
      allowedTopologies: [{ matchLabelExpressions: [{ key: zoneLabel, values: ['z3'] }] }],
    },
  ].map((object) => ({
    path: '/apis/storage.k8s.io/v1/storageclasses',
    object: { ...object, volumeBindingMode: 'WaitForFirstConsumer' },
  }));
  const volume = (name: string, more: JsonObject, labels: JsonObject = {}, phase = 'Bound'): Written => ({
    path: '/api/v1/persistentvolumes',
    object: {
      metadata: { name, labels },
      spec: {
        ...{ capacity: { storage: '1Gi' }, accessModes: ['ReadWriteOnce'], hostPath: { path: '/v' } },
        ...more,
      },
    },
    status: { phase },
  });
  const claim = (namespace: string, name: string, spec: JsonObject): Written => {
    const isBound = spec['volumeName'] !== undefined;
    return {
      path: `/api/v1/namespaces/${namespace}/persistentvolumeclaims`,
      object: {
        metadata: { name, annotations: isBound ? { 'pv.kubernetes.io/bind-completed': 'yes' } : {} },
        spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } }, ...spec },
      },
      status: { phase: isBound ? 'Bound' : 'Pending' },
    };
  };
  return [
    ...classes,
    volume('free-z1', { storageClassName: 'late', nodeAffinity: inZones(['z1']) }, {}, 'Available'),
    ...namespaces.flatMap((namespace) => {
      const name = (of: string): string => `${namespace}-${of}`;
      const of = (volumeName: string): JsonObject => ({
        claimRef: { kind: 'PersistentVolumeClaim', namespace, name: volumeName },
        storageClassName: '',
      });
      const bound = (one: string): JsonObject => ({ storageClassName: '', volumeName: name(one) });
      return [
        volume(name('in-z1'), { ...of('in-z1'), nodeAffinity: inZones(['z1']) }),
        volume(name('in-z1-or-z2'), { ...of('in-z1-or-z2'), nodeAffinity: inZones(['z1', 'z2']) }),
        volume(name('labelled-z2'), of('labelled-z2'), { [zoneLabel]: 'z2' }),
        ...['in-z1', 'in-z1-or-z2', 'labelled-z2', 'lost'].map((one) => claim(namespace, one, bound(one))),
        ...['late', 'made', 'made-z3'].map((one) => claim(namespace, one, { storageClassName: one })),
        claim(namespace, 'unbound', { storageClassName: '' }),
      ];
    }),
  ];
}
