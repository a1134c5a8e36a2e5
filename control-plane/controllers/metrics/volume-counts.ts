import type { Clock } from '#base/clock.ts';
import { BucketCounts } from '#base/counts/bucket-counts.ts';

/** Seconds, of operations from their first try to their end (pkg/volume/util/metrics.go). */
const bucketsSeconds: readonly number[] = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 25, 50, 120, 300, 600];
/** Names of provisioners come from users: of so many the first are told. */
const pluginsMax = 256;

/** What is done about a volume by others than who counts it. */
export type VolumeOperation = 'provision' | 'delete';

interface UnderWay {
  readonly plugin: string;
  readonly operation: VolumeOperation;
  readonly startMs: number;
}

/** What loops about volumes did since the program began, for /metrics. */
export class VolumeLoopCounts {
  /** Volumes that were taken from nodes that had not given them back, by why. */
  readonly forcedDetaches: Map<'timeout' | 'out-of-service', number> = new Map();
  /** Claims that were given the default class. */
  readonly classesGiven: Outcomes = { tries: 0, failures: 0 };
  /** Claims of ephemeral volumes. */
  readonly claimsCreated: Outcomes = { tries: 0, failures: 0 };
  /** Seconds, by `PLUGIN OPERATION`. */
  readonly operations: Map<string, BucketCounts> = new Map();
  /** Tries that went wrong, by `PLUGIN OPERATION`. */
  readonly failures: Map<string, number> = new Map();
  readonly #underWay = new Map<string, UnderWay>();
  readonly #clock: Pick<Clock, 'monotonic'>;

  constructor(clock: Pick<Clock, 'monotonic'>) {
    this.#clock = clock;
  }

  /** A volume is taken by force. */
  forced(why: 'timeout' | 'out-of-service'): void {
    this.forcedDetaches.set(why, (this.forcedDetaches.get(why) ?? 0) + 1);
  }

  /** From when it is first said of what has this key. */
  started(key: string, operation: VolumeOperation, plugin: string): void {
    if (!this.#underWay.has(key))
      this.#underWay.set(key, { plugin, operation, startMs: this.#clock.monotonic() });
  }

  /** What was under way is done; without it nothing is counted. */
  ended(key: string): void {
    const found = this.#underWay.get(key);
    if (found === undefined) return;
    this.#underWay.delete(key);
    const id = `${found.plugin} ${found.operation}`;
    const known = this.operations.get(id);
    if (known === undefined && this.operations.size >= pluginsMax) return;
    const seconds = known ?? new BucketCounts(bucketsSeconds);
    this.operations.set(id, seconds);
    seconds.add((this.#clock.monotonic() - found.startMs) / 1000);
  }

  /** A try of what is under way went wrong; it stays under way. */
  failed(key: string): void {
    const found = this.#underWay.get(key);
    if (found === undefined) return;
    const id = `${found.plugin} ${found.operation}`;
    const known = this.failures.get(id);
    if (known === undefined && this.failures.size >= pluginsMax) return;
    this.failures.set(id, (known ?? 0) + 1);
  }

  /** Nobody waits for it any more. */
  dropped(key: string): void {
    this.#underWay.delete(key);
  }
}

export interface Outcomes {
  tries: number;
  failures: number;
}

/** Counts a try of it, with how it ends. */
export async function countTry<T>(outcomes: Outcomes | undefined, work: () => Promise<T>): Promise<T> {
  if (outcomes === undefined) return work();
  outcomes.tries += 1;
  try {
    return await work();
  } catch (error) {
    outcomes.failures += 1;
    throw error;
  }
}
