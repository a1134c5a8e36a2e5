import { createHash } from 'node:crypto';

/** Tokens of many keys, each filled by time and full at first. */
export interface Buckets {
  /** Takes a token of the key, if there is one. `nowMs` never goes back. */
  take(key: string, nowMs: number): boolean;
}

interface Bucket {
  readonly tokens: number;
  readonly atMs: number;
}

/** Characters of a key that are kept as they are; a longer one is kept as its hash. */
const keyLengthMax = 64;

/** The buckets of at most `countMax` keys: who has taken nothing for longest is forgotten. */
export function createBuckets({
  perSecond,
  burst,
  countMax,
}: {
  readonly perSecond: number;
  readonly burst: number;
  readonly countMax: number;
}): Buckets {
  const buckets = new Map<string, Bucket>();
  return {
    take: (name, nowMs) => {
      const key = name.length <= keyLengthMax ? name : createHash('sha256').update(name).digest('base64');
      const known = buckets.get(key) ?? { tokens: burst, atMs: nowMs };
      const filled = Math.min(burst, known.tokens + ((nowMs - known.atMs) * perSecond) / 1000);
      const isTaken = filled >= 1;
      buckets.delete(key);
      buckets.set(key, { tokens: isTaken ? filled - 1 : filled, atMs: nowMs });
      for (const oldest of buckets.keys()) {
        if (buckets.size <= countMax) break;
        buckets.delete(oldest);
      }
      return isTaken;
    },
  };
}
