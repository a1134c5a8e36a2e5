import type { Pod } from '#api/generated/objects.ts';
import { family, labels } from '#agent/kubelet/stats/exposition.ts';
import { histogramLines, type LabelledHistogram } from '#agent/kubelet/stats/histogram-lines.ts';
import type { SecondsHistogram } from '#agent/kubelet/stats/seconds-histogram.ts';
import type { VolumeCounts } from './volume-counts.ts';

/** In-tree volumes that are mounted by a driver in their place: there are none. */
const migrated = 'false';

/** Of volumes, by the kubelet's names (pkg/volume/util/metrics.go, pkg/kubelet/volumemanager/metrics). Pure. */
export function renderVolumeMetrics(counts: VolumeCounts, desired: readonly Pod[]): string {
  const totals = counts.totals(desired);
  return [
    ...histogramLines(
      'storage_operation_duration_seconds',
      '[ALPHA] Storage operation duration',
      labelled(counts.operations, ['volume_plugin', 'operation_name', 'status']),
    ),
    ...histogramLines(
      'csi_operations_seconds',
      '[ALPHA] Container Storage Interface operation duration with gRPC error code status total',
      labelled(counts.calls, ['driver_name', 'method_name', 'grpc_status_code']),
    ),
    ...family(
      'volume_manager_total_volumes',
      { type: 'gauge', help: '[ALPHA] Number of volumes in Volume Manager' },
      (['actual', 'desired'] as const).flatMap((state) =>
        [...totals[state]].map(
          ([plugin, value]) =>
            [labels({ plugin_name: plugin, state: `${state}_state_of_world` }), value, undefined] as const,
        ),
      ),
    ),
    '',
  ].join('\n');
}

function labelled(
  all: ReadonlyMap<string, SecondsHistogram>,
  names: readonly string[],
): readonly LabelledHistogram[] {
  return [...all].map(([key, seconds]) => {
    const words = key.split(' ');
    const pairs = names.map((name, index) => [name, words[index] ?? ''] as const);
    return { seconds, more: { ...Object.fromEntries(pairs), migrated } };
  });
}
