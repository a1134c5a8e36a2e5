/** Of nodes, EndpointSlices and evictions, by the names of kube-controller-manager. */
import { isConditionTrue } from '#api/meta/condition.ts';
import { endpointSlices, nodes, services } from '#api/schema/kind-ref.ts';
import type { EndpointSlice, Node, Service } from '#api/generated/objects.ts';
import type { Informers } from '#client/informers.ts';
import {
  histogramSamples,
  type MetricSample,
  type ReadMetric,
} from '#control-plane/apiserver/serve/read-metric.ts';
import { endpointsPerSliceMax, managedByUs } from '#control-plane/controllers/endpointslice/plan.ts';
import {
  hasSelector,
  managedByLabel,
  serviceKeyOf,
} from '#control-plane/controllers/endpointslice/slices.ts';
import { wantsZoneHints } from '#control-plane/controllers/endpointslice/zone-hints.ts';
import { zoneKey } from '#control-plane/controllers/node-lifecycle/zones.ts';
import {
  loopCounters,
  loopGauges,
  loopHistograms,
  type CountedMetric,
  type LoopCounter,
  type LoopCounts,
  type LoopGauge,
  type LoopHistogram,
} from './loop-counts.ts';

/** Whose caches are read, and what is counted. */
export interface LoopFacts {
  readonly counts: LoopCounts;
  /** Undefined: this server does not lead, and knows nothing of the cluster. */
  readonly informers: () => Informers | undefined;
  /** Loops that run now: what is told of theirs needs their caches. */
  readonly running: () => readonly string[];
}

/** What is counted, and what caches show. */
export function loopMetrics(facts: LoopFacts): readonly ReadMetric[] {
  const { counts } = facts;
  return [
    ...keysOf(loopCounters).map((name) => counted(name, { ...loopCounters[name], type: 'counter' }, counts)),
    ...keysOf(loopGauges).map((name) => counted(name, { ...loopGauges[name], type: 'gauge' }, counts)),
    ...keysOf(loopHistograms).map((name) => observed(name, counts)),
    ...gaugeRows.map(([name, help, labelNames, loop, read]): ReadMetric => ({
      ...{ name, help, type: 'gauge', labelNames },
      read: () => {
        const from = facts.informers();
        return from === undefined || !facts.running().includes(loop) ? [] : read(from);
      },
    })),
  ];
}

function counted(
  name: LoopCounter | LoopGauge,
  { help, labelNames, type }: CountedMetric & { readonly type: 'counter' | 'gauge' },
  counts: LoopCounts,
): ReadMetric {
  const read = (): readonly MetricSample[] =>
    counts.numbers(name).map(([values, value]) => ({ labels: pairs(labelNames, values), value }));
  return { name, help, type, labelNames, read };
}

function observed(name: LoopHistogram, counts: LoopCounts): ReadMetric {
  const { help, labelNames } = loopHistograms[name];
  const read = (): readonly MetricSample[] =>
    counts
      .buckets(name)
      .flatMap(([values, buckets]) => histogramSamples(name, pairs(labelNames, values), buckets.read()));
  return { name, help, type: 'histogram', labelNames, read };
}

function pairs(names: readonly string[], values: readonly string[]): MetricSample['labels'] {
  return Object.fromEntries(names.map((name, index) => [name, values[index] ?? '']));
}

function keysOf<K extends string>(table: Readonly<Record<K, unknown>>): readonly K[] {
  const isKey = (key: string): key is K => key in table;
  return Object.keys(table).filter(isKey);
}

type GaugeRow = readonly [
  name: string,
  help: string,
  labelNames: readonly string[],
  loop: string,
  read: (from: Informers) => readonly MetricSample[],
];

const nodeLoop = 'node-lifecycle-controller';
const sliceLoop = 'endpointslice-controller';

const gaugeRows: readonly GaugeRow[] = [
  [
    'node_collector_zone_health',
    'How many of a hundred nodes of a zone are ready.',
    ['zone'],
    nodeLoop,
    (from) => ofZones(from, (all, unhealthy) => (100 * (all - unhealthy)) / all),
  ],
  ['node_collector_zone_size', 'Nodes of a zone.', ['zone'], nodeLoop, (from) => ofZones(from, (all) => all)],
  [
    'node_collector_unhealthy_nodes_in_zone',
    'Nodes of a zone that are not ready.',
    ['zone'],
    nodeLoop,
    (from) => ofZones(from, (_all, unhealthy) => unhealthy),
  ],
  [
    'endpoint_slice_controller_num_endpoint_slices',
    'EndpointSlices that there are of Services with a selector.',
    [],
    sliceLoop,
    (from) => one(ownSlices(from).length),
  ],
  [
    'endpoint_slice_controller_desired_endpoint_slices',
    'EndpointSlices that there would be if each were full.',
    [],
    sliceLoop,
    (from) => one(fewestSlices(ownSlices(from))),
  ],
  [
    'endpoint_slice_controller_endpoints_desired',
    'Endpoints of Services with a selector.',
    [],
    sliceLoop,
    (from) => one(ownSlices(from).reduce((sum, { endpoints }) => sum + (endpoints?.length ?? 0), 0)),
  ],
  [
    'endpoint_slice_controller_services_count_by_traffic_distribution',
    'Services with a selector that say how traffic is to be distributed.',
    ['traffic_distribution'],
    sliceLoop,
    (from) => tally(from.for(services).list().filter(hasSelector).map(trafficDistributionOf)),
  ],
];

function one(value: number): readonly MetricSample[] {
  return [{ labels: {}, value }];
}

function ofZones(
  from: Informers,
  value: (all: number, unhealthy: number) => number,
): readonly MetricSample[] {
  const zones = Map.groupBy(from.for(nodes).list(), zoneKey);
  const isUnhealthy = ({ status }: Node): boolean => !isConditionTrue(status?.conditions, 'Ready');
  return [...zones].map(([zone, all]) => ({
    labels: { zone },
    value: value(all.length, all.filter(isUnhealthy).length),
  }));
}

function ownSlices(from: Informers): readonly EndpointSlice[] {
  const isOurs = ({ metadata }: EndpointSlice): boolean => metadata?.labels?.[managedByLabel] === managedByUs;
  return from.for(endpointSlices).list().filter(isOurs);
}

/** Slices of a Service go together by family and ports; a Service without endpoints has one, too. */
function fewestSlices(slices: readonly EndpointSlice[]): number {
  const groups = Map.groupBy(slices, (slice) =>
    JSON.stringify([serviceKeyOf(slice), slice.addressType, slice.ports]),
  );
  const endpoints = [...groups.values()].map((group) =>
    group.reduce((sum, slice) => sum + (slice.endpoints?.length ?? 0), 0),
  );
  return endpoints.reduce((sum, count) => sum + Math.max(1, Math.ceil(count / endpointsPerSliceMax)), 0);
}

/** Empty where it says none that counts. */
function trafficDistributionOf(service: Service): string {
  return wantsZoneHints(service) ? '' : (service.spec?.trafficDistribution ?? '');
}

function tally(values: readonly string[]): readonly MetricSample[] {
  const groups = Map.groupBy(
    values.filter((value) => value !== ''),
    (value) => value,
  );
  return [...groups].map(([value, all]) => ({ labels: { traffic_distribution: value }, value: all.length }));
}
