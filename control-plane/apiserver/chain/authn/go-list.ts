/** As Go prints a list of strings by %q: `["a" "b"]`. */
export function goList(texts: readonly string[]): string {
  return `[${texts.map((text) => JSON.stringify(text)).join(' ')}]`;
}
