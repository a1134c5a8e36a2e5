/** Of a piece of a long answer. */
export const pieceBytes = 65_536;
/** That are kept while nobody needs them. */
const freeMax = 64;

/**
 * Memory of answers that are sent in pieces, used again once a piece has been sent. Given up instead, it would have V8 collect all its garbage for every 64 MB
 * that are sent, as it cannot know that nothing but these is to be had: some tens of milliseconds of the one thread, each time.
 */
export class PiecePool {
  readonly #own = new WeakSet<ArrayBufferLike>();
  readonly #free: Buffer[] = [];

  take(): Buffer {
    const kept = this.#free.pop();
    if (kept !== undefined) return kept;
    const made = Buffer.allocUnsafeSlow(pieceBytes);
    this.#own.add(made.buffer);
    return made;
  }

  /** Nobody reads the piece any more. What is not of this pool is left alone. */
  give({ buffer }: Uint8Array): void {
    if (this.#own.has(buffer) && this.#free.length < freeMax) this.#free.push(Buffer.from(buffer));
  }
}
