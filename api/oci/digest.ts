/** Digests of content (image specification, descriptor.md, "Digests"), of the algorithms that other runtimes read (go-digest). Pure. */

/** Hex digits of each. */
const hexDigits = { sha256: 64, sha384: 96, sha512: 128 } as const;
export type DigestAlgorithm = keyof typeof hexDigits;
export const digestAlgorithms = Object.keys(hexDigits) as readonly DigestAlgorithm[];

/** In words, for messages. */
export const digestForm = 'sha256:, sha384: or sha512: and as many hex digits as it has';

export function isDigest(text: string): boolean {
  const [algorithm = '', hex = '', ...more] = text.split(':');
  const digits = digestAlgorithms.find((each) => each === algorithm);
  return (
    digits !== undefined && more.length === 0 && hex.length === hexDigits[digits] && /^[0-9a-f]+$/.test(hex)
  );
}

/** Of a digest; sha256 of anything else. */
export function algorithmOf(text: string): DigestAlgorithm {
  return digestAlgorithms.find((each) => text.startsWith(`${each}:`)) ?? 'sha256';
}

/** What a digest has behind its algorithm. */
export function hexOf(digest: string): string {
  return digest.slice(digest.indexOf(':') + 1);
}

/** No two algorithms have as many digits. */
export function digestOfHex(hex: string): string {
  const algorithm = digestAlgorithms.find((each) => hexDigits[each] === hex.length) ?? 'sha256';
  return `${algorithm}:${hex}`;
}
