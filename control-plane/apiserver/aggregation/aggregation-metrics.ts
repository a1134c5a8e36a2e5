import type { ReadMetric } from '#control-plane/apiserver/serve/read-metric.ts';
import type { Aggregation } from './aggregation.ts';

/** kube-aggregator/pkg/controllers/status/metrics. */
export function aggregationMetrics(aggregation: Pick<Aggregation, 'states'>): readonly ReadMetric[] {
  return [
    {
      name: 'aggregator_unavailable_apiservice',
      help: 'Which APIServices cannot be asked (1), and which can (0).',
      type: 'gauge',
      labelNames: ['name'],
      read: () =>
        [...aggregation.states].map(({ name, isAvailable }) => ({
          labels: { name },
          value: isAvailable ? 0 : 1,
        })),
    },
  ];
}
