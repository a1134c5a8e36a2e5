const keywords: ReadonlySet<string> = new Set(
  'true false null in as break const continue else for function if import let loop package namespace return var void while'.split(
    ' ',
  ),
);

const escapes: readonly (readonly [RegExp, string])[] = [
  [/__/g, '__underscores__'],
  [/\./g, '__dot__'],
  [/-/g, '__dash__'],
  [/\//g, '__slash__'],
];

/** As an expression has to write a property's name; undefined for one that it cannot write (apiserver/pkg/cel/escaping.go). */
export function escapeName(property: string): string | undefined {
  if (keywords.has(property)) return `__${property}__`;
  const escaped = escapes.reduce((name, [sign, word]) => name.replaceAll(sign, word), property);
  return /^[a-zA-Z_][a-zA-Z0-9_]*$/.test(escaped) ? escaped : undefined;
}

/** Words that expressions may not have as names, but for fields. */
export function isKeyword(name: string): boolean {
  return keywords.has(name);
}
