import { createRandom } from '#base/random.fixture.ts';
import type { Fault, Target, Wrong } from '#test/simulation/faults/plan.ts';
import type { VirtualTime } from './virtual-time.ts';

interface Running {
  readonly fault: Fault;
  readonly untilMs: number;
  readonly random: () => number;
}

/** The faults of requests that are under way now, by whose they are. */
export class Trouble {
  readonly #time: VirtualTime;
  readonly #running = new Map<Target, Running[]>();
  readonly #cutters = new Map<Target, Set<() => void>>();
  /** Until when something hindered it, or will. */
  readonly #untilMs = new Map<Target, number>();

  constructor(time: VirtualTime) {
    this.#time = time;
  }

  begin(target: Target, fault: Fault & { readonly forMs: number }, seed: number): void {
    const all = this.#running.get(target) ?? [];
    all.push({ fault, untilMs: this.#time.nowMs + fault.forMs, random: createRandom(seed) });
    this.#running.set(target, all);
    if (fault.kind === 'slow' || fault.kind === 'stale') this.note(target, this.#time.nowMs + fault.forMs);
  }

  /** Nothing goes wrong any more. */
  end(): void {
    this.#running.clear();
    for (const [target, untilMs] of this.#untilMs)
      this.#untilMs.set(target, Math.min(untilMs, this.#time.nowMs));
  }

  /** Until when something hinders it, or last did: a request that went wrong, not that one might have. -Infinity: nothing did. */
  untilMs(target: Target): number {
    return this.#untilMs.get(target) ?? -Infinity;
  }

  /** Something hinders it until then. */
  note(target: Target, untilMs: number): void {
    this.#untilMs.set(target, Math.max(this.untilMs(target), untilMs));
  }

  /** What becomes of the next request. */
  next(target: Target): Wrong | undefined {
    for (const { fault, random } of this.#now(target))
      if ('chance' in fault && random() < fault.chance) return fault.kind;
    return undefined;
  }

  /** By how much the next that comes to it comes late: an answer, or what a watch tells. */
  lateMs(target: Target, of: 'answer' | 'event'): number {
    let lateMs = 0;
    for (const { fault, random } of this.#now(target))
      if (fault.kind === 'slow' || (fault.kind === 'stale' && of === 'event'))
        lateMs += Math.floor(random() * fault.byMs);
    return lateMs;
  }

  cut(target: Target): void {
    const cutters = [...(this.#cutters.get(target) ?? [])];
    for (const cut of cutters) cut();
    this.note(target, this.#time.nowMs);
  }

  onCut(target: Target, cut: () => void): Disposable {
    const cutters = this.#cutters.get(target) ?? new Set();
    this.#cutters.set(target, cutters);
    cutters.add(cut);
    return { [Symbol.dispose]: () => void cutters.delete(cut) };
  }

  #now(target: Target): readonly Running[] {
    const all = this.#running.get(target);
    if (all === undefined) return [];
    const left = all.filter(({ untilMs }) => untilMs > this.#time.nowMs);
    if (left.length < all.length) this.#running.set(target, left);
    return left;
  }
}
