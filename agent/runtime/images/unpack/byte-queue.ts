import type { Readable } from 'node:stream';
import { PodwrightError } from '#base/errors.ts';

/** The bytes of a stream in the pieces that a format has, whatever chunks they come in; no more is held than a piece and a chunk. */
export class ByteQueue {
  readonly #chunks: AsyncIterator<Buffer>;
  #chunk: Buffer = Buffer.alloc(0);
  /** Of the body in hand. */
  #bodyLeft = 0;
  #bodyBytes = 0;
  #bytesLeft: number;

  /** `bytesMax`: of the whole stream; a few bytes, compressed, stand for any number of empty blocks. */
  constructor(source: Readable, bytesMax: number) {
    this.#bytesLeft = bytesMax;
    this.#chunks = source[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  }

  /** So many bytes; undefined where the stream had ended. @throws where it ends within them */
  async take(bytes: number): Promise<Buffer | undefined> {
    if (this.#chunk.length >= bytes) return this.#shift(bytes);
    const parts: Buffer[] = [];
    let length = 0;
    while (length < bytes) {
      if (this.#chunk.length === 0 && !(await this.#fill())) {
        if (length === 0) return undefined;
        throw unexpectedEnd();
      }
      const part = this.#shift(Math.min(bytes - length, this.#chunk.length));
      parts.push(part);
      length += part.length;
    }
    return Buffer.concat(parts);
  }

  /** So many bytes that follow are a body. */
  startBody(bytes: number): void {
    this.#bodyLeft = bytes;
    this.#bodyBytes = bytes;
  }

  /** What is left of the body in hand, in chunks. */
  async *body(): AsyncGenerator<Buffer> {
    while (this.#bodyLeft > 0) yield await this.#bodyPart();
  }

  /** Passes over the rest of the body, and what fills its last block up. */
  async skipBody(blockBytes: number): Promise<void> {
    while (this.#bodyLeft > 0) await this.#bodyPart();
    const padding = (blockBytes - (this.#bodyBytes % blockBytes)) % blockBytes;
    if (padding > 0 && (await this.take(padding)) === undefined) throw unexpectedEnd();
  }

  /** Reads the stream to its end. */
  async drain(): Promise<void> {
    while (await this.#fill());
  }

  async #bodyPart(): Promise<Buffer> {
    if (this.#chunk.length === 0 && !(await this.#fill())) throw unexpectedEnd();
    const part = this.#shift(Math.min(this.#bodyLeft, this.#chunk.length));
    this.#bodyLeft -= part.length;
    return part;
  }

  #shift(bytes: number): Buffer {
    const part = this.#chunk.subarray(0, bytes);
    this.#chunk = this.#chunk.subarray(bytes);
    return part;
  }

  async #fill(): Promise<boolean> {
    for (;;) {
      const next = await this.#chunks.next();
      if (next.done === true) return false;
      this.#chunk = next.value;
      this.#bytesLeft -= this.#chunk.length;
      if (this.#bytesLeft < 0)
        throw new PodwrightError('E_LIMIT', 'read tar: it has more bytes than its files may');
      if (this.#chunk.length > 0) return true;
    }
  }
}

function unexpectedEnd(): Error {
  return new Error('unexpected end of tar');
}
