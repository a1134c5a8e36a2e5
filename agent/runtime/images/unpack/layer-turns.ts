import type { Clock } from '#base/clock.ts';

/** How long a layer that comes from one registry is waited for by who can have it from another. */
export const patienceMs = 30_000;

interface Work {
  readonly source: string;
  /** Settles with the work, and never rejects. */
  readonly ended: Promise<void>;
  readonly abort: AbortController;
}

export interface LayerWork {
  readonly diffId: string;
  /** Where it comes from: a registry, or an archive. */
  readonly source: string;
  readonly isPresent: () => Promise<boolean>;
  /** Fetches and unpacks; passes over a layer that has come meanwhile. */
  readonly bring: (signal: AbortSignal) => Promise<void>;
}

/**
 * Brings each layer once: whoever comes second waits, and tries by himself if that failed. From a registry that nobody asks yet it
 * is fetched beside a slow one, and the first to be done ends the others.
 */
export class LayerTurns {
  readonly #clock: Clock;
  readonly #underway = new Map<string, Set<Work>>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  async ensure(work: LayerWork, signal: AbortSignal): Promise<void> {
    const { diffId, source, isPresent } = work;
    let isPatient = true;
    for (;;) {
      signal.throwIfAborted();
      if (await isPresent()) return;
      const others = [...(this.#underway.get(diffId) ?? [])];
      if (others.length === 0) break;
      const isAsked = others.some((other) => other.source === source);
      if (!isPatient && !isAsked) break;
      const ends = others.map(({ ended }) => ended.then(() => true));
      isPatient = await this.#firstOf(ends, isAsked ? undefined : patienceMs, signal);
    }
    await this.#bring(work, signal);
  }

  /** Whether one of them ended before the time was over. */
  async #firstOf(
    ends: readonly Promise<boolean>[],
    ms: number | undefined,
    signal: AbortSignal,
  ): Promise<boolean> {
    const stop = new AbortController();
    const late = this.#clock.sleep(ms ?? Infinity, AbortSignal.any([signal, stop.signal])).then(() => false);
    try {
      return await Promise.race([...ends, late]);
    } finally {
      late.catch(() => undefined);
      stop.abort(new DOMException('ended', 'AbortError'));
    }
  }

  async #bring({ diffId, source, isPresent, bring }: LayerWork, signal: AbortSignal): Promise<void> {
    const abort = new AbortController();
    const done = bring(AbortSignal.any([signal, abort.signal]));
    const own: Work = { source, abort, ended: done.catch(() => undefined) };
    const all = this.#underway.get(diffId) ?? new Set();
    this.#underway.set(diffId, all.add(own));
    try {
      await done;
      for (const other of all) {
        if (other !== own) other.abort.abort(new DOMException('the layer came from elsewhere', 'AbortError'));
      }
    } catch (error) {
      const isElsewhere = abort.signal.aborted && !signal.aborted && (await isPresent());
      if (!isElsewhere) throw error;
    } finally {
      all.delete(own);
      if (all.size === 0) this.#underway.delete(diffId);
    }
  }
}
