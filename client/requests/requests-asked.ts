import type { Clock } from '#base/clock.ts';
import { BucketCounts } from '#base/counts/bucket-counts.ts';
import type { Transport, TransportResponse } from '#client/transport.ts';

/** Of client-go (component-base/metrics/prometheus/restclient). Seconds. */
const durationBuckets: readonly number[] = [0.005, 0.025, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60];

export interface Answers {
  /** `<error>`: there was none. */
  readonly code: string;
  readonly method: string;
  readonly count: number;
}

/** Names and help of what client-go counts. */
export const askedMetrics = {
  requests: {
    name: 'rest_client_requests_total',
    help: '[ALPHA] Number of HTTP requests, partitioned by status code, method, and host.',
  },
  durations: {
    name: 'rest_client_request_duration_seconds',
    help: '[ALPHA] Request latency in seconds. Broken down by verb, and host.',
  },
} as const;

/** Counts what clients of one program ask, by rest_client_* of client-go. */
export class RequestsAsked {
  /** Whom they ask: `10.0.0.1:6443` */
  readonly host: string;
  /** Seconds to the answer, by method. */
  readonly durations: Map<string, BucketCounts> = new Map();
  readonly #clock: Pick<Clock, 'monotonic'>;
  readonly #answers = new Map<string, { readonly code: string; readonly method: string; count: number }>();

  constructor(host: string, clock: Pick<Clock, 'monotonic'>) {
    this.host = host;
    this.#clock = clock;
  }

  get answers(): readonly Answers[] {
    return [...this.#answers.values()];
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

  #note(method: string, code: string, seconds: number): void {
    const id = `${method} ${code}`;
    const known = this.#answers.get(id) ?? { code, method, count: 0 };
    known.count += 1;
    this.#answers.set(id, known);
    const durations = this.durations.get(method) ?? new BucketCounts(durationBuckets);
    durations.add(seconds);
    this.durations.set(method, durations);
  }
}
