import type { Counter, Gauge, Histogram, Registry as MetricRegistry } from 'prom-client';

/** Who and what a request is, as kube-apiserver's metrics say it. '' for a path that is no resource. */
export interface RequestLabels {
  readonly verb: string;
  readonly group: string;
  readonly version: string;
  readonly resource: string;
  readonly subresource: string;
  /** `resource`, `namespace` or `cluster`. */
  readonly scope: string;
  /** `All` or ''. */
  readonly dryRun: string;
  /** The scheduler or the controllers, by their user agent; '' are all others. */
  readonly systemClient: string;
}

export interface RequestObservation {
  readonly labels: RequestLabels;
  readonly code: number;
  readonly seconds: number;
  /** Of the answer; undefined where it is a stream. */
  readonly bytes: number | undefined;
}

/** What metrics ask of the server when somebody reads them. */
export interface ServerFacts {
  /** Of the store, newest durable. */
  readonly revision: () => number;
  /** Requests that are worked on. */
  readonly inFlight: () => { readonly mutating: number; readonly readOnly: number };
}

interface RequestSeries {
  readonly request: Counter.Internal;
  readonly durations: readonly Histogram.Internal<string>[];
  readonly bytes: Histogram.Internal<string> | undefined;
}

type AboutLabel = 'verb' | 'group' | 'version' | 'resource' | 'subresource' | 'scope' | 'component';
const aboutLabels: readonly AboutLabel[] = [
  'verb',
  'group',
  'version',
  'resource',
  'subresource',
  'scope',
  'component',
];

/** Under the names, labels and buckets that dashboards and alerts for kube-apiserver know (apiserver/pkg/endpoints/metrics). */
interface ServerMetrics {
  readonly registry: MetricRegistry;
  readonly requests: Counter<AboutLabel | 'dry_run' | 'system_client' | 'code'>;
  readonly durations: Histogram<AboutLabel | 'dry_run'>;
  readonly slis: Histogram<AboutLabel>;
  readonly sizes: Histogram<AboutLabel>;
  readonly longRunning: Gauge<AboutLabel>;
  /** Those of each set of labels that occurred: looking them up by labels costs more than counting. */
  readonly seriesOf: Map<string, RequestSeries>;
}

/** Requests that take as long as their client wants say nothing of the server by their duration. */
const endless: ReadonlySet<string> = new Set(['WATCH', 'WATCHLIST', 'CONNECT']);

/** The metrics of one server, loaded in the background when it has started: no request waits for them. */
export class RequestMetrics {
  readonly #facts: ServerFacts;
  #loading: Promise<ServerMetrics> | undefined;
  #loaded: ServerMetrics | undefined;

  constructor(facts: ServerFacts) {
    this.#facts = facts;
  }

  load(): Promise<ServerMetrics> {
    this.#loading ??= loadMetrics(this.#facts).then((metrics) => (this.#loaded = metrics));
    return this.#loading;
  }

  /** Counts a request that was answered. Those of the first moments, before the metrics are loaded, are not counted. */
  observeRequest({ labels, code, seconds, bytes }: RequestObservation): void {
    const metrics = this.#loaded;
    if (metrics === undefined) return;
    const { verb, group, version, resource, subresource, scope, dryRun, systemClient } = labels;
    const id = `${verb} ${code} ${group}/${version}/${resource}/${subresource} ${scope} ${dryRun} ${systemClient}`;
    let series = metrics.seriesOf.get(id);
    if (series === undefined) metrics.seriesOf.set(id, (series = seriesFor(metrics, labels, code)));
    series.request.inc();
    for (const durations of series.durations) durations.observe(seconds);
    if (bytes !== undefined) series.bytes?.observe(bytes);
  }

  /** Counts a watch, a log or a connection for as long as it is open. */
  observeLongRunning(labels: RequestLabels): Disposable {
    const { verb, group, version, resource, subresource, scope } = labels;
    const about = { verb, group, version, resource, subresource, scope, component };
    const open = this.#loaded?.longRunning.labels(about);
    open?.inc();
    return { [Symbol.dispose]: () => open?.dec() };
  }

  /** What `/metrics` answers. */
  async render(): Promise<{ readonly contentType: string; readonly text: string }> {
    const { registry } = await this.load();
    return { contentType: registry.contentType, text: await registry.metrics() };
  }
}

const component = 'apiserver';

function seriesFor(metrics: ServerMetrics, labels: RequestLabels, code: number): RequestSeries {
  const { verb, group, version, resource, subresource, scope, dryRun, systemClient } = labels;
  const about = { verb, group, version, resource, subresource, scope, component };
  const dry = { ...about, dry_run: dryRun };
  const isRead = verb === 'GET' || verb === 'LIST';
  return {
    request: metrics.requests.labels({ ...dry, system_client: systemClient, code: String(code) }),
    durations: endless.has(verb) ? [] : [metrics.durations.labels(dry), metrics.slis.labels(about)],
    bytes: isRead ? metrics.sizes.labels(about) : undefined,
  };
}

const durationBuckets: readonly number[] = [
  0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1, 1.25, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 45, 60,
];
/** 1 kB, ten times as much, … 1 GB. */
const sizeBuckets: readonly number[] = [1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9];

async function loadMetrics(facts: ServerFacts): Promise<ServerMetrics> {
  const { Registry, Counter, Gauge, Histogram, collectDefaultMetrics } = await import('prom-client');
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
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
  const histogram = <T extends string>(about: {
    readonly name: string;
    readonly help: string;
    readonly labelNames: readonly T[];
    readonly buckets: readonly number[];
  }): Histogram<T> =>
    new Histogram({ ...about, labelNames: [...about.labelNames], buckets: [...about.buckets], registers });
  return {
    registry,
    requests: new Counter({
      name: 'apiserver_request_total',
      help: 'Requests answered.',
      labelNames: [...aboutLabels, 'dry_run', 'system_client', 'code'],
      registers,
    }),
    durations: histogram({
      name: 'apiserver_request_duration_seconds',
      help: 'Time from request to answer, of those that are no watch and no connection.',
      labelNames: [...aboutLabels, 'dry_run'],
      buckets: durationBuckets,
    }),
    slis: histogram({
      name: 'apiserver_request_sli_duration_seconds',
      help: 'The same, for objectives of the service.',
      labelNames: aboutLabels,
      buckets: durationBuckets,
    }),
    sizes: histogram({
      name: 'apiserver_response_sizes',
      help: 'Bytes of answers to reads.',
      labelNames: aboutLabels,
      buckets: sizeBuckets,
    }),
    longRunning: new Gauge({
      name: 'apiserver_longrunning_requests',
      help: 'Watches and other streams that are open.',
      labelNames: [...aboutLabels],
      registers,
    }),
    seriesOf: new Map(),
  };
}
