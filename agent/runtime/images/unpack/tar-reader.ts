/**
 * The entries of a tar stream in every dialect that images come in: v7, ustar, GNU (long names, numbers of base 256), star, and
 * pax (POSIX.1-2017, pax, "ustar Interchange Format" and "pax Extended Header"). What it takes is what Go's archive/tar takes, which
 * other runtimes unpack with: an image must not show other files here than there.
 */
import type { Readable } from 'node:stream';
import { PodwrightError } from '#base/errors.ts';
import { ByteQueue } from './byte-queue.ts';
import { blockBytes, decodeTarBlock, type TarBlock, type TarType } from './tar-block.ts';
import { decodePaxRecords, paxInteger, paxTime, type PaxRecords } from './tar-pax.ts';
import {
  checkSparseBody,
  paxSparseOf,
  readOldSparseMap,
  readSparseMap,
  type SparseMap,
} from './tar-sparse.ts';

/** A header with what records before it say. Names are bytes, written as latin1: those of Linux need be no text. */
export interface TarHeader {
  readonly name: string;
  readonly type: TarType;
  readonly linkname: string;
  /** Of the body; of a sparse file, what its map's parts have. */
  readonly sizeBytes: number;
  /** Where the body's bytes belong in a file that has holes. */
  readonly sparse: SparseMap | undefined;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtimeNs: bigint;
  readonly devmajor: number;
  readonly devminor: number;
  readonly xattrs: ReadonlyMap<string, Buffer>;
}

export interface TarEntry {
  readonly header: TarHeader;
  /** To be read to its end, or left alone, before the next entry is asked for. */
  readonly body: AsyncIterable<Buffer>;
}

/** Records and long names of one entry; the longest path is 4 KiB, the largest attribute 64 KiB. */
const recordBytesMax = 1024 * 1024;

/** The entries of a plain tar stream in order; what follows its end is read and means nothing. Owns `source`. `bytesMax`: of all of it. @throws E_LIMIT */
export async function* readTar(source: Readable, bytesMax: number = Infinity): AsyncGenerator<TarEntry> {
  const queue = new ByteQueue(source, bytesMax);
  try {
    let said = nothingSaid;
    for (;;) {
      const read = await readBlock(queue);
      if (read === undefined) break;
      const { block, bytes } = read;
      switch (block.typeFlag) {
        case 'x':
        case 'X': // Solaris, before POSIX had it
          said = { ...said, pax: decodePaxRecords(await readRecord(queue, block)) };
          continue;
        case 'g': // Not taken over by other runtimes either; git writes its commit into one.
          decodePaxRecords(await readRecord(queue, block));
          continue;
        case 'L':
          said = { ...said, name: cutAtZero(await readRecord(queue, block)) };
          continue;
        case 'K':
          said = { ...said, linkname: cutAtZero(await readRecord(queue, block)) };
          continue;
        case 'V': // GNU tar --label: the name of a volume
          await readRecord(queue, block);
          continue;
        default:
      }
      const header = await withSparseMap(queue, { block, bytes }, headerOf(block, said), said);
      said = nothingSaid;
      queue.startBody(header.sizeBytes);
      yield { header, body: queue.body() };
      await queue.skipBody(blockBytes);
    }
    await queue.drain();
  } finally {
    source.destroy();
  }
}

/** Undefined: the archive ends, by its two empty blocks or by the end of the stream. */
async function readBlock(
  queue: ByteQueue,
): Promise<{ readonly block: TarBlock; readonly bytes: Buffer } | undefined> {
  const bytes = await queue.take(blockBytes);
  if (bytes === undefined) return undefined;
  const block = decodeTarBlock(bytes);
  if (block !== 'empty') return { block, bytes };
  const second = await queue.take(blockBytes);
  if (second === undefined || decodeTarBlock(second) === 'empty') return undefined;
  throw new Error('invalid tar header: one empty block, which ends nothing');
}

async function readRecord(queue: ByteQueue, block: TarBlock): Promise<Buffer> {
  if (block.sizeBytes > recordBytesMax) {
    throw new PodwrightError(
      'E_LIMIT',
      `read tar: ${block.sizeBytes} bytes of records, at most ${recordBytesMax}`,
    );
  }
  const padded = Math.ceil(block.sizeBytes / blockBytes) * blockBytes;
  const bytes = padded === 0 ? Buffer.alloc(0) : await queue.take(padded);
  if (bytes === undefined) throw new Error('unexpected end of tar');
  return bytes.subarray(0, block.sizeBytes);
}

/** What records said of the entry that comes. */
interface Said {
  readonly name: string | undefined;
  readonly linkname: string | undefined;
  readonly pax: PaxRecords;
}

const nothingSaid: Said = {
  name: undefined,
  linkname: undefined,
  pax: { text: new Map(), xattrs: new Map() },
};

/** Of these there are no bytes, whatever their size says. */
const headerOnly: ReadonlySet<TarType> = new Set([
  'link',
  'symlink',
  'character-device',
  'block-device',
  'directory',
  'fifo',
]);

function headerOf(block: TarBlock, { name, linkname, pax }: Said): TarHeader {
  const path = pax.text.get('GNU.sparse.name') ?? pax.text.get('path') ?? name ?? block.name;
  const isFile = block.type === 'file' || block.type === 'contiguous-file';
  // Old tars write directories as files so.
  const type = isFile && path.endsWith('/') ? 'directory' : block.type;
  return {
    name: path,
    type,
    linkname: pax.text.get('linkpath') ?? linkname ?? block.linkname,
    sizeBytes:
      headerOnly.has(type) && block.typeFlag !== 'D' ? 0 : (paxInteger(pax, 'size') ?? block.sizeBytes),
    sparse: undefined,
    mode: block.mode & 0o7777,
    uid: paxInteger(pax, 'uid') ?? block.uid,
    gid: paxInteger(pax, 'gid') ?? block.gid,
    mtimeNs: paxTime(pax, 'mtime') ?? BigInt(block.mtimeSeconds) * 1_000_000_000n,
    devmajor: block.devmajor,
    devminor: block.devminor,
    xattrs: pax.xattrs,
  };
}

/** A file with holes is a file, with a map that is read before its bytes. @throws Error where that is none */
async function withSparseMap(
  queue: ByteQueue,
  { block, bytes }: { readonly block: TarBlock; readonly bytes: Buffer },
  header: TarHeader,
  { pax }: Said,
): Promise<TarHeader> {
  const take = async (): Promise<Buffer> => {
    const next = await queue.take(blockBytes);
    if (next === undefined) throw new Error('unexpected end of tar');
    return next;
  };
  if (header.type === 'sparse') {
    if (!block.isGnu) return header; // That of star is another one.
    return asSparse(header, await readOldSparseMap(bytes, take), 0);
  }
  const said = header.type === 'file' ? paxSparseOf(pax.text) : undefined;
  if (said === undefined) return header;
  if (said.kind === 'map') return asSparse(header, said.map, 0);
  const read = await readSparseMap(said.sizeBytes, take);
  return asSparse(header, read.map, read.bytes);
}

function asSparse(header: TarHeader, sparse: SparseMap, mapBytes: number): TarHeader {
  const sizeBytes = header.sizeBytes - mapBytes;
  checkSparseBody(sparse, sizeBytes);
  return { ...header, type: 'file', sizeBytes, sparse };
}

function cutAtZero(bytes: Buffer): string {
  const end = bytes.indexOf(0);
  return bytes.toString('latin1', 0, end < 0 ? bytes.length : end);
}
