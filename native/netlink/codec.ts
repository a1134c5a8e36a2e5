/**
 * The netlink wire format (RFC 3549, linux/netlink.h): messages of a 16-byte header and attributes (type, length, value)
 * padded to four bytes. Integers are in host order, which is little-endian on both machines we run on; nfnetlink attributes
 * are big-endian, hence the `Be` methods.
 */
import { PodwrightError } from '#base/errors.ts';
import { NLA_F_NESTED, NLA_TYPE_MASK, NLMSG_ERROR, NLMSGERR_ATTR_MSG } from './netlink-constants.ts';

const headerBytes = 16;
const attributeHeaderBytes = 4;
/** An attribute's length is 16 bits wide, its header included. */
export const attributeBytesMax = 65_535;

const align = (length: number): number => (length + 3) & ~3;

/** One message taken apart; `payload` is a view of the bytes it came in. */
export interface NetlinkMessage {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  readonly payload: Buffer;
}

/** Writes messages one after another into a buffer that grows. */
export class MessageWriter {
  #bytes: Buffer;
  #length = 0;
  #messageStart = 0;
  readonly #nests: number[] = [];

  constructor(bytesExpected = 1024) {
    this.#bytes = Buffer.allocUnsafe(bytesExpected);
  }

  /** Starts a message; `finish` ends it. */
  message(type: number, flags: number, sequence: number): this {
    this.#room(headerBytes);
    const [bytes, at] = [this.#bytes, this.#length];
    this.#messageStart = at;
    bytes.writeUInt32LE(0, at);
    bytes.writeUInt16LE(type, at + 4);
    bytes.writeUInt16LE(flags, at + 6);
    bytes.writeUInt32LE(sequence, at + 8);
    bytes.writeUInt32LE(0, at + 12); // port id: the kernel's own
    this.#length = at + headerBytes;
    return this;
  }

  finish(): this {
    this.#bytes.writeUInt32LE(this.#length - this.#messageStart, this.#messageStart);
    return this;
  }

  /** The family header that follows the message header (struct ifinfomsg and the like), padded. */
  raw(data: Uint8Array): this {
    this.#room(data.length + 3);
    this.#bytes.set(data, this.#length);
    this.#pad(this.#length + data.length);
    return this;
  }

  attribute(type: number, value: Uint8Array): this {
    const at = this.#attribute(type, value.length);
    this.#bytes.set(value, at);
    return this;
  }

  u8(type: number, value: number): this {
    const at = this.#attribute(type, 1);
    this.#bytes[at] = value;
    return this;
  }

  u16Be(type: number, value: number): this {
    const at = this.#attribute(type, 2);
    this.#bytes.writeUInt16BE(value, at);
    return this;
  }

  u32(type: number, value: number): this {
    const at = this.#attribute(type, 4);
    this.#bytes.writeUInt32LE(value >>> 0, at);
    return this;
  }

  u32Be(type: number, value: number): this {
    const at = this.#attribute(type, 4);
    this.#bytes.writeUInt32BE(value >>> 0, at);
    return this;
  }

  u64Be(type: number, value: bigint): this {
    const at = this.#attribute(type, 8);
    this.#bytes.writeBigUInt64BE(value, at);
    return this;
  }

  /** A NUL-terminated string. */
  text(type: number, value: string): this {
    const length = Buffer.byteLength(value);
    const at = this.#attribute(type, length + 1);
    this.#bytes.write(value, at);
    this.#bytes[at + length] = 0;
    return this;
  }

  /** An attribute whose value is what `inside` writes. @throws E_LIMIT when that is more than 16 bits can count */
  nested(type: number, inside: (writer: this) => void): this {
    this.#room(attributeHeaderBytes);
    const start = this.#length;
    this.#bytes.writeUInt16LE(type | NLA_F_NESTED, start + 2);
    this.#length = start + attributeHeaderBytes;
    this.#nests.push(start);
    inside(this);
    this.#nests.pop();
    this.#bytes.writeUInt16LE(checkedLength(this.#length - start), start);
    return this;
  }

  get length(): number {
    return this.#length;
  }

  /** A view of what was written; later writes may move it. */
  bytes(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }

  /** Where the value goes. It may move the buffer: ask for it before touching `#bytes`. */
  #attribute(type: number, valueBytes: number): number {
    const length = checkedLength(attributeHeaderBytes + valueBytes);
    this.#room(length + 3);
    const at = this.#length;
    this.#bytes.writeUInt16LE(length, at);
    this.#bytes.writeUInt16LE(type, at + 2);
    this.#pad(at + length);
    return at + attributeHeaderBytes;
  }

