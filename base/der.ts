/** ASN.1 in its distinguished encoding (X.690), as much of it as certificates of ours have. */

/** Tags of the universal class, with the bit that says "constructed" where it belongs. */
const tags = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  oid: 0x06,
  utf8: 0x0c,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;

/** A value with its tag and length. */
export function element(tag: number, ...contents: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(contents);
  return Buffer.concat([Buffer.from([tag, ...lengthOf(content.length)]), content]);
}

function lengthOf(length: number): readonly number[] {
  if (length < 0x80) return [length];
  const bytes: number[] = [];
  for (let rest = length; rest > 0; rest >>>= 8) bytes.unshift(rest & 0xff);
  return [0x80 | bytes.length, ...bytes];
}

export const sequence = (...members: readonly Uint8Array[]): Buffer => element(tags.sequence, ...members);
export const setOf = (...members: readonly Uint8Array[]): Buffer => element(tags.set, ...members);
export const octets = (bytes: Uint8Array): Buffer => element(tags.octetString, bytes);
export const utf8 = (text: string): Buffer => element(tags.utf8, Buffer.from(text, 'utf8'));
export const truth: Buffer = element(tags.boolean, Buffer.from([0xff]));

/** A positive integer, of its bytes without a sign: one that begins with a one bit is given a zero before it. */
export function integer(bytes: Uint8Array): Buffer {
  const isNegative = ((bytes[0] ?? 0) & 0x80) !== 0;
  return element(tags.integer, Buffer.from(isNegative ? [0] : []), bytes);
}

/** Bits, of which the last `unused` of the last byte are none. */
export const bits = (bytes: Uint8Array, unused = 0): Buffer =>
  element(tags.bitString, Buffer.from([unused]), bytes);

/** `2.5.29.15` */
export function oid(text: string): Buffer {
  const [first = 0, second = 0, ...rest] = text.split('.').map(Number);
  return element(tags.oid, Buffer.from([first * 40 + second, ...rest.flatMap(base128)]));
}

function base128(value: number): readonly number[] {
  const bytes = [value & 0x7f];
  for (let left = value >>> 7; left > 0; left >>>= 7) bytes.unshift(0x80 | (left & 0x7f));
  return bytes;
}

/** In seconds; as RFC 5280 4.1.2.5 asks, by two digits of the year until 2049. */
export function time(ms: number): Buffer {
  const text = new Date(ms).toISOString().replaceAll(/[-:T]|\.\d+/g, '');
  const isShort = Number(text.slice(0, 4)) < 2050;
  return element(isShort ? tags.utcTime : tags.generalizedTime, Buffer.from(isShort ? text.slice(2) : text));
}

/** An element of an encoding: `content` and the whole of it. */
export interface Element {
  readonly tag: number;
  readonly content: Buffer;
  readonly whole: Buffer;
}

/** The elements that stand one after the other. @throws {RangeError} for what is no such encoding */
export function elements(bytes: Buffer): readonly Element[] {
  const found: Element[] = [];
  for (let at = 0; at < bytes.length;) {
    const tag = bytes.readUInt8(at);
    const first = bytes.readUInt8(at + 1);
    const count = first < 0x80 ? 0 : first & 0x7f;
    const length = count === 0 ? first : bytes.readUIntBE(at + 2, count);
    const from = at + 2 + count;
    if (from + length > bytes.length) throw new RangeError('an element is longer than what holds it');
    found.push({
      tag,
      content: bytes.subarray(from, from + length),
      whole: bytes.subarray(at, from + length),
    });
    at = from + length;
  }
  return found;
}
