import type { Expr } from '#api/cel/syntax/ast.ts';
import type { Issue } from '#api/cel/syntax/source.ts';
import { partsOf } from '#api/cel/syntax/identifiers.ts';
import { FormatProblem, writeClauses, wrongValue, type Clause } from '#api/cel/library/format-string.ts';
import type { Checked } from './check.ts';
import { formatType, type CelType } from './cel-type.ts';

/** What of each clause may be seen to be wrong where text and values are written out (cel-go, ext/formatting.go, its validator). */
export function formatIssues(expr: Expr, checked: Pick<Checked, 'typeOf'>): readonly Issue[] {
  const own = expr.kind === 'call' ? issuesOfCall(expr, checked) : [];
  return [...own, ...partsOf(expr).flatMap((part) => formatIssues(part, checked))];
}

const kinds: Readonly<Record<string, ReadonlySet<CelType['kind']>>> = {
  s: new Set([
    ...(['list', 'map', 'int', 'uint', 'double', 'bool', 'string'] as const),
    ...(['timestamp', 'bytes', 'duration', 'type', 'null'] as const),
  ]),
  d: new Set(['int', 'uint']),
  f: new Set(['double', 'string']),
  e: new Set(['double', 'string']),
  b: new Set(['int', 'uint', 'bool']),
  x: new Set(['int', 'uint', 'string', 'bytes']),
  X: new Set(['int', 'uint', 'string', 'bytes']),
  o: new Set(['int', 'uint']),
};

function issuesOfCall(
  call: Extract<Expr, { readonly kind: 'call' }>,
  { typeOf }: Pick<Checked, 'typeOf'>,
): readonly Issue[] {
  const { name, target, args, offset } = call;
  const [list] = args;
  if (name !== 'format' || args.length !== 1 || list?.kind !== 'list') return [];
  if (target?.kind !== 'constant' || typeof target.value !== 'string') return [];
  let blamed: Expr = call;
  let asked = 0;
  const write = ({ letter, index }: Clause): string | FormatProblem => {
    asked++;
    const value = list.elements[index]?.value;
    const wrong = value === undefined ? undefined : misfit(value, letter, typeOf);
    if (wrong === undefined) return '';
    blamed = wrong;
    return wrongValue(letter, formatType(typeOf(wrong)));
  };
  const count = list.elements.length;
  const found = writeClauses(target.value, count, write);
  if (found instanceof FormatProblem) return [{ offset: blamed.offset, message: found.message }];
  if (count <= asked) return [];
  const message = `too many arguments supplied to string.format (expected ${asked}, got ${count})`;
  return [{ offset, message }];
}

/** The value that a clause cannot write, which is this one or one that is written out within. */
function misfit(value: Expr, letter: string, typeOf: Checked['typeOf']): Expr | undefined {
  const { kind } = typeOf(value);
  if (kind !== 'dyn' && kind !== 'param' && kinds[letter]?.has(kind) === false) return value;
  if (letter !== 's') return undefined;
  const within =
    value.kind === 'list'
      ? value.elements.map((element) => element.value)
      : value.kind === 'map'
        ? value.entries.flatMap((entry) => [entry.key, entry.value])
        : [];
  for (const part of within) {
    const found = misfit(part, letter, typeOf);
    if (found !== undefined) return found;
  }
  return undefined;
}
