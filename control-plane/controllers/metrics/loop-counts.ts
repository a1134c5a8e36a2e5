import { BucketCounts } from '#base/counts/bucket-counts.ts';

/** Zones, ranges and the like come from users: of so many values of a metric's labels the first are told. */
const labelValuesMax = 256;

/** A metric that loops count: its help as upstream's means it, and its labels. */
export interface CountedMetric {
  readonly help: string;
  readonly labelNames: readonly string[];
}

export type LoopCounter =
  | 'node_collector_evictions_total'
  | 'taint_eviction_controller_pod_deletions_total'
  | 'device_taint_eviction_controller_pod_deletions_total'
  | 'endpoint_slice_controller_changes'
  | 'endpoint_slice_controller_syncs'
  | 'node_ipam_controller_cidrset_cidrs_allocations_total'
  | 'node_ipam_controller_cidrset_cidrs_releases_total';

export type LoopGauge = 'node_ipam_controller_cirdset_max_cidrs' | 'node_ipam_controller_cidrset_usage_cidrs';

export type LoopHistogram =
  | 'node_collector_update_node_health_duration_seconds'
  | 'taint_eviction_controller_pod_deletion_duration_seconds'
  | 'device_taint_eviction_controller_pod_deletion_duration_seconds'
  | 'endpoint_slice_controller_endpoints_added_per_sync'
  | 'endpoint_slice_controller_endpoints_removed_per_sync'
  | 'endpoint_slice_controller_endpointslices_changed_per_sync'
  | 'node_ipam_controller_cidrset_allocation_tries_per_request';

export const loopCounters: Readonly<Record<LoopCounter, CountedMetric>> = {
  node_collector_evictions_total: {
    help: 'Nodes that their pods began to be taken from.',
    labelNames: ['zone'],
  },
  taint_eviction_controller_pod_deletions_total: {
    help: 'Pods that were deleted for taints of their nodes.',
    labelNames: [],
  },
  device_taint_eviction_controller_pod_deletions_total: {
    help: 'Pods that were deleted for taints of their devices.',
    labelNames: [],
  },
  endpoint_slice_controller_changes: { help: 'Writes of EndpointSlices.', labelNames: ['operation'] },
  endpoint_slice_controller_syncs: {
    help: 'Looks at Services: success, error, or stale: the cache was older than the server.',
    labelNames: ['result'],
  },
  node_ipam_controller_cidrset_cidrs_allocations_total: {
    help: 'Ranges that nodes were given, or brought.',
    labelNames: ['clusterCIDR'],
  },
  node_ipam_controller_cidrset_cidrs_releases_total: {
    help: 'Ranges that became free.',
    labelNames: ['clusterCIDR'],
  },
};

export const loopGauges: Readonly<Record<LoopGauge, CountedMetric>> = {
  // Misspelt upstream, too.
  node_ipam_controller_cirdset_max_cidrs: { help: 'Ranges that there are.', labelNames: ['clusterCIDR'] },
  node_ipam_controller_cidrset_usage_cidrs: {
    help: 'Which part of the ranges is taken, of 1.',
    labelNames: ['clusterCIDR'],
  },
};

const exponential = (first: number, factor: number, count: number): readonly number[] =>
  Array.from({ length: count }, (_, index) => first * factor ** index);
/** Of the Prometheus client of Go. */
const goBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const evictionSeconds = [0.005, 0.025, 0.1, 0.5, 1, 2.5, 10, 30, 60, 120, 180, 240];

/** Of looks at all nodes (update_all_nodes_health) there are none: each node is looked at as it changes, or falls silent. */
export const loopHistograms: Readonly<
  Record<LoopHistogram, CountedMetric & { readonly bounds: readonly number[] }>
> = {
  node_collector_update_node_health_duration_seconds: {
    help: 'How long a look at a node took.',
    labelNames: [],
    bounds: exponential(0.001, 4, 8),
  },
  taint_eviction_controller_pod_deletion_duration_seconds: {
    help: 'How long after it was due a pod was deleted for a taint of its node.',
    labelNames: [],
    bounds: evictionSeconds,
  },
  device_taint_eviction_controller_pod_deletion_duration_seconds: {
    help: 'How long after it was due a pod was deleted for a taint of its devices.',
    labelNames: [],
    bounds: evictionSeconds,
  },
  endpoint_slice_controller_endpoints_added_per_sync: {
    help: 'Endpoints that a look at a Service added.',
    labelNames: [],
    bounds: exponential(2, 2, 15),
  },
  endpoint_slice_controller_endpoints_removed_per_sync: {
    help: 'Endpoints that a look at a Service took away.',
    labelNames: [],
    bounds: exponential(2, 2, 15),
  },
  endpoint_slice_controller_endpointslices_changed_per_sync: {
    help: 'EndpointSlices that a look at a Service wrote.',
    labelNames: ['topology', 'traffic_distribution'],
    bounds: goBuckets,
  },
  node_ipam_controller_cidrset_allocation_tries_per_request: {
    help: 'Ranges that were taken, and passed over, before a free one was found.',
    labelNames: ['clusterCIDR'],
    bounds: exponential(1, 5, 5),
  },
};

/** By the values of its labels, joined by a character that none has. */
type ByLabels<T> = Map<string, T>;
const separator = '\n';

/** What loops did since the program began, by the names that /metrics has for it. */
export class LoopCounts {
  readonly #numbers = new Map<LoopCounter | LoopGauge, ByLabels<number>>();
  readonly #buckets = new Map<LoopHistogram, ByLabels<BucketCounts>>();

  add(name: LoopCounter, ...labels: readonly string[]): void {
    this.#put(name, labels, (before) => before + 1);
  }

  set(name: LoopGauge, value: number, ...labels: readonly string[]): void {
    this.#put(name, labels, () => value);
  }

  observe(name: LoopHistogram, value: number, ...labels: readonly string[]): void {
    const all = this.#buckets.get(name) ?? new Map<string, BucketCounts>();
    this.#buckets.set(name, all);
    const key = labels.join(separator);
    const known = all.get(key);
    if (known === undefined && all.size >= labelValuesMax) return;
    const buckets = known ?? new BucketCounts(loopHistograms[name].bounds);
    all.set(key, buckets);
    buckets.add(value);
  }

  numbers(name: LoopCounter | LoopGauge): readonly (readonly [labels: readonly string[], value: number])[] {
    return [...(this.#numbers.get(name) ?? [])].map(([key, value]) => [key.split(separator), value] as const);
  }

  buckets(name: LoopHistogram): readonly (readonly [labels: readonly string[], counts: BucketCounts])[] {
    return [...(this.#buckets.get(name) ?? [])].map(
      ([key, counts]) => [key.split(separator), counts] as const,
    );
  }

  #put(name: LoopCounter | LoopGauge, labels: readonly string[], next: (before: number) => number): void {
    const all = this.#numbers.get(name) ?? new Map<string, number>();
    this.#numbers.set(name, all);
    const key = labels.join(separator);
    const known = all.get(key);
    if (known === undefined && all.size >= labelValuesMax) return;
    all.set(key, next(known ?? 0));
  }
}
