import type { RenderedMetrics } from '#control-plane/apiserver/serve/process-metrics.ts';
import { countedControllers, countsOf } from '#client/controller.ts';
import type { QueueNumbers } from '#base/counts/queue-counts.ts';
import {
  histogramSamples,
  type MetricSample,
  type ReadMetric,
} from '#control-plane/apiserver/serve/read-metric.ts';
import { createPortMetrics, programMetrics } from './port-metrics.ts';
import { queueNames } from './queue-names.ts';

/** What is told of a kube-controller-manager besides its queues. */
export interface ManagerFacts {
  /** Loops of it that run now. */
  readonly running: () => readonly string[];
  readonly isLeading: () => boolean;
  /** What its clients ask, and what its loops did. */
  readonly metrics: readonly ReadMetric[];
}

/** In which order they are told, and what of a queue. Help as upstream's means it. */
const queueRows: readonly (readonly [
  name: string,
  type: ReadMetric['type'],
  help: string,
  of: (numbers: QueueNumbers) => number | QueueNumbers['waited'],
])[] = [
  ['workqueue_adds_total', 'counter', 'Keys that were put into the queue.', ({ adds }) => adds],
  ['workqueue_depth', 'gauge', 'Keys that wait.', ({ depth }) => depth],
  [
    'workqueue_longest_running_processor_seconds',
    'gauge',
    'For how long the longest work that is under way has been.',
    ({ longestSeconds }) => longestSeconds,
  ],
  [
    'workqueue_queue_duration_seconds',
    'histogram',
    'How long a key waited before its work began.',
    ({ waited }) => waited,
  ],
  [
    'workqueue_retries_total',
    'counter',
    'How often a key was to come again by itself.',
    ({ retries }) => retries,
  ],
  [
    'workqueue_unfinished_work_seconds',
    'gauge',
    'For how long all work that is under way has been, added up: it grows while something hangs.',
    ({ unfinishedSeconds }) => unfinishedSeconds,
  ],
  ['workqueue_work_duration_seconds', 'histogram', 'How long work on a key took.', ({ worked }) => worked],
];

/** workqueue_* of all loops of this process, by upstream's names of their queues. */
export function queueMetrics(): readonly ReadMetric[] {
  return queueRows.map(([name, type, help, of]) => ({
    ...{ name, type, help, labelNames: ['name'] },
    read: () => countedControllers().flatMap((loop) => samplesOf(name, loop, of)),
  }));
}

function samplesOf(metric: string, loop: string, of: (typeof queueRows)[number][3]): readonly MetricSample[] {
  const labels = { name: queueNames[loop] ?? loop };
  const value = of(countsOf(loop).read());
  return typeof value === 'number' ? [{ labels, value }] : histogramSamples(metric, labels, value);
}

const manager = 'kube-controller-manager';

function factMetrics({ running, isLeading }: ManagerFacts): readonly ReadMetric[] {
  return [
    ...programMetrics(manager, isLeading),
    {
      name: 'running_managed_controllers',
      help: 'Loops that run, with 1.',
      type: 'gauge',
      labelNames: ['manager', 'name'],
      read: () => running().map((name) => ({ labels: { manager, name }, value: 1 })),
    },
  ];
}

/** What `/metrics` of its port answers; loaded when somebody asks first. */
export function createManagerMetrics(facts: ManagerFacts): () => Promise<RenderedMetrics> {
  return createPortMetrics(() => [...queueMetrics(), ...factMetrics(facts), ...facts.metrics]);
}
