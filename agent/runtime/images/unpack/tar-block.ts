/** A header block of a tar archive: 512 bytes with fields at fixed places. Pure. */

export const blockBytes = 512;

export type TarType =
  | 'file'
  | 'link'
  | 'symlink'
  | 'character-device'
  | 'block-device'
  | 'directory'
  | 'fifo'
  | 'contiguous-file'
  /** A file of which only parts are in the archive. */
  | 'sparse'
  | 'unknown';

/** A name of a header, which is bytes as latin1, as a person or a JSON document has it. */
export function tarText(name: string): string {
  return Buffer.from(name, 'latin1').toString();
}

export interface TarBlock {
  readonly name: string; // bytes as latin1, as the names below
  readonly linkname: string;
  readonly typeFlag: string;
  readonly type: TarType;
  readonly sizeBytes: number;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtimeSeconds: number;
  readonly devmajor: number;
  readonly devminor: number;
  /** Of the format with `ustar  `, whose sparse files have their map in the header. */
  readonly isGnu: boolean;
}

const types: Readonly<Record<string, TarType>> = {
  '\0': 'file',
  '0': 'file',
  '1': 'link',
  '2': 'symlink',
  '3': 'character-device',
  '4': 'block-device',
  '5': 'directory',
  '6': 'fifo',
  '7': 'contiguous-file',
  D: 'directory', // GNU tar --listed-incremental: with the names in it, which mean nothing here
  S: 'sparse',
};

const checksumAt = 148;
const checksumBytes = 8;

/** @throws Error when it is none */
export function decodeTarBlock(block: Buffer): TarBlock | 'empty' {
  const { unsigned, signed } = sumsOf(block);
  if (unsigned === checksumBytes * 0x20 && block.every((byte) => byte === 0)) return 'empty';
  const sum = octalOf(block, checksumAt, checksumBytes);
  // Some old tars added bytes up as signed ones.
  if (sum !== unsigned && sum !== signed) throw invalid('its checksum is wrong, so it is damaged or none');
  const magic = block.toString('latin1', 257, 265);
  const isUstar = magic.startsWith('ustar\0');
  const isGnu = magic === 'ustar  \0';
  const isStar = isUstar && block.toString('latin1', 508, 512) === 'tar\0';
  const prefix = isUstar ? textOf(block, 345, isStar ? 131 : 155) : '';
  const name = textOf(block, 0, 100);
  const typeFlag = String.fromCharCode(block[156] ?? 0);
  return {
    name: prefix === '' ? name : `${prefix}/${name}`,
    linkname: textOf(block, 157, 100),
    typeFlag,
    type: Object.hasOwn(types, typeFlag) ? (types[typeFlag] ?? 'unknown') : 'unknown',
    sizeBytes: sizeOf(block),
    mode: octalOf(block, 100, 8),
    uid: octalOf(block, 108, 8),
    gid: octalOf(block, 116, 8),
    mtimeSeconds: octalOf(block, 136, 12),
    devmajor: isUstar || isGnu ? octalOf(block, 329, 8) : 0,
    devminor: isUstar || isGnu ? octalOf(block, 337, 8) : 0,
    isGnu,
  };
}

function sumsOf(block: Buffer): { readonly unsigned: number; readonly signed: number } {
  let unsigned = checksumBytes * 0x20; // The field itself counts as spaces.
  let high = 0;
  for (let at = 0; at < blockBytes; at++) {
    if (at === checksumAt) at += checksumBytes;
    const byte = block[at] ?? 0;
    unsigned += byte;
    high += byte >> 7;
  }
  return { unsigned, signed: unsigned - 256 * high };
}

function sizeOf(block: Buffer): number {
  const size = octalOf(block, 124, 12);
  if (size < 0) throw invalid('its size is negative');
  return size;
}

/** A field of a header: octal digits between spaces and zeros, or with the highest bit set (GNU) two's complement of base 256. */
export function octalOf(block: Buffer, at: number, bytes: number): number {
  if (((block[at] ?? 0) & 0x80) !== 0) return largeNumberOf(block.subarray(at, at + bytes));
  const text = block.toString('latin1', at, at + bytes).replaceAll(/^[ \0]+|[ \0]+$/g, '');
  const end = text.indexOf('\0');
  const digits = end < 0 ? text : text.slice(0, end);
  if (digits === '') return 0;
  if (!/^[0-7]+$/.test(digits)) throw invalid(`${JSON.stringify(digits)} is no octal number`);
  return Number.parseInt(digits, 8);
}

function largeNumberOf(field: Buffer): number {
  const bits = field.length * 8 - 1; // But the one that says so.
  const raw = BigInt(`0x${field.toString('hex')}`);
  const value = Number(BigInt.asIntN(bits, raw));
  if (!Number.isSafeInteger(value)) throw invalid('a number of it is too large');
  return value;
}

function textOf(block: Buffer, at: number, bytes: number): string {
  const end = block.indexOf(0, at);
  return block.toString('latin1', at, end < 0 || end > at + bytes ? at + bytes : end);
}

function invalid(why: string): Error {
  return new Error(`invalid tar header: ${why}`);
}
