/** Messages of D-Bus (D-Bus Specification, "Message Protocol"): those that calls of few arguments and signals take. Pure. */
import { PodwrightError } from '#base/errors.ts';

export type BusMessageType = 'call' | 'return' | 'error' | 'signal';
const typeNumbers: Readonly<Record<BusMessageType, number>> = { call: 1, return: 2, error: 3, signal: 4 };

/** An argument with its type of the specification: text, signed and unsigned numbers, truth. */
export type BusArgument =
  | { readonly type: 's'; readonly value: string }
  | { readonly type: 'i' | 'u'; readonly value: number }
  | { readonly type: 't'; readonly value: bigint }
  | { readonly type: 'b'; readonly value: boolean };

export interface BusMessage {
  readonly type: BusMessageType;
  readonly serial: number;
  readonly path?: string;
  readonly interface?: string;
  readonly member?: string;
  readonly errorName?: string;
  readonly replySerial?: number;
  readonly destination?: string;
  readonly sender?: string;
  readonly signature?: string;
  /** As far as their types are among those of BusArgument, or a variant of one: what comes behind another is left out. */
  readonly body: readonly BusArgument[];
}

/** Of the header: number and type (o, s, g or u). */
const fields: readonly (readonly [
  'path' | 'interface' | 'member' | 'errorName' | 'replySerial' | 'destination' | 'sender' | 'signature',
  number,
  string,
])[] = [
  ['path', 1, 'o'],
  ['interface', 2, 's'],
  ['member', 3, 's'],
  ['errorName', 4, 's'],
  ['replySerial', 5, 'u'],
  ['destination', 6, 's'],
  ['sender', 7, 's'],
  ['signature', 8, 'g'],
];

/** A message at most (specification: 128 MiB); ours are small. */
export const messageBytesMax: number = 1 << 20;

class Writer {
  readonly #parts: number[] = [];

  get length(): number {
    return this.#parts.length;
  }

