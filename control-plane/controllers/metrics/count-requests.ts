import type { Clock } from '#base/clock.ts';
import type { Transport, TransportResponse } from '#client/transport.ts';
import { HistogramCounts } from '#control-plane/apiserver/serve/request-counts.ts';
import type { ReadMetric } from '#control-plane/apiserver/serve/read-metric.ts';

/** Of client-go (component-base/metrics/prometheus/restclient). Seconds. */
const durationBuckets: readonly number[] = [0.005, 0.025, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60];

/** Counts what clients of one program ask, by rest_client_* of client-go. */
export class RequestsAsked {
  readonly #host: string;
  readonly #clock: Pick<Clock, 'monotonic'>;
  readonly #durations = new HistogramCounts(durationBuckets, ['host', 'verb']);
  /** By code and method. */
  readonly #answers = new Map<string, { readonly code: string; readonly method: string; count: number }>();

  /** @param host whom they ask: `10.0.0.1:6443` */
  constructor(host: string, clock: Pick<Clock, 'monotonic'>) {
    this.#host = host;
    this.#clock = clock;
  }

  /** The transport, counted. */
  of(transport: Transport): Transport {
    return {
      request: async (request) => {
        const startMs = this.#clock.monotonic();
        let code = '<error>';
        try {
          const response: TransportResponse = await transport.request(request);
          code = String(response.status);
          return response;
        } finally {
          this.#note(request.method, code, (this.#clock.monotonic() - startMs) / 1000);
        }
      },
      [Symbol.asyncDispose]: () => transport[Symbol.asyncDispose](),
    };
  }

  get metrics(): readonly ReadMetric[] {
    const host = this.#host;
    return [
      {
        name: 'rest_client_requests_total',
        help: 'Requests asked, by the code of the answer, method and host.',
        type: 'counter',
        labelNames: ['code', 'host', 'method'],
        read: () =>
          [...this.#answers.values()].map(({ code, method, count }) => ({
            labels: { code, host, method },
            value: count,
          })),
      },
      this.#durations.metric('rest_client_request_duration_seconds', 'Time to the answer, by verb and host.'),
    ];
  }

  #note(method: string, code: string, seconds: number): void {
    const id = `${method} ${code}`;
    const known = this.#answers.get(id) ?? { code, method, count: 0 };
    known.count += 1;
    this.#answers.set(id, known);
    this.#durations.of({ host: this.#host, verb: method }).add(seconds);
  }
}
