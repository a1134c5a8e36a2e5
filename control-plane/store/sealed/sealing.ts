import type { StoredBytes } from './stored-bytes.ts';

/** What is stored of values, and how they are read: asked for each value, at once. */
export interface Sealing {
  /** Changes whenever what is stale may have changed. */
  readonly generation: number;
  /** Whether values under the prefix may be other than they are stored; false: they are never asked about. */
  mayHold(prefix: string): boolean;
  /** The bytes to store. @throws where there is no key to write with */
  seal(key: string, value: Uint8Array): Uint8Array;
  /** @throws {KeyNeeded} where somebody has to be asked first. @throws for what cannot be read */
  open(key: string, stored: Uint8Array): StoredBytes;
  /** The error of one value, for who asked for many. */
  inList(key: string, error: unknown): unknown;
}

/** Thrown where a value can be read when something has come: a key that is elsewhere. */
export class KeyNeeded extends Error {
  /** Resolves when it is worth another try. */
  readonly ready: Promise<void>;

  constructor(ready: Promise<void>) {
    super('a key is on its way');
    this.name = 'KeyNeeded';
    this.ready = ready;
  }
}
