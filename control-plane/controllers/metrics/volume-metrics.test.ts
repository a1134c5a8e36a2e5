import { expect, it } from 'vitest';
import * as kinds from '#api/schema/kind-ref.ts';
import type { PersistentVolume, PersistentVolumeClaim, Pod } from '#api/generated/objects.ts';
import { managedAttachAnnotation } from '#api/volume/attachment.ts';
import { readyNode, startCluster } from '#control-plane/controllers/cluster.fixture.ts';
import { controllerNames } from '#control-plane/controllers/controller-names.ts';
import { volumeMetrics, type VolumeFacts } from './volume-metrics.ts';

const size = { storage: '1Gi' };
const accessModes = ['ReadWriteOnce'];

function volume(name: string, spec: PersistentVolume['spec']): PersistentVolume {
  return {
    metadata: { name },
    spec: { capacity: size, accessModes, storageClassName: '', volumeMode: 'Filesystem', ...spec },
  };
}

function claim(name: string, spec: PersistentVolumeClaim['spec']): PersistentVolumeClaim {
  return {
    metadata: { namespace: 'default', name },
    spec: { accessModes, resources: { requests: size }, storageClassName: '', ...spec },
  };
}

function pod(name: string, claimName: string): Pod {
  return {
    metadata: { namespace: 'default', name },
    spec: {
      nodeName: 'n3',
      containers: [{ name: 'c', image: 'i' }],
      volumes: [
        { name: 'v', persistentVolumeClaim: { claimName } },
        { name: 'm', configMap: { name: 'x' } },
      ],
    },
  };
}

/** Without buckets. */
function told(facts: VolumeFacts, types: readonly string[]): readonly string[] {
  return volumeMetrics(facts)
    .filter(({ type }) => types.includes(type))
    .flatMap(({ name, read }) =>
      read().map(({ metricName = name, labels, value }) => [metricName, labels, value] as const),
    )
    .filter(([name]) => !name.endsWith('_bucket'))
    .map(([name, labels, value]) => {
      const pairs = Object.entries(labels).map(([key, text]) => `${key}="${text}"`);
      return `${name}{${pairs.join(',')}} ${value}`;
    });
}

it('tells of volumes and claims as the loops have them, and of nothing where they do not run', async () => {
  await using cluster = await startCluster();
  const { client, informers } = cluster;
  const bare = readyNode('n3');
  client.seed(kinds.nodes, {
    ...bare,
    metadata: {
      ...bare.metadata,
      annotations: { ...bare.metadata?.annotations, [managedAttachAnnotation]: 'true' },
    },
  });
  client.seed(kinds.csiDrivers, { metadata: { name: 'd' }, spec: { attachRequired: true } });
  const csi = { driver: 'd', volumeHandle: 'h' };
  await client.create(kinds.persistentVolumes, volume('v', { csi }));
  await client.create(
    kinds.persistentVolumes,
    volume('w', { hostPath: { path: '/w' }, storageClassName: 's', volumeMode: 'Block' }),
  );
  await client.create(kinds.persistentVolumeClaims, claim('c', { volumeName: 'v' }));
  await client.create(kinds.persistentVolumeClaims, claim('none', { volumeAttributesClassName: 'fast' }));
  await client.create(kinds.pods, pod('p', 'c'));
  await client.create(kinds.pods, pod('q', 'c'));
  await cluster.settle(600);

  const gauges = (running: readonly string[]): readonly string[] =>
    told({ counts: cluster.volumeCounts, running: () => running, informers: () => informers }, ['gauge']);
  expect(gauges(controllerNames)).toEqual([
    'pv_collector_total_pv_count{plugin_name="kubernetes.io/csi:d",volume_mode="Filesystem"} 1',
    'pv_collector_total_pv_count{plugin_name="kubernetes.io/host-path",volume_mode="Block"} 1',
    'pv_collector_bound_pv_count{storage_class=""} 1',
    'pv_collector_unbound_pv_count{storage_class="s"} 1',
    'pv_collector_bound_pvc_count{namespace="default",storage_class="",volume_attributes_class=""} 1',
    'pv_collector_unbound_pvc_count{namespace="default",storage_class="",volume_attributes_class="fast"} 1',
    'attachdetach_controller_total_volumes{plugin_name="kubernetes.io/csi:d",state="desired_state_of_world"} 1',
    'attachdetach_controller_total_volumes{plugin_name="kubernetes.io/csi:d",state="actual_state_of_world"} 1',
    'storage_count_attachable_volumes_in_use{node="n3",volume_plugin="kubernetes.io/csi:d"} 2',
  ]);
  expect(gauges([])).toEqual([]);
});

it('counts what loops do about volumes, and how long others take', async () => {
  await using cluster = await startCluster();
  const { client, volumeCounts: counts } = cluster;
  const { storageClassName: _none, ...classless } = claim('', {}).spec ?? {};
  client.seed(kinds.storageClasses, { metadata: { name: 'far' }, provisioner: 'd' });
  await client.create(kinds.persistentVolumeClaims, claim('far', { storageClassName: 'far' }));
  await cluster.settle(300);
  await client.create(
    kinds.persistentVolumes,
    volume('made', { csi: { driver: 'd', volumeHandle: 'h' }, storageClassName: 'far' }),
  );
  await client.create(kinds.pods, {
    ...pod('p', 'late'),
    spec: {
      containers: [{ name: 'c', image: 'i' }],
      volumes: [{ name: 'e', ephemeral: { volumeClaimTemplate: { spec: classless } } }],
    },
  });
  await cluster.settle(300);
  counts.forced('out-of-service');

  const seconds = 'volume_operation_total_seconds';
  const said = told({ counts, running: () => [], informers: () => undefined }, ['counter', 'histogram']);
  // Which of two claims had its volume first is not known, nor whether somebody wrote the other one before it was given its class.
  const { failures } = counts.classesGiven;
  expect(said.toSorted()).toEqual(
    [
      'attach_detach_controller_attachdetach_controller_forced_detaches{reason="out-of-service"} 1',
      `retroactive_storageclass_total{} ${1 + failures}`,
      `retroactive_storageclass_errors_total{} ${failures}`,
      'ephemeral_volume_controller_create_total{} 1',
      'ephemeral_volume_controller_create_failures_total{} 0',
      `${seconds}_sum{operation_name="provision",plugin_name="podwright.io/local"} 0`,
      `${seconds}_count{operation_name="provision",plugin_name="podwright.io/local"} 1`,
      `${seconds}_sum{operation_name="provision",plugin_name="d"} 0.3`,
      `${seconds}_count{operation_name="provision",plugin_name="d"} 1`,
    ].toSorted(),
  );
});
