import { sortedJson } from '#api/custom/sorted-json.ts';
import { structJson } from '#api/wire/json.ts';
import { formatGroupVersion, type Kind } from '#api/schema/kinds.ts';
import {
  addedBytesMax,
  bareShape,
  partialShape,
  Shown,
  type StoredBytes,
} from '#control-plane/apiserver/objects/object-bytes.ts';
import { pieceBytes, PiecePool } from '#control-plane/apiserver/serve/piece-pool.ts';
import { streamedBytesMin, type BoundedPieces } from '#control-plane/apiserver/serve/respond.ts';
import type { Transform } from './transform.ts';

/** From so many bytes on, what is stored is sent as it is: who waits for it costs no copy. */
export const largeItemBytes = 65_536;
/** A comma, or the end: what may follow an item in its piece. */
const betweenBytes = 2;

export interface ListMetadata {
  readonly resourceVersion: string;
  readonly continue?: string;
  readonly remainingItemCount?: number;
}

export interface ListOfKind {
  readonly kind: Kind;
  readonly transform: Transform | undefined;
  readonly metadata: ListMetadata;
}

/**
 * The body of a list: cut out of what is stored as it is sent.
 * @param keep gets the items as they were sent, if they were all sent
 */
export function listOfStored(
  list: ListOfKind,
  stored: readonly StoredBytes[],
  keep?: (pieces: readonly Uint8Array[]) => void,
): BoundedPieces {
  const { transform } = list;
  const shape = transform === undefined ? bareShape : partialShape(transform.apiVersion);
  const shown = function* (): Generator<Shown, void> {
    for (const each of stored) yield new Shown(shape, each);
  };
  const added = addedBytesMax(shape);
  const bytesMax = stored.reduce((sum, { value }) => sum + value.byteLength + added, 0);
  const frame = frameOf(list);
  if (keep === undefined) return joinItems(frame, shown(), bytesMax);
  return framed(frame, keeping(joinPieces(noFrame, shown(), Buffer.allocUnsafe), keep), bytesMax);
}

/** The same, of items that were kept. */
export function listOfKept(list: ListOfKind, items: readonly Uint8Array[]): BoundedPieces {
  const bytes = items.reduce((sum, { byteLength }) => sum + byteLength, 0);
  return framed(frameOf(list), items, bytes);
}

function* keeping(
  pieces: Iterable<Uint8Array>,
  keep: (pieces: readonly Uint8Array[]) => void,
): Generator<Uint8Array, void> {
  const kept: Uint8Array[] = [];
  for (const piece of pieces) {
    kept.push(piece);
    yield piece;
  }
  keep(kept);
}

function framed({ head, end }: Frame, items: Iterable<Uint8Array>, bytesMax: number): BoundedPieces {
  const pieces = function* (): Generator<Uint8Array, void> {
    yield head;
    yield* items;
    yield end;
  };
  return { pieces: pieces(), bytesMax: head.length + bytesMax + end.length, free: () => undefined };
}

/** What a list has before and behind its items. */
interface Frame {
  readonly head: Buffer;
  readonly end: Buffer;
}

function frameOf({ kind, transform, metadata }: ListOfKind): Frame {
  if (kind.custom !== undefined && transform === undefined) return customFrame(kind, metadata);
  return { head: Buffer.from(listHead(kind, transform, metadata)), end: listEnd };
}

/** A list of custom objects has its members by the alphabet, too, and tells of `continue` in any case. */
function customFrame(kind: Kind, metadata: ListMetadata): Frame {
  const listKind = kind.custom?.listKind ?? `${kind.kind}List`;
  const head = `{"apiVersion":${JSON.stringify(formatGroupVersion(kind))},"items":[`;
  const told = sortedJson({ continue: '', ...metadata });
  return {
    head: Buffer.from(head),
    end: Buffer.from(`],"kind":${JSON.stringify(listKind)},"metadata":${told}}`),
  };
}

/** A Table, given as the text of one without rows. */
export function listOfRows(empty: string, rows: readonly Row[]): BoundedPieces {
  const bytes = rows.reduce((sum, { byteLength }) => sum + byteLength + 1, 0);
  return joinItems({ head: Buffer.from(empty.slice(0, -listEnd.length)), end: listEnd }, rows, bytes);
}

function listHead(kind: Kind, transform: Transform | undefined, metadata: ListMetadata): string {
  const listKind = transform === undefined ? `${kind.kind}List` : 'PartialObjectMetadataList';
  const apiVersion = transform === undefined ? formatGroupVersion(kind) : transform.apiVersion;
  return `${JSON.stringify({ kind: listKind, apiVersion, metadata }).slice(0, -1)},"items":[`;
}

const comma = 0x2c;
const listEnd = Buffer.from(']}');
const noFrame: Frame = { head: Buffer.alloc(0), end: Buffer.alloc(0) };

/** What a list has of each object. */
interface Item {
  readonly byteLength: number;
  /** @returns the place behind it */
  copyTo(out: Buffer, at: number): number;
  /** The same, not copied. */
  pieces(): readonly Uint8Array[];
}

/** A row of a table. */
export class Row implements Item {
  readonly #bytes: Buffer;

  constructor(row: object) {
    this.#bytes = Buffer.from(structJson(row));
  }

  get byteLength(): number {
    return this.#bytes.length;
  }

  copyTo(out: Buffer, at: number): number {
    return at + this.#bytes.copy(out, at);
  }

  pieces(): readonly Uint8Array[] {
    return [this.#bytes];
  }
}

/** `bytesMax`: of the items and their commas, at most. */
function joinItems(frame: Frame, items: Iterable<Item>, bytesMax: number): BoundedPieces {
  const allMax = frame.head.length + bytesMax + frame.end.length;
  const isShort = allMax < streamedBytesMin;
  return {
    bytesMax: allMax,
    pieces: isShort
      ? joinPieces(frame, items, Buffer.allocUnsafe, allMax)
      : joinPieces(frame, items, (bytes) => (bytes === pieceBytes ? pool.take() : Buffer.allocUnsafe(bytes))),
    free: (piece) => pool.give(piece),
  };
}

const pool = new PiecePool();

/** In pieces of about `size` bytes, to send at once; a large item is not copied. */
function* joinPieces(
  { head, end }: Frame,
  items: Iterable<Item>,
  memory: (bytes: number) => Buffer,
  size = pieceBytes,
): Generator<Uint8Array, void> {
  let piece = memory(Math.max(size, head.length + betweenBytes));
  let at = head.copy(piece);
  let isFirst = true;
  for (const item of items) {
    if (!isFirst) piece[at++] = comma;
    isFirst = false;
    const isLarge = item.byteLength >= largeItemBytes;
    if (isLarge || at + item.byteLength + betweenBytes > piece.length) {
      if (at > 0) yield piece.subarray(0, at);
      if (isLarge) yield* item.pieces();
      piece = memory(isLarge ? size : Math.max(size, item.byteLength + betweenBytes));
      at = 0;
    }
    if (!isLarge) at = item.copyTo(piece, at);
  }
  const isRoom = at + end.length <= piece.length;
  const last = isRoom ? at + end.copy(piece, at) : at;
  if (last > 0) yield piece.subarray(0, last);
  if (!isRoom) yield end;
}
