import type { Counter, Gauge, Histogram, Registry as MetricRegistry } from 'prom-client';

/** The metrics of one server, each under the name that dashboards for kube-apiserver know. */
export interface ServerMetrics {
  readonly registry: MetricRegistry;
  /** Requests by verb, resource and code. Reader: request rates and errors of API dashboards. */
  readonly requests: Counter<'verb' | 'resource' | 'code'>;
  readonly durations: Histogram<'verb' | 'resource'>;
  /** The two for each set of labels that occurred: looking them up by labels costs more than counting. */
  readonly seriesOf: Map<
    string,
    { readonly request: Counter.Internal; readonly duration: Histogram.Internal<string> }
  >;
  readonly watches: Gauge;
}

/** The metrics of one server, loaded in the background when it has started: no request waits for them. */
export class RequestMetrics {
  readonly #revision: () => number;
  #loading: Promise<ServerMetrics> | undefined;
  #loaded: ServerMetrics | undefined;

  /** @param revision of the store, newest durable */
  constructor(revision: () => number) {
    this.#revision = revision;
  }

  load(): Promise<ServerMetrics> {
    this.#loading ??= loadMetrics(this.#revision).then((metrics) => (this.#loaded = metrics));
    return this.#loading;
  }

  /** Counts a request that was answered. Those of the first moments, before the metrics are loaded, are not counted. */
  observeRequest({ verb, resource, code, seconds }: RequestObservation): void {
    const metrics = this.#loaded;
    if (metrics === undefined) return;
    const id = `${verb} ${resource} ${code}`;
    let series = metrics.seriesOf.get(id);
    if (series === undefined) {
      const request = metrics.requests.labels({ verb, resource, code: String(code) });
      metrics.seriesOf.set(
        id,
        (series = { request, duration: metrics.durations.labels({ verb, resource }) }),
      );
    }
    series.request.inc();
    if (verb !== 'watch') series.duration.observe(seconds);
  }

  /** Counts a watch for as long as it is open. */
  observeWatch(): Disposable {
    const watches = this.#loaded?.watches;
    watches?.inc();
    return { [Symbol.dispose]: () => watches?.dec() };
  }

  /** What `/metrics` answers. */
  async render(): Promise<{ readonly contentType: string; readonly text: string }> {
    const { registry } = await this.load();
    return { contentType: registry.contentType, text: await registry.metrics() };
  }
}

export interface RequestObservation {
  readonly verb: string;
  /** '' for a path that is no resource. */
  readonly resource: string;
  readonly code: number;
  readonly seconds: number;
}

async function loadMetrics(newestRevision: () => number): Promise<ServerMetrics> {
  const prometheus = await import('prom-client');
  const registry = new prometheus.Registry();
  prometheus.collectDefaultMetrics({ register: registry });
  const revision: Gauge = new prometheus.Gauge({
    name: 'podwright_store_revision',
    help: 'Newest durable revision of the store.',
    registers: [registry],
    collect: (): void => revision.set(newestRevision()),
  });
  return {
    registry,
    requests: new prometheus.Counter({
      name: 'apiserver_request_total',
      help: 'Requests answered, by verb, resource and HTTP code.',
      labelNames: ['verb', 'resource', 'code'],
      registers: [registry],
    }),
    durations: new prometheus.Histogram({
      name: 'apiserver_request_duration_seconds',
      help: 'Time from request to answer of requests that are no watch, in seconds.',
      labelNames: ['verb', 'resource'],
      buckets: [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 30],
      registers: [registry],
    }),
    seriesOf: new Map(),
    watches: new prometheus.Gauge({
      name: 'apiserver_longrunning_requests',
      help: 'Watches and other streams that are open.',
      registers: [registry],
    }),
  };
}
