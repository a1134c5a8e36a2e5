import {
  admissionDurations,
  pluginDurations,
  type Counting,
  type Measured as Series,
} from '#control-plane/apiserver/serve/counters.ts';
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

/** Of what let requests pass, by plugin; undefined: all of them together. */
type Passes = Map<AdmissionPlugin | undefined, Series>;

/** By server, then by operation and half: what every write measures is found by no text. */
const passesOf = new WeakMap<Counting, Map<Operation, Record<AdmissionStep, Passes>>>();

function findPasses(metrics: Counting, { operation, type }: Measured): Passes {
  let all = passesOf.get(metrics);
  if (all === undefined) passesOf.set(metrics, (all = new Map()));
  let halves = all.get(operation);
  if (halves === undefined) all.set(operation, (halves = { admit: new Map(), validate: new Map() }));
  return halves[type];
}

/** Measures one half of all plugins, from now on; it ends with who refuses the request, unless it was said that all let it pass. */
export class AdmissionStopwatch implements Disposable {
  readonly #context: Pick<AdmissionContext, 'metrics' | 'clock'>;
  readonly #operation: Operation;
  readonly #type: AdmissionStep;
  readonly #startMs: number;
  readonly #passes: Passes;
  #pluginMs: number;
  #plugin: AdmissionPlugin | undefined;
  #isRejected = true;

  constructor(context: Pick<AdmissionContext, 'metrics' | 'clock'>, measured: Measured) {
    this.#context = context;
    this.#operation = measured.operation;
    this.#type = measured.type;
    this.#passes = findPasses(context.metrics, measured);
    this.#startMs = this.#pluginMs = context.clock.monotonic();
  }

  /** The one before has said that the request goes on, and this one is asked. */
  next(plugin: AdmissionPlugin): void {
    this.#endPlugin(false);
    this.#plugin = plugin;
  }

  /** All were asked. */
  pass(): void {
    this.#isRejected = false;
  }

  [Symbol.dispose](): void {
    this.#endPlugin(this.#isRejected);
    this.#seriesOf(undefined, this.#isRejected).add((this.#pluginMs - this.#startMs) / 1000);
  }

  #endPlugin(isRejected: boolean): void {
    const nowMs = this.#context.clock.monotonic();
    if (this.#plugin !== undefined)
      this.#seriesOf(this.#plugin, isRejected).add((nowMs - this.#pluginMs) / 1000);
    this.#pluginMs = nowMs;
  }

  #seriesOf(plugin: AdmissionPlugin | undefined, isRejected: boolean): Series {
    if (isRejected) return this.#makeSeries(plugin, 'true');
    let series = this.#passes.get(plugin);
    if (series === undefined) this.#passes.set(plugin, (series = this.#makeSeries(plugin, 'false')));
    return series;
  }

  #makeSeries(plugin: AdmissionPlugin | undefined, rejected: string): Series {
    const { metrics } = this.#context;
    const labels = { operation: upper[this.#operation], rejected, type: this.#type };
    return plugin === undefined
      ? metrics.series(admissionDurations, labels)
      : metrics.series(pluginDurations, { name: plugin.name, ...labels });
  }
}
