/** The time of a simulated world, and what waits in it: it stands still while anything goes on, and then is that of the next timer. */
interface Timer {
  readonly dueMs: number;
  readonly order: number;
  run: (() => void) | undefined;
}

/** Of a turn that is asked for again and again without time going on: a loop that never ends is found, not waited for. */
const turnsAtOnceMax = 2_000_000;

export class VirtualTime {
  readonly #startMs: number;
  #nowMs: number;
  #order = 0;
  /** A binary heap, by time and then by who came first. */
  readonly #timers: Timer[] = [];
  #turns: (() => void)[] = [];
  #sleptMs = 0;
  /** Which turn of the event loop this is, as the simulated programs see it. */
  turn: number;

  /** @param firstTurn other than any of an earlier world: what this process remembers of a turn is then of none of this one */
  constructor(startMs: number, { firstTurn = 0 }: { readonly firstTurn?: number } = {}) {
    this.turn = firstTurn;
    this.#startMs = startMs;
    this.#nowMs = startMs;
  }

  /** Milliseconds since the epoch, without those that were slept: what timers go by. */
  get nowMs(): number {
    return this.#nowMs;
  }

  /** Milliseconds since the epoch. */
  get wallMs(): number {
    return this.#nowMs + this.#sleptMs;
  }

  /** All machines sleep: their walls' clocks go on, and nothing else does (CLOCK_MONOTONIC stands still in suspend, clock_gettime(2)). */
  suspend(ms: number): void {
    this.#sleptMs += ms;
  }

  /** Milliseconds since the beginning. */
  get sinceMs(): number {
    return this.#nowMs - this.#startMs;
  }

  /** Calls back once after `ms`; of NaN, never. */
  after(ms: number, run: () => void): Disposable {
    const dueMs = this.#nowMs + Math.max(0, ms);
    if (!Number.isFinite(dueMs)) return { [Symbol.dispose]: () => undefined };
    const timer: Timer = { dueMs, order: this.#order++, run };
    this.#push(timer);
    return { [Symbol.dispose]: () => void (timer.run = undefined) };
  }

  sleep(ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.after(ms, resolve);
    return promise;
  }

  /** Nothing of what waits comes to pass any more: what somebody keeps of this time keeps nothing else of its world. */
  end(): void {
    this.#timers.length = 0;
    this.#turns = [];
  }

  /** Calls back in a turn of its own, before time goes on. */
  nextTurn(run: () => void): Disposable {
    let isOff = false;
    this.#turns.push(() => (isOff ? undefined : run()));
    return { [Symbol.dispose]: () => void (isOff = true) };
  }

  /** Runs what is next. @returns whether there was anything that is due by then */
  step(endMs: number): boolean {
    const turn = this.#turns.shift();
    if (turn !== undefined) {
      this.turn++;
      turn();
      return true;
    }
    const timer = this.#pop(endMs);
    if (timer === undefined) {
      this.#nowMs = Math.max(this.#nowMs, endMs);
      return false;
    }
    this.turn++;
    this.#nowMs = Math.max(this.#nowMs, timer.dueMs);
    timer.run?.();
    return true;
  }

  /** Lets time go on to `endMs`, and everything that is due by then happen. `settle` lets promises go on, to their end. */
  async run(endMs: number, settle: () => Promise<void>): Promise<void> {
    let atMs = this.#nowMs;
    let steps = 0;
    for (;;) {
      await settle();
      if (!this.step(endMs)) return;
      if (this.#nowMs === atMs) steps++;
      else steps = 0;
      atMs = this.#nowMs;
      if (steps > turnsAtOnceMax) throw new RangeError(`${steps} turns, and no time went by`);
    }
  }

  #push(timer: Timer): void {
    const heap = this.#timers;
    let at = heap.push(timer) - 1;
    while (at > 0) {
      const above = (at - 1) >> 1;
      const parent = heap[above];
      if (parent === undefined || !isBefore(timer, parent)) break;
      heap[at] = parent;
      at = above;
    }
    heap[at] = timer;
  }

  /** The next that was not called off, if it is due by then. */
  #pop(endMs: number): Timer | undefined {
    for (;;) {
      const first = this.#timers[0];
      if (first === undefined || (first.run !== undefined && first.dueMs > endMs)) return undefined;
      const last = this.#timers.pop();
      if (last !== undefined && last !== first) this.#sink(last);
      if (first.run !== undefined) return first;
    }
  }

  #sink(timer: Timer): void {
    const heap = this.#timers;
    let at = 0;
    for (;;) {
      let below = at * 2 + 1;
      const left = heap[below];
      if (left === undefined) break;
      const right = heap[below + 1];
      const next = right !== undefined && isBefore(right, left) ? right : left;
      if (next === right) below++;
      if (!isBefore(next, timer)) break;
      heap[at] = next;
      at = below;
    }
    heap[at] = timer;
  }
}

function isBefore(one: Timer, other: Timer): boolean {
  return one.dueMs < other.dueMs || (one.dueMs === other.dueMs && one.order < other.order);
}
