/** What a Service proxy did, in kube-proxy's names (pkg/proxy/metrics, "Kubernetes Metrics Reference"), for its port of metrics. */
import { family, labels, type Sample } from '#agent/kubelet/stats/exposition.ts';
import { histogramLines } from '#agent/kubelet/stats/histogram-lines.ts';
import { SecondsHistogram } from '#agent/kubelet/stats/seconds-histogram.ts';
import type { EndpointSlice } from '#api/generated/objects.ts';
import { triggerTimeAnnotation } from '#api/meta/trigger-time.ts';
import type { IpFamily } from '#base/ip.ts';
import type { ProxyPort } from '#agent/proxy/service-map.ts';
import type { ProxyMode } from '#agent/proxy/service-rules.ts';

/** Upper bounds in seconds: from a millisecond on, each twice the one before. */
const syncBounds: readonly number[] = Array.from({ length: 15 }, (_, i) => 0.001 * 2 ** i);

const steps = (first: number, width: number, count: number): readonly number[] =>
  Array.from({ length: count }, (_, i) => first + width * i);

/** Of what a client sees, from the change of a pod until packets are led by it. */
const programmingBounds: readonly number[] = [
  0,
  ...steps(0.25, 0.25, 2),
  ...steps(1, 1, 59),
  ...steps(60, 5, 12),
  ...steps(120, 30, 7),
];

/** Of changes that wait for rules; more of them would tell nothing new. */
const triggeredMax = 10_000;

const prefix = 'kubeproxy_sync_proxy_rules';

/** What is counted of each family; both are written together. */
interface FamilyCounts {
  readonly syncs: SecondsHistogram;
  readonly programming: SecondsHistogram;
  /** When what is not in the rules yet was set off (ms). */
  readonly triggeredMs: number[];
  /** By Service: ports whose policy keeps traffic here, where there is nobody. */
  readonly withoutLocal: Map<string, { readonly internal: number; readonly external: number }>;
}

const ipFamily = (of: IpFamily): { readonly ip_family: string } => ({ ip_family: `IPv${of}` });

export class ProxyCounts {
  readonly #families: ReadonlyMap<IpFamily, FamilyCounts>;
  readonly #startMs: number;
  readonly #counts = new Map<string, number>();
  readonly #changes = { service: 0, endpoint: 0 };
  readonly #pending = { service: 0, endpoint: 0 };
  #failures = 0;
  #lastSyncMs = 0;
  #lastQueuedMs = 0;

