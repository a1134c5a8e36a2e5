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

  constructor(time: VirtualTime) {
    this.#time = time;
  }

  begin(target: Target, fault: Fault & { readonly forMs: number }, seed: number): void {
    const all = this.#running.get(target) ?? [];
    all.push({ fault, untilMs: this.#time.nowMs + fault.forMs, random: createRandom(seed) });
    this.#running.set(target, all);
  }

  /** Nothing goes wrong any more. */
  end(): void {
    this.#running.clear();
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
