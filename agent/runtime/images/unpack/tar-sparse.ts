/**
 * Files of which an archive has only the parts that are not holes: GNU tar's manual, "Storing Sparse Files" (the old GNU header and
 * its extension blocks; pax 0.0, 0.1, 1.0), as Go's archive/tar takes them. Pure but for reading blocks.
 */
import { blockBytes, octalOf } from './tar-block.ts';

/** A part of a file, whose bytes are in the archive. */
export interface SparsePart {
  readonly offset: number;
  readonly bytes: number;
}

export interface SparseMap {
  /** Of the file, with its holes. */
  readonly sizeBytes: number;
  /** In order; their bytes follow each other in the entry's body. */
  readonly parts: readonly SparsePart[];
}

/** One block of the archive. @throws where there is none */
export type TakeBlock = () => Promise<Buffer>;

/** A map is held whole: no more of its blocks than these, nor more parts. */
const mapBytesMax = 1024 * 1024;

const oldHeaderParts = { at: 386, count: 4, isExtendedAt: 482, sizeAt: 483 } as const;
const extensionParts = { at: 0, count: 21, isExtendedAt: 504 } as const;

/** Of a header of type S in the GNU format; the blocks that go on with its map follow it. @throws Error */
export async function readOldSparseMap(header: Buffer, take: TakeBlock): Promise<SparseMap> {
  const sizeBytes = octalOf(header, oldHeaderParts.sizeAt, 12);
  const numbers = partsOfBlock(header, oldHeaderParts);
  let isExtended = header[oldHeaderParts.isExtendedAt] !== 0;
  for (let bytes = blockBytes; isExtended; bytes += blockBytes) {
    if (bytes > mapBytesMax) throw invalid('it has too many parts');
    const block = await take();
    numbers.push(...partsOfBlock(block, extensionParts));
    isExtended = block[extensionParts.isExtendedAt] !== 0;
  }
  return mapOf(sizeBytes, numbers);
}

function partsOfBlock(
  block: Buffer,
  { at, count }: { readonly at: number; readonly count: number },
): number[] {
  const numbers: number[] = [];
  for (let part = 0; part < count; part++) {
    const start = at + part * 24;
    if (block[start] === 0) break; // The rest is not used.
    numbers.push(octalOf(block, start, 12), octalOf(block, start + 12, 12));
  }
  return numbers;
}

/** What pax records say: where the map is, in them or (1.0) before the data. Undefined: the file is not sparse. */
export type PaxSparse =
  | { readonly kind: 'map'; readonly map: SparseMap }
  | { readonly kind: 'in-body'; readonly sizeBytes: number };

/** @throws Error for a version that nobody knows, or a map that does not hold together */
export function paxSparseOf(records: ReadonlyMap<string, string>): PaxSparse | undefined {
  const major = records.get('GNU.sparse.major');
  const minor = records.get('GNU.sparse.minor');
  const map = records.get('GNU.sparse.map');
  const size = records.get('GNU.sparse.realsize') ?? records.get('GNU.sparse.size');
  if (major === '1' && minor === '0') return { kind: 'in-body', sizeBytes: decimalOf(size ?? '') };
  const isZero = (major === '0' && (minor === '0' || minor === '1')) || (major ?? minor) === undefined;
  if (!isZero) throw invalid(`version ${major ?? ''}.${minor ?? ''} is not known`);
  if (map === undefined) {
    if (records.get('GNU.sparse.numblocks') === '0')
      return { kind: 'map', map: mapOf(decimalOf(size ?? ''), []) };
    if (size === undefined) return undefined;
    throw invalid('it has no map');
  }
  return { kind: 'map', map: mapOf(decimalOf(size ?? ''), map.split(',').map(decimalOf)) };
}

/** Of version 1.0: lines of decimal digits before the data, filled up to whole blocks; and how many bytes they take. @throws Error */
export async function readSparseMap(
  sizeBytes: number,
  take: TakeBlock,
): Promise<{ readonly map: SparseMap; readonly bytes: number }> {
  let bytes = 0;
  let text = '';
  const numbers: number[] = [];
  const next = async (): Promise<number> => {
    for (;;) {
      const end = text.indexOf('\n');
      if (end >= 0) {
        const number = decimalOf(text.slice(0, end));
        text = text.slice(end + 1);
        return number;
      }
      if (text.length > numberDigitsMax) throw invalid('its map holds no numbers');
      if (bytes >= mapBytesMax) throw invalid('it has too many parts');
      text += (await take()).toString('latin1');
      bytes += blockBytes;
    }
  };
  const count = await next();
  if (count > mapBytesMax) throw invalid('it has too many parts');
  while (numbers.length < 2 * count) numbers.push(await next());
  return { map: mapOf(sizeBytes, numbers), bytes };
}

const numberDigitsMax = 20;

function decimalOf(text: string): number {
  const number = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(number)) throw invalid(`${JSON.stringify(text.slice(0, 80))} is no size`);
  return number;
}

/** Parts must be in order, apart, and within the file: what two readers would take differently is refused. */
function mapOf(sizeBytes: number, numbers: readonly number[]): SparseMap {
  if (numbers.length % 2 !== 0) throw invalid('its map is cut short');
  const parts: SparsePart[] = [];
  let end = 0;
  for (let at = 0; at < numbers.length; at += 2) {
    const [offset = 0, bytes = 0] = numbers.slice(at, at + 2);
    if (offset < end || bytes < 0 || offset + bytes > sizeBytes)
      throw invalid('its parts overlap or lie outside of it');
    end = offset + bytes;
    parts.push({ offset, bytes });
  }
  return { sizeBytes, parts };
}

/** @throws Error where the body is not what the map's parts are together */
export function checkSparseBody({ parts }: SparseMap, bodyBytes: number): void {
  const bytes = parts.reduce((sum, part) => sum + part.bytes, 0);
  if (bytes !== bodyBytes) throw invalid(`its parts have ${bytes} bytes, the archive ${bodyBytes}`);
}

function invalid(why: string): Error {
  return new Error(`invalid tar header: sparse file: ${why}`);
}
