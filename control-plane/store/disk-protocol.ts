/**
 * What the engine and its disk worker say to each other. Values travel packed in one buffer, which is transferred where it is large.
 *
 * ```
 *        ◀── chunk …, opened | refused ─────────  worker     at start: every row in order, then the marks
 * engine ── write {rows, leases, rowsGone, …} ──▶ worker     one SQLite transaction, one fdatasync; one write at a time
 *        ◀── written ─────────────────────────────           durable: the engine shows it to readers
 *        ◀── failed {code} ───────────────────────           nothing of it is on disk; where its sync failed nobody knows, and no other is taken
 * engine ── inspect {isDeep} ───────────────────▶ worker     are the files ours still; deep: every row is read back
 *        ◀── damaged ─────────────────────────────           at any time after opened: nothing can be promised any more
 * engine ── close ──────────────────────────────▶ worker
 *        ◀── closed ──────────────────────────────
 * ```
 */
export interface DiskRow {
  readonly row: number;
  readonly revision: number;
  readonly createRevision: number;
  /** Puts of the key since its creation; 0 for a deletion, and in rows of earlier releases, which did not count. */
  readonly version: number;
  readonly key: string;
  readonly lease: number;
  readonly deleted: boolean;
  /** Bytes of the value in the packed buffer; -1 for none: a deletion whose last state is that of the row before. */
  readonly size: number;
}

export interface DiskLease {
  readonly id: number;
  readonly ttlSeconds: number;
  readonly expiresAtMs: number;
}

export interface DiskWrite {
  readonly kind: 'write';
  readonly rows: readonly DiskRow[];
  readonly values: Uint8Array<ArrayBuffer>;
  readonly leases: readonly DiskLease[];
  readonly leasesGone: readonly number[];
  /** Rows that a compaction superseded, and the compaction's revision (0: none in this write). */
  readonly rowsGone: readonly number[];
  readonly compactRevision: number;
  /** The newest revision, kept because compaction can remove the row that bore it. */
  readonly revision: number;
}

export type DiskRequest =
  | DiskWrite
  | { readonly kind: 'inspect'; readonly isDeep: boolean }
  /** `isClosed` becomes 1, for who cannot be told otherwise any more. */
  | { readonly kind: 'close'; readonly isClosed?: Int32Array<SharedArrayBuffer> };

export type DiskReply =
  | { readonly kind: 'chunk'; readonly rows: readonly DiskRow[]; readonly values: Uint8Array<ArrayBuffer> }
  | {
      readonly kind: 'opened';
      /** Whose store it is. */
      readonly id: string;
      readonly revision: number;
      readonly compactRevision: number;
      /** The highest number that a row ever had. */
      readonly lastRow: number;
      readonly leases: readonly DiskLease[];
      /** What was put right, for the log. */
      readonly notes: readonly string[];
    }
  | { readonly kind: 'written' }
  | { readonly kind: 'failed'; readonly code: DiskFailure; readonly message: string }
  | { readonly kind: 'refused'; readonly code: DiskFailure; readonly message: string }
  | { readonly kind: 'damaged'; readonly message: string }
  | { readonly kind: 'closed' };

export type DiskFailure = 'E_BUSY' | 'E_NO_SPACE' | 'E_PERMISSION' | 'E_DAMAGED' | 'E_INTERNAL';

export interface DiskOptions {
  readonly directory: string;
  /** Bytes that the database may take; 0: as many as the disk has. */
  readonly sizeBytesMax: number;
  /** Holds the identity and the high-water mark, apart from the directory. */
  readonly markFile: string;
  /** There are signs of an earlier life: a store that is missing is not a new one. */
  readonly mustExist: boolean;
  /** What is deleted is overwritten with zeros. */
  readonly erasesDeleted?: boolean;
}

/** Packs values one after another into a buffer of its own, which can be transferred. */
export function packValues(values: readonly (Uint8Array | undefined)[]): Uint8Array<ArrayBuffer> {
  let size = 0;
  for (const value of values) size += value?.byteLength ?? 0;
  const packed = new Uint8Array(size);
  let at = 0;
  for (const value of values) {
    if (value === undefined) continue;
    packed.set(value, at);
    at += value.byteLength;
  }
  return packed;
}

/** The values of rows, as views into the packed buffer; undefined where a row has none. */
export function unpackValues(
  rows: readonly DiskRow[],
  packed: Uint8Array,
): readonly (Uint8Array | undefined)[] {
  let at = 0;
  return rows.map((row) => {
    if (row.size < 0) return undefined;
    const value = packed.subarray(at, at + row.size);
    at += row.size;
    return value;
  });
}
