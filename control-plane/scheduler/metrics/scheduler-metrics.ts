import type { MetricSample, ReadMetric } from '#control-plane/apiserver/serve/read-metric.ts';
import { HistogramCounts } from '#control-plane/apiserver/serve/request-counts.ts';
import type { MetricPoint, PointStatus } from '#control-plane/scheduler/plugin.ts';

/** How a try of a pod ended. */
export type AttemptResult = 'scheduled' | 'unschedulable' | 'error';

/** What is asked when somebody reads. */
export interface SchedulerFacts {
  /** Pods that wait, by the queue that they would be in of kube-scheduler. */
  readonly pending: () => Readonly<Record<'active' | 'backoff' | 'unschedulable' | 'gated', number>>;
  /** Pods that no node does for, by profile and plugin. */
  readonly refused: () => readonly {
    readonly profile: string;
    readonly plugin: string;
    readonly count: number;
  }[];
  readonly cached: () => Readonly<Record<'nodes' | 'pods' | 'assumed_pods', number>>;
}

/** Doubling bounds, as prometheus.ExponentialBuckets has them. */
function doubling(first: number, count: number): readonly number[] {
  return growing(first, 2, count);
}

function growing(first: number, factor: number, count: number): readonly number[] {
  return Array.from({ length: count }, (_, index) => first * factor ** index);
}

const attemptLabels = ['profile', 'result'] as const;
const queueLabels = ['queue', 'event'] as const;
const pointLabels = ['extension_point', 'status', 'profile'] as const;
const pluginLabels = ['plugin', 'extension_point', 'status'] as const;
/** Of more tries it is told as of these. */
const attemptsToldMax = 15;

/** Numbers by labels, each set of labels once. */
class LabelledCounts {
  readonly #counts = new Map<string, { readonly labels: Readonly<Record<string, string>>; count: number }>();

  add(labels: Readonly<Record<string, string>>): void {
    const id = Object.values(labels).join(' ');
    const known = this.#counts.get(id) ?? { labels, count: 0 };
    known.count++;
    this.#counts.set(id, known);
  }

  read(): readonly MetricSample[] {
    return [...this.#counts.values()].map(({ labels, count }) => ({ labels, value: count }));
  }
}

/**
 * What the scheduler of this process did, under names, labels and buckets of kube-scheduler 1.36 (pkg/scheduler/metrics). Not there are those of
 * goroutines, of events in flight, and how often each plugin was asked.
 */
export class SchedulerMetrics {
  readonly #attempts = new LabelledCounts();
  readonly #queued = new LabelledCounts();
  readonly #decisions = new HistogramCounts(doubling(0.001, 15), []);
  readonly #waits = new HistogramCounts(doubling(0.01, 20), ['attempts']);
  readonly #points = new HistogramCounts(doubling(0.0001, 12), pointLabels);
  readonly #plugins = new HistogramCounts(growing(0.000_01, 1.5, 20), pluginLabels);
  #flushed = 0;
  readonly #durations = new HistogramCounts(doubling(0.001, 15), attemptLabels);
  readonly #tries = new HistogramCounts(doubling(1, 5), []);
  readonly #victims = new HistogramCounts(doubling(1, 7), []);
  #preemptions = 0;
  #facts: SchedulerFacts | undefined;

  /** Of whom numbers are asked from now on: the scheduler that runs. */
  set facts(facts: SchedulerFacts | undefined) {
    this.#facts = facts;
  }

  /** A pod was tried, with binding. */
  attempted(profile: string, result: AttemptResult, seconds: number): void {
    const labels = { profile, result };
    this.#attempts.add(labels);
    this.#durations.of(labels).add(seconds);
  }

  /** A pod came to a queue. */
  queued(queue: string, event: string): void {
    this.#queued.add({ queue, event });
  }

  /** Where a pod may go was worked out, without binding. */
  decided(seconds: number): void {
    this.#decisions.of({}).add(seconds);
  }

  /** All plugins of an extension point were asked about a pod. */
  ran(
    labels: { readonly point: MetricPoint; readonly status: PointStatus; readonly profile: string },
    seconds: number,
  ): void {
    const { point, status, profile } = labels;
    this.#points.of({ extension_point: point, status, profile }).add(seconds);
  }

