/** Where one resource record of a message is (RFC 1035 section 4.1.3). Offsets are bytes from the message's beginning. */
export interface RecordPlace {
  readonly section: 'answer' | 'authority' | 'additional';
  readonly type: number;
  readonly start: number;
  readonly ttlAt: number;
  readonly ttlSeconds: number;
  readonly data: { readonly at: number; readonly bytes: number };
  readonly end: number;
}

export const recordType = { soa: 6, opt: 41 } as const;

const headerBytes = 12;
/** Type, class, TTL and length after a record's name. */
const fixedBytes = 10;

/**
 * The records of a message with one question, in their order; undefined for what is none. They are read in place rather than decoded, so
 * that what is kept of a reply is what was said, in types that nobody here knows, too.
 */
export function recordsOf(message: Buffer): readonly RecordPlace[] | undefined {
  if (message.length < headerBytes || message.readUInt16BE(4) !== 1) return undefined;
  const question = nameEnd(message, headerBytes);
  if (question === undefined) return undefined;
  const records: RecordPlace[] = [];
  let at = question + 4;
  for (const [section, countAt] of [
    ['answer', 6],
    ['authority', 8],
    ['additional', 10],
  ] as const) {
    for (let left = message.readUInt16BE(countAt); left > 0; left--) {
      const record = recordAt(message, at, section);
      if (record === undefined) return undefined;
      records.push(record);
      at = record.end;
    }
  }
  return at === message.length ? records : undefined;
}

function recordAt(message: Buffer, start: number, section: RecordPlace['section']): RecordPlace | undefined {
  const at = nameEnd(message, start);
  if (at === undefined || at + fixedBytes > message.length) return undefined;
  const data = { at: at + fixedBytes, bytes: message.readUInt16BE(at + 8) };
  const end = data.at + data.bytes;
  if (end > message.length) return undefined;
  const ttlAt = at + 4;
  // A TTL with the highest bit set is zero (RFC 2181 section 8).
  const ttlSeconds = Math.max(0, message.readInt32BE(ttlAt));
  return { section, type: message.readUInt16BE(at), start, ttlAt, ttlSeconds, data, end };
}

/** Behind a name: its labels to the root, or to a pointer, which ends it. */
function nameEnd(message: Buffer, from: number): number | undefined {
  for (let at = from; at < message.length;) {
    const length = message[at] ?? 0;
    if (length === 0) return at + 1;
    if (length >= 0xc0) return at + 2;
    if (length > 63) return undefined;
    at += 1 + length;
  }
  return undefined;
}

/** The question of a message as bytes, its letters small: what two messages that ask the same have alike. Undefined: no whole question. */
export function questionOf(message: Buffer): Buffer | undefined {
  const end = message.length < headerBytes ? undefined : nameEnd(message, headerBytes);
  if (end === undefined || end + 4 > message.length) return undefined;
  return smallLetters(message.subarray(headerBytes, end + 4));
}

/** ASCII letters alone: names are compared without regard to their case, bytes beyond are as they are (RFC 4343). */
export function smallLetters(bytes: Buffer): Buffer {
  return Buffer.from(bytes.map((byte) => (byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte)));
}

/** Seconds for which a reply may be kept: the least of its answers, or what its SOA says of there being none (RFC 2308 section 5). */
export function ttlSecondsOf(message: Buffer, records: readonly RecordPlace[]): number {
  const answers = records.filter(({ section }) => section === 'answer');
  if (answers.length > 0 && rcodeOf(message) === 0)
    return Math.min(...answers.map(({ ttlSeconds }) => ttlSeconds));
  const soa = records.find(({ section, type }) => section === 'authority' && type === recordType.soa);
  if (soa === undefined || soa.data.bytes < 20) return 0;
  return Math.min(soa.ttlSeconds, message.readUInt32BE(soa.data.at + soa.data.bytes - 4));
}

export function rcodeOf(message: Buffer): number {
  return (message[3] ?? 0) & 0xf;
}
