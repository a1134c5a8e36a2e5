/**
 * Replaces `$(NAME)` by the variable's value; `$$` is one `$`, so `$$(NAME)` stays `$(NAME)`; a name without value stays as written.
 * Undefined where the result would have more than `bytesMax` bytes (UTF-8), of which then no more than that was made: a few lines that
 * refer to each other stand for gigabytes. Source: Kubernetes' dependent environment variables (third_party/forked/golang/expansion).
 */
export function expandVariables(
  text: string,
  valueOf: (name: string) => string | undefined,
  bytesMax: number,
): string | undefined {
  const lastEnd = text.lastIndexOf(')'); // Where none follows, none is searched for again.
  const pieces: string[] = [];
  let length = 0; // In UTF-16 units, of which there are no more than bytes.
  let position = 0;
  while (length <= bytesMax) {
    const found = text.indexOf('$', position);
    const dollar = found < 0 || found === text.length - 1 ? text.length : found;
    const [piece, skipped] = dollar === text.length ? ['', 0] : expandAt(text, dollar, { valueOf, lastEnd });
    if (dollar > position) pieces.push(text.slice(position, dollar));
    if (piece !== '') pieces.push(piece);
    length += dollar - position + piece.length;
    position = dollar + skipped;
    if (dollar < text.length) continue;
    if (length > bytesMax) return undefined;
    const expanded = joined(pieces);
    return Buffer.byteLength(expanded) > bytesMax ? undefined : expanded;
  }
  return undefined;
}

/** One piece alone is itself: a hundred variables that stand for a large one do not copy it. */
function joined(pieces: readonly string[]): string {
  const [first = ''] = pieces;
  return pieces.length > 1 ? pieces.join('') : first;
}

function expandAt(
  text: string,
  dollar: number,
  { valueOf, lastEnd }: { readonly valueOf: (name: string) => string | undefined; readonly lastEnd: number },
): readonly [piece: string, length: number] {
  const next = text[dollar + 1];
  if (next === '$') return ['$', 2];
  if (next !== '(') return [`$${next ?? ''}`, 2];
  const end = lastEnd < dollar + 2 ? -1 : text.indexOf(')', dollar + 2);
  if (end < 0) return ['$(', 2];
  const name = text.slice(dollar + 2, end);
  return [valueOf(name) ?? `$(${name})`, end + 1 - dollar];
}