  align(to: number): void {
    while (this.#parts.length % to !== 0) this.#parts.push(0);
  }

  byte(value: number): void {
    this.#parts.push(value & 0xff);
  }

  number(value: bigint, bytes: 4 | 8): void {
    this.align(bytes);
    const buffer = Buffer.alloc(8);
    buffer.writeBigUInt64LE(BigInt.asUintN(64, value));
    this.#parts.push(...buffer.subarray(0, bytes));
  }

  text(value: string): void {
    const bytes = Buffer.from(value);
    this.number(BigInt(bytes.length), 4);
    this.#parts.push(...bytes, 0);
  }

  signature(value: string): void {
    this.byte(value.length);
    this.#parts.push(...Buffer.from(value), 0);
  }

  append(other: Writer): void {
    this.#parts.push(...other.#parts);
  }

  finish(): Buffer {
    return Buffer.from(this.#parts);
  }
}

export function encodeMessage(message: BusMessage): Buffer {
  const body = new Writer();
  for (const argument of message.body) writeArgument(body, argument);
  const signature = message.body.map(({ type }) => type).join('');
  const header = new Writer();
  header.byte('l'.charCodeAt(0)); // little endian
  header.byte(typeNumbers[message.type]);
  header.byte(0);
  header.byte(1); // protocol version
  header.number(BigInt(body.length), 4);
  header.number(BigInt(message.serial), 4);
  const entries = new Writer();
  for (const [name, code, type] of fields) {
    const value = name === 'signature' ? signature : message[name];
    if (value === undefined || value === '') continue;
    entries.align(8);
    entries.byte(code);
    entries.signature(type);
    if (typeof value === 'number') entries.number(BigInt(value), 4);
    else if (type === 'g') entries.signature(value);
    else entries.text(value);
  }
  header.number(BigInt(entries.length), 4);
  // Behind sixteen bytes, so that what is aligned in it is aligned in the whole.
  header.append(entries);
  header.align(8);
  header.append(body);
  return header.finish();
}

function writeArgument(writer: Writer, argument: BusArgument): void {
  if (argument.type === 's') writer.text(argument.value);
  else if (argument.type === 't') writer.number(argument.value, 8);
  else writer.number(BigInt(argument.value), 4);
}

/** How many bytes the first message takes; undefined: not enough of it is there. @throws {E_INVALID} {E_LIMIT} */
export function messageLength(bytes: Buffer): number | undefined {
  if (bytes.length < 16) return undefined;
  if (bytes[0] !== 0x6c || bytes[3] !== 1) throw invalid('it is not little-endian, of version 1');
  const length = align(16 + bytes.readUInt32LE(12), 8) + bytes.readUInt32LE(4);
  if (length > messageBytesMax) throw new PodwrightError('E_LIMIT', `read D-Bus message: ${length} bytes`);
  return bytes.length < length ? undefined : length;
}

/** Of the bytes of one message. @throws {E_INVALID} */
export function decodeMessage(bytes: Buffer): BusMessage {
  const reader = new Reader(bytes);
  const type = Object.entries(typeNumbers).find(([, number]) => number === bytes[1])?.[0];
  reader.skip(4);
  const bodyBytes = Number(reader.number(4));
  const serial = Number(reader.number(4));
  const fieldsEnd = Number(reader.number(4)) + 16;
  const found: Record<string, string | number> = {};
  while (reader.at < fieldsEnd) {
    reader.align(8);
    const code = reader.byte();
    const value = reader.value(reader.signature());
    const field = fields.find(([, number]) => number === code);
    if (field !== undefined && value !== undefined)
      found[field[0]] = typeof value === 'bigint' ? Number(value) : String(value);
  }
  reader.align(8);
  if (bytes.length < reader.at + bodyBytes) throw invalid('it is cut short');
  const signature = String(found['signature'] ?? '');
  return {
    ...found,
    type: messageType(type),
    serial,
    body: bodyOf(reader, signature),
  };
}

function messageType(name: string | undefined): BusMessageType {
  const type = (['call', 'return', 'error', 'signal'] as const).find((each) => each === name);
  if (type === undefined) throw invalid('it is of no known type');
  return type;
}

function bodyOf(reader: Reader, signature: string): readonly BusArgument[] {
  const body: BusArgument[] = [];
  for (const letter of signature) {
    const type = letter === 'v' ? reader.signature() : letter;
    const value = reader.value(type);
    if (typeof value === 'string') body.push({ type: 's', value });
    else if (typeof value === 'boolean') body.push({ type: 'b', value });
    else if (typeof value === 'bigint' && type === 't') body.push({ type, value });
    else if (typeof value === 'bigint' && (type === 'i' || type === 'u'))
      body.push({ type, value: Number(value) });
    else break;
  }
  return body;
}

class Reader {
  readonly #bytes: Buffer;
  at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  skip(count: number): void {
    this.at += count;
  }

  align(to: number): void {
    this.at = align(this.at, to);
  }

  byte(): number {
    return this.#take(1)[0] ?? 0;
  }

  number(bytes: 4 | 8): bigint {
    this.align(bytes);
    const part = this.#take(bytes);
    return bytes === 4 ? BigInt(part.readUInt32LE(0)) : part.readBigUInt64LE(0);
  }

  signature(): string {
    const text = this.#take(this.byte()).toString();
    this.skip(1);
    return text;
  }

  /** Undefined for a type that is not among those that are read. */
  value(type: string): string | bigint | boolean | undefined {
    if (type === 's' || type === 'o') {
      const text = this.#take(Number(this.number(4))).toString();
      this.skip(1);
      return text;
    }
    if (type === 'g') return this.signature();
    if (type === 'b') return this.number(4) !== 0n;
    if (type === 'u') return this.number(4);
    if (type === 'i') return BigInt.asIntN(32, this.number(4));
    if (type === 't') return this.number(8);
    return undefined;
  }

  #take(count: number): Buffer {
    const part = this.#bytes.subarray(this.at, this.at + count);
    if (part.length < count) throw invalid('it is cut short');
    this.at += count;
    return part;
  }
}

function align(at: number, to: number): number {
  return Math.ceil(at / to) * to;
}

function invalid(why: string): PodwrightError {
  return new PodwrightError('E_INVALID', `read D-Bus message: ${why}`);
}
