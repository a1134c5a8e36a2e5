import type {
  Call,
  Expr,
  Fold,
  Identifier,
  ListLiteral,
  MapLiteral,
  ObjectLiteral,
  Selection,
} from '#api/cel/syntax/ast.ts';
import type { Issue } from '#api/cel/syntax/source.ts';
import type { Signature } from './signature.ts';
import { Substitution } from './substitution.ts';
import {
  formatType,
  listOf,
  mapOf,
  optionalName,
  optionalOf,
  types,
  type CelType,
  type ObjectType,
} from './cel-type.ts';

/** What names mean. */
export interface Scope {
  /** Of a variable, or undefined. */
  readonly variableOf: (name: string) => CelType | undefined;
  readonly functionsOf: (name: string) => readonly Signature[];
  /** Of an object that an expression may write (`Object.metadata`). */
  readonly objectOf: (name: string) => ObjectType | undefined;
}

export interface Checked {
  readonly type: CelType;
  readonly issues: readonly Issue[];
  /** Of each part. */
  readonly typeOf: (expr: Expr) => CelType;
  /** Of a call, the signatures that suit its arguments. */
  readonly signaturesOf: (call: Call) => readonly Signature[];
  /** Of a selection or call that names a variable or function with dots: that name. */
  readonly nameOf: (expr: Expr) => string | undefined;
  /** Whether an identifier, or a selection, is the name of a type. */
  readonly isTypeName: (expr: Expr) => boolean;
}

/** What an expression comes to, or all that is wrong with it (cel-go, checker). */
export function check(expr: Expr, scope: Scope): Checked {
  const checker = new Checker(scope);
  const type = checker.typeOf(expr);
  return {
    type: checker.substitution.resolve(type),
    issues: checker.issues,
    typeOf: (part) => checker.substitution.resolve(checker.types.get(part) ?? types.dyn),
    signaturesOf: (call) => checker.signatures.get(call) ?? [],
    nameOf: (part) => checker.names.get(part),
    isTypeName: (part) => checker.typeNames.has(part),
  };
}

class Checker {
  readonly substitution = new Substitution();
  readonly issues: Issue[] = [];
  readonly types = new Map<Expr, CelType>();
  readonly signatures = new Map<Call, readonly Signature[]>();
  readonly names = new Map<Expr, string>();
  readonly typeNames = new Set<Expr>();
  readonly #scope: Scope;
  /** Within the arguments of `format()`, where a list may hold what it likes (cel-go, ValidateHomogeneousAggregateLiterals). */
  #isLenient = false;
  /** Of macros; the innermost last. */
  readonly #locals: Map<string, CelType>[] = [];

  constructor(scope: Scope) {
    this.#scope = scope;
  }

  typeOf(expr: Expr): CelType {
    const type = this.#typeOf(expr);
    this.types.set(expr, type);
    return type;
  }

