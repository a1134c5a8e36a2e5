const names: Readonly<Record<string, string>> = {
  ...{ '\u0007': String.raw`\a`, '\b': String.raw`\b`, '\f': String.raw`\f`, '\n': String.raw`\n` },
  ...{ '\r': String.raw`\r`, '\t': String.raw`\t`, '\v': String.raw`\v` },
  ...{ '\\': String.raw`\\`, '"': String.raw`\"` },
};

/** A text as CEL may have it in a literal: what has an escape of its own is escaped, all else stays (cel-go, ext/strings.go). */
export function quote(text: string): string {
  return `"${text.toWellFormed().replaceAll(/[\u0007\b\f\n\r\t\v\\"]/g, (one) => names[one] ?? one)}"`;
}

/** A text as Go's %q has it: other control characters are escaped, too. */
export function goQuote(text: string): string {
  return quote(text).replaceAll(
    /[\u0000-\u001f\u007f]/g,
    (one) => String.raw`\x` + one.charCodeAt(0).toString(16).padStart(2, '0'),
  );
}
