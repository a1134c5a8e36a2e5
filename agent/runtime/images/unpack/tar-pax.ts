/** Records of a pax extended header: `LENGTH KEY=VALUE\n`, of which LENGTH counts all. Pure. */

import { tarText } from './tar-block.ts';

export interface PaxRecords {
  /** Bytes as latin1; a record that is empty takes its key away. */
  readonly text: ReadonlyMap<string, string>;
  /** SCHILY.xattr.NAME: bytes as they are (security.capability is a struct). */
  readonly xattrs: ReadonlyMap<string, Buffer>;
}

const xattrPrefix = 'SCHILY.xattr.';
/** Of sparse files of version 0.0, in turn and again and again: the map that later versions have in one record. */
const sparseKeys: readonly string[] = ['GNU.sparse.offset', 'GNU.sparse.numbytes'];

/** @throws Error where they do not hold together */
export function decodePaxRecords(bytes: Buffer): PaxRecords {
  const text = new Map<string, string>();
  const xattrs = new Map<string, Buffer>();
  const sparse: string[] = [];
  for (let at = 0; at < bytes.length;) {
    const space = bytes.subarray(at, at + lengthDigitsMax + 1).indexOf(0x20);
    const digits = bytes.toString('latin1', at, at + Math.max(0, space));
    const end = at + Number(digits);
    if (!/^\d+$/.test(digits) || end > bytes.length || bytes[end - 1] !== 0x0a) throw malformed(at);
    const equals = bytes.subarray(at, end).indexOf(0x3d);
    if (equals < space + 2) throw malformed(at);
    const key = bytes.toString('latin1', at + space + 1, at + equals);
    const value = bytes.subarray(at + equals + 1, end - 1);
    // A name that goes on behind a zero byte is another one to each who reads it.
    if (key.includes('\0')) throw malformed(at);
    if (key.startsWith(xattrPrefix)) xattrs.set(tarText(key.slice(xattrPrefix.length)), value);
    else if (key === sparseKeys[sparse.length % 2]) sparse.push(value.toString('latin1'));
    else if (sparseKeys.includes(key)) throw malformed(at);
    else if (value.length === 0) text.delete(key);
    else text.set(key, value.toString('latin1'));
    at = end;
  }
  if (sparse.length > 0) text.set('GNU.sparse.map', sparse.join(','));
  return { text, xattrs };
}

/** More digits than a length within the bound of all records has. */
const lengthDigitsMax = 9;

/** A whole number, not negative; undefined where there is none. @throws Error for another text */
export function paxInteger({ text }: PaxRecords, key: string): number | undefined {
  const value = text.get(key);
  if (value === undefined) return undefined;
  const number = /^\d{1,19}$/.test(value) ? Number(value) : Number.NaN;
  if (!Number.isSafeInteger(number))
    throw new Error(`invalid tar header: ${key} is ${JSON.stringify(value.slice(0, 80))}`);
  return number;
}

/** Seconds with a fraction of any length, as nanoseconds. @throws Error for another text, or more than the kernel's time has */
export function paxTime({ text }: PaxRecords, key: string): bigint | undefined {
  const value = text.get(key);
  if (value === undefined) return undefined;
  const match = /^(-?)(\d{1,18})(?:\.(\d*))?$/.exec(value);
  if (match === null) throw new Error(`invalid tar header: ${key} is ${JSON.stringify(value.slice(0, 80))}`);
  const [, sign, seconds = '0', fraction = ''] = match;
  const ns = BigInt(seconds) * 1_000_000_000n + BigInt(fraction.padEnd(9, '0').slice(0, 9));
  return sign === '-' ? -ns : ns;
}

function malformed(at: number): Error {
  return new Error(`invalid tar header: the record at byte ${at} is malformed`);
}
