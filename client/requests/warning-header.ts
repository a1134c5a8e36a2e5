/** Of one answer; a server sends fewer (apiserver's warning recorder cuts at 4 KiB in all). */
const warningsMax = 64;

/**
 * The texts of a Warning header (RFC 9111, 5.5; KEP-1693): `299 - "text"`, several with commas between. What is not of code 299,
 * or not well formed, is left out.
 */
export function parseWarnings(header: string | undefined): readonly string[] {
  if (header === undefined) return [];
  const texts: string[] = [];
  const item = /\s*(\d{3}) \S+ "((?:[^"\\]|\\.)*)"(?: "[^"]*")?\s*(?:,|$)/y;
  for (let found = item.exec(header); found !== null && texts.length < warningsMax; found = item.exec(header))
    if (found[1] === '299') texts.push((found[2] ?? '').replaceAll(/\\(.)/g, '$1'));
  return texts;
}
