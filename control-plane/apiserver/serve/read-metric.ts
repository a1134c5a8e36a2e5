import type { Registry } from 'prom-client';
import type { BucketCounts } from '#base/counts/bucket-counts.ts';

/** A number of a metric. */
export interface MetricSample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
  /** Of a histogram: `NAME_bucket`, `NAME_sum`, `NAME_count`. */
  readonly metricName?: string;
}

/** A metric whose numbers somebody else keeps: they are asked for when it is read, and until then it costs nothing. */
export interface ReadMetric {
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly labelNames: readonly string[];
  readonly read: () => readonly MetricSample[];
}

/** Puts it among those of a registry, which writes it as all others. */
export async function registerRead(
  registry: Registry,
  { name, help, type, labelNames, read }: ReadMetric,
): Promise<void> {
  const { Counter, Gauge, Histogram } = await import('prom-client');
  const about = { name, help, labelNames: [...labelNames], registers: [registry] };
  const metric =
    type === 'counter' ? new Counter(about) : type === 'gauge' ? new Gauge(about) : new Histogram(about);
  const head = await metric.get();
  const get = async (): Promise<object> => ({ ...head, values: read() });
  Object.assign(metric, { get, getForPromString: get }); // The second is what a registry asks a histogram for.
}

/** As Go prints it: what is smaller than 1e-4 with an exponent of two digits. */
function goNumber(value: number): string {
  if (value === 0 || Math.abs(value) >= 1e-4) return String(value);
  return value.toExponential().replace(/e-(\d)$/, 'e-0$1');
}

/** A histogram, as it is written; none of what never happened. */
export function histogramSamples(
  name: string,
  labels: MetricSample['labels'],
  { upTo, sum, count }: ReturnType<BucketCounts['read']>,
): readonly MetricSample[] {
  if (count === 0) return [];
  return [
    ...upTo.map(([bound, value]) => ({
      labels: { ...labels, le: goNumber(bound) },
      value,
      metricName: `${name}_bucket`,
    })),
    { labels: { ...labels, le: '+Inf' }, value: count, metricName: `${name}_bucket` },
    { labels, value: sum, metricName: `${name}_sum` },
    { labels, value: count, metricName: `${name}_count` },
  ];
}