  /** A plugin was asked, of a node or a pod. */
  pluginRan(plugin: string, point: MetricPoint, status: PointStatus, seconds: number): void {
    this.#plugins.of({ plugin, extension_point: point, status }).add(seconds);
  }

  /** A pod was bound at that try, the first being 1, after so long in the queues; `isFlushed`: nothing had happened that should have helped. */
  bound(
    tries: number,
    { seconds, isFlushed }: { readonly seconds: number; readonly isFlushed: boolean },
  ): void {
    this.#tries.of({}).add(tries);
    this.#waits
      .of({ attempts: tries >= attemptsToldMax ? `${attemptsToldMax}+` : String(tries) })
      .add(seconds);
    if (isFlushed) this.#flushed++;
  }

  /** Victims were looked for, and so many found. */
  preempted(victims: number): void {
    this.#preemptions++;
    if (victims > 0) this.#victims.of({}).add(victims);
  }

  get metrics(): readonly ReadMetric[] {
    return [
      counter(
        'scheduler_schedule_attempts_total',
        'Number of attempts to schedule pods, by the result',
        attemptLabels,
        () => this.#attempts.read(),
      ),
      ...this.#measured(),
      this.#durations.metric(
        'scheduler_scheduling_attempt_duration_seconds',
        'Scheduling attempt latency in seconds, binding included',
      ),
      this.#tries.metric(
        'scheduler_pod_scheduling_attempts',
        'Number of attempts to successfully schedule a pod',
      ),
      counter('scheduler_preemption_attempts_total', 'Total preemption attempts', [], () => [
        { labels: {}, value: this.#preemptions },
      ]),
      this.#victims.metric('scheduler_preemption_victims', 'Number of selected preemption victims'),
      gauge('scheduler_pending_pods', 'Number of pending pods, by the queue', ['queue'], () =>
        Object.entries(this.#facts?.pending() ?? {}).map(([queue, value]) => ({ labels: { queue }, value })),
      ),
      gauge(
        'scheduler_unschedulable_pods',
        'Pods that no node does for, by plugin',
        ['plugin', 'profile'],
        () => (this.#facts?.refused() ?? []).map(({ count, ...labels }) => ({ labels, value: count })),
      ),
      gauge('scheduler_cache_size', 'Number of nodes, pods, and assumed pods in the cache', ['type'], () =>
        Object.entries(this.#facts?.cached() ?? {}).map(([type, value]) => ({ labels: { type }, value })),
      ),
    ];
  }

  #measured(): readonly ReadMetric[] {
    return [
      counter(
        'scheduler_queue_incoming_pods_total',
        'Number of pods added to scheduling queues by event and queue type',
        queueLabels,
        () => this.#queued.read(),
      ),
      this.#decisions.metric(
        'scheduler_scheduling_algorithm_duration_seconds',
        'Scheduling algorithm latency in seconds',
      ),
      this.#points.metric(
        'scheduler_framework_extension_point_duration_seconds',
        'Latency for running all plugins of a specific extension point',
      ),
      this.#plugins.metric(
        'scheduler_plugin_execution_duration_seconds',
        'Duration for running a plugin at a specific extension point, of one in twenty pods',
      ),
      this.#waits.metric(
        'scheduler_pod_scheduling_sli_duration_seconds',
        'Latency for a pod being scheduled, from the time it enters the queue, over all attempts',
      ),
      counter(
        'scheduler_pod_scheduled_after_flush_total',
        'Number of pods scheduled after they had waited for too long, though no event was to help them',
        [],
        () => [{ labels: {}, value: this.#flushed }],
      ),
    ];
  }
}

type Read = ReadMetric['read'];

function counter(name: string, help: string, labelNames: readonly string[], read: Read): ReadMetric {
  return { name, help, type: 'counter', labelNames, read };
}

function gauge(name: string, help: string, labelNames: readonly string[], read: Read): ReadMetric {
  return { name, help, type: 'gauge', labelNames, read };
}
