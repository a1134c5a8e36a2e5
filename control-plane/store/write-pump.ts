import { performance } from 'node:perf_hooks';
import { nextTurn, promisesSettled, TurnTime } from '#base/time-slice.ts';
import type { Write } from './write-batch.ts';

/** Writes that share an fsync. */
const batchWritesMax = 4096;
/** What is told together, and done at once because of it, is to take no longer. */
const tellingMsMax = 4;
/** Writes that are told together: watchers get what there is of them as one. Fewer where that takes long, one at least. */
export const toldMax = 64;

export interface WritePumpPorts {
  /** Sends a batch to the disk; `written` or `takeAll` follows. */
  readonly post: (batch: readonly Write[]) => void;
  /** The writes are durable, in their order: shows them to readers, tells watchers, then settles each. */
  readonly tell: (writes: readonly Write[]) => void;
}

/**
 * Brings writes to the disk, all that came while one batch was on its way as the next, and tells what has become of them.
 *
 * ```
 * enqueue ─▶ queue ─▶ in flight (one batch) ─▶ durable ─▶ told, some in each turn
 * ```
 * The disk works on the next batch while watchers and writers are told of the last; it may be done before they are. So that these two
 * do not answer each other for as long as anybody writes, no turn of the event loop tells more than it has time for.
 */
export class WritePump {
  readonly #ports: WritePumpPorts;
  readonly #time = new TurnTime();
  #queue: Write[] = [];
  #inFlight: readonly Write[] = [];
  #durable: Write[] = [];
  #isPlanned = false;
  #isTelling = false;
  #tellAtOnce = toldMax;

  constructor(ports: WritePumpPorts) {
    this.#ports = ports;
  }

  /** Whether every write that was enqueued has been told. */
  get isIdle(): boolean {
    return this.#queue.length === 0 && this.#inFlight.length === 0 && this.#durable.length === 0;
  }

  get isWaiting(): boolean {
    return this.#queue.length > 0;
  }

  enqueue(write: Write): void {
    this.#queue.push(write);
    if (this.#isPlanned || this.#inFlight.length > 0) return;
    // After this turn, so that all writes of one turn share a transaction.
    this.#isPlanned = true;
    queueMicrotask(() => {
      this.#isPlanned = false;
      this.#pump();
    });
  }

  /** The batch in flight is on the disk. */
  written(): readonly Write[] {
    const batch = this.#inFlight;
    this.#inFlight = [];
    this.#durable.push(...batch);
    this.#pump();
    if (!this.#isTelling) void this.#tellInTurns();
    return batch;
  }

  /** The writes of which nothing is on the disk, as the batch in flight is not; those that are durable are told first. */
  takeAll(): readonly Write[] {
    this.#ports.tell(this.#durable.splice(0));
    const lost = [...this.#inFlight, ...this.#queue];
    this.#inFlight = [];
    this.#queue = [];
    return lost;
  }

  #pump(): void {
    if (this.#inFlight.length > 0 || this.#queue.length === 0) return;
    this.#inFlight = this.#queue.splice(0, batchWritesMax);
    this.#ports.post(this.#inFlight);
  }

  async #tellInTurns(): Promise<void> {
    this.#isTelling = true;
    try {
      while (this.#durable.length > 0) {
        while (!this.#time.isLeft()) await nextTurn();
        const startMs = performance.now();
        this.#ports.tell(this.#durable.splice(0, this.#tellAtOnce));
        if (this.#durable.length === 0) return;
        await promisesSettled();
        const tookMs = performance.now() - startMs;
        if (tookMs > tellingMsMax) this.#tellAtOnce = Math.max(1, this.#tellAtOnce >> 1);
        else if (tookMs < tellingMsMax / 4) this.#tellAtOnce = Math.min(toldMax, this.#tellAtOnce * 2);
      }
    } finally {
      this.#isTelling = false;
    }
  }
}
