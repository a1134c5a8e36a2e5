import { admissionDurations, pluginDurations } from '#control-plane/apiserver/serve/counters.ts';
import type { AdmissionContext, AdmissionPlugin } from './admission.ts';
import type { Operation } from './operation.ts';

/** The halves of admission, as metrics call them. */
export type AdmissionStep = 'admit' | 'validate';

/** What is measured of one half for one write. */
export interface Measured {
  readonly operation: Operation;
  readonly type: AdmissionStep;
}

const upper: Readonly<Record<Operation, string>> = {
  create: 'CREATE',
  update: 'UPDATE',
  delete: 'DELETE',
  connect: 'CONNECT',
};

/** Measures one half of all plugins, from now on; it ends with who refuses the request, unless it was said that all let it pass. */
export class AdmissionStopwatch implements Disposable {
  readonly #context: Pick<AdmissionContext, 'metrics' | 'clock'>;
  readonly #operation: string;
  readonly #type: AdmissionStep;
  readonly #startMs: number;
  #pluginMs: number;
  #plugin: AdmissionPlugin | undefined;
  #isRejected = true;

  constructor(context: Pick<AdmissionContext, 'metrics' | 'clock'>, { operation, type }: Measured) {
    this.#context = context;
    this.#operation = upper[operation];
    this.#type = type;
    this.#startMs = this.#pluginMs = context.clock.monotonic();
  }

  /** The one before has said that the request goes on, and this one is asked. */
  next(plugin: AdmissionPlugin): void {
    this.#endPlugin('false');
    this.#plugin = plugin;
  }

  /** All were asked. */
  pass(): void {
    this.#isRejected = false;
  }

  [Symbol.dispose](): void {
    const rejected = String(this.#isRejected);
    this.#endPlugin(rejected);
    const seconds = (this.#pluginMs - this.#startMs) / 1000;
    const labels = { operation: this.#operation, rejected, type: this.#type };
    this.#context.metrics.measure(admissionDurations, labels, seconds);
  }

  #endPlugin(rejected: string): void {
    const nowMs = this.#context.clock.monotonic();
    if (this.#plugin !== undefined) {
      const labels = { name: this.#plugin.name, operation: this.#operation, rejected, type: this.#type };
      this.#context.metrics.measure(pluginDurations, labels, (nowMs - this.#pluginMs) / 1000);
    }
    this.#pluginMs = nowMs;
  }
}
