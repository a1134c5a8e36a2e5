import type { Counter, Gauge, Registry as MetricRegistry } from 'prom-client';
import type * as Prometheus from 'prom-client';
import {
  counterRows,
  histogramRows,
  type CounterRow,
  type Counting,
  type HistogramRow,
  type Measured,
} from './counters.ts';

import { renderMetrics, type RenderedMetrics } from './process-metrics.ts';
import { registerRead, type ReadMetric } from './read-metric.ts';
import {
  aboutLabels,
  aboutOf,
  HistogramCounts,
  RequestCounts,
  type AboutLabel,
  type RequestLabels,
  type RequestObservation,
} from './request-counts.ts';

/** What metrics ask of the server when somebody reads them. */
export interface ServerFacts {
  /** Of the store, newest durable. */
  readonly revision: () => number;
  /** Requests that are worked on. */
  readonly inFlight: () => { readonly mutating: number; readonly readOnly: number };
  /** Those whose numbers others keep. */
  readonly read?: readonly ReadMetric[];
  /** What other parts of the server have counted. */
  readonly sources?: readonly MetricSource[];
}

/** A part of the server that counts by itself, and tells when somebody reads. */
export type MetricSource = (prometheus: typeof Prometheus, registers: MetricRegistry[]) => void;

/** Under the names, labels and buckets that dashboards and alerts for kube-apiserver know (apiserver/pkg/endpoints/metrics). */
interface ServerMetrics {
  readonly registry: MetricRegistry;
  readonly longRunning: Gauge<AboutLabel>;
  readonly counters: ReadonlyMap<string, Counter>;
}

const nowhere: Measured = { add: () => undefined };

/** The metrics of one server, loaded in the background when it has started: no request waits for them. */
export class RequestMetrics implements Counting {
  readonly #facts: ServerFacts;
  readonly #requests = new RequestCounts();
  readonly #measured = new Map(
    histogramRows.map(({ name, buckets, labelNames }) => [name, new HistogramCounts(buckets, labelNames)]),
  );
  #loading: Promise<ServerMetrics> | undefined;
  #loaded: ServerMetrics | undefined;

  constructor(facts: ServerFacts) {
    this.#facts = facts;
  }

  load(): Promise<ServerMetrics> {
    this.#loading ??= this.#load();
    return this.#loading;
  }

  async #load(): Promise<ServerMetrics> {
    const metrics = await loadMetrics(this.#facts);
    const measured = histogramRows.flatMap(
      ({ name, help }) => this.#measured.get(name)?.metric(name, help) ?? [],
    );
    for (const metric of [...this.#requests.metrics, ...measured, ...(this.#facts.read ?? [])])
      await registerRead(metrics.registry, metric);
    const { sources = [] } = this.#facts;
    if (sources.length > 0) {
      const prometheus = await import('prom-client');
      for (const source of sources) source(prometheus, [metrics.registry]);
    }
    return (this.#loaded = metrics);
  }

  /** Counts a request that was answered. */
  observeRequest(observation: RequestObservation): void {
    this.#requests.observe(observation);
  }

  /** What happens in the first moments, before the metrics are loaded, is not counted. */
  count<L extends string>(row: CounterRow<L>, labels: Readonly<Record<L, string>>): void {
    this.#loaded?.counters.get(row.name)?.inc(inOrder(row, labels));
  }

  measure<L extends string>(row: HistogramRow<L>, labels: Readonly<Record<L, string>>, value: number): void {
    this.series(row, labels).add(value);
  }

  series<L extends string>(row: HistogramRow<L>, labels: Readonly<Record<L, string>>): Measured {
    return this.#measured.get(row.name)?.of(labels) ?? nowhere;
  }

  /** Counts a watch, a log or a connection for as long as it is open. */
  observeLongRunning(labels: RequestLabels): Disposable {
    const open = this.#loaded?.longRunning.labels(aboutOf(labels));
    open?.inc();
    return { [Symbol.dispose]: () => open?.dec() };
  }

  /** What `/metrics` answers. */
  async render(): Promise<RenderedMetrics> {
    return renderMetrics((await this.load()).registry);
  }
}

/** The library shows labels in the order in which it was given them first. */
function inOrder<L extends string>(
  { labelNames }: Pick<CounterRow<L>, 'labelNames'>,
  labels: Readonly<Record<L, string>>,
): Record<string, string> {
  return Object.fromEntries(labelNames.map((name) => [name, labels[name]]));
}

async function loadMetrics(facts: ServerFacts): Promise<ServerMetrics> {
  const { Registry, Counter, Gauge } = await import('prom-client');
  const registry = new Registry();
  const registers = [registry];
  const revision: Gauge = new Gauge({
    name: 'podwright_store_revision',
    help: 'Newest durable revision of the store.',
    registers,
    collect: (): void => revision.set(facts.revision()),
  });
  const inFlight = new Gauge({
    name: 'apiserver_current_inflight_requests',
    help: 'Requests that are worked on, by kind.',
    labelNames: ['request_kind'],
    registers,
    collect: (): void => {
      const { mutating, readOnly } = facts.inFlight();
      inFlight.set({ request_kind: 'mutating' }, mutating);
      inFlight.set({ request_kind: 'readOnly' }, readOnly);
    },
  });
  const counterOf = ({ name, help, labelNames, shown = [] }: CounterRow): Counter => {
    const counter = new Counter({ name, help, labelNames: [...labelNames], registers });
    for (const labels of shown) counter.inc(inOrder({ labelNames }, labels), 0);
    return counter;
  };
  return {
    registry,
    longRunning: new Gauge({
      name: 'apiserver_longrunning_requests',
      help: 'Watches and other streams that are open.',
      labelNames: [...aboutLabels],
      registers,
    }),
    counters: new Map(counterRows.map((row) => [row.name, counterOf(row)])),
  };
}
