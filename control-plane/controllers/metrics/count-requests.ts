import { askedMetrics, type RequestsAsked } from '#client/requests/requests-asked.ts';
import { histogramSamples, type ReadMetric } from '#control-plane/apiserver/serve/read-metric.ts';

/** rest_client_* of client-go, of what a program's clients ask. */
export function metricsOfRequests(asked: RequestsAsked): readonly ReadMetric[] {
  const { host } = asked;
  const { requests, durations } = askedMetrics;
  return [
    {
      ...requests,
      type: 'counter',
      labelNames: ['code', 'host', 'method'],
      read: () =>
        asked.answers.map(({ code, method, count }) => ({ labels: { code, host, method }, value: count })),
    },
    {
      ...durations,
      type: 'histogram',
      labelNames: ['host', 'verb'],
      read: () =>
        [...asked.durations].flatMap(([verb, counts]) =>
          histogramSamples(durations.name, { host, verb }, counts.read()),
        ),
    },
  ];
}
