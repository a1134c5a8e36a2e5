import { expect, it } from 'vitest';
import { createFakeClock } from '#base/clock.ts';
import { PodwrightError } from '#base/errors.ts';
import type { PersistentVolume, Pod, Volume } from '#api/generated/objects.ts';
import { refusal } from '#proto/status.ts';
import { pluginOfClaimed, VolumeCounts } from './volume-counts.ts';
import { renderVolumeMetrics } from './volume-metrics.ts';

const claimed = (spec: PersistentVolume['spec']): PersistentVolume => ({ metadata: { name: 'pv' }, spec });
const volumes: readonly Volume[] = [
  { name: 'empty', emptyDir: {} },
  { name: 'map', configMap: { name: 'm' } },
  { name: 'claim', persistentVolumeClaim: { claimName: 'c' } },
];
const pod: Pod = { metadata: { uid: 'u' }, spec: { containers: [], volumes: [...volumes] } };

function counted(): {
  readonly counts: VolumeCounts;
  readonly samples: () => readonly string[];
  readonly takes: (seconds: number) => () => Promise<void>;
} {
  const clock = createFakeClock();
  const counts = new VolumeCounts(clock);
  const samples = (): readonly string[] =>
    renderVolumeMetrics(counts, [pod])
      .split('\n')
      .filter((line) => /^volume_manager|_count\b|_sum\b/.test(line));
  return { counts, samples, takes: (seconds) => async () => clock.advance(seconds * 1000) };
}

it('plugins have the names that Kubernetes gives them', () => {
  const nameOf = (spec: PersistentVolume['spec']): string => pluginOfClaimed(claimed(spec)).name;
  expect(nameOf({ csi: { driver: 'd.example.com', volumeHandle: 'h' } })).toBe(
    'kubernetes.io/csi:d.example.com',
  );
  expect(nameOf({ local: { path: '/x' } })).toBe('kubernetes.io/local-volume');
  expect(nameOf({ hostPath: { path: '/x' } })).toBe('kubernetes.io/host-path');
  expect(nameOf({ nfs: { server: 's', path: '/x' } })).toBe('kubernetes.io/nfs');
});

it('each mount is an operation, but of what is there already; what is told of the API is mounted each time', async () => {
  const { counts, samples, takes } = counted();
  for (const round of [1, 2])
    for (const volume of volumes.slice(0, 2)) await counts.mounting('u', volume, takes(round));
  expect(samples()).toEqual([
    'storage_operation_duration_seconds_sum{volume_plugin="kubernetes.io/empty-dir",operation_name="volume_mount",status="success",migrated="false"} 1',
    'storage_operation_duration_seconds_count{volume_plugin="kubernetes.io/empty-dir",operation_name="volume_mount",status="success",migrated="false"} 1',
    'storage_operation_duration_seconds_sum{volume_plugin="kubernetes.io/configmap",operation_name="volume_mount",status="success",migrated="false"} 3',
    'storage_operation_duration_seconds_count{volume_plugin="kubernetes.io/configmap",operation_name="volume_mount",status="success",migrated="false"} 2',
    ...['actual', 'desired'].flatMap((state) => [
      `volume_manager_total_volumes{plugin_name="kubernetes.io/empty-dir",state="${state}_state_of_world"} 1`,
      `volume_manager_total_volumes{plugin_name="kubernetes.io/configmap",state="${state}_state_of_world"} 1`,
    ]),
  ]);
});

it('of a claim it is what its volume is; nothing, where that is not known', async () => {
  const { counts, samples, takes } = counted();
  const claim = volumes[2] ?? { name: '' };
  const failure = new PodwrightError('E_INVALID', 'no');
  const fails = async (): Promise<void> => Promise.reject(failure);
  await expect(counts.mounting('u', claim, fails)).rejects.toBe(failure);
  expect(samples().filter((line) => line.startsWith('storage'))).toEqual([]);
  const plugin = pluginOfClaimed(claimed({ local: { path: '/dev/x' }, volumeMode: 'Block' }));
  await expect(
    counts.mounting('u', claim, async (tell) => {
      tell(plugin);
      return fails();
    }),
  ).rejects.toBe(failure);
  await counts.mounting('u', claim, async (tell) => tell(plugin));
  expect(samples().at(-1)).toBe(
    'volume_manager_total_volumes{plugin_name="kubernetes.io/local-volume",state="desired_state_of_world"} 1',
  );
  await expect(counts.unmounting('u', fails)).rejects.toBe(failure);
  await counts.unmounting('u', takes(2));
  await counts.unmounting('u', takes(2));
  const of = (operation: string, status: string, count: number): string =>
    `storage_operation_duration_seconds_count{volume_plugin="kubernetes.io/local-volume",operation_name="${operation}",status="${status}",migrated="false"} ${count}`;
  expect(samples().filter((line) => line.includes('_count'))).toEqual([
    of('map_volume', 'fail-unknown', 1),
    of('map_volume', 'success', 1),
    of('unmap_volume', 'fail-unknown', 1),
    of('unmap_volume', 'success', 1),
  ]);
  expect(samples().filter((line) => line.includes('actual'))).toEqual([]);
});

it('calls of drivers are told with how they ended, in words of Go', async () => {
  const { counts, samples, takes } = counted();
  await counts.calling('d', 'NodePublishVolume', takes(1));
  const fails = async (): Promise<void> => Promise.reject(refusal('DEADLINE_EXCEEDED', 'slow'));
  await expect(counts.calling('d', 'NodeStageVolume', fails)).rejects.toThrow('slow');
  expect(samples().filter((line) => line.startsWith('csi_operations_seconds_count'))).toEqual([
    'csi_operations_seconds_count{driver_name="d",method_name="/csi.v1.Node/NodePublishVolume",grpc_status_code="OK",migrated="false"} 1',
    'csi_operations_seconds_count{driver_name="d",method_name="/csi.v1.Node/NodeStageVolume",grpc_status_code="DeadlineExceeded",migrated="false"} 1',
  ]);
});

it('of so many drivers only the first are told', async () => {
  const { counts, samples, takes } = counted();
  for (let index = 0; index < 300; index++) await counts.calling(`d${index}`, 'NodeGetInfo', takes(0));
  expect(samples().filter((line) => line.startsWith('csi_operations_seconds_count')).length).toBe(256);
});

it('what was found at the start, undone without a record, or left by pods that are gone, and how long looks took', () => {
  const { counts } = counted();
  Object.assign(counts.reconstructed, { tries: 3, failures: 1 });
  Object.assign(counts.forceCleaned, { tries: 1 });
  Object.assign(counts.orphans, { cleaned: 2, failed: 1 });
  counts.measured('statfs', 0.25);
  const lines = renderVolumeMetrics(counts, []).split('\n');
  expect(lines.filter((line) => !/^#|_bucket/.test(line))).toEqual([
    'kubelet_volume_metric_collection_duration_seconds_sum{metric_source="statfs"} 0.25',
    'kubelet_volume_metric_collection_duration_seconds_count{metric_source="statfs"} 1',
    'reconstruct_volume_operations_total 3',
    'reconstruct_volume_operations_errors_total 1',
    'force_cleaned_failed_volume_operations_total 1',
    'force_cleaned_failed_volume_operation_errors_total 0',
    'kubelet_orphan_pod_cleaned_volumes 2',
    'kubelet_orphan_pod_cleaned_volumes_errors 1',
    '',
  ]);
});
