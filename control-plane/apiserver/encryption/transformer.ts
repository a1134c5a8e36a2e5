import { isSealed } from '#control-plane/store/sealed/plain-store.ts';
import { KeyNeeded } from '#control-plane/store/sealed/sealing.ts';
import type { StoredBytes } from '#control-plane/store/sealed/stored-bytes.ts';
import type { Cipher } from './ciphers/cipher.ts';

/** How values of a resource are stored and read (apiserver/pkg/storage/value). */
export interface Transformer {
  seal(plain: Uint8Array, place: string): Uint8Array;
  /** @throws {KeyNeeded}. @throws Error, in kube-apiserver's words */
  open(stored: Uint8Array, place: string): StoredBytes;
}

/** One way of storing, by what its values begin with. */
export interface Prefixed {
  readonly prefix: string;
  readonly transformer: Transformer;
}

/** Told how each way of storing went: for metrics. */
export interface TransformerWatch {
  done(type: 'from_storage' | 'to_storage', prefix: string, seconds: number, isGood: boolean): void;
}

export function fromCipher(cipher: Cipher): Transformer {
  return {
    seal: (plain, place) => cipher.seal(plain, place),
    open: (stored, place) => ({ value: cipher.open(stored, place), isStale: false }),
  };
}

/** Values as they are; what is sealed is for another. */
export const identity: Transformer = {
  seal: (plain) => plain,
  open: (stored) => {
    if (isSealed(stored)) throw new Error('identity transformer tried to read encrypted data');
    return { value: stored, isStale: false };
  },
};

/**
 * The first writes; whichever has the prefix of a value, and can, reads it. What the first did not write is stale. Of those with a prefix
 * the errors are told, or `unknown` where none has it.
 */
export function firstThatFits(
  given: readonly Prefixed[],
  unknown: string,
  watch: TransformerWatch | undefined,
): Transformer {
  const all = given.map(({ prefix, transformer }) => ({
    prefix: Buffer.from(prefix),
    name: prefix,
    transformer,
  }));
  const [first] = all;
  if (first === undefined) throw new Error('no way of storing was given');
  const timed = <T>(type: 'from_storage' | 'to_storage', name: string, work: () => T): T => {
    if (watch === undefined) return work();
    const startMs = performance.now();
    try {
      const result = work();
      watch.done(type, name, (performance.now() - startMs) / 1000, true);
      return result;
    } catch (error) {
      if (!(error instanceof KeyNeeded)) watch.done(type, name, (performance.now() - startMs) / 1000, false);
      throw error;
    }
  };
  return {
    seal: (plain, place) =>
      timed('to_storage', first.name, () => {
        const sealed = first.transformer.seal(plain, place);
        return first.prefix.length === 0 ? sealed : prefixedBy(first.prefix, sealed);
      }),
    open: (stored, place) => {
      const errors: string[] = [];
      for (const one of all) {
        const { prefix, name, transformer } = one;
        if (!prefix.equals(stored.subarray(0, prefix.length))) continue;
        try {
          const open = (): StoredBytes => transformer.open(stored.subarray(prefix.length), place);
          const { value, isStale } = prefix.length === 0 ? open() : timed('from_storage', name, open);
          return { value, isStale: isStale || one !== first };
        } catch (error) {
          if (error instanceof KeyNeeded) throw error;
          if (prefix.length > 0) errors.push(error instanceof Error ? error.message : String(error));
        }
      }
      throw new Error(errors.length === 0 ? unknown : aggregate(errors));
    },
  };
}

/** As Go's aggregate of errors is printed: each once. */
function aggregate(errors: readonly string[]): string {
  const once = [...new Set(errors)];
  return once.length === 1 ? (once[0] ?? '') : `[${once.join(', ')}]`;
}

function prefixedBy(prefix: Uint8Array, sealed: Uint8Array): Uint8Array {
  const bytes = Buffer.allocUnsafeSlow(prefix.byteLength + sealed.byteLength);
  bytes.set(prefix);
  bytes.set(sealed, prefix.byteLength);
  return bytes;
}
