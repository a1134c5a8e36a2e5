import type { PersistentVolume, PersistentVolumeClaim, Pod, Volume } from '#api/generated/objects.ts';
import type { KubeObject } from '#api/meta/object.ts';
import {
  csiDrivers,
  nodes,
  persistentVolumeClaims,
  persistentVolumes,
  pods,
  volumeAttachments,
  type KindRef,
} from '#api/schema/kind-ref.ts';
import { attachmentName, isAttachRequired } from '#api/volume/attachment.ts';
import { claimClass, claimNameOf, volumeClass } from '#api/volume/claim.ts';
import { modeOf } from '#api/volume/match.ts';
import { csiPlugin, pluginOfVolume } from '#api/volume/plugin.ts';
import type { Informers } from '#client/informers.ts';
import {
  histogramSamples,
  type MetricSample,
  type ReadMetric,
} from '#control-plane/apiserver/serve/read-metric.ts';
import { isAttachManaged, isDone } from '#control-plane/controllers/attach-detach/plan.ts';
import type { VolumeLoopCounts } from './volume-counts.ts';

/** Whose caches are read, and what is counted. */
export interface VolumeFacts {
  readonly counts: VolumeLoopCounts;
  /** Undefined: this server does not lead, and knows nothing of the cluster. */
  readonly informers: () => Informers | undefined;
  /** Loops that run now: what is told of theirs needs their caches. */
  readonly running: () => readonly string[];
}

type Labels = MetricSample['labels'];
type List = <T extends KubeObject>(kind: KindRef<T>) => readonly T[];

/** Attached by a controller, of those that kube-controller-manager has a plugin for. */
const attachable: ReadonlySet<string> = new Set(['kubernetes.io/fc', 'kubernetes.io/iscsi']);

/** Of volumes, by the names of kube-controller-manager (metrics.go below pkg/controller/volume). */
export function volumeMetrics({ counts, informers, running }: VolumeFacts): readonly ReadMetric[] {
  const gauge = (
    name: string,
    help: string,
    labelNames: readonly string[],
    { loop, labels }: { readonly loop: string; readonly labels: (list: List) => readonly Labels[] },
  ): ReadMetric => ({
    ...{ name, help, type: 'gauge', labelNames },
    read: () => {
      const from = informers();
      return from === undefined || !running().includes(loop)
        ? []
        : tally(labels((kind) => from.for(kind).list()));
    },
  });
  return [
    ...binderGauges.map(([name, help, labelNames, labels]) =>
      gauge(`pv_collector_${name}`, help, labelNames, {
        loop: 'persistentvolume-binder-controller',
        labels,
      }),
    ),
    ...attachGauges.map(([name, help, labelNames, labels]) =>
      gauge(name, help, labelNames, { loop: 'persistentvolume-attach-detach-controller', labels }),
    ),
    ...counters(counts),
    {
      name: 'volume_operation_total_seconds',
      help: 'How long it took until a volume was made, or taken away, from its first try.',
      type: 'histogram',
      labelNames: ['operation_name', 'plugin_name'],
      read: () =>
        [...counts.operations].flatMap(([id, seconds]) => {
          return histogramSamples('volume_operation_total_seconds', operationOf(id), seconds.read());
        }),
    },
    {
      // volume_operation_total_errors before 1.36, which has that hidden.
      name: 'volume_operation_errors_total',
      help: 'Tries to make volumes, or to take them away, that went wrong.',
      type: 'counter',
      labelNames: ['operation_name', 'plugin_name'],
      read: () => [...counts.failures].map(([id, value]) => ({ labels: operationOf(id), value })),
    },
  ];
}

function operationOf(id: string): Labels {
  const [plugin_name = '', operation_name = ''] = id.split(' ');
  return { operation_name, plugin_name };
}

type GaugeRow = readonly [
  name: string,
  help: string,
  labelNames: readonly string[],
  labels: (list: List) => readonly Labels[],
];

const claimLabels = ['namespace', 'storage_class', 'volume_attributes_class'];
const isBound = ({ status }: PersistentVolume | PersistentVolumeClaim): boolean => status?.phase === 'Bound';
const ofClass = (volume: PersistentVolume): Labels => ({ storage_class: volumeClass(volume) });
const ofClaim = (claim: PersistentVolumeClaim): Labels => ({
  namespace: claim.metadata?.namespace ?? '',
  storage_class: claimClass(claim) ?? '',
  volume_attributes_class: claim.spec?.volumeAttributesClassName ?? '',
});

const binderGauges: readonly GaugeRow[] = [
  [
    'total_pv_count',
    'Volumes, by who mounts them.',
    ['plugin_name', 'volume_mode'],
    (list) =>
      list(persistentVolumes).map((volume) => ({
        plugin_name: pluginOfVolume(volume) ?? 'N/A',
        volume_mode: modeOf(volume),
      })),
  ],
  [
    'bound_pv_count',
    'Volumes that a claim has.',
    ['storage_class'],
    (list) => list(persistentVolumes).filter(isBound).map(ofClass),
  ],
  [
    'unbound_pv_count',
    'Volumes that no claim has.',
    ['storage_class'],
    (list) =>
      list(persistentVolumes)
        .filter((volume) => !isBound(volume))
        .map(ofClass),
  ],
  [
    'bound_pvc_count',
    'Claims that have their volume.',
    claimLabels,
    (list) => list(persistentVolumeClaims).filter(isBound).map(ofClaim),
  ],
  [
    'unbound_pvc_count',
    'Claims that have no volume.',
    claimLabels,
    (list) =>
      list(persistentVolumeClaims)
        .filter((claim) => !isBound(claim))
        .map(ofClaim),
  ],
];

