import type { Expr } from './ast.ts';

/** All names that stand alone in an expression: of variables, of its own and of others. */
export function identifiersOf(expr: Expr): ReadonlySet<string> {
  const names = new Set<string>();
  const visit = (part: Expr): void => {
    if (part.kind === 'identifier') names.add(part.name);
    for (const inner of partsOf(part)) visit(inner);
  };
  visit(expr);
  return names;
}

/** What an expression is made of. */
export function partsOf(expr: Expr): readonly Expr[] {
  switch (expr.kind) {
    case 'constant':
    case 'identifier':
      return [];
    case 'selection':
      return [expr.operand];
    case 'call':
      return expr.target === undefined ? expr.args : [expr.target, ...expr.args];
    case 'list':
      return expr.elements.map(({ value }) => value);
    case 'map':
      return expr.entries.flatMap(({ key, value }) => [key, value]);
    case 'object':
      return expr.fields.map(({ value }) => value);
    case 'fold':
      return [expr.range, expr.start, expr.goOn, expr.step, expr.result];
  }
}
