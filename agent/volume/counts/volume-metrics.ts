import type { Pod } from '#api/generated/objects.ts';
import { family, labels } from '#agent/kubelet/stats/exposition.ts';
import { histogramLines, type LabelledHistogram } from '#agent/kubelet/stats/histogram-lines.ts';
import type { SecondsHistogram } from '#agent/kubelet/stats/seconds-histogram.ts';
import type { VolumeCounts } from './volume-counts.ts';

/** In-tree volumes that are mounted by a driver in their place: there are none. */
const migrated = 'false';

type PlainRow = readonly [
  name: string,
  type: 'counter' | 'gauge',
  help: string,
  value: (counts: VolumeCounts) => number,
];

const plainRows: readonly PlainRow[] = [
  [
    'reconstruct_volume_operations_total',
    'counter',
    'Volumes of an earlier agent that were found at the start',
    ({ reconstructed }) => reconstructed.tries,
  ],
  [
    'reconstruct_volume_operations_errors_total',
    'counter',
    'Volumes of an earlier agent whose records could not be read',
    ({ reconstructed }) => reconstructed.failures,
  ],
  [
    'force_cleaned_failed_volume_operations_total',
    'counter',
    'Volumes that were undone without a record that can be read',
    ({ forceCleaned }) => forceCleaned.tries,
  ],
  [
    'force_cleaned_failed_volume_operation_errors_total',
    'counter',
    'Volumes that could not be undone without a record',
    ({ forceCleaned }) => forceCleaned.failures,
  ],
  [
    'kubelet_orphan_pod_cleaned_volumes',
    'gauge',
    'Pods of which only volumes were left, which the last look removed',
    ({ orphans }) => orphans.cleaned,
  ],
  [
    'kubelet_orphan_pod_cleaned_volumes_errors',
    'gauge',
    'Pods of which only volumes were left, which the last look could not remove',
    ({ orphans }) => orphans.failed,
  ],
];

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
    ...histogramLines(
      'kubelet_volume_metric_collection_duration_seconds',
      '[ALPHA] Duration in seconds to calculate volume stats',
      [...counts.measures].map(([metric_source, seconds]) => ({ seconds, more: { metric_source } })),
    ),
    ...plainRows.flatMap(([name, type, help, value]) =>
      family(name, { type, help: `[ALPHA] ${help}` }, [['', value(counts), undefined]]),
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
