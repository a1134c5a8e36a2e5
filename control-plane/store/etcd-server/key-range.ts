/**
 * etcd's keys are bytes, in their order; the store's are text, in the order of UTF-16. Both orders are one for text up to U+FFFF,
 * so that is what keys may be; the ends of a range may be any bytes.
 */
export interface KeyRange {
  readonly from: string;
  /** The first key that is no longer meant; undefined: there is no end. */
  readonly to: string | undefined;
}

const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const lenient = new TextDecoder('utf-8', { ignoreBOM: true });
/** No key has it: above all that do. */
const beyondKeys = '\uffff';
const surrogatesStart = 0xd800;
const surrogatesCount = 0x800;

/** The store's key, or undefined for bytes that cannot be one. */
export function decodeKey(bytes: Uint8Array): string | undefined {
  const text = decodeText(bytes);
  return text === undefined || text.includes('\0') || text.includes(beyondKeys) ? undefined : text;
}

/** What etcd means by a key and the end of a range. Without an end it is the key alone; an end of one zero byte is none. */
export function decodeRange(key: Uint8Array, end: Uint8Array): KeyRange {
  if (end.length === 0) {
    const text = decodeKey(key);
    return text === undefined ? { from: '', to: '' } : { from: text, to: `${text}\0` };
  }
  return { from: firstKeyFrom(key), to: end.length === 1 && end[0] === 0 ? undefined : firstKeyFrom(end) };
}

export function isInRange({ from, to }: KeyRange, key: string): boolean {
  return key >= from && (to === undefined || key < to);
}

/** All keys of the range have it; the longer the better. */
export function prefixOfRange({ from, to }: KeyRange): string {
  if (to === undefined) return '';
  if (to === `${from}\0`) return from;
  let length = 0;
  while (length < from.length && length < to.length && from[length] === to[length]) length++;
  // Of a prefix's own range, `/a/` to `/a0`, it is the prefix.
  const isLast = length === from.length - 1 && length === to.length - 1;
  if (isLast && from.charCodeAt(length) + 1 === to.charCodeAt(length)) return from;
  return from.slice(0, length);
}

/** The least text that no key before these bytes reaches: keys compare with it as their bytes do with these. */
function firstKeyFrom(bytes: Uint8Array): string {
  const text = decodeText(bytes);
  if (text !== undefined) return text;
  const start = decodableStart(bytes);
  let low = 0;
  let high = 0x1_0000 - surrogatesCount;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (Buffer.compare(Buffer.from(start + unitAt(middle)), bytes) < 0) low = middle + 1;
    else high = middle;
  }
  return start + (low === 0x1_0000 - surrogatesCount ? beyondKeys : unitAt(low));
}

/** The characters up to U+FFFF in order, without the halves of others. */
function unitAt(index: number): string {
  return String.fromCharCode(index < surrogatesStart ? index : index + surrogatesCount);
}

function decodeText(bytes: Uint8Array): string | undefined {
  try {
    const text = strict.decode(bytes);
    return /[\ud800-\udfff]/.test(text) ? undefined : text;
  } catch {
    return undefined; // TypeError: it is no UTF-8.
  }
}

/** The longest text of which the bytes begin with the bytes. */
function decodableStart(bytes: Uint8Array): string {
  const text = lenient.decode(bytes);
  let [start, length] = ['', 0];
  for (const character of text) {
    const encoded = Buffer.from(character);
    const isThere = Buffer.compare(encoded, bytes.subarray(length, length + encoded.length)) === 0;
    if (!isThere || character.length > 1) break;
    start += character;
    length += encoded.length;
  }
  return start;
}