  /** Moves the end to the next multiple of four, with zeros in between (the buffer starts out with old memory in it). */
  #pad(end: number): void {
    const padded = align(end);
    if (padded !== end) this.#bytes.fill(0, end, padded);
    this.#length = padded;
  }

  #room(bytes: number): void {
    if (this.#length + bytes <= this.#bytes.length) return;
    const grown = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, this.#length + bytes));
    this.#bytes.copy(grown, 0, 0, this.#length);
    this.#bytes = grown;
  }
}

function checkedLength(length: number): number {
  if (length <= attributeBytesMax) return length;
  throw new PodwrightError(
    'E_LIMIT',
    `encode netlink attribute: ${length} bytes, at most ${attributeBytesMax}`,
  );
}

function malformed(what: string): PodwrightError {
  return new PodwrightError('E_INVALID', `parse netlink ${what}`);
}

/** The messages of one datagram. @throws E_INVALID when a length points outside it */
export function parseMessages(data: Buffer): readonly NetlinkMessage[] {
  const messages: NetlinkMessage[] = [];
  for (let at = 0; at < data.length;) {
    if (at + headerBytes > data.length) throw malformed(`message at ${at}: header cut off`);
    const length = data.readUInt32LE(at);
    if (length < headerBytes || at + length > data.length)
      throw malformed(`message at ${at}: length ${length}`);
    messages.push({
      type: data.readUInt16LE(at + 4),
      flags: data.readUInt16LE(at + 6),
      sequence: data.readUInt32LE(at + 8),
      payload: data.subarray(at + headerBytes, at + length),
    });
    at += align(length);
  }
  return messages;
}

/** Attributes by type, flags of the type removed; where a type repeats (lists), the last one wins. @throws E_INVALID */
export function parseAttributes(data: Buffer, offset = 0): ReadonlyMap<number, Buffer> {
  return new Map(parseAttributeList(data, offset));
}

/** Attributes in order. @throws E_INVALID when a length points outside the data */
export function parseAttributeList(data: Buffer, offset = 0): readonly (readonly [number, Buffer])[] {
  const attributes: (readonly [number, Buffer])[] = [];
  for (let at = offset; at < data.length;) {
    if (at + attributeHeaderBytes > data.length) throw malformed(`attribute at ${at}: header cut off`);
    const length = data.readUInt16LE(at);
    if (length < attributeHeaderBytes || at + length > data.length) {
      throw malformed(`attribute at ${at}: length ${length}`);
    }
    const type = data.readUInt16LE(at + 2) & NLA_TYPE_MASK;
    attributes.push([type, data.subarray(at + attributeHeaderBytes, at + length)]);
    at += align(length);
  }
  return attributes;
}

/** A string attribute without its NUL; undefined when absent. */
export function textOf(value: Buffer | undefined): string | undefined {
  if (value === undefined) return undefined;
  const end = value.indexOf(0);
  return value.toString('utf8', 0, end < 0 ? value.length : end);
}

/** A 4-byte host-order attribute; undefined when absent. @throws E_INVALID when it is shorter */
export function u32Of(value: Buffer | undefined): number | undefined {
  if (value === undefined) return undefined;
  if (value.length < 4) throw malformed(`32-bit attribute: ${value.length} bytes`);
  return value.readUInt32LE(0);
}

/** An acknowledgement: errno 0 means done; `text` is the kernel's own explanation. */
export interface Acknowledgement {
  readonly sequence: number;
  readonly errno: number;
  readonly text: string | undefined;
}

/** Reads an NLMSG_ERROR message made with NETLINK_CAP_ACK (nothing of the request but its header). undefined: another type. */
export function parseAcknowledgement(message: NetlinkMessage): Acknowledgement | undefined {
  if (message.type !== NLMSG_ERROR) return undefined;
  if (message.payload.length < 4) throw malformed('acknowledgement: cut off');
  const errno = -message.payload.readInt32LE(0);
  const attributes = message.payload.length > 20 ? parseAttributes(message.payload, 20) : undefined;
  return { sequence: message.sequence, errno, text: textOf(attributes?.get(NLMSGERR_ATTR_MSG)) };
}
