/** How frames of a byte stream are told apart: the header's length, and from it the length of the whole frame. */
export interface FrameShape {
  readonly headerBytes: number;
  /** Header and body together. Throws for what is no header; the stream is lost then. */
  readonly frameBytes: (header: Buffer) => number;
}

/**
 * Cuts a byte stream into frames, wherever it is split. Costs each byte one copy at most, however small the pieces are: what is
 * joined anew with each piece costs a peer that sends byte by byte a megabyte of copying for each of them.
 */
export class FrameAssembler {
  readonly #shape: FrameShape;
  /** The frame, or its header, that has begun; filled up to `#filled`. */
  #partial: Buffer | undefined;
  #filled = 0;

  constructor(shape: FrameShape) {
    this.#shape = shape;
  }

  /** The frames that are complete with this chunk; they may share its memory. */
  *push(chunk: Uint8Array): Generator<Buffer, void, void> {
    let rest = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    while (rest.length > 0) {
      if (this.#partial === undefined) {
        const size = rest.length < this.#shape.headerBytes ? Infinity : this.#shape.frameBytes(rest);
        if (rest.length >= size) {
          yield rest.subarray(0, size);
          rest = rest.subarray(size);
          continue;
        }
        this.#partial = Buffer.allocUnsafe(size === Infinity ? this.#shape.headerBytes : size);
        this.#filled = 0;
      }
      const taken = rest.copy(this.#partial, this.#filled);
      this.#filled += taken;
      rest = rest.subarray(taken);
      if (this.#filled === this.#partial.length) {
        const frame = this.#complete(this.#partial);
        if (frame !== undefined) yield frame;
      }
    }
  }

  /** Whether the stream may end here. */
  get isAtBoundary(): boolean {
    return this.#partial === undefined;
  }

  /** What was filled is a frame, or its header, which makes room for the rest. */
  #complete(filled: Buffer): Buffer | undefined {
    const size = this.#shape.frameBytes(filled);
    if (filled.length >= size) {
      this.#partial = undefined;
      return filled;
    }
    this.#partial = Buffer.allocUnsafe(size);
    filled.copy(this.#partial);
    return undefined;
  }
}