  /** `startMs`: what was set off before is not measured, nobody having been there. */
  constructor(families: readonly IpFamily[], startMs: number) {
    this.#startMs = startMs;
    this.#families = new Map(
      families.map((of) => [
        of,
        {
          syncs: new SecondsHistogram(syncBounds),
          programming: new SecondsHistogram(programmingBounds),
          triggeredMs: [],
          withoutLocal: new Map(),
        },
      ]),
    );
  }

  noteChange(kind: 'service' | 'endpoint', nowMs: number): void {
    this.#changes[kind] += 1;
    this.#pending[kind] += 1;
    this.#lastQueuedMs = nowMs;
  }

  /** Of a slice that is new, or another than before. */
  noteEndpoints(slice: EndpointSlice): void {
    const ms = Date.parse(slice.metadata?.annotations?.[triggerTimeAnnotation] ?? '');
    const { triggeredMs = [] } = this.#families.get(slice.addressType === 'IPv6' ? 6 : 4) ?? {};
    if (ms > this.#startMs && triggeredMs.length < triggeredMax) triggeredMs.push(ms);
  }

  notePorts(key: string, of: IpFamily, ports: readonly ProxyPort[]): void {
    const lack = ports.filter(
      ({ backends, localBackends }) => backends.length > 0 && localBackends.length === 0,
    );
    const internal = lack.filter(({ isInternalLocal }) => isInternalLocal).length;
    const external = lack.filter(
      (port) => port.isExternalLocal && (port.nodePort !== undefined || port.externals.length > 0),
    ).length;
    const withoutLocal = this.#families.get(of)?.withoutLocal;
    if (internal + external === 0) withoutLocal?.delete(key);
    else withoutLocal?.set(key, { internal, external });
  }

  noteSync(ms: number, nowMs: number): void {
    for (const { syncs, programming, triggeredMs } of this.#families.values()) {
      syncs.observe(ms / 1000);
      for (const since of triggeredMs.splice(0)) programming.observe((nowMs - since) / 1000);
    }
    this.#lastSyncMs = nowMs;
    Object.assign(this.#pending, { service: 0, endpoint: 0 });
  }

  noteFailure(): void {
    this.#failures += 1;
  }

  /** Of the port for load balancers. */
  noteCheck(path: string, status: number): void {
    const kind = path === '/livez' ? 'livez' : 'healthz';
    const name = `${kind} ${status}`;
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1);
  }

  render(mode: ProxyMode): string {
    const failures = `${prefix}_${mode === 'iptables' ? 'iptables_restore' : 'nftables_sync'}_failures_total`;
    return [
      ...this.#renderTimes(),
      ...this.#renderChanges(),
      ...this.#perFamily(failures, 'counter', 'Rules that could not be written.', this.#failures),
      ...this.#renderWithoutLocal(),
      ...this.#renderChecks('healthz'),
      ...this.#renderChecks('livez'),
      '',
    ].join('\n');
  }

  #perFamily(name: string, type: string, help: string, value: number): readonly string[] {
    const samples = [...this.#families.keys()].map((of): Sample => [labels(ipFamily(of)), value, undefined]);
    return family(name, { type, help }, samples);
  }

  #renderTimes(): readonly string[] {
    const histograms = (which: 'syncs' | 'programming') =>
      [...this.#families].map(([of, counts]) => ({ seconds: counts[which], more: ipFamily(of) }));
    const gauge = (what: string, help: string, ms: number): readonly string[] =>
      this.#perFamily(`${prefix}_last_${what}timestamp_seconds`, 'gauge', help, ms / 1000);
    return [
      ...histogramLines(
        `${prefix}_duration_seconds`,
        'How long it took to write rules.',
        histograms('syncs'),
      ),
      ...histogramLines(
        'kubeproxy_network_programming_duration_seconds',
        'How long it took from a change of endpoints until the rules had it.',
        histograms('programming'),
      ),
      ...gauge('', 'The last time rules were written.', this.#lastSyncMs),
      ...gauge('queued_', 'The last time that rules were to be written.', this.#lastQueuedMs),
    ];
  }

  #renderChanges(): readonly string[] {
    return (['service', 'endpoint'] as const).flatMap((kind) => {
      const what = kind === 'service' ? 'Services' : 'EndpointSlices';
      const name = `${prefix}_${kind}_changes`;
      return [
        ...family(`${name}_total`, { type: 'counter', help: `Changes of ${what}.` }, [
          ['', this.#changes[kind], undefined],
        ]),
        ...family(`${name}_pending`, { type: 'gauge', help: 'Those not in the rules yet.' }, [
          ['', this.#pending[kind], undefined],
        ]),
      ];
    });
  }

  #renderWithoutLocal(): readonly string[] {
    const samples = [...this.#families].flatMap(([of, { withoutLocal }]) =>
      (['internal', 'external'] as const).map((policy): Sample => {
        const sum = [...withoutLocal.values()].reduce((total, each) => total + each[policy], 0);
        return [labels({ ...ipFamily(of), traffic_policy: policy }), sum, undefined];
      }),
    );
    const help = 'Ports of Services whose policy is Local, without endpoints on this node.';
    return family(`${prefix}_no_local_endpoints_total`, { type: 'gauge', help }, samples);
  }

  #renderChecks(kind: 'healthz' | 'livez'): readonly string[] {
    const samples = [...this.#counts].flatMap(([name, value]): readonly Sample[] => {
      const [of, code = ''] = name.split(' ');
      return of === kind ? [[labels({ code }), value, undefined]] : [];
    });
    return family(
      `kubeproxy_proxy_${kind}_total`,
      { type: 'counter', help: `Answers of /${kind}.` },
      samples,
    );
  }
}
