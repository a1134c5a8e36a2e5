import type { Clock } from '#base/clock.ts';
import type { Logger } from '#base/log.ts';
import { loadKubeconfig } from '#client/kubeconfig.ts';
import { createWebhook } from '#client/webhook.ts';
import type { Attributes } from '#control-plane/apiserver/chain/authz/authorizer.ts';
import type { Route } from '#control-plane/apiserver/chain/route.ts';
import type { ApiRequest, User } from '#control-plane/apiserver/serve/request.ts';
import { Batching, type BatchOptions } from './batch.ts';
import type { AuditEvent } from './event.ts';
import { openLogSink, type LogFileOptions } from './log-file.ts';
import { compilePolicy, levels, type Level, type Policy, type Ruling } from './policy.ts';
import { RequestRecord } from './record.ts';
import {
  ignoringFailures,
  truncating,
  type AuditSink,
  type Mode,
  type OnLost,
  type TruncateOptions,
} from './sink.ts';
import { webhookSink } from './webhook-sink.ts';

/** How events come to a place. */
export interface Delivery {
  readonly mode: Mode;
  readonly batch: BatchOptions;
  readonly truncate: TruncateOptions | undefined;
}

export interface AuditOptions {
  readonly policy: Policy;
  readonly log: (LogFileOptions & Delivery) | undefined;
  readonly webhook:
    | ({ readonly kubeconfig: string; readonly initialBackoffMs: number } & Delivery)
    | undefined;
}

/** What has been counted so far, for metrics. */
export interface AuditCounts {
  readonly events: number;
  readonly requestsRejected: number;
  readonly levels: ReadonlyMap<Level, number>;
  /** Events that could not be written, by who lost them: `log`, `webhook`, `buffered` (no room), `truncate` (too long). */
  readonly errors: ReadonlyMap<string, number>;
}

/** Of one question of a webhook, as kube-apiserver gives it. */
const webhookMs = 30_000;
/** A batch that waits to be sent again keeps none behind it (AsyncDelegate of kube-apiserver, which has no bound). */
const webhookBatchesMax = 32;
/** The log of the server says at most so often that events are lost. */
const tellMs = 10_000;

/** Who asked for what, and what came of it: written as a policy says, wherever the server was told to. */
export class Audit implements AsyncDisposable {
  readonly #rulingOf: (asked: Attributes) => Ruling;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #sinks: readonly AuditSink[];
  readonly #isAwaited: boolean;
  readonly #levels = new Map<Level, number>(levels.map((level) => [level, 0]));
  readonly #errors = new Map<string, number>();
  #toldAtMs = -Infinity;
  #events = 0;
  #rejected = 0;

  constructor(options: AuditOptions, { clock, logger }: { readonly clock: Clock; readonly logger: Logger }) {
    this.#rulingOf = compilePolicy(options.policy);
    this.#clock = clock;
    this.#logger = logger;
    const { log, webhook } = options;
    this.#isAwaited = log?.mode === 'blocking-strict' || (webhook !== undefined && webhook.mode !== 'batch');
    this.#sinks = [
      ...(log === undefined ? [] : [this.#logSink(log)]),
      ...(webhook === undefined ? [] : [this.#webhookSink(webhook)]),
    ];
  }

  /** @throws {E_USAGE} where events cannot be written at all */
  async begin(): Promise<void> {
    for (const sink of this.#sinks) await sink.begin?.();
  }

  get counts(): AuditCounts {
    return {
      events: this.#events,
      requestsRejected: this.#rejected,
      levels: this.#levels,
      errors: this.#errors,
    };
  }

  /** The record of a request; undefined where the policy wants none. */
  open(asked: {
    readonly request: ApiRequest;
    readonly route: Route | undefined;
    readonly attributes: Attributes;
    readonly user: User | undefined;
    readonly receivedMs: number;
  }): RequestRecord | undefined {
    const ruling = this.#rulingOf(asked.attributes);
    this.#levels.set(ruling.level, (this.#levels.get(ruling.level) ?? 0) + 1);
    if (ruling.level === 'None') return undefined;
    return new RequestRecord({
      ...{ ...asked, ruling, clock: this.#clock, isAwaited: this.#isAwaited },
      write: (event, isAwaited) => this.#write(event, isAwaited),
    });
  }

  /** Notes that a request was refused, as it could not be recorded. */
  rejected(): void {
    this.#rejected++;
  }

  /** What has been taken is written first. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const sink of this.#sinks) await sink[Symbol.asyncDispose]();
  }

  #write(event: AuditEvent, isAwaited: boolean): boolean | Promise<boolean> {
    this.#events++;
    const [first, ...others] = this.#sinks;
    if (first === undefined) return true;
    const taken = first.take([event], isAwaited);
    if (others.length === 0) return taken;
    return Promise.all([taken, ...others.map((sink) => sink.take([event], isAwaited))]).then((all) =>
      all.every(Boolean),
    );
  }

  #lost(plugin: string): OnLost {
    return (events, why) => {
      this.#errors.set(plugin, (this.#errors.get(plugin) ?? 0) + events);
      const nowMs = this.#clock.monotonic();
      if (nowMs - this.#toldAtMs < tellMs) return;
      this.#toldAtMs = nowMs;
      this.#logger.error({ plugin, events, error: why }, 'audit events are lost');
    };
  }

  #logSink(options: LogFileOptions & Delivery): AuditSink {
    const onLost = this.#lost('log');
    const sink = openLogSink(options, { clock: this.#clock, onLost });
    return this.#delivering(sink, options, 1);
  }

  #webhookSink(options: NonNullable<AuditOptions['webhook']>): AuditSink {
    const onLost = this.#lost('webhook');
    const access = loadKubeconfig(options.kubeconfig, this.#clock);
    const { initialBackoffMs } = options;
    const webhook = createWebhook({ access, timeoutMs: webhookMs, initialBackoffMs });
    return this.#delivering(webhookSink(webhook, onLost), options, webhookBatchesMax);
  }

  #delivering(sink: AuditSink, { mode, batch, truncate }: Delivery, atOnce: number): AuditSink {
    const shortened = truncate === undefined ? sink : truncating(sink, truncate, this.#lost('truncate'));
    switch (mode) {
      case 'batch':
        return new Batching(shortened, batch, {
          clock: this.#clock,
          onLost: this.#lost('buffered'),
          atOnce,
        });
      case 'blocking':
        return ignoringFailures(shortened);
      default:
        return shortened;
    }
  }
}
