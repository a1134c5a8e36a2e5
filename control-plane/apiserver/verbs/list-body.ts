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
import type { BoundedPieces } from '#control-plane/apiserver/serve/respond.ts';
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

/** The body of a list: cut out of what is stored as it is sent. */
export function listOfStored(
  list: {
    readonly kind: Kind;
    readonly transform: Transform | undefined;
    readonly metadata: ListMetadata;
  },
  stored: readonly StoredBytes[],
): BoundedPieces {
  const { kind, transform, metadata } = list;
  const shape = transform === undefined ? bareShape : partialShape(transform.apiVersion);
  const shown = function* (): Generator<Shown, void> {
    for (const each of stored) yield new Shown(shape, each);
  };
  const added = addedBytesMax(shape);
  const bytesMax = stored.reduce((sum, { value }) => sum + value.byteLength + added, 0);
  if (kind.custom !== undefined && transform === undefined) {
    const { head, end } = customList(kind, metadata);
    return joinItems(head, shown(), bytesMax, end);
  }
  return joinItems(listHead(kind, transform, metadata), shown(), bytesMax);
}

/** A list of custom objects has its members by the alphabet, too, and tells of `continue` in any case. */
function customList(kind: Kind, metadata: ListMetadata): { readonly head: string; readonly end: Buffer } {
  const listKind = kind.custom?.listKind ?? `${kind.kind}List`;
  const head = `{"apiVersion":${JSON.stringify(formatGroupVersion(kind))},"items":[`;
  const told = sortedJson({ continue: '', ...metadata });
  return { head, end: Buffer.from(`],"kind":${JSON.stringify(listKind)},"metadata":${told}}`) };
}

/** A Table, given as the text of one without rows. */
export function listOfRows(empty: string, rows: readonly Row[]): BoundedPieces {
  const bytes = rows.reduce((sum, { byteLength }) => sum + byteLength + 1, 0);
  return joinItems(empty.slice(0, -listEnd.length), rows, bytes);
}

function listHead(kind: Kind, transform: Transform | undefined, metadata: ListMetadata): string {
  const listKind = transform === undefined ? `${kind.kind}List` : 'PartialObjectMetadataList';
  const apiVersion = transform === undefined ? formatGroupVersion(kind) : transform.apiVersion;
  return `${JSON.stringify({ kind: listKind, apiVersion, metadata }).slice(0, -1)},"items":[`;
}

const comma = 0x2c;
const listEnd = Buffer.from(']}');

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

/** Head, items between commas and `]}`; `bytesMax`: of the items and their commas, at most. */
function joinItems(
  head: string,
  items: Iterable<Item>,
  bytesMax: number,
  end: Buffer = listEnd,
): BoundedPieces {
  const start = Buffer.from(head);
  const allMax = start.length + bytesMax + end.length;
  return {
    bytesMax: allMax,
    pieces: join(start, items, Math.min(allMax, pieceBytes), end),
    free: (piece) => pool.give(piece),
  };
}

const pool = new PiecePool();

/** Memory for a piece; a short answer has its own. */
function pieceOf(bytes: number): Buffer {
  return bytes === pieceBytes ? pool.take() : Buffer.allocUnsafe(bytes);
}

/** In pieces of about `size` bytes, to send at once; a large item is not copied. */
function* join(head: Buffer, items: Iterable<Item>, size: number, end: Buffer): Generator<Uint8Array, void> {
  let piece = pieceOf(Math.max(size, head.length + betweenBytes));
  let at = head.copy(piece);
  let isFirst = true;
  for (const item of items) {
    if (!isFirst) piece[at++] = comma;
    isFirst = false;
    const isLarge = item.byteLength >= largeItemBytes;
    if (isLarge || at + item.byteLength + betweenBytes > piece.length) {
      yield piece.subarray(0, at);
      if (isLarge) yield* item.pieces();
      piece = pieceOf(isLarge ? size : Math.max(size, item.byteLength + betweenBytes));
      at = 0;
    }
    if (!isLarge) at = item.copyTo(piece, at);
  }
  const isRoom = at + end.length <= piece.length;
  yield piece.subarray(0, isRoom ? at + end.copy(piece, at) : at);
  if (!isRoom) yield end;
}
