import { PodwrightError } from '#base/errors.ts';
import { tooManyValues, valueCountMax } from './value-count.ts';

/** Wire types of the protobuf encoding; groups (3, 4) are refused. */
export type WireType = 0 | 1 | 2 | 5;

/** Reads protobuf fields from a slice of bytes; every read is bounds-checked. */
export class ProtobufReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #position: number;
  readonly #end: number;
  /** Fields that may still be read, by this reader and by those of the messages within. */
  readonly #budget: { left: number };

  constructor(bytes: Uint8Array, start = 0, budget: { left: number } = { left: valueCountMax }) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#position = start;
    this.#end = bytes.length;
    this.#budget = budget;
  }

  get isAtEnd(): boolean {
    return this.#position >= this.#end;
  }

  /**
   * @throws {E_API} 413 for more fields than `valueCountMax`
   * @throws {E_INVALID} as all reads do when the bytes end early or are malformed
   */
  readTag(): { readonly field: number; readonly wire: WireType } {
    this.count();
    const tag = this.readVarint();
    const [field, wire] = [Math.floor(tag / 8), tag % 8];
    if (field < 1 || field > 536_870_911) throw malformed(`illegal tag ${field}`);
    if (wire !== 0 && wire !== 1 && wire !== 2 && wire !== 5) throw malformed(`illegal wireType ${wire}`);
    return { field, wire };
  }

  /** One value more was read. */
  count(): void {
    if (--this.#budget.left < 0) throw tooManyValues();
  }

  /** A varint as a signed 64-bit integer, to the precision of a double. */
  readVarint(): number {
    let low = 0;
    let high = 0; // bits 28 and up
    for (let index = 0; index < 10; index++) {
      const byte = this.#readByte();
      const bits = byte & 0x7f;
      if (index < 4) low += bits * 2 ** (7 * index);
      else if (index < 9) high += bits * 2 ** (7 * (index - 4));
      else if ((bits & 1) === 1) return signedOf(low, high);
      if (byte < 0x80) return low + high * 2 ** 28;
    }
    throw malformed('integer overflow');
  }

  readDouble(): number {
    return this.#view.getFloat64(this.#take(8), true);
  }

  /** The bytes of a length-delimited field; a view, not a copy. */
  readBytes(): Uint8Array {
    const length = this.readVarint();
    if (length < 0) throw malformed('invalid length');
    const start = this.#take(length);
    return this.#bytes.subarray(start, start + length);
  }

  /** A reader of the length-delimited field that follows. */
  readMessage(): ProtobufReader {
    return new ProtobufReader(this.readBytes(), 0, this.#budget);
  }

  skip(wire: WireType): void {
    if (wire === 0) this.readVarint();
    else if (wire === 1) this.#take(8);
    else if (wire === 2) this.readBytes();
    else this.#take(4);
  }

  #readByte(): number {
    return this.#bytes[this.#take(1)] ?? 0;
  }

  #take(length: number): number {
    const start = this.#position;
    if (length > this.#end - start) throw malformed('unexpected EOF');
    this.#position = start + length;
    return start;
  }
}

/** Ten-byte varints are the negative numbers: two's complement in 64 bits, of which `low` holds 28 and `high` 35. */
function signedOf(low: number, high: number): number {
  return Number(BigInt.asIntN(64, (1n << 63n) | (BigInt(high) << 28n) | BigInt(low)));
}

function malformed(what: string): PodwrightError {
  return new PodwrightError('E_INVALID', `proto: ${what}`);
}
