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
  /** Of iptables-restore: of all chains, and of changes alone. */
  readonly full: SecondsHistogram;
  readonly partial: SecondsHistogram;
  readonly flushes: SecondsHistogram;
  flowsDeleted: number;
  failures: number;
  partialFailures: number;
  /** By table of iptables. */
  rulesTotal: ReadonlyMap<string, number>;
  rulesWritten: ReadonlyMap<string, number>;
  /** When what is not in the rules yet was set off (ms). */
  readonly triggeredMs: number[];
  /** By Service: ports whose policy keeps traffic here, where there is nobody. */
  readonly withoutLocal: Map<string, { readonly internal: number; readonly external: number }>;
}

/** What one run of iptables-restore did, or was refused. */
export interface Restore {
  /** All chains, rather than changes. */
  readonly isWhole: boolean;
  readonly isRefused: boolean;
  readonly ms: number;
  /** Rules in the text, by table. */
  readonly written: ReadonlyMap<string, number>;
  /** Rules that there are with it. */
  readonly total: ReadonlyMap<string, number>;
}

const ipFamily = (of: IpFamily): { readonly ip_family: string } => ({ ip_family: `IPv${of}` });

export class ProxyCounts {
  readonly #families: ReadonlyMap<IpFamily, FamilyCounts>;
  readonly #startMs: number;
  readonly #counts = new Map<string, number>();
  readonly #changes = { service: 0, endpoint: 0 };
  readonly #pending = { service: 0, endpoint: 0 };
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
          full: new SecondsHistogram(syncBounds),
          partial: new SecondsHistogram(syncBounds),
          flushes: new SecondsHistogram(syncBounds),
          flowsDeleted: 0,
          failures: 0,
          partialFailures: 0,
          rulesTotal: new Map(),
          rulesWritten: new Map(),
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

  /** Of a transaction of nftables, which is of all families. */
  noteFailure(): void {
    for (const counts of this.#families.values()) counts.failures += 1;
  }

  noteRestore(of: IpFamily, { isWhole, isRefused, ms, written, total }: Restore): void {
    const counts = this.#families.get(of);
    if (counts === undefined) return;
    (isWhole ? counts.full : counts.partial).observe(ms / 1000);
    if (isRefused) {
      counts.failures += 1;
      if (!isWhole) counts.partialFailures += 1;
      return;
    }
    counts.rulesTotal = total;
    counts.rulesWritten = new Map([...total.keys()].map((table) => [table, written.get(table) ?? 0]));
  }

  /** Flows that led where nobody answers any more were looked for. */
  noteFlush(of: IpFamily, { ms, deleted }: { readonly ms: number; readonly deleted: number }): void {
    const counts = this.#families.get(of);
    if (counts === undefined) return;
    counts.flushes.observe(ms / 1000);
    counts.flowsDeleted += deleted;
  }

  /** Of the port for load balancers. */
  noteCheck(path: string, status: number): void {
    const kind = path === '/livez' ? 'livez' : 'healthz';
    const name = `${kind} ${status}`;
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1);
  }

  render(mode: ProxyMode): string {
    const failures = `${prefix}_${mode === 'iptables' ? 'iptables_restore' : 'nftables_sync'}_failures_total`;
    const failed = { type: 'counter', help: 'Rules that could not be written.' };
    return [
      ...this.#renderTimes(),
      ...this.#renderChanges(),
      ...this.#perFamily(failures, failed, (counts) => counts.failures),
      ...(mode === 'iptables' ? this.#renderRestores() : []),
      ...this.#renderFlushes(),
      ...this.#renderWithoutLocal(),
      ...this.#renderChecks('healthz'),
      ...this.#renderChecks('livez'),
      '',
    ].join('\n');
  }

  #perFamily(
    name: string,
    about: Parameters<typeof family>[1],
    valueOf: (counts: FamilyCounts) => number,
  ): readonly string[] {
    const samples = [...this.#families].map(([of, counts]): Sample => [
      labels(ipFamily(of)),
      valueOf(counts),
      undefined,
    ]);
    return family(name, about, samples);
  }

  #histogram(
    name: string,
    help: string,
    of: 'syncs' | 'programming' | 'full' | 'partial' | 'flushes',
  ): readonly string[] {
    const all = [...this.#families].map(([each, counts]) => ({ seconds: counts[of], more: ipFamily(each) }));
    return histogramLines(`kubeproxy_${name}_duration_seconds`, help, all);
  }

  #renderTimes(): readonly string[] {
    const gauge = (what: string, help: string, ms: number): readonly string[] =>
      this.#perFamily(`${prefix}_last_${what}timestamp_seconds`, { type: 'gauge', help }, () => ms / 1000);
    return [
      ...this.#histogram('sync_proxy_rules', 'How long it took to write rules.', 'syncs'),
      ...this.#histogram(
        'network_programming',
        'How long it took from a change of endpoints until the rules had it.',
        'programming',
      ),
      ...gauge('', 'The last time rules were written.', this.#lastSyncMs),
      ...gauge('queued_', 'The last time that rules were to be written.', this.#lastQueuedMs),
    ];
  }

  /** What mode iptables alone has. */
  #renderRestores(): readonly string[] {
    const help = 'Changes of rules that were refused, so that all of them were written.';
    return [
      ...this.#histogram('sync_full_proxy_rules', 'How long it took to write all rules.', 'full'),
      ...this.#histogram('sync_partial_proxy_rules', 'How long it took to write changes.', 'partial'),
      ...this.#perFamily(
        `${prefix}_iptables_partial_restore_failures_total`,
        { type: 'counter', help },
        (counts) => counts.partialFailures,
      ),
      ...this.#perTable('total', 'Rules of Services that there are.', 'rulesTotal'),
      ...this.#perTable('last', 'Rules that were written the last time.', 'rulesWritten'),
    ];
  }

  #perTable(what: string, help: string, of: 'rulesTotal' | 'rulesWritten'): readonly string[] {
    const samples = [...this.#families].flatMap(([each, counts]) =>
      [...counts[of]].map(([table, rules]): Sample => [
        labels({ ...ipFamily(each), table }),
        rules,
        undefined,
      ]),
    );
    return family(`${prefix}_iptables_${what}`, { type: 'gauge', help }, samples);
  }

  #renderFlushes(): readonly string[] {
    const help = 'Flows that led where nobody answers, and were forgotten.';
    return [
      ...this.#histogram('conntrack_reconciler_sync', 'How long it took to find such flows.', 'flushes'),
      ...this.#perFamily(
        'kubeproxy_conntrack_reconciler_deleted_entries_total',
        { type: 'counter', help },
        ({ flowsDeleted }) => flowsDeleted,
      ),
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
