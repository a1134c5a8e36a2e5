import type { Constant, Expr } from '#api/cel/syntax/ast.ts';
import { doubleOf, intOf, Uint, type Value } from './values.ts';

/** The value that a literal stands for. */
export function constantOf({ type, value }: Constant): Value {
  if (type === 'int' && typeof value === 'bigint') return intOf(value);
  if (type === 'uint' && typeof value === 'bigint') return new Uint(value);
  return type === 'double' && typeof value === 'number' ? doubleOf(value) : value;
}

/** What is looked up by a name, and what is selected from it (cel-go, interpreter/attributes.go). */
export function isAttribute(expr: Expr): boolean {
  if (expr.kind === 'identifier') return true;
  if (expr.kind === 'selection') return !expr.isTest;
  return expr.kind === 'call' && expr.target === undefined && attributeCalls.has(expr.name);
}

const attributeCalls: ReadonlySet<string> = new Set(['_[_]', '_[?_]', '_?._']);

/** What comes to the same whenever it is evaluated, and is made once: literals, and conversions of them. */
export function isConstant(expr: Expr): boolean {
  switch (expr.kind) {
    case 'constant':
      return true;
    case 'list':
      return expr.elements.every(({ value, isOptional }) => !isOptional && isConstant(value));
    case 'map':
      return expr.entries.every(
        ({ key, value, isOptional }) => !isOptional && isConstant(key) && isConstant(value),
      );
    case 'call':
      return (
        expr.target === undefined && conversions.has(expr.name) && expr.args.every((arg) => isConstant(arg))
      );
    default:
      return false;
  }
}

const conversions: ReadonlySet<string> = new Set([
  ...['bool', 'bytes', 'double', 'dyn', 'duration', 'int', 'string', 'timestamp', 'uint'],
]);
