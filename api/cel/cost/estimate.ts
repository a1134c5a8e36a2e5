import type { Checked } from '#api/cel/check/check.ts';
import { optionalName, types, type CelType } from '#api/cel/check/cel-type.ts';
import type { Call, Expr, Fold } from '#api/cel/syntax/ast.ts';
import { carriedName } from '#api/cel/syntax/macros.ts';
import {
  libraryEstimates,
  standardEstimate,
  type CallEstimate,
  type CallQuestion,
  type Node,
} from './call-estimates.ts';
import { fixed, nothing, productOf, sumOf, unionOf, unknownMax, unknownSize, type Range } from './range.ts';

/** How large what lies at a path of a variable may be: the variable's name, then fields, `@items`, `@values`, `@keys`. undefined: nobody knows. */
export type SizeSource = (path: readonly string[]) => Range | undefined;

/**
 * What an expression may cost at least and at most, by the sizes of what it looks at (cel-go, checker/cost.go; a test with `has()` counts
 * as nothing, as Kubernetes has it).
 */
export function estimateCost(expr: Expr, checked: Checked, sizeAt: SizeSource): Range {
  return new Estimator(checked, sizeAt).cost(expr);
}

/** Of the elements of a list or map that the expression itself makes. */
interface Entries {
  readonly isList: boolean;
  readonly key: Range;
  readonly value: Range;
}

/** A variable of a macro. */
interface Local {
  readonly name: string;
  readonly path: readonly string[];
  readonly size: Range | undefined;
  readonly entries?: Entries | undefined;
}

const costs = { name: fixed(1), list: fixed(10), map: fixed(30), object: fixed(40) } as const;

class Estimator {
  readonly #checked: Checked;
  readonly #sizeAt: SizeSource;
  readonly #paths = new Map<Expr, readonly string[]>();
  readonly #sizes = new Map<Expr, Range>();
  readonly #entries = new Map<Expr, Entries>();
  /** The innermost last. */
  readonly #locals: Local[] = [];

  constructor(checked: Checked, sizeAt: SizeSource) {
    this.#checked = checked;
    this.#sizeAt = (path) => (path.length === 0 ? undefined : sizeAt(path));
  }

  cost(expr: Expr): Range {
    switch (expr.kind) {
      case 'constant':
        return nothing;
      case 'identifier':
        this.#paths.set(expr, this.#local(expr.name)?.path ?? [expr.name]);
        return costs.name;
      case 'selection':
        return this.#selection(expr);
      case 'call':
        return this.#call(expr);
      case 'list':
        return this.#list(expr);
      case 'map':
        return this.#map(expr);
      case 'object':
        return sumOf(...expr.fields.map(({ value }) => this.cost(value)), costs.object);
      case 'fold':
        return isBinding(expr) ? this.#binding(expr) : this.#fold(expr);
    }
  }