const attachGauges: readonly GaugeRow[] = [
  [
    'attachdetach_controller_total_volumes',
    'Volumes that are to be attached to nodes (desired), and that are, or are about to be (actual).',
    ['plugin_name', 'state'],
    (list) => [...desiredVolumes(list), ...actualVolumes(list)],
  ],
  [
    'storage_count_attachable_volumes_in_use',
    'Volumes of pods that a controller can attach, by their node.',
    ['node', 'volume_plugin'],
    (list) =>
      volumesInUse(list).flatMap(({ node, plugin }) =>
        attachable.has(plugin) || plugin.startsWith('kubernetes.io/csi:')
          ? [{ node, volume_plugin: plugin }]
          : [],
      ),
  ],
];

/** Each volume once for each node. */
function desiredVolumes(list: List): readonly Labels[] {
  const managed = new Set(
    list(nodes)
      .filter(isAttachManaged)
      .map(({ metadata }) => metadata?.name ?? ''),
  );
  const drivers = new Map(list(csiDrivers).map((driver) => [driver.metadata?.name ?? '', driver]));
  const wanted = new Map<string, string>();
  for (const { pod, node, plugin, volume } of volumesInUse(list)) {
    const { csi } = volume?.spec ?? {};
    if (csi === undefined || !managed.has(node) || isDone(pod)) continue;
    if (isAttachRequired(drivers.get(csi.driver))) wanted.set(attachmentName(csi, node), plugin);
  }
  return [...wanted.values()].map((plugin_name) => ({ plugin_name, state: 'desired_state_of_world' }));
}

function actualVolumes(list: List): readonly Labels[] {
  return list(volumeAttachments).map(({ spec }) => ({
    plugin_name: csiPlugin(spec.attacher),
    state: 'actual_state_of_world',
  }));
}

interface InUse {
  readonly pod: Pod;
  readonly node: string;
  readonly plugin: string;
  /** Undefined: what the pod says itself. */
  readonly volume: PersistentVolume | undefined;
}

/** Volumes of pods that are on a node, as far as it is known what they are. */
function volumesInUse(list: List): readonly InUse[] {
  const claims = new Map(
    list(persistentVolumeClaims).map((claim) => [
      `${claim.metadata?.namespace ?? ''}/${claim.metadata?.name ?? ''}`,
      claim,
    ]),
  );
  const volumes = new Map(list(persistentVolumes).map((volume) => [volume.metadata?.name ?? '', volume]));
  return list(pods).flatMap((pod) => {
    const node = pod.spec?.nodeName ?? '';
    return node === ''
      ? []
      : (pod.spec?.volumes ?? []).flatMap((field): readonly InUse[] => {
          const claim = claims.get(`${pod.metadata?.namespace ?? ''}/${claimNameOf(pod, field) ?? ''}`);
          const volume = isBound(claim ?? {}) ? volumes.get(claim?.spec?.volumeName ?? '') : undefined;
          const plugin = volume === undefined ? ownPlugin(field) : pluginOfVolume(volume);
          return plugin === undefined ? [] : [{ pod, node, plugin, volume }];
        });
  });
}

function ownPlugin({ csi, iscsi, fc }: Volume): string | undefined {
  if (csi !== undefined) return csiPlugin(csi.driver);
  if (iscsi !== undefined) return 'kubernetes.io/iscsi';
  return fc === undefined ? undefined : 'kubernetes.io/fc';
}

function counters(counts: VolumeLoopCounts): readonly ReadMetric[] {
  const counter = (name: string, help: string, value: () => number): ReadMetric => ({
    ...{ name, help, type: 'counter', labelNames: [] },
    read: () => [{ labels: {}, value: value() }],
  });
  const { classesGiven, claimsCreated } = counts;
  return [
    {
      // The subsystem comes twice in it upstream, too.
      name: 'attach_detach_controller_attachdetach_controller_forced_detaches',
      help: 'Volumes that were taken from nodes that had not given them back.',
      type: 'counter',
      labelNames: ['reason'],
      read: () => [...counts.forcedDetaches].map(([reason, value]) => ({ labels: { reason }, value })),
    },
    counter(
      'retroactive_storageclass_total',
      'Claims that were to be given the default class later.',
      () => classesGiven.tries,
    ),
    counter(
      'retroactive_storageclass_errors_total',
      'Claims that could not be given it.',
      () => classesGiven.failures,
    ),
    counter(
      'ephemeral_volume_controller_create_total',
      'Claims of ephemeral volumes that were to be made.',
      () => claimsCreated.tries,
    ),
    counter(
      'ephemeral_volume_controller_create_failures_total',
      'Claims of ephemeral volumes that could not be made.',
      () => claimsCreated.failures,
    ),
  ];
}

function tally(all: readonly Labels[]): readonly MetricSample[] {
  const counts = new Map<string, { readonly labels: Labels; value: number }>();
  for (const labels of all) {
    const key = JSON.stringify(Object.values(labels));
    const found = counts.get(key) ?? { labels, value: 0 };
    found.value += 1;
    counts.set(key, found);
  }
  return [...counts.values()];
}
