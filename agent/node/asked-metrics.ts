import { askedMetrics, type RequestsAsked } from '#client/requests/requests-asked.ts';
import { family, labels } from '#agent/kubelet/stats/exposition.ts';

/** What the node asks of the API server, for /metrics. */
export function renderAsked(asked: RequestsAsked): string {
  const { host } = asked;
  const { requests, durations } = askedMetrics;
  const { name } = durations;
  return [
    ...family(
      requests.name,
      { type: 'counter', help: requests.help },
      asked.answers.map(({ code, method, count }) => [labels({ code, host, method }), count, undefined]),
    ),
    `# HELP ${name} ${durations.help}`,
    `# TYPE ${name} histogram`,
    ...[...asked.durations].flatMap(([verb, counts]) => {
      const { upTo, sum, count } = counts.read();
      return [
        ...upTo.map(([le, value]) => `${name}_bucket${labels({ host, verb, le: String(le) })} ${value}`),
        `${name}_bucket${labels({ host, verb, le: '+Inf' })} ${count}`,
        `${name}_sum${labels({ host, verb })} ${sum}`,
        `${name}_count${labels({ host, verb })} ${count}`,
      ];
    }),
    '',
  ].join('\n');
}
