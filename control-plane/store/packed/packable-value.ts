import { promisify } from 'node:util';
import { constants, zstdCompress, zstdDecompressSync } from 'node:zlib';

/**
 * Values from so many bytes on are packed once nobody has read them for a while: definitions of custom kinds, of which clusters have
 * hundreds that are seldom looked at, take a tenth. They are packed in a thread of Node's pool; unpacking takes 0.3 ms for 150 KB.
 */
export const packableBytesMin = 16_384;

const compress = promisify(zstdCompress);
/** The quickest, and as small as others for text that repeats itself. */
const options = { params: { [constants.ZSTD_c_compressionLevel]: 1 } };

/** A long value in memory, plain or packed. */
export class PackableValue {
  readonly byteLength: number;
  /** undefined: it is packed. */
  #plain: Uint8Array | undefined;
  /** What was made of it; 'larger' where it saves nothing. */
  #packed: Uint8Array | 'larger' | undefined;
  /** Whoever keeps something by the identity of the bytes is to find it as long as somebody has them. */
  #lent: WeakRef<Uint8Array> | undefined;
  #isIdle = false;

  constructor(bytes: Uint8Array) {
    this.byteLength = bytes.byteLength;
    this.#plain = bytes;
  }

  get isPacked(): boolean {
    return this.#plain === undefined;
  }

  get bytes(): Uint8Array {
    this.#isIdle = false;
    return (this.#plain ??= this.#lent?.deref() ?? this.#unpack());
  }

  /** Packs it where nobody has read it since this was called last. */
  async rest(): Promise<void> {
    const plain = this.#plain;
    if (plain === undefined || this.#packed === 'larger') return;
    if (!this.#isIdle) {
      this.#isIdle = true;
      return;
    }
    if (this.#packed === undefined) {
      const packed = await compress(plain, options);
      this.#packed = packed.byteLength * 2 > plain.byteLength ? 'larger' : ownBytes(packed);
    }
    // It may have been read meanwhile.
    if (!this.#isIdle || this.#packed === 'larger') return;
    this.#lent = new WeakRef(plain);
    this.#plain = undefined;
  }

  #unpack(): Uint8Array {
    if (!(this.#packed instanceof Uint8Array)) return new Uint8Array();
    // In one piece, with room for the end of the stream.
    return zstdDecompressSync(this.#packed, { chunkSize: this.byteLength + 64 });
  }
}

/** In memory of its own, as long as it is: what the compressor gives lies in a larger block. */
function ownBytes(bytes: Uint8Array): Uint8Array {
  return Uint8Array.from(bytes);
}

/** A value as it is kept: short ones as they are. */
export type KeptValue = Uint8Array | PackableValue;

export function kept(bytes: Uint8Array): KeptValue {
  return bytes.byteLength < packableBytesMin ? bytes : new PackableValue(bytes);
}
