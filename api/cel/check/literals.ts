import type { Expr } from '#api/cel/syntax/ast.ts';
import { partsOf } from '#api/cel/syntax/identifiers.ts';
import type { Issue } from '#api/cel/syntax/source.ts';
import { parseDuration, parseTimestamp } from '#api/cel/eval/time.ts';
import { isPattern } from '#api/cel/library/regex.ts';

/** Arguments that are written out and are no duration, time or pattern (cel-go, cel/validator.go). */
export function literalIssues(expr: Expr): readonly Issue[] {
  const own = expr.kind === 'call' ? issuesOfCall(expr) : [];
  return [...own, ...partsOf(expr).flatMap(literalIssues)];
}

const readers: Readonly<Record<string, ((text: string) => boolean) | undefined>> = {
  duration: (text) => parseDuration(text) !== undefined,
  timestamp: (text) => parseTimestamp(text) !== undefined,
  matches: isPattern,
};

function issuesOfCall({ name, args }: Extract<Expr, { readonly kind: 'call' }>): readonly Issue[] {
  const argument = args.at(-1);
  if (argument?.kind !== 'constant' || typeof argument.value !== 'string') return [];
  const isFine = Object.hasOwn(readers, name) ? readers[name]?.(argument.value) : true;
  return isFine === false ? [{ offset: argument.offset, message: `invalid ${name} argument` }] : [];
}
