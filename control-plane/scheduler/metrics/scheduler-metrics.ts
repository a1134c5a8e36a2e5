import type { ReadMetric } from '#control-plane/apiserver/serve/read-metric.ts';
import { HistogramCounts } from '#control-plane/apiserver/serve/request-counts.ts';

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
  return Array.from({ length: count }, (_, index) => first * 2 ** index);
}

const attemptLabels = ['profile', 'result'] as const;

/**
 * What the scheduler of this process did, under names, labels and buckets of kube-scheduler 1.36 (pkg/scheduler/metrics). Not there are those of
 * goroutines, and of what is measured of each plugin.
 */
export class SchedulerMetrics {
  readonly #attempts = new Map<
    string,
    { readonly labels: Readonly<Record<string, string>>; count: number }
  >();
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
    const id = `${profile} ${result}`;
    const known = this.#attempts.get(id) ?? { labels, count: 0 };
    known.count++;
    this.#attempts.set(id, known);
    this.#durations.of(labels).add(seconds);
  }

  /** A pod was bound at that try, the first being 1. */
  bound(tries: number): void {
    this.#tries.of({}).add(tries);
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
        () => [...this.#attempts.values()].map(({ labels, count }) => ({ labels, value: count })),
      ),
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
}

type Read = ReadMetric['read'];

function counter(name: string, help: string, labelNames: readonly string[], read: Read): ReadMetric {
  return { name, help, type: 'counter', labelNames, read };
}

function gauge(name: string, help: string, labelNames: readonly string[], read: Read): ReadMetric {
  return { name, help, type: 'gauge', labelNames, read };
}
