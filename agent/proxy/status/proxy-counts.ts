/** What a Service proxy did, in kube-proxy's names (pkg/proxy/metrics of 1.36), for its port of metrics. */
import { family, labels, type Sample } from '#agent/kubelet/stats/exposition.ts';
import type { IpFamily } from '#base/ip.ts';
import type { ProxyPort } from '#agent/proxy/service-map.ts';
import type { ProxyMode } from '#agent/proxy/service-rules.ts';

/** Upper bounds in seconds: from a millisecond on, each twice the one before. */
const bounds: readonly number[] = Array.from({ length: 15 }, (_, i) => 0.001 * 2 ** i);

const prefix = 'kubeproxy_sync_proxy_rules';

export class ProxyCounts {
  readonly #durations = new Map<number, number>(); // by bound
  readonly #counts = new Map<string, number>();
  readonly #changes = { service: 0, endpoint: 0 };
  readonly #pending = { service: 0, endpoint: 0 };
  /** By `family key`: ports whose policy keeps traffic here, where there is nobody. */
  readonly #withoutLocal = new Map<
    `${IpFamily} ${string}`,
    { readonly internal: number; readonly external: number }
  >();
  #syncs = 0;
  #seconds = 0;
  #failures = 0;
  #lastSyncMs = 0;
  #lastQueuedMs = 0;

  noteChange(kind: 'service' | 'endpoint', nowMs: number): void {
    this.#changes[kind] += 1;
    this.#pending[kind] += 1;
    this.#lastQueuedMs = nowMs;
  }

  notePorts(key: string, of: IpFamily, ports: readonly ProxyPort[]): void {
    const lack = ports.filter(
      ({ backends, localBackends }) => backends.length > 0 && localBackends.length === 0,
    );
    const internal = lack.filter(({ isInternalLocal }) => isInternalLocal).length;
    const external = lack.filter(
      (port) => port.isExternalLocal && (port.nodePort !== undefined || port.externals.length > 0),
    ).length;
    if (internal + external === 0) this.#withoutLocal.delete(`${of} ${key}`);
    else this.#withoutLocal.set(`${of} ${key}`, { internal, external });
  }

  noteSync(ms: number, nowMs: number): void {
    const seconds = ms / 1000;
    const bound = bounds.find((each) => seconds <= each);
    if (bound !== undefined) this.#durations.set(bound, (this.#durations.get(bound) ?? 0) + 1);
    this.#syncs += 1;
    this.#seconds += seconds;
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
    const one = (name: string, type: string, help: string, value: number): readonly string[] =>
      family(name, { type, help }, [['', value, undefined]]);
    const checks = (kind: string): readonly Sample[] =>
      [...this.#counts].flatMap(([name, value]): readonly Sample[] => {
        const [of, code = ''] = name.split(' ');
        return of === kind ? [[labels({ code }), value, undefined]] : [];
      });
    const sum = (policy: 'internal' | 'external'): number =>
      [...this.#withoutLocal.values()].reduce((total, each) => total + each[policy], 0);
    const failures = `${prefix}_${mode === 'iptables' ? 'iptables_restore' : 'nftables_sync'}_failures_total`;
    return [
      ...this.#renderDurations(),
      ...one(
        `${prefix}_last_timestamp_seconds`,
        'gauge',
        'The last time rules were written.',
        this.#lastSyncMs / 1000,
      ),
      ...one(
        `${prefix}_last_queued_timestamp_seconds`,
        'gauge',
        'The last time that rules were to be written.',
        this.#lastQueuedMs / 1000,
      ),
      ...one(`${prefix}_service_changes_total`, 'counter', 'Changes of Services.', this.#changes.service),
      ...one(
        `${prefix}_service_changes_pending`,
        'gauge',
        'Those not in the rules yet.',
        this.#pending.service,
      ),
      ...one(
        `${prefix}_endpoint_changes_total`,
        'counter',
        'Changes of EndpointSlices.',
        this.#changes.endpoint,
      ),
      ...one(
        `${prefix}_endpoint_changes_pending`,
        'gauge',
        'Those not in the rules yet.',
        this.#pending.endpoint,
      ),
      ...one(failures, 'counter', 'Rules that could not be written.', this.#failures),
      ...family(
        `${prefix}_no_local_endpoints`,
        { type: 'gauge', help: 'Ports of Services whose policy is Local, without endpoints on this node.' },
        (['internal', 'external'] as const).map((policy) => [
          labels({ traffic_policy: policy }),
          sum(policy),
          undefined,
        ]),
      ),
      ...family(
        'kubeproxy_proxy_healthz_total',
        { type: 'counter', help: 'Answers of /healthz.' },
        checks('healthz'),
      ),
      ...family(
        'kubeproxy_proxy_livez_total',
        { type: 'counter', help: 'Answers of /livez.' },
        checks('livez'),
      ),
      '',
    ].join('\n');
  }

  #renderDurations(): readonly string[] {
    const name = `${prefix}_duration_seconds`;
    let below = 0;
    const buckets = bounds.map((bound) => {
      below += this.#durations.get(bound) ?? 0;
      return `${name}_bucket${labels({ le: String(bound) })} ${below}`;
    });
    return [
      ...family(name, { type: 'histogram', help: 'How long it took to write rules.' }, []),
      ...buckets,
      `${name}_bucket${labels({ le: '+Inf' })} ${this.#syncs}`,
      `${name}_sum ${this.#seconds}`,
      `${name}_count ${this.#syncs}`,
    ];
  }
}
