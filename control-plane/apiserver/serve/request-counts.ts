import { BucketCounts } from '#base/counts/bucket-counts.ts';
import { histogramSamples, type MetricSample, type ReadMetric } from './read-metric.ts';

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

export type AboutLabel = 'verb' | 'group' | 'version' | 'resource' | 'subresource' | 'scope' | 'component';

/** In the order in which they are shown. */
export const aboutLabels: readonly AboutLabel[] = [
  'verb',
  'group',
  'version',
  'resource',
  'subresource',
  'scope',
  'component',
];

const dryLabels: readonly string[] = [...aboutLabels, 'dry_run'];

export function aboutOf(labels: RequestLabels): Readonly<Record<AboutLabel, string>> {
  const { verb, group, version, resource, subresource, scope } = labels;
  return { verb, group, version, resource, subresource, scope, component: 'apiserver' };
}

/** Requests that take as long as their client wants say nothing of the server by their duration. */
const endless: ReadonlySet<string> = new Set(['WATCH', 'WATCHLIST', 'CONNECT']);
const durationBuckets: readonly number[] = [
  0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1, 1.25, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 45, 60,
];
/** 1 kB, ten times as much, … 1 GB. */
const sizeBuckets: readonly number[] = [1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9];

type Labels = Readonly<Record<string, string>>;

/** Numbers by labels, each set of labels once. */
export class HistogramCounts {
  readonly #labelNames: readonly string[];
  readonly #bounds: readonly number[];
  readonly #series = new Map<string, { readonly labels: Labels; readonly counts: BucketCounts }>();

  constructor(bounds: readonly number[], labelNames: readonly string[]) {
    this.#bounds = bounds;
    this.#labelNames = labelNames;
  }

  of(labels: Labels): BucketCounts {
    let id = '';
    for (const name of this.#labelNames) id += `${labels[name]}\n`;
    let series = this.#series.get(id);
    if (series === undefined) {
      const inOrder = Object.fromEntries(this.#labelNames.map((name) => [name, labels[name] ?? '']));
      this.#series.set(id, (series = { labels: inOrder, counts: new BucketCounts(this.#bounds) }));
    }
    return series.counts;
  }

  metric(name: string, help: string): ReadMetric {
    const read = (): readonly MetricSample[] =>
      [...this.#series.values()].flatMap(({ labels, counts }) =>
        histogramSamples(name, labels, counts.read()),
      );
    return { name, help, type: 'histogram', labelNames: this.#labelNames, read };
  }
}

interface Series {
  readonly labels: Labels;
  readonly durations: readonly BucketCounts[];
  readonly bytes: BucketCounts | undefined;
  count: number;
}

/** Requests by what they are and how they ended, under the names, labels and buckets of apiserver/pkg/endpoints/metrics. */
export class RequestCounts {
  readonly #durations = new HistogramCounts(durationBuckets, dryLabels);
  readonly #slis = new HistogramCounts(durationBuckets, aboutLabels);
  readonly #sizes = new HistogramCounts(sizeBuckets, aboutLabels);
  /** By all labels: each request looks for one of them. */
  readonly #series = new Map<string, Series>();

  observe({ labels, code, seconds, bytes }: RequestObservation): void {
    const { verb, group, version, resource, subresource, scope, dryRun, systemClient } = labels;
    const id = `${verb} ${code} ${group}/${version}/${resource}/${subresource} ${scope} ${dryRun} ${systemClient}`;
    let series = this.#series.get(id);
    if (series === undefined) this.#series.set(id, (series = this.#seriesFor(labels, code)));
    series.count++;
    for (const durations of series.durations) durations.add(seconds);
    if (bytes !== undefined) series.bytes?.add(bytes);
  }

  get metrics(): readonly ReadMetric[] {
    return [
      {
        name: 'apiserver_request_total',
        help: 'Requests answered.',
        type: 'counter',
        labelNames: [...dryLabels, 'system_client', 'code'],
        read: () => [...this.#series.values()].map(({ labels, count }) => ({ labels, value: count })),
      },
      this.#durations.metric(
        'apiserver_request_duration_seconds',
        'Time from request to answer, of those that are no watch and no connection.',
      ),
      this.#slis.metric('apiserver_request_sli_duration_seconds', 'The same, for objectives of the service.'),
      this.#sizes.metric('apiserver_response_sizes', 'Bytes of answers to reads.'),
    ];
  }

  #seriesFor(labels: RequestLabels, code: number): Series {
    const about = aboutOf(labels);
    const dry = { ...about, dry_run: labels.dryRun };
    const isRead = labels.verb === 'GET' || labels.verb === 'LIST';
    return {
      labels: { ...dry, system_client: labels.systemClient, code: String(code) },
      durations: endless.has(labels.verb) ? [] : [this.#durations.of(dry), this.#slis.of(about)],
      bytes: isRead ? this.#sizes.of(about) : undefined,
      count: 0,
    };
  }
}
