/**
 * Replaces `$(NAME)` by the variable's value; `$$` is one `$`, so `$$(NAME)` stays `$(NAME)`; a name without value stays as written.
 * Source: Kubernetes' dependent environment variables (third_party/forked/golang/expansion).
 */
export function expandVariables(text: string, valueOf: (name: string) => string | undefined): string {
  let expanded = '';
  let position = 0;
  for (;;) {
    const dollar = text.indexOf('$', position);
    if (dollar < 0 || dollar === text.length - 1) return expanded + text.slice(position);
    expanded += text.slice(position, dollar);
    const [piece, length] = expandAt(text, dollar, valueOf);
    expanded += piece;
    position = dollar + length;
  }
}

function expandAt(
  text: string,
  dollar: number,
  valueOf: (name: string) => string | undefined,
): [string, number] {
  const next = text[dollar + 1];
  if (next === '$') return ['$', 2];
  if (next !== '(') return [`$${next ?? ''}`, 2];
  const end = text.indexOf(')', dollar + 2);
  if (end < 0) return ['$(', 2];
  const name = text.slice(dollar + 2, end);
  return [valueOf(name) ?? `$(${name})`, end + 1 - dollar];
}
