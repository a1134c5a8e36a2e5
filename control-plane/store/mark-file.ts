import {
  closeSync,
  existsSync,
  fdatasync,
  fsyncSync,
  openSync,
  readFileSync,
  statSync,
  writeSync,
} from 'node:fs';
import { crc32 } from 'node:zlib';
import { systemClock } from '#base/clock.ts';
import { writeDurablySync } from '#base/durable-file.ts';
import type { LogEnd } from './integrity.ts';

/**
 * What is known of a store apart from it: whose it is, and how far its log had come when it last told a writer so.
 *
 * - `new`: its files are being made; nothing was acknowledged.
 * - `adopting`: a store of an earlier release gets its sums.
 * - `open`: the newest writes may be in store.db-wal only, so that file must be there.
 * - `closing`: everything is in store.db.
 */
export interface StoreMark extends LogEnd {
  readonly id: string;
  readonly state: 'new' | 'adopting' | 'open' | 'closing';
}

/** Two places, written in turn: a write that is cut off leaves the other. Each is one sector of a disk, in a page of its own. */
const slotBytes = 512;
const slotStarts = [0, 4096] as const;
const fileBytes = 8192;
const syncAfterMs = 1000;
const magic = 'podwright-store-mark-1';

/** One line, padded: readable by a person, whole by its sum. Written for each commit, so by hand, into `slot`. */
export function encodeSlot(
  mark: StoreMark,
  sequence: number,
  slot: Buffer = Buffer.alloc(slotBytes),
): Buffer {
  const { id, state, revision, row, total } = mark;
  const text = `{"sequence":${sequence},"id":"${id}","state":"${state}","revision":${revision},"row":${row},"total":${total}}`;
  const end = slot.write(`${magic} ${text} ${crc32(text).toString(16)}`, 'latin1');
  slot.fill(0x20, end, slotBytes - 1);
  slot[slotBytes - 1] = 0x0a;
  return slot;
}

function decodeSlot(bytes: Buffer): { readonly sequence: number; readonly mark: StoreMark } | undefined {
  const [, text = '', sum = ''] =
    new RegExp(`^${magic} (\\{.*\\}) ([0-9a-f]+) *\\n$`).exec(bytes.toString('latin1')) ?? [];
  if (text === '' || crc32(text).toString(16) !== sum) return undefined;
  // Written by encodeSlot only, as the sum says.
  const { sequence, ...mark } = JSON.parse(text) as StoreMark & { readonly sequence: number };
  return { sequence, mark };
}

/** The newer of the slots that are whole; undefined when none is. */
export function decodeMark(
  bytes: Buffer,
): { readonly sequence: number; readonly mark: StoreMark } | undefined {
  return slotStarts
    .flatMap((start) => decodeSlot(bytes.subarray(start, start + slotBytes)) ?? [])
    .toSorted((a, b) => b.sequence - a.sequence)[0];
}

/** 'absent', 'damaged', or what it says. */
export function readMark(path: string): StoreMark | 'absent' | 'damaged' {
  if (!existsSync(path)) return 'absent';
  return decodeMark(readFileSync(path))?.mark ?? 'damaged';
}

/** Makes the file, or replaces a damaged one; it is on the disk when this returns. */
export function createMark(path: string, mark: StoreMark): void {
  const bytes = Buffer.alloc(fileBytes, ' ');
  encodeSlot(mark, 1).copy(bytes);
  writeDurablySync(path, bytes);
}

/**
 * The file while the store is open. `raise` puts a mark where the kernel keeps it whatever becomes of this process; it reaches
 * the disk within a second after, or by `sync`, which waits: so a log that was cut shows always, but where a power cut and the
 * damage come in the same second, or where the process was killed between a commit and its mark, some microseconds.
 */
export class MarkFile implements Disposable {
  readonly #path: string;
  readonly #descriptor: number;
  readonly #inode: number;
  readonly #onError: (error: Error) => void;
  readonly #slot = Buffer.alloc(slotBytes);
  #sequence: number;
  #mark: StoreMark;
  #syncTimer: Disposable | undefined;

  constructor(path: string, onError: (error: Error) => void) {
    const found = decodeMark(readFileSync(path));
    if (found === undefined) throw new TypeError(`${path} was read before`);
    this.#path = path;
    this.#descriptor = openSync(path, 'r+');
    this.#inode = statSync(path).ino;
    this.#sequence = found.sequence;
    this.#mark = found.mark;
    this.#onError = onError;
  }

  get mark(): StoreMark {
    return this.#mark;
  }

  /** Whether the path still leads to this file. */
  get isInPlace(): boolean {
    return statSync(this.#path, { throwIfNoEntry: false })?.ino === this.#inode;
  }

  raise(change: Partial<StoreMark>): void {
    this.#mark = { ...this.#mark, ...change };
    this.#sequence++;
    const start = slotStarts[this.#sequence % 2 === 0 ? 1 : 0];
    writeSync(this.#descriptor, encodeSlot(this.#mark, this.#sequence, this.#slot), 0, slotBytes, start);
    this.#syncTimer ??= systemClock.after(syncAfterMs, () => this.#syncLater());
  }

  sync(): void {
    fsyncSync(this.#descriptor);
  }

  #syncLater(): void {
    this.#syncTimer = undefined;
    // In the thread pool: a commit does not wait for it.
    fdatasync(this.#descriptor, (error) => {
      if (error !== null && error !== undefined) this.#onError(error);
    });
  }

  [Symbol.dispose](): void {
    this.#syncTimer?.[Symbol.dispose]();
    closeSync(this.#descriptor);
  }
}
