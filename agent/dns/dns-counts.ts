import { family, labels, type Sample } from '#agent/kubelet/stats/exposition.ts';
import { SecondsHistogram } from '#agent/kubelet/stats/seconds-histogram.ts';
import { histogramLines } from '#agent/kubelet/stats/histogram-lines.ts';
import { createHealthServer } from '#agent/proxy/health-server.ts';
import type { HealthAnswer } from '#agent/proxy/health-answers.ts';
import type { Clock } from '#base/clock.ts';
import { familyOfIp } from '#base/ip.ts';
import type { Logger } from '#base/log.ts';
import type { Found } from './outside/forwarder.ts';
import type { Asker, Resolver } from './resolver.ts';

/** Of coredns_dns_request_duration_seconds: 0.25 ms, doubled fifteen times. */
const secondsBuckets = Array.from({ length: 16 }, (_, index) => 0.00025 * 2 ** index);
/** Types that are a label of their own, as CoreDNS has it; clients make up others. */
const types: ReadonlyMap<number, string> = new Map([
  ...([
    [1, 'A'],
    [2, 'NS'],
    [5, 'CNAME'],
    [6, 'SOA'],
    [12, 'PTR'],
    [15, 'MX'],
    [16, 'TXT'],
    [28, 'AAAA'],
  ] as const),
  ...([
    [33, 'SRV'],
    [43, 'DS'],
    [48, 'DNSKEY'],
    [65, 'HTTPS'],
    [255, 'ANY'],
  ] as const),
]);
const codes = ['NOERROR', 'FORMERR', 'SERVFAIL', 'NXDOMAIN', 'NOTIMP', 'REFUSED'];
/** Resolvers that are a label of their own. */
const serversMax = 64;

/** What the node's DNS was asked, for /metrics, under the names that dashboards of CoreDNS know. */
export class DnsCounts {
  readonly #seconds = new SecondsHistogram(secondsBuckets);
  readonly #requests = new Map<string, number>();
  readonly #responses = new Map<string, number>();
  readonly #found = new Map<Found, number>([
    ['hit', 0],
    ['miss', 0],
    ['stale', 0],
    ['prefetch', 0],
  ]);
  readonly #forwarded = new Map<string, number>();
  readonly #unanswered = new Map<string, number>();

  /** The same resolver, counted; `now` gives milliseconds. */
  counted(resolve: Resolver, now: () => number): Resolver {
    return async (message, asker) => {
      const beginMs = now();
      const reply = await resolve(message, asker);
      if (reply !== undefined) this.#note(message, reply, asker, (now() - beginMs) / 1000);
      return reply;
    };
  }

  readonly found = (how: Found): void => {
    this.#found.set(how, (this.#found.get(how) ?? 0) + 1);
  };

  readonly asked = (server: string, hasAnswered: boolean): void => {
    const to = this.#forwarded.has(server) || this.#forwarded.size < serversMax ? server : 'other';
    add(this.#forwarded, to);
    if (!hasAnswered) add(this.#unanswered, to);
  };

  #note(message: Buffer, reply: Buffer, { transport, address = '' }: Asker, seconds: number): void {
    this.#seconds.observe(seconds);
    const isQuestion = reply.length >= 12 && reply.readUInt16BE(4) === 1;
    const type = isQuestion ? (types.get(typeOf(message) ?? 0) ?? 'other') : 'other';
    const version = familyOfIp(address) === 6 ? '2' : '1';
    add(this.#requests, labels({ ...server, family: version, proto: transport, type }));
    const code = (reply[3] ?? 0) & 0xf;
    add(this.#responses, labels({ ...server, rcode: codes[code] ?? String(code) }));
  }

  render(): string {
    const count = (how: Found): readonly Sample[] => [
      [labels({ server: ownServer }), this.#found.get(how) ?? 0, undefined],
    ];
    const counter = (name: string, help: string, samples: readonly Sample[]): readonly string[] =>
      family(name, { type: 'counter', help }, samples);
    const byServer = (counts: ReadonlyMap<string, number>): readonly Sample[] =>
      [...counts].map(([to, value]) => [labels({ to }), value, undefined]);
    const byLabels = (counts: ReadonlyMap<string, number>): readonly Sample[] =>
      [...counts].map(([text, value]) => [text, value, undefined]);
    return [
      ...counter('coredns_dns_requests_total', 'Counter of DNS requests made.', byLabels(this.#requests)),
      ...counter(
        'coredns_dns_responses_total',
        'Counter of response status codes.',
        byLabels(this.#responses),
      ),
      ...histogramLines('coredns_dns_request_duration_seconds', 'Histogram of the time each request took.', [
        { seconds: this.#seconds, more: server },
      ]),
      ...counter('coredns_cache_hits_total', 'The count of cache hits.', count('hit')),
      ...counter('coredns_cache_misses_total', 'The count of cache misses.', count('miss')),
      ...counter(
        'coredns_cache_prefetch_total',
        'The number of times the cache has prefetched.',
        count('prefetch'),
      ),
      ...counter(
        'coredns_cache_served_stale_total',
        'The number of requests served from stale cache entries.',
        count('stale'),
      ),
      ...counter(
        'coredns_forward_requests_total',
        'Counter of requests made per upstream.',
        byServer(this.#forwarded),
      ),
      ...counter(
        'coredns_forward_healthcheck_failures_total',
        'Counter of upstreams that did not answer.',
        byServer(this.#unanswered),
      ),
      '',
    ].join('\n');
  }
}

const ownServer = 'dns://:53';
const server = { server: ownServer, zone: '.', view: '' };

function add(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

/** The type of the first question, behind its name's labels. */
function typeOf(message: Buffer): number | undefined {
  let at = 12;
  for (let length = message[at] ?? 0; length > 0; length = message[at] ?? 0) at += 1 + length;
  return at + 3 <= message.length ? message.readUInt16BE(at + 1) : undefined;
}

/** Where CoreDNS has its own. */
const metricsPort = 9153;

/** Serves `/metrics` at an address of the node's. */
export function serveDnsMetrics({ host, counts, clock, log }: DnsMetricsOptions): AsyncDisposable {
  const headers = { 'Content-Type': 'text/plain; version=0.0.4; charset=utf-8' };
  const answer = (path: string): HealthAnswer =>
    path === '/metrics'
      ? { status: 200, headers, body: counts.render() }
      : { status: 404, headers, body: '404 page not found\n' };
  return createHealthServer({ host, node: { port: metricsPort, answer }, isHealthy: () => true, clock, log });
}

interface DnsMetricsOptions {
  readonly host: string;
  readonly counts: DnsCounts;
  readonly clock: Clock;
  readonly log: Logger;
}
