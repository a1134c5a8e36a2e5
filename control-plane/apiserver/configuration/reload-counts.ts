import { createHash } from 'node:crypto';
import { hostname } from 'node:os';
import type { Clock } from '#base/clock.ts';
import { identityHashOf } from '#control-plane/apiserver/identity.ts';
import type { MetricSample, ReadMetric } from '#control-plane/apiserver/serve/read-metric.ts';

/** What became of the looks at a configuration that may change while the server runs (apiserver/pkg/server/options/*config/metrics). */
export class ReloadCounts {
  readonly #name: string;
  readonly #clock: Pick<Clock, 'now'>;
  readonly #looks = new Map<'success' | 'failure', { readonly count: number; readonly lastMs: number }>();
  #hash: string | undefined;

  /** @param name as metrics have it: `authentication` */
  constructor(name: string, clock: Pick<Clock, 'now'>) {
    this.#name = name;
    this.#clock = clock;
  }

  /** The text with which the server begins. */
  began(text: string): void {
    this.#hash = `sha256:${createHash('sha256').update(text).digest('hex')}`;
  }

  /** A text that had changed and holds now. */
  taken(text: string): void {
    this.began(text);
    this.#count('success');
  }

  /** One that does not. */
  refused(): void {
    this.#count('failure');
  }

  get metrics(): readonly ReadMetric[] {
    const prefix = `apiserver_${this.#name}_config_controller`;
    const apiserver_id_hash = identityHashOf(hostname());
    const looks = (
      valueOf: (of: { readonly count: number; readonly lastMs: number }) => number,
    ): readonly MetricSample[] =>
      [...this.#looks].map(([status, each]) => ({
        labels: { apiserver_id_hash, status },
        value: valueOf(each),
      }));
    return [
      {
        name: `${prefix}_automatic_reloads_total`,
        help: `Changes of the ${this.#name} configuration that were taken (success), and that were not (failure).`,
        type: 'counter',
        labelNames: ['apiserver_id_hash', 'status'],
        read: () => looks(({ count }) => count),
      },
      {
        name: `${prefix}_automatic_reload_last_timestamp_seconds`,
        help: `When a change of the ${this.#name} configuration was last taken, or refused.`,
        type: 'gauge',
        labelNames: ['apiserver_id_hash', 'status'],
        read: () => looks(({ lastMs }) => lastMs / 1000),
      },
      {
        name: `${prefix}_last_config_info`,
        help: `The ${this.#name} configuration that holds, by the hash of its file.`,
        type: 'gauge',
        labelNames: ['apiserver_id_hash', 'hash'],
        read: () =>
          this.#hash === undefined ? [] : [{ labels: { apiserver_id_hash, hash: this.#hash }, value: 1 }],
      },
    ];
  }

  #count(status: 'success' | 'failure'): void {
    this.#looks.set(status, {
      count: (this.#looks.get(status)?.count ?? 0) + 1,
      lastMs: this.#clock.now(),
    });
  }
}