  #typeOf(expr: Expr): CelType {
    switch (expr.kind) {
      case 'constant':
        return types[expr.type];
      case 'identifier':
        return this.#variable(expr) ?? this.#undeclared(expr.name, expr.offset);
      case 'selection':
        return this.#selection(expr);
      case 'call':
        return this.#call(expr);
      case 'list':
        return this.#list(expr);
      case 'map':
        return this.#map(expr);
      case 'object':
        return this.#object(expr);
      case 'fold':
        return this.#fold(expr);
    }
  }

  #variable(expr: Identifier): CelType | undefined {
    const local = this.#locals.findLast((names) => names.has(expr.name))?.get(expr.name);
    return local ?? this.#known(expr, expr.name);
  }

  #known(expr: Expr, name: string): CelType | undefined {
    const variable = this.#scope.variableOf(name);
    if (variable?.kind === 'type') this.typeNames.add(expr);
    return variable;
  }

  #undeclared(name: string, offset: number): CelType {
    return this.#wrong(offset, `undeclared reference to '${name}' (in container '')`);
  }

  #wrong(offset: number, message: string): CelType {
    this.issues.push({ offset, message });
    return types.error;
  }

  #selection(expr: Selection): CelType {
    const name = qualifiedName(expr);
    if (name !== undefined && !expr.isTest && !this.#isLocal(name)) {
      const variable = this.#known(expr, name);
      if (variable !== undefined) {
        this.names.set(expr, name);
        return variable;
      }
    }
    const operand = this.typeOf(expr.operand);
    const { field, offset } = expr;
    const type = this.#fieldOf(operand, field, offset);
    return expr.isTest ? types.bool : type;
  }

  #isLocal(name: string): boolean {
    const [first = ''] = name.split('.');
    return this.#locals.some((names) => names.has(first));
  }

  /** Of an optional its field, if it is there. */
  #fieldOf(given: CelType, field: string, offset: number): CelType {
    const type = this.substitution.peel(given);
    switch (type.kind) {
      case 'object':
        return type.fieldOf(field)?.type ?? this.#wrong(offset, `undefined field '${field}'`);
      case 'map':
        return type.value;
      case 'dyn':
      case 'error':
        return types.dyn;
      case 'param':
        this.substitution.assign(type, types.dyn);
        return types.dyn;
      case 'opaque':
        if (type.name === optionalName)
          return optionalOf(this.#fieldOf(type.params[0] ?? types.dyn, field, offset));
        return this.#wrong(offset, `type '${this.#format(type)}' does not support field selection`);
      default:
        return this.#wrong(offset, `type '${this.#format(type)}' does not support field selection`);
    }
  }

  #call(call: Call): CelType {
    if (call.name === '_?._') return this.#optionalField(call);
    const qualified = call.target === undefined ? undefined : qualifiedName(call.target);
    if (qualified !== undefined && !this.#isLocal(qualified)) {
      const name = `${qualified}.${call.name}`;
      const known = this.#scope.functionsOf(name).filter(({ isMember }) => !isMember);
      if (known.length > 0) {
        this.names.set(call, name);
        return this.#resolve(call, name, { known, args: call.args.map((arg) => this.typeOf(arg)) });
      }
    }
    const isMember = call.target !== undefined;
    const known = this.#scope.functionsOf(call.name);
    if (known.length === 0) {
      for (const arg of call.args) this.typeOf(arg);
      if (call.target !== undefined) this.typeOf(call.target);
      return this.#undeclared(call.name, call.offset);
    }
    const targets = call.target === undefined ? [] : [this.typeOf(call.target)];
    const args = [...targets, ...this.#argumentTypes(call)];
    return this.#resolve(call, call.name, { known: known.filter((one) => one.isMember === isMember), args });
  }

  #argumentTypes({ name, args }: Call): readonly CelType[] {
    const before = this.#isLenient;
    this.#isLenient = before || name === 'format';
    const found = args.map((arg) => this.typeOf(arg));
    this.#isLenient = before;
    return found;
  }

  #resolve(
    call: Call,
    name: string,
    { known, args }: { readonly known: readonly Signature[]; readonly args: readonly CelType[] },
  ): CelType {
    const suiting: Signature[] = [];
    let result: CelType | undefined;
    for (const signature of known) {
      const [own, ...wanted] = this.substitution.instantiate([signature.result, ...signature.args]);
      if (own === undefined || !this.substitution.assignAll(args, wanted)) continue;
      suiting.push(signature);
      const made = this.substitution.resolve(own);
      result = result === undefined || sameType(result, made) ? (result ?? own) : types.dyn;
    }
    this.signatures.set(call, suiting);
    if (result !== undefined) return result;
    if (args.some((arg) => this.substitution.peel(arg).kind === 'error')) return types.error;
    const texts = args.map((arg) => this.#format(arg));
    const [target, ...rest] = texts;
    const given =
      call.target === undefined || this.names.has(call)
        ? `(${texts.join(', ')})`
        : `${target}.(${rest.join(', ')})`;
    return this.#wrong(call.offset, `found no matching overload for '${name}' applied to '${given}'`);
  }

  #optionalField(call: Call): CelType {
    const [operand, field] = call.args;
    if (operand === undefined || field?.kind !== 'constant') return types.error;
    this.types.set(field, types.string);
    const type = this.#fieldOf(this.typeOf(operand), String(field.value), call.offset);
    const peeled = this.substitution.peel(type);
    return peeled.kind === 'opaque' && peeled.name === optionalName ? type : optionalOf(type);
  }

  #list({ elements }: ListLiteral): CelType {
    return listOf(this.#joined(elements.map(({ value, isOptional }) => this.#valueOf(value, isOptional))));
  }

  #map({ entries }: MapLiteral): CelType {
    const keys = entries.map(({ key }) => ({ type: this.typeOf(key), offset: key.offset }));
    const values = entries.map(({ value, isOptional }) => this.#valueOf(value, isOptional));
    return mapOf(this.#joined(keys), this.#joined(values));
  }

  #valueOf(value: Expr, isOptional: boolean): { readonly type: CelType; readonly offset: number } {
    const { offset } = value;
    const type = this.substitution.peel(this.typeOf(value));
    if (!isOptional || type.kind === 'dyn' || type.kind === 'error') return { type, offset };
    if (type.kind === 'opaque' && type.name === optionalName)
      return { type: type.params[0] ?? types.dyn, offset };
    return {
      type: this.#wrong(
        offset,
        `expected type 'optional_type(${this.#format(type)})' but found '${this.#format(type)}'`,
      ),
      offset,
    };
  }

  /** The one type of all, as Kubernetes wants it of a literal. */
  #joined(parts: readonly { readonly type: CelType; readonly offset: number }[]): CelType {
    const [first, ...others] = parts;
    if (first === undefined) return this.substitution.fresh();
    for (const { type, offset } of others) {
      if (this.substitution.assign(type, first.type)) continue;
      if (this.#isLenient) return types.dyn;
      this.#wrong(offset, `expected type '${this.#format(first.type)}' but found '${this.#format(type)}'`);
    }
    return first.type;
  }

  #object({ typeName, fields, offset }: ObjectLiteral): CelType {
    const type = this.#scope.objectOf(typeName);
    for (const { name, value, isOptional, offset: at } of fields) {
      const given = this.#valueOf(value, isOptional).type;
      if (type === undefined) continue;
      const field = type.fieldOf(name);
      if (field === undefined) this.#wrong(at, `undefined field '${name}'`);
      else if (!this.substitution.assign(given, field.type)) {
        this.#wrong(
          at,
          `expected type of field '${name}' is '${formatType(field.type)}' but provided type is '${this.#format(given)}'`,
        );
      }
    }
    return type ?? this.#undeclared(typeName, offset);
  }

  #fold(fold: Fold): CelType {
    const range = this.substitution.peel(this.typeOf(fold.range));
    const carried = this.typeOf(fold.start);
    const locals = new Map(this.#elementsOf(fold, range));
    locals.set(fold.carried, carried);
    this.#locals.push(locals);
    const goOn = this.typeOf(fold.goOn);
    this.#expect(goOn, types.bool, fold.goOn.offset);
    this.#expect(this.typeOf(fold.step), carried, fold.step.offset);
    this.#locals.pop();
    this.#locals.push(new Map([[fold.carried, carried]]));
    const result = this.typeOf(fold.result);
    this.#locals.pop();
    return result;
  }

  #expect(given: CelType, wanted: CelType, offset: number): void {
    if (this.substitution.assign(given, wanted)) return;
    this.#wrong(offset, `expected type '${this.#format(wanted)}' but found '${this.#format(given)}'`);
  }

  /** The variables of a walk over a value of that type. */
  #elementsOf({ first, second, range: expr }: Fold, range: CelType): readonly (readonly [string, CelType])[] {
    const both = (key: CelType, value: CelType, single: CelType): readonly (readonly [string, CelType])[] =>
      second === undefined
        ? [[first, single]]
        : [
            [first, key],
            [second, value],
          ];
    switch (range.kind) {
      case 'list':
        return both(types.int, range.element, range.element);
      case 'map':
        return both(range.key, range.value, range.key);
      case 'param':
      case 'dyn':
      case 'error':
        return both(types.dyn, types.dyn, types.dyn);
      default:
        this.#wrong(
          expr.offset,
          `expression of type '${this.#format(range)}' cannot be range of a comprehension (must be list, map, or dynamic)`,
        );
        return both(types.error, types.error, types.error);
    }
  }

  #format(type: CelType): string {
    return formatType(this.substitution.resolve(type));
  }
}

/** `a.b.c` of a chain of plain selections. */
function qualifiedName(expr: Expr): string | undefined {
  if (expr.kind === 'identifier') return expr.name;
  if (expr.kind !== 'selection' || expr.isTest) return undefined;
  const operand = qualifiedName(expr.operand);
  return operand === undefined ? undefined : `${operand}.${expr.field}`;
}

function sameType(a: CelType, b: CelType): boolean {
  return formatType(a) === formatType(b);
}
