import type { Clock } from '#base/clock.ts';
import { recordType, recordsOf, rcodeOf, ttlSecondsOf, type RecordPlace } from './records.ts';

/** Entries, the least recently asked for of which go first; a longer reply is not kept. */
const entriesMax = 8_192;
const replyBytesMax = 4_096;
/** No reply is kept longer, whatever its TTL. "No such name" is kept half as long, as CoreDNS does. */
const ttlSecondsMax = 3_600;
/** A reply whose time is over is kept so long, for when nobody else can be asked, and given with this TTL (RFC 8767 sections 4 and 5). */
const staleMs = 3_600_000;
const staleTtlSeconds = 30;
/** A resolver that cannot find out is not asked again at once (RFC 2308 section 7.1). */
const failureSeconds = 5;
/** What was asked for so often, and has less than a tenth of its time left, is asked for anew before it is over. */
const prefetchHits = 3;
const prefetchShare = 0.1;

interface Entry {
  readonly reply: Buffer;
  readonly records: readonly RecordPlace[];
  readonly keptAtMs: number;
  readonly ttlMs: number;
  hits: number;
  isAskedAnew: boolean;
}

export interface HeldReply {
  /** With TTLs as they are now. */
  readonly reply: Buffer;
  readonly isStale: boolean;
  /** Whether it should be asked for anew although it is good: said once. */
  readonly isDue: boolean;
}

/** Replies of resolvers, by question. A reply's id means nothing. */
export class ReplyCache {
  readonly #entries = new Map<string, Entry>();
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#entries.size;
  }

  find(key: string): HeldReply | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    const ageMs = this.#clock.monotonic() - entry.keptAtMs;
    this.#entries.delete(key);
    if (ageMs >= entry.ttlMs + staleMs) return undefined;
    this.#entries.set(key, entry);
    entry.hits += 1;
    const isStale = ageMs >= entry.ttlMs;
    const isDue =
      !isStale &&
      !entry.isAskedAnew &&
      entry.hits >= prefetchHits &&
      ageMs >= entry.ttlMs * (1 - prefetchShare);
    entry.isAskedAnew ||= isDue;
    return { reply: aged(entry, isStale ? undefined : Math.floor(ageMs / 1000)), isStale, isDue };
  }

  /** Keeps it as long as it may be kept: not at all where it says so, is malformed or too long. Failures do not replace what is known. */
  keep(key: string, reply: Buffer): void {
    const records = recordsOf(reply);
    if (records === undefined || reply.length > replyBytesMax) return;
    const isFailure = rcodeOf(reply) === 2;
    if (isFailure && this.#entries.has(key)) return;
    const ttlMs =
      1000 * (isFailure ? failureSeconds : Math.min(secondsMaxOf(reply), ttlSecondsOf(reply, records)));
    if (ttlMs === 0) return;
    this.#entries.delete(key);
    this.#entries.set(key, {
      reply: Buffer.from(reply),
      records,
      keptAtMs: this.#clock.monotonic(),
      ttlMs,
      hits: 0,
      isAskedAnew: false,
    });
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= entriesMax) break;
      this.#entries.delete(oldest);
    }
  }
}

function secondsMaxOf(reply: Buffer): number {
  return rcodeOf(reply) === 0 && reply.readUInt16BE(6) > 0 ? ttlSecondsMax : ttlSecondsMax / 2;
}

/** A copy whose records have `seconds` less to live; undefined: as stale ones have. */
function aged({ reply, records }: Entry, seconds: number | undefined): Buffer {
  const copy = Buffer.from(reply);
  for (const { type, ttlAt, ttlSeconds } of records) {
    if (type === recordType.opt) continue;
    copy.writeUInt32BE(seconds === undefined ? staleTtlSeconds : Math.max(0, ttlSeconds - seconds), ttlAt);
  }
  return copy;
}
