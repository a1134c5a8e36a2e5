import type { DeviceCounts } from '#agent/device/device-counts.ts';
import { family, labels } from './exposition.ts';
import { histogramLines } from './histogram-lines.ts';
import type { SecondsHistogram } from './seconds-histogram.ts';

const ofPodResources: readonly (readonly [name: string, help: string])[] = [
  ['requests_total', 'Cumulative number of requests to the PodResource endpoint.'],
  ['requests_list', 'Number of requests to the PodResource List endpoint.'],
  ['requests_get', 'Number of requests to the PodResource Get endpoint.'],
  ['requests_get_allocatable', 'Number of requests to the PodResource GetAllocatableResources endpoint.'],
  ['errors_list', 'Number of requests to the PodResource List endpoint which returned error.'],
  ['errors_get', 'Number of requests to the PodResource Get endpoint which returned error.'],
  [
    'errors_get_allocatable',
    'Number of requests to the PodResource GetAllocatableResources endpoint which returned error.',
  ],
];

/** Of devices, by the kubelet's names. What there is nothing of is left out. Pure. */
export function renderDeviceMetrics(counts: DeviceCounts): string {
  const registrations = [...counts.registrations].map(
    ([resource, value]) => [labels({ resource_name: resource }), value, undefined] as const,
  );
  const lines = [
    ...(registrations.length === 0
      ? []
      : family(
          'kubelet_device_plugin_registration_total',
          {
            type: 'counter',
            help: '[ALPHA] Cumulative number of device plugin registrations. Broken down by resource name.',
          },
          registrations,
        )),
    ...histograms(
      'kubelet_device_plugin_alloc_duration_seconds',
      '[ALPHA] Duration in seconds to serve a device plugin Allocation request. Broken down by resource name.',
      { all: counts.allocations, names: ['resource_name'] },
    ),
    ...histograms(
      'dra_operations_duration_seconds',
      '[BETA] Latency histogram in seconds for the duration of handling all ResourceClaims referenced by a pod when the pod starts or stops. Identified by the name of the operation (PrepareResources or UnprepareResources) and separated by the success of the operation.',
      { all: counts.claimOperations, names: ['operation_name', 'is_error'] },
    ),
    ...histograms(
      'dra_grpc_operations_duration_seconds',
      '[BETA] Duration in seconds of the DRA gRPC operations',
      { all: counts.driverCalls, names: ['driver_name', 'method_name', 'grpc_status_code'] },
    ),
    ...ofPodResources.flatMap(([name, what]) => {
      const value = counts.podResources.get(name);
      if (value === undefined) return [];
      const help = `[ALPHA] ${what} Broken down by server api version.`;
      return family(`kubelet_pod_resources_endpoint_${name}`, { type: 'counter', help }, [
        [labels({ server_api_version: 'v1' }), value, undefined],
      ]);
    }),
  ];
  return lines.length === 0 ? '' : `${lines.join('\n')}\n`;
}

function histograms(
  name: string,
  help: string,
  { all, names }: { readonly all: ReadonlyMap<string, SecondsHistogram>; readonly names: readonly string[] },
): readonly string[] {
  if (all.size === 0) return [];
  const labelled = [...all].map(([key, seconds]) => {
    const words = key.split(' ');
    return { seconds, more: Object.fromEntries(names.map((label, index) => [label, words[index] ?? ''])) };
  });
  return histogramLines(name, help, labelled);
}
