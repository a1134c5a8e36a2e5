/** The name of a manager: what the request says, or the first part of its client's name (kube-apiserver, managerOrUserAgent). */
export function managerOf(fieldManager: string, userAgent: string | undefined): string {
  if (fieldManager !== '') return fieldManager;
  // Headers come as bytes; names are UTF-8.
  const [name = ''] = Buffer.from(userAgent ?? '', 'latin1')
    .toString()
    .split('/', 1);
  let kept = '';
  let bytes = 0;
  for (const char of name) {
    if (!isPrintable(char)) continue;
    bytes += Buffer.byteLength(char);
    if (bytes > managerBytesMax) break;
    kept += char;
  }
  return kept;
}

/** Bytes of the name of a manager. */
export const managerBytesMax = 128;

const printable = /^[\p{L}\p{M}\p{N}\p{P}\p{S} ]$/u;

/** As Go's unicode.IsPrint. */
export function isPrintable(char: string): boolean {
  return printable.test(char);
}
