import { PodwrightError } from '#base/errors.ts';
import type { DiskRow } from './disk-protocol.ts';
import { KeyIndex, versionAt, type KeyHistory, type Version } from './key-index.ts';
import { RecentRanges } from './recent-ranges.ts';
import { kept, PackableValue, type KeptValue } from './packed/packable-value.ts';
import type { KeptVersion } from './served-store.ts';
import type { RangeResult, StoredValue, StoreEvent, StoreOp, StoreTxn } from './store.ts';

/** A transaction that took its revision and waits to become durable. */
export interface Staged {
  readonly ok: true;
  readonly revision: number;
  readonly rows: readonly DiskRow[];
  /** In step with rows; undefined where the row stores no value. */
  readonly payloads: readonly (Uint8Array | undefined)[];
  /** In step with the ops of the transaction. */
  readonly values: readonly (StoredValue | undefined)[];
}

/** A transaction whose expectation does not hold. `isUnsettled`: it was compared with a write that is not durable yet. */
export interface Refused {
  readonly ok: false;
  readonly isUnsettled: boolean;
  readonly current: readonly (StoredValue | undefined)[];
}

/** What another log says of a key. */
export interface Followed {
  readonly key: string;
  readonly revision: number;
  /** Of a deletion: not looked at. */
  readonly createRevision: number;
  /** undefined: it was deleted. */
  readonly value: Uint8Array | undefined;
  readonly lease: number;
  /** Of a deletion: not looked at. */
  readonly version: number;
}

/** Keys that are looked at in one step of a range. */
const stepKeys = 512;

interface LogEntry {
  readonly key: string;
  readonly version: Version;
  readonly previous: Version | undefined;
}

/**
 * All versions of all keys since the last compaction, in memory. Revisions are given out by `stage` at once, so that writers
 * see each other in order; readers see only what `settle` was told is durable; `rollback` forgets the rest.
 */
export class Mvcc {
  readonly #index = new KeyIndex();
  /** Events from compactRevision on, by revision; those at it without what was before. */
  #log: LogEntry[] = [];
  #unsettled: LogEntry[] = [];
  /** Keys that are in the index only for their history. */
  readonly #deletedKeys = new Set<string>();
  #settledRevision = 0;
  #assignedRevision = 0;
  #compactRevision = 0;
  #nextRow = 1;
  #historyBytes = 0;
  readonly #recent = new RecentRanges();
  /** Long values, of all versions. */
  readonly #packable = new Set<PackableValue>();

  get revision(): number {
    return this.#settledRevision;
  }

  get assignedRevision(): number {
    return this.#assignedRevision;
  }

  get compactRevision(): number {
    return this.#compactRevision;
  }

  /** How many events are kept for watchers that resume. */
  get historyLength(): number {
    return this.#log.length;
  }

  /** Bytes of the versions that are kept only as history. */
  get historyBytes(): number {
    return this.#historyBytes;
  }

  /** Long values, which are packed while nobody reads them. */
  get packable(): Iterable<PackableValue> {
    return this.#packable;
  }

  /** Adds a row found on disk; rows come in order, after `restoreMarks`. */
  restore(row: DiskRow, payload: Uint8Array | undefined): void {
    const history = this.#index.ensure(row.key);
    const previous = history.versions.at(-1);
    const value = payload === undefined ? (previous?.value ?? new Uint8Array()) : this.#keep(payload);
    const { revision, createRevision, lease, deleted } = row;
    const puts = row.version > 0 || deleted ? row.version : uncounted(row, previous);
    const version: Version = {
      row: row.row,
      revision,
      createRevision,
      version: puts,
      deleted,
      value,
      lease,
    };
    history.versions.push(version);
    this.#nextRow = Math.max(this.#nextRow, row.row + 1);
    this.#settledRevision = Math.max(this.#settledRevision, revision);
    this.#assignedRevision = this.#settledRevision;
    this.#append({ key: row.key, version, previous: previous?.deleted === true ? undefined : previous });
  }

  /** After the last row: what the rows alone do not say. */
  restoreMarks(revision: number, compactRevision: number, lastRow: number): void {
    this.#nextRow = Math.max(this.#nextRow, lastRow + 1);
    this.#settledRevision = Math.max(this.#settledRevision, revision);
    this.#assignedRevision = this.#settledRevision;
    this.#compactRevision = compactRevision;
    this.#log = this.#log.filter((entry) => entry.version.revision >= compactRevision);
  }

