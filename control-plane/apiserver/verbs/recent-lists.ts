import type { Kind } from '#api/schema/kinds.ts';
import type { Clock } from '#base/clock.ts';
import { worthValues } from '#control-plane/store/recent-ranges.ts';
import type { StoredValue } from '#control-plane/store/store.ts';

/** Of all that are kept together; one list has at most a quarter of it. */
const keptBytesMax = 33_554_432;
/** How long one is kept that nobody asks for. */
const keptMs = 10_000;

/** What is shown of each object of a range. */
export interface ListView {
  readonly kind: Kind;
  /** Of a transform; undefined: the objects themselves. */
  readonly apiVersion: string | undefined;
}

/** A range as it was asked for: once, and from the second time on with its items as they are sent. */
interface Asked extends ListView {
  pieces: readonly Uint8Array[] | undefined;
  bytes: number;
  usedMs: number;
}

/**
 * Items of lists, joined as they are sent, as long as nothing of their range changes: when all informers of a cluster come back at once, or one
 * client lists in a loop, each answer is then written from the same memory. What is asked for once only is not kept.
 */
export class RecentLists {
  readonly #clock: Clock;
  readonly #byRange = new WeakMap<readonly StoredValue[], Asked[]>();
  /** Those with pieces; who was asked for last is last. */
  readonly #kept = new Set<Asked>();
  #bytes = 0;
  #isLooking = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * The items of this range, if they are at hand; else where to leave them once they are made, if they are worth it.
   * @param range as the store gave it: of the same revision of all its keys it is the same
   */
  ask(
    range: readonly StoredValue[],
    view: ListView,
  ): { readonly pieces?: readonly Uint8Array[]; readonly keep?: (pieces: readonly Uint8Array[]) => void } {
    if (range.length < worthValues) return {}; // Of so few the store gives no range a second time.
    let views = this.#byRange.get(range);
    if (views === undefined) this.#byRange.set(range, (views = []));
    const asked = views.find(({ kind, apiVersion }) => kind === view.kind && apiVersion === view.apiVersion);
    if (asked === undefined) {
      views.push({ ...view, pieces: undefined, bytes: 0, usedMs: 0 });
      return {};
    }
    if (asked.pieces === undefined) return { keep: (pieces) => this.#keep(asked, pieces) };
    this.#use(asked);
    return { pieces: asked.pieces };
  }

  #keep(asked: Asked, pieces: readonly Uint8Array[]): void {
    const bytes = pieces.reduce((sum, { byteLength }) => sum + byteLength, 0);
    if (asked.pieces !== undefined || bytes > keptBytesMax / 4) return;
    asked.pieces = pieces;
    asked.bytes = bytes;
    this.#bytes += bytes;
    this.#use(asked);
    for (const oldest of this.#kept) {
      if (this.#bytes <= keptBytesMax) break;
      this.#forget(oldest);
    }
    this.#lookLater();
  }

  #use(asked: Asked): void {
    asked.usedMs = this.#clock.monotonic();
    this.#kept.delete(asked);
    this.#kept.add(asked);
  }

  #forget(asked: Asked): void {
    this.#kept.delete(asked);
    this.#bytes -= asked.bytes;
    asked.pieces = undefined;
    asked.bytes = 0;
  }

  #lookLater(): void {
    if (this.#isLooking || this.#kept.size === 0) return;
    this.#isLooking = true;
    this.#clock.after(keptMs, () => {
      this.#isLooking = false;
      const nowMs = this.#clock.monotonic();
      for (const asked of this.#kept) if (nowMs - asked.usedMs >= keptMs) this.#forget(asked);
      this.#lookLater();
    });
  }
}
