import type { Kind } from '#api/schema/kinds.ts';
import type { Clock } from '#base/clock.ts';
import type { Registry } from '#control-plane/apiserver/objects/registry.ts';

/** How old a number may be. */
const freshMs = 2_000;
const countsMax = 4_096;

interface Count {
  readonly count: number;
  readonly atMs: number;
}

/** About how many objects a list has to look at. Answers at once, with what it knew; what is old is counted anew meanwhile. */
export class ObjectCounts {
  readonly #registry: Registry;
  readonly #clock: Clock;
  readonly #counts = new Map<string, Count>();
  readonly #counting = new Set<string>();

  constructor(registry: Registry, clock: Clock) {
    this.#registry = registry;
    this.#clock = clock;
  }

  /** 0 of what nobody asked about before. */
  of(kind: Kind, namespace: string): number {
    const prefix = this.#registry.prefixOf(kind, namespace);
    const known = this.#counts.get(prefix);
    const isOld = known === undefined || this.#clock.monotonic() - known.atMs > freshMs;
    if (isOld && !this.#counting.has(prefix)) void this.#count(kind, prefix);
    return known?.count ?? 0;
  }

  async #count(kind: Kind, prefix: string): Promise<void> {
    this.#counting.add(prefix);
    try {
      const { values, remaining } = await this.#registry.range(kind, prefix, { limit: 1 });
      if (this.#counts.size >= countsMax) this.#counts.clear();
      this.#counts.set(prefix, { count: values.length + remaining, atMs: this.#clock.monotonic() });
    } catch {
      this.#counts.delete(prefix); // Whoever lists is told why that cannot be read.
    } finally {
      this.#counting.delete(prefix);
    }
  }
}