  /**
   * Adds what another log says, in its order, at once visible: an index that follows stages nothing. Gives the event; undefined for
   * the deletion of what is not there.
   */
  follow({ key, revision, createRevision, value, lease, version }: Followed): StoreEvent | undefined {
    const deleted = value === undefined;
    const previous = versionAt(this.#index.get(key), revision);
    if (deleted && previous === undefined) return undefined;
    const life = deleted ? (previous?.createRevision ?? 0) : createRevision;
    const size = value?.byteLength ?? -1;
    const puts = deleted ? 0 : version;
    this.restore({ row: 0, revision, createRevision: life, version: puts, key, lease, deleted, size }, value);
    const entry = this.#log.at(-1);
    return entry && eventOf(entry);
  }

  /** All up to this revision was followed, whatever keys it was about. */
  reach(revision: number): void {
    this.#settledRevision = Math.max(this.#settledRevision, revision);
    this.#assignedRevision = this.#settledRevision;
  }

  stage(txn: StoreTxn): Staged | Refused {
    const refusal = this.#check(txn);
    if (refusal !== undefined) return refusal;
    const revision = this.#assignedRevision + 1;
    const entries: LogEntry[] = [];
    const rows: DiskRow[] = [];
    const payloads: (Uint8Array | undefined)[] = [];
    const values = txn.ops.map((op): StoredValue | undefined => {
      const previous = versionAt(this.#index.get(op.key), revision);
      if (op.op === 'delete' && previous === undefined) return undefined;
      const payload = op.op === 'put' ? op.value : undefined;
      const version: Version = {
        row: this.#nextRow + rows.length,
        revision,
        createRevision: previous?.createRevision ?? revision,
        version: op.op === 'put' ? (previous?.version ?? 0) + 1 : 0,
        deleted: op.op === 'delete',
        value: payload === undefined ? (previous?.value ?? new Uint8Array()) : this.#keep(payload),
        lease: op.op === 'put' ? (op.lease ?? 0) : 0,
      };
      entries.push({ key: op.key, version, previous });
      rows.push(rowOf(op.key, version, payload));
      payloads.push(payload);
      return op.op === 'put' ? storedValue(op.key, version) : undefined;
    });
    if (rows.length === 0) return { ok: true, revision: this.#assignedRevision, rows, payloads, values };
    this.#assignedRevision = revision;
    this.#nextRow += rows.length;
    for (const entry of entries) {
      this.#index.ensure(entry.key).versions.push(entry.version);
      this.#unsettled.push(entry);
    }
    return { ok: true, revision, rows, payloads, values };
  }

  /** Makes everything up to `revision` visible; gives its events, in order. */
  settle(revision: number): readonly StoreEvent[] {
    const firstLater = this.#unsettled.findIndex((entry) => entry.version.revision > revision);
    const settled = this.#unsettled.splice(0, firstLater < 0 ? this.#unsettled.length : firstLater);
    for (const entry of settled) this.#append(entry);
    this.#settledRevision = Math.max(this.#settledRevision, revision);
    return settled.map(eventOf);
  }

  /** Forgets what is not settled: it never was. */
  rollback(): void {
    for (const entry of this.#unsettled.toReversed()) {
      const history = this.#index.get(entry.key);
      this.#letGo(history?.versions.pop());
      if (history?.versions.length === 0) this.#index.remove(entry.key);
    }
    this.#unsettled = [];
    this.#assignedRevision = this.#settledRevision;
  }

  get(key: string, revision?: number): StoredValue | undefined {
    const version = versionAt(this.#index.get(key), this.readRevision(revision));
    return version === undefined ? undefined : storedValue(key, version);
  }

  /** Whether nothing is under the prefix, for certain. false where something was lately. */
  isEmpty(prefix: string): boolean {
    return !this.#index.hasAny(prefix);
  }

  /** The key as a transaction staged now would find it. */
  newest(key: string): StoredValue | undefined {
    return this.at(key, this.#assignedRevision);
  }

  /** The key at a revision of which it is known that it can be read. */
  at(key: string, revision: number): StoredValue | undefined {
    const version = versionAt(this.#index.get(key), revision);
    return version === undefined ? undefined : storedValue(key, version);
  }

  /** All versions that are kept and durable, by revision and place in it. */
  keptVersions(): readonly KeptVersion[] {
    const kept: { readonly key: string; readonly version: Version }[] = [];
    for (const { key, versions } of this.#index.scan('')) {
      for (const version of versions)
        if (version.revision <= this.#settledRevision) kept.push({ key, version });
    }
    return kept
      .toSorted((a, b) => a.version.row - b.version.row)
      .map(({ key, version }) => ({ ...storedValue(key, version), isDeletion: version.deleted }));
  }

  /** The keys from `from` on and before `to` (undefined: to the end), in order, as of a revision that can be read. */
  *scan(from: string, to: string | undefined, revision: number): Generator<StoredValue, void> {
    for (const history of this.#index.scan('', from)) {
      if (to !== undefined && history.key >= to) return;
      const version = versionAt(history, revision);
      if (version !== undefined) yield storedValue(history.key, version);
    }
  }

  /** In steps, between which anything may be written. What is compacted meanwhile is begun anew, as of then. */
  *range(
    prefix: string,
    options: { readonly from?: string; readonly limit?: number; readonly revision?: number },
  ): Generator<void, RangeResult> {
    const at = this.readRevision(options.revision);
    const limit = options.limit === undefined || options.limit <= 0 ? Infinity : options.limit;
    const isWhole = limit === Infinity && (options.from ?? prefix) <= prefix;
    const recent = isWhole && at === this.#settledRevision ? this.#recent.get(prefix) : undefined;
    if (recent !== undefined) return { revision: at, values: recent, more: false, remaining: 0 };
    const values: StoredValue[] = [];
    for (let from = options.from ?? prefix, next: string | undefined; ; from = next) {
      next = undefined;
      let looked = 0;
      for (const history of this.#index.scan(prefix, from)) {
        if (looked++ === stepKeys) {
          next = history.key;
          break;
        }
        const version = versionAt(history, at);
        if (version === undefined) continue;
        if (values.length === limit)
          return { revision: at, values, more: true, remaining: this.#countPresent(prefix, history.key, at) };
        values.push(storedValue(history.key, version));
      }
      if (next === undefined) break;
      yield;
      if (at < this.#compactRevision) return yield* this.range(prefix, options);
    }
    if (isWhole && at === this.#settledRevision) this.#recent.keep(prefix, values);
    return { revision: at, values, more: false, remaining: 0 };
  }

  /** How many keys of the prefix were there at the revision, from `from` on. */
  #countPresent(prefix: string, from: string, at: number): number {
    const isAbsent = (history: KeyHistory | undefined): boolean => versionAt(history, at) === undefined;
    if (at < this.#settledRevision) {
      let present = 0;
      for (const history of this.#index.scan(prefix, from)) if (!isAbsent(history)) present++;
      return present;
    }
    // Of now it is not necessary to look at every key: all in the index are there but for some of those that are known.
    let present = this.#index.count(prefix, from);
    const doubtful = new Set([...this.#deletedKeys, ...this.#unsettled.map(({ key }) => key)]);
    for (const key of doubtful) {
      if (key >= from && key.startsWith(prefix) && isAbsent(this.#index.get(key))) present--;
    }
    return present;
  }

  /** The lease under which the key was last put; 0 for none. */
  leaseOf(key: string): number {
    return versionAt(this.#index.get(key), this.#assignedRevision)?.lease ?? 0;
  }

  /** Present keys that are under a lease. */
  *leasedKeys(): Generator<readonly [key: string, lease: number], void> {
    for (const { key } of this.#index.scan('')) {
      const lease = this.leaseOf(key);
      if (lease !== 0) yield [key, lease];
    }
  }

  /**
   * Events after `revision`, in order. `mayLackPrevious`: from the compacted revision itself on, too, whose events come without
   * what was there before them. @throws E_NOT_FOUND { compacted: true }
   */
  *eventsAfter(revision: number, mayLackPrevious: boolean = false): Generator<StoreEvent, void> {
    const first = this.#compactRevision - (mayLackPrevious ? 1 : 0);
    if (revision < first) throw compacted(revision, this.#compactRevision);
    const log = this.#log; // Compaction makes a new array: a replay under way keeps what it began with.
    const end = log.length;
    for (let at = firstAfter(log, revision); at < end; at++) {
      const entry = log[at];
      if (entry !== undefined) yield eventOf(entry);
    }
  }

  /**
   * Forgets versions that no read at or after `revision` needs. Yields the rows to remove from disk, some at a time, for the
   * caller to let others run between.
   */
  *compact(revision: number, stepEntries: number): Generator<readonly number[], void> {
    if (revision > this.#settledRevision) {
      throw new PodwrightError(
        'E_INVALID',
        `compact at revision ${revision}: beyond ${this.#settledRevision}`,
      );
    }
    if (revision <= this.#compactRevision) return;
    this.#compactRevision = revision;
    this.#recent.clear(); // Nobody may ask again.
    const log = this.#log;
    const end = firstAfter(log, revision);
    const stay = firstAfter(log, revision - 1);
    const atIt = log.slice(stay, end).map(({ key, version }) => ({ key, version, previous: undefined }));
    this.#log = [...atIt, ...log.slice(end)];
    for (let start = 0; start < end; start += stepEntries) {
      const gone: number[] = [];
      for (const entry of log.slice(start, Math.min(end, start + stepEntries))) {
        this.#forget(entry, gone, revision);
      }
      yield gone;
    }
  }

  /** Drops what the entry superseded, and the entry itself when it is a deletion before `revision`. */
  #forget(entry: LogEntry, gone: number[], revision: number): void {
    const history = this.#index.get(entry.key);
    this.#historyBytes -= entry.previous?.value.byteLength ?? 0;
    if (history === undefined) return;
    const { versions } = history;
    while (versions[0] !== undefined && versions[0].revision < entry.version.revision)
      gone.push(this.#dropFirst(versions));
    const isOver = entry.version.deleted && entry.version.revision < revision;
    if (isOver && versions[0] === entry.version) gone.push(this.#dropFirst(versions));
    if (versions.length > 0) return;
    this.#index.remove(entry.key);
    this.#deletedKeys.delete(entry.key);
  }

  #dropFirst(versions: Version[]): number {
    const version = versions.shift();
    this.#letGo(version);
    return version?.row ?? 0;
  }

  #keep(payload: Uint8Array): KeptValue {
    const value = kept(payload);
    if (value instanceof PackableValue) this.#packable.add(value);
    return value;
  }

  /** Of a version that is no more. A tombstone may still tell of its value. */
  #letGo(version: Version | undefined): void {
    if (version?.value instanceof PackableValue) this.#packable.delete(version.value);
  }

  #append(entry: LogEntry): void {
    this.#log.push(entry);
    this.#recent.changed(entry.key);
    if (entry.version.deleted) this.#deletedKeys.add(entry.key);
    else this.#deletedKeys.delete(entry.key);
    this.#historyBytes += entry.previous?.value.byteLength ?? 0;
  }

  #check(txn: StoreTxn): Refused | undefined {
    const isOne = txn.ops.length < 2;
    if (!isOne && new Set(txn.ops.map((op: StoreOp) => op.key)).size !== txn.ops.length) {
      throw new PodwrightError('E_INVALID', 'commit transaction: a key is written twice');
    }
    const now = this.#assignedRevision;
    const holds = txn.expect.every(({ key, modRevision }) => {
      return (versionAt(this.#index.get(key), now)?.revision ?? 0) === modRevision;
    });
    if (holds) return undefined;
    const current = txn.expect.map(({ key }) => this.get(key));
    const isUnsettled = txn.expect.some(({ key }) =>
      isUnsettledKey(this.#index.get(key), this.#settledRevision),
    );
    return { ok: false, isUnsettled, current };
  }

  /** The revision to read at. @throws E_NOT_FOUND { compacted: true }; E_INVALID { future: true } */
  readRevision(revision: number | undefined): number {
    if (revision === undefined) return this.#settledRevision;
    if (revision > this.#settledRevision) {
      throw new PodwrightError('E_INVALID', `read at revision ${revision}: beyond ${this.#settledRevision}`, {
        detail: { future: true },
      });
    }
    if (revision < this.#compactRevision) throw compacted(revision, this.#compactRevision);
    return revision;
  }
}

/** The error of a read below the compaction. */
export function compacted(revision: number, compactRevision: number): PodwrightError {
  const message = `read at revision ${revision}: compacted up to ${compactRevision}`;
  return new PodwrightError('E_NOT_FOUND', message, { detail: { compacted: true, compactRevision } });
}

function isUnsettledKey(history: KeyHistory | undefined, settledRevision: number): boolean {
  const last = history?.versions.at(-1);
  return last !== undefined && last.revision > settledRevision;
}

/** The first place in the log whose revision is greater. */
function firstAfter(log: readonly LogEntry[], revision: number): number {
  let low = 0;
  let high = log.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    const entry = log[middle];
    if (entry !== undefined && entry.version.revision <= revision) low = middle + 1;
    else high = middle;
  }
  return low;
}

function rowOf(key: string, version: Version, payload: Uint8Array | undefined): DiskRow {
  const { row, revision, createRevision, lease, deleted } = version;
  return {
    row,
    revision,
    createRevision,
    version: version.version,
    key,
    lease,
    deleted,
    size: payload?.byteLength ?? -1,
  };
}

function storedValue(key: string, version: Version): StoredValue {
  const { value, createRevision, revision, lease } = version;
  const known = { key, createRevision, modRevision: revision, version: version.version, lease };
  if (!(value instanceof PackableValue)) return { ...known, value };
  // Whoever keeps it does not keep the bytes.
  return {
    ...known,
    get value() {
      return value.bytes;
    },
  };
}

/** Of a row of a release that did not count: as many puts as are known of. */
function uncounted({ revision, createRevision }: DiskRow, previous: Version | undefined): number {
  if (revision === createRevision) return 1;
  return (previous?.version ?? 1) + 1;
}

function eventOf(entry: LogEntry): StoreEvent {
  return {
    type: entry.version.deleted ? 'delete' : 'put',
    key: entry.key,
    current: storedValue(entry.key, entry.version),
    previous: entry.previous === undefined ? undefined : storedValue(entry.key, entry.previous),
  };
}
