/** A value as it was before it was sealed. */
export interface StoredBytes {
  readonly value: Uint8Array;
  /** Whether it would be sealed otherwise now: the next write, even of the same, is to write it. */
  readonly isStale: boolean;
}