  #local(name: string): Local | undefined {
    return this.#locals.findLast((local) => local.name === name);
  }

  #selection(expr: Extract<Expr, { readonly kind: 'selection' }>): Range {
    const name = this.#checked.nameOf(expr);
    if (name !== undefined) {
      this.#paths.set(expr, [name]);
      return costs.name;
    }
    const operand = this.cost(expr.operand);
    if (expr.isTest) return operand;
    this.#paths.set(expr, [...this.#pathOf(expr.operand), expr.field]);
    const { kind } = this.#checked.typeOf(expr.operand);
    return kind === 'map' || kind === 'object' ? sumOf(operand, costs.name) : operand;
  }

  #call(call: Call): Range {
    const [first] = call.args;
    if (call.name === 'dyn' && first !== undefined) {
      const cost = sumOf(fixed(1), this.cost(first));
      this.#copySizes(call, first);
      return cost;
    }
    if (call.name === '@append') return this.#append(call);
    const isMember = call.target !== undefined && this.#checked.nameOf(call) === undefined;
    const argCosts = call.args.map((arg) => this.cost(arg));
    const args = call.args.map((arg) => this.#node(arg));
    const target = isMember ? call.target : undefined;
    const targetCost = target === undefined ? nothing : this.cost(target);
    const targetNode = target === undefined ? undefined : this.#node(target);
    const signatures = this.#checked.signaturesOf(call);
    if (signatures.length === 0 && call.name !== '_?._') return nothing;
    const name = this.#checked.nameOf(call) ?? call.name;
    const overloads = signatures.length === 0 ? [[]] : signatures.map((signature) => signature.args);
    let cost: Range = { min: unknownMax, max: 0 };
    let size: Range | undefined;
    for (const types of overloads) {
      const question = { name, types, target: targetNode, args, sizeAt: this.#sizeAt };
      const found = this.#overload(call, question, argCosts);
      cost = unionOf(cost, found.cost);
      if (found.size !== undefined) size = size === undefined ? found.size : unionOf(size, found.size);
      if (name === '_[_]') size = this.#indexed(call, types) ?? size;
      size ??= this.#sizeOf(call);
    }
    if (size !== undefined) this.#sizes.set(call, size);
    return sumOf(targetCost, cost);
  }

  #indexed(call: Call, [of]: readonly CelType[]): Range | undefined {
    const [operand] = call.args;
    if (operand === undefined || (of?.kind !== 'list' && of?.kind !== 'map')) return undefined;
    this.#paths.set(call, [...this.#pathOf(operand), of.kind === 'list' ? '@items' : '@values']);
    return this.#entriesOf(operand)?.value;
  }

  /** With its arguments. */
  #overload(call: Call, question: CallQuestion, argCosts: readonly Range[]): CallEstimate {
    const [first = nothing, second = nothing, third = nothing] = argCosts;
    const known = libraryEstimates[question.name]?.(question);
    if (known === undefined) {
      if (question.name === '_&&_' || question.name === '_||_')
        return { cost: { min: first.min, max: sumOf(first, second).max } };
      if (question.name === '_?_:_') {
        const [, yes, no] = question.args;
        this.#joinEntries(call, yes?.expr, no?.expr);
        const size = unionOf(yes?.size ?? unknownSize, no?.size ?? unknownSize);
        return { cost: sumOf(first, unionOf(second, third)), size };
      }
      if (question.name === '_+_') this.#joinEntries(call, question.args[0]?.expr, question.args[1]?.expr);
    }
    const { cost, size } = known ?? standardEstimate(question) ?? { cost: fixed(1) };
    return { cost: sumOf(cost, ...argCosts), size };
  }

  #joinEntries(expr: Expr, a: Expr | undefined, b: Expr | undefined): void {
    const [left, right] = [a, b].map((one) => (one === undefined ? undefined : this.#entriesOf(one)));
    if (left === undefined || right === undefined) return;
    const { isList } = left;
    this.#entries.set(expr, {
      isList,
      key: unionOf(left.key, right.key),
      value: unionOf(left.value, right.value),
    });
  }

  /** `carried + [element]`, as cel-go writes it. */
  #append(call: Call): Range {
    const [carried, element] = call.args;
    if (carried === undefined || element === undefined) return nothing;
    const cost = sumOf(this.cost(carried), this.cost(element), costs.list, fixed(1));
    const entries = this.#entriesOf(carried);
    const value = this.#sizeOf(element) ?? unknownSize;
    if (entries !== undefined)
      this.#entries.set(call, { ...entries, key: fixed(1), value: unionOf(entries.value, value) });
    this.#sizes.set(call, sumOf(this.#sizeOf(carried) ?? unknownSize, fixed(1)));
    return cost;
  }

  #list(expr: Extract<Expr, { readonly kind: 'list' }>): Range {
    const cost = sumOf(...expr.elements.map(({ value }) => this.cost(value)), costs.list);
    const value = this.#joined(expr.elements.map((element) => element.value));
    this.#entries.set(expr, { isList: true, key: fixed(1), value });
    return cost;
  }

  #map(expr: Extract<Expr, { readonly kind: 'map' }>): Range {
    const parts = expr.entries.flatMap(({ key, value }) => [key, value]);
    const cost = sumOf(...parts.map((part) => this.cost(part)), costs.map);
    const key = this.#joined(expr.entries.map((entry) => entry.key));
    const value = this.#joined(expr.entries.map((entry) => entry.value));
    this.#entries.set(expr, { isList: false, key, value });
    return cost;
  }

  #joined(parts: readonly Expr[]): Range {
    const start = { min: parts.length === 0 ? 0 : unknownMax, max: 0 };
    return parts.reduce<Range>((all, part) => unionOf(all, this.#sizeOf(part) ?? unknownSize), start);
  }

  #fold(fold: Fold): Range {
    const before = sumOf(this.cost(fold.range), this.cost(fold.start));
    this.#locals.push(this.#bound(fold.carried, fold.start));
    const variables = this.#variablesOf(fold);
    this.#locals.push(...variables);
    const loop = sumOf(this.cost(fold.step), this.cost(fold.goOn));
    this.#locals.length -= variables.length;
    const result = this.cost(fold.result);
    this.#locals.pop();
    const count = this.#sizeOf(fold.range) ?? unknownSize;
    if (fold.start.kind === 'constant') this.#setSize(fold, this.#sizeOf(fold.start));
    if (fold.start.kind === 'list' || fold.start.kind === 'map') {
      this.#setSize(fold, count);
      const entries = this.#entriesOf(fold.step);
      if (entries !== undefined) this.#entries.set(fold, entries);
    }
    return sumOf(before, result, productOf(count, loop));
  }

  #bound(name: string, expr: Expr): Local {
    return {
      name,
      path: this.#pathOf(expr),
      size: this.#sizeOf(expr),
      entries: this.#entriesOf(expr),
    };
  }

  #variablesOf({ first, second, range }: Fold): readonly Local[] {
    const entries = this.#entriesOf(range);
    const isList = entries?.isList ?? this.#checked.typeOf(range).kind === 'list';
    const path = this.#pathOf(range);
    const key = { path: [...path, isList ? '@indices' : '@keys'], size: entries?.key };
    const value = { path: [...path, isList ? '@items' : '@values'], size: entries?.value };
    if (second === undefined) return [{ name: first, ...(isList ? value : key) }];
    return [
      { name: first, ...key },
      { name: second, ...value },
    ];
  }

  /** One value by a name. */
  #binding(fold: Fold): Range {
    const before = sumOf(this.cost(fold.range), this.cost(fold.start));
    this.#locals.push(this.#bound(fold.carried, fold.start));
    const result = this.cost(fold.result);
    this.#locals.pop();
    this.#copySizes(fold, fold.result);
    return sumOf(before, result);
  }

  #pathOf(expr: Expr): readonly string[] {
    const local = expr.kind === 'identifier' ? this.#local(expr.name) : undefined;
    return local?.path ?? this.#paths.get(expr) ?? [];
  }

  #node(expr: Expr): Node {
    const path = this.#pathOf(expr);
    return {
      type: this.#checked.typeOf(expr),
      expr,
      path: path[0] === carriedName ? [] : path,
      size: this.#sizeOf(expr),
    };
  }

  #setSize(expr: Expr, size: Range | undefined): void {
    if (size !== undefined) this.#sizes.set(expr, size);
  }

  #copySizes(to: Expr, from: Expr): void {
    this.#setSize(to, this.#sizeOf(from));
    const entries = this.#entriesOf(from);
    if (entries !== undefined) this.#entries.set(to, entries);
  }

  #sizeOf(expr: Expr): Range | undefined {
    const known = this.#sizes.get(expr) ?? literalSize(expr);
    if (known !== undefined) return known;
    const found = this.#sizeAt(this.#pathOf(expr));
    if (found !== undefined) {
      this.#sizes.set(expr, found);
      return found;
    }
    if (isScalar(this.#checked.typeOf(expr))) return fixed(1);
    return expr.kind === 'identifier' ? this.#local(expr.name)?.size : undefined;
  }

  #entriesOf(expr: Expr): Entries | undefined {
    const known = this.#entries.get(expr);
    if (known !== undefined) return known;
    return expr.kind === 'identifier' ? this.#local(expr.name)?.entries : undefined;
  }
}

function isBinding({ range, goOn, carried }: Fold): boolean {
  return (
    range.kind === 'list' &&
    range.elements.length === 0 &&
    goOn.kind === 'constant' &&
    goOn.value === false &&
    carried !== carriedName
  );
}

function literalSize(expr: Expr): Range | undefined {
  switch (expr.kind) {
    case 'constant':
      if (typeof expr.value === 'string') return fixed([...expr.value].length);
      return fixed(expr.value instanceof Uint8Array ? expr.value.length : 1);
    case 'list':
      return fixed(expr.elements.length);
    case 'map':
      return fixed(expr.entries.length);
    default:
      return undefined;
  }
}

const scalars: ReadonlySet<string> = new Set(['bool', 'double', 'duration', 'int', 'timestamp', 'uint']);

function isScalar(type: CelType): boolean {
  if (type.kind === 'opaque' && type.name === optionalName) return isScalar(type.params[0] ?? types.dyn);
  return scalars.has(type.kind);
}
