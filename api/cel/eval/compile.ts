import type { Checked } from '#api/cel/check/check.ts';
import type { CelType } from '#api/cel/check/cel-type.ts';
import type {
  Call,
  Expr,
  Fold,
  ListLiteral,
  MapLiteral,
  ObjectLiteral,
  Selection,
} from '#api/cel/syntax/ast.ts';
import { Budget } from './budget.ts';
import { constantOf, isAttribute, isConstant } from './constant.ts';
import { equalsAs, isEqualByType, joinLists } from './equality.ts';
import { isFunction, type CelFunction } from './function.ts';
import { nativeOf } from './native.ts';
import { operators, type Operator } from './operators.ts';
import { otherwise, selectOptional, withoutNull } from './optional.ts';
import { propertyOf } from './property.ts';
import {
  CelMap,
  Fault,
  isFault,
  isList,
  isMap,
  isOfType,
  keyOf,
  keyText,
  markWritten,
  keysOf,
  memberAt,
  noSuchOverload,
  Optional,
  type Value,
} from './values.ts';
import { put } from './put.ts';

/** What a run goes by. */
export interface Frame {
  /** Of a variable; asked when it is needed. */
  readonly variable: (name: string) => Value;
  readonly budget: Budget;
  /** Of macros' variables, by their place. */
  readonly slots: Value[];
}

export type Code = (frame: Frame) => Value;

/** Turns a checked expression into a function. */
export function compile(expr: Expr, checked: Checked): { readonly code: Code; readonly slotCount: number } {
  const compiler = new Compiler(checked);
  return { code: compiler.code(expr), slotCount: compiler.slotCount };
}

/** As cel-go's cost tracker counts (interpreter/runtimecost.go): what is constant costs nothing, nor do `&&`, `||`, `?:` and `has()` themselves. */
const costs = { name: 1, qualifier: 1, list: 10, map: 30, object: 40 } as const;

/** Whether the base of an attribute is counted: not where it is a branch of `?:` or the index of another. */
type Base = 'counted' | 'free';

class Compiler {
  readonly #checked: Checked;
  /** Slots of the names that are bound here; the innermost last. */
  readonly #scope: (readonly [name: string, slot: number])[] = [];
  slotCount = 0;

  constructor(checked: Checked) {
    this.#checked = checked;
  }

  code(expr: Expr, base: Base = 'counted'): Code {
    switch (expr.kind) {
      case 'constant': {
        const made = constantOf(expr);
        return () => made;
      }
      case 'identifier':
        return this.#identifier(expr.name, expr, base);
      case 'selection':
        return this.#selection(expr, base);
      case 'call':
        return this.#call(expr, base);
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

  #identifier(name: string, expr: Expr, base: Base): Code {
    const cost = base === 'counted' && !this.#checked.isTypeName(expr) ? costs.name : 0;
    const bound = this.#scope.findLast(([known]) => known === name);
    if (bound !== undefined) {
      const [, slot] = bound;
      return ({ budget, slots }) => {
        budget.spend(cost);
        return slots[slot];
      };
    }
    const native = nativeOf(this.#checked.typeOf(expr));
    return ({ budget, variable }) => {
      budget.spend(cost);
      const value = variable(name);
      return value === undefined ? new Fault(`no such attribute(s): ${name}`) : native(value);
    };
  }

  /** What is selected from: of an optional what it may hold. */
  holderOf(operand: Expr): CelType | undefined {
    const type = this.#checked.typeOf(operand);
    return type.kind === 'opaque' ? type.params[0] : type;
  }

  /** The name in JSON of a field. */
  property(operand: Expr, field: string): string {
    const of = this.holderOf(operand);
    return of === undefined ? field : propertyOf(of, field);
  }

  /** What is selected from, and what that costs: an attribute's own base goes with it, any other is one more. */
  operand(expr: Expr, base: Base): { readonly code: Code; readonly cost: number } {
    if (isAttribute(expr)) return { code: this.code(expr, base), cost: costs.qualifier };
    return { code: this.code(expr), cost: costs.qualifier + (base === 'counted' ? costs.name : 0) };
  }

  #selection(expr: Selection, base: Base): Code {
    const name = this.#checked.nameOf(expr);
    if (name !== undefined) return this.#identifier(name, expr, base);
    const { isTest, field } = expr;
    const operandType = this.#checked.typeOf(expr.operand);
    const { code, cost: selecting } = this.operand(expr.operand, base);
    const cost = isTest ? 0 : selecting;
    const property = propertyOf(operandType, field);
    // A field of a schema that is null is one that is not there; under a key of a map it is a null.
    const isField = operandType.kind === 'object';
    const native = isTest ? (value: Value) => value : nativeOf(this.#checked.typeOf(expr));
    return (frame) => {
      const value = code(frame);
      if (isFault(value)) return value;
      frame.budget.spend(cost);
      if (value instanceof Optional) return selectOptional(value, property, isTest);
      const found = isMap(value) ? memberAt(value, property) : undefined;
      const member = isField && found === null ? undefined : found;
      if (isTest) return member !== undefined;
      return member === undefined ? new Fault(`no such key: ${property}`) : native(member);
    };
  }

  #call(call: Call, base: Base): Code {
    const special = specials[call.name];
    if (special !== undefined && call.target === undefined) return special(this, call, base);
    if (call.target === undefined && (call.name === '_[_]' || call.name === '_[?_]'))
      return this.#index(call, base);
    if (call.target !== undefined && (call.name === 'or' || call.name === 'orValue'))
      return this.#otherwise(call);
    const args = this.#argumentsOf(call).map((arg) => this.code(arg));
    const operator = operators[call.name];
    if (operator !== undefined && call.target === undefined) return this.#operation(call, operator, args);
    return this.#function(call, args);
  }

  #index({ name, args, ...call }: Call, base: Base): Code {
    const [of, key] = args;
    const native = nativeOf(this.#checked.typeOf({ name, args, ...call }));
    const operator = operators[name];
    if (of === undefined || key === undefined || operator === undefined) return noSuchOverload;
    const { code, cost } = this.operand(of, base);
    const keyCode = this.code(key, 'free');
    return (frame) => {
      const value = code(frame);
      if (isFault(value)) return value;
      const at = keyCode(frame);
      if (isFault(at)) return at;
      frame.budget.spend(cost);
      return native(operator.apply(value, at, frame.budget));
    };
  }

  /** The other is evaluated where the optional holds nothing; neither costs (cel-go, evalOptionalOr). */
  #otherwise(call: Call): Code {
    const [optional, other] = this.#argumentsOf(call).map((arg) => this.code(arg));
    const native = nativeOf(this.#checked.typeOf(call));
    const isValue = call.name === 'orValue';
    return (frame) => {
      const made = otherwise(optional?.(frame), () => other?.(frame), isValue);
      return isFault(made) ? made : native(made);
    };
  }

  #argumentsOf(call: Call): readonly Expr[] {
    const isMember = call.target !== undefined && this.#checked.nameOf(call) === undefined;
    return call.target !== undefined && isMember ? [call.target, ...call.args] : call.args;
  }

  #operation(call: Call, operator: Operator, args: readonly Code[]): Code {
    const [left, right] = call.args;
    const isKnown = this.#checked.signaturesOf(call).length === 1;
    const isSetMembership = call.name === '@in' && right?.kind === 'list' && isConstant(right);
    const cost = isSetMembership ? free : isKnown || call.name in anyTypes ? operator.cost : one;
    const native = nativeOf(this.#checked.typeOf(call));
    const apply = left === undefined ? undefined : this.#typedOperator(call.name, left);
    return applied({ apply: apply ?? operator.apply, cost }, args, native);
  }

  /** Of lists and objects whose schema says what is equal. */
  #typedOperator(name: string, left: Expr): Operator['apply'] | undefined {
    const type = this.#listType(left) ?? this.#checked.typeOf(left);
    if (name === '_==_' && isEqualByType(type)) return (a, b, budget) => equalsAs(type, a, b, budget);
    if (name === '_!=_' && isEqualByType(type)) return (a, b, budget) => !equalsAs(type, a, b, budget);
    const semantics = type.kind === 'list' ? type.semantics : undefined;
    if (name !== '_+_' || semantics === undefined) return undefined;
    return (a, b, budget) => {
      if (!isList(a) || !isList(b)) return noSuchOverload();
      budget.strain(2 * (a.length + b.length));
      return joinLists(semantics, a, b);
    };
  }

  /** Of a list that was joined: what the first of its parts is. */
  #listType(expr: Expr): CelType | undefined {
    const [first] = expr.kind === 'call' && expr.name === '_+_' ? expr.args : [];
    if (first === undefined) return undefined;
    const type = this.#listType(first) ?? this.#checked.typeOf(first);
    return type.kind === 'list' ? type : undefined;
  }

  #function(call: Call, args: readonly Code[]): Code {
    const suiting = this.#checked.signaturesOf(call).filter(isFunction);
    const native = nativeOf(this.#checked.typeOf(call));
    if (isConstant(call)) return this.#folded(call, suiting[0], args);
    return (frame) => {
      const values: Value[] = [];
      for (const arg of args) {
        const value = arg(frame);
        if (isFault(value) && args.length > 2) return value;
        values.push(value);
      }
      const fault = values.find(isFault);
      if (fault !== undefined) {
        frame.budget.spend(suiting[0]?.cost(values, fault) ?? 1);
        return fault;
      }
      const found = suiting.find((one) => one.args.every((type, index) => isOfType(values[index], type)));
      if (found === undefined) return noSuchOverload();
      const { budget } = frame;
      // What is known before is spent before: the call may take long.
      if (found.cost.length < 2) budget.spend(found.cost(values, undefined));
      if (found.strain.length < 2) budget.strain(found.strain(values, undefined));
      const result = found.call(...values);
      if (found.cost.length > 1) budget.spend(found.cost(values, result));
      if (found.strain.length > 1) budget.strain(found.strain(values, result));
      return isFault(result) ? result : native(result);
    };
  }

  /** Conversions of constants are made once (cel-go, OptOptimize). */
  #folded(call: Call, found: CelFunction | undefined, args: readonly Code[]): Code {
    const frame = { variable: () => undefined, budget: new Budget(Infinity), slots: [] };
    const value = found?.call(...args.map((arg) => arg(frame)));
    const native = nativeOf(this.#checked.typeOf(call));
    const made = value === undefined ? noSuchOverload() : isFault(value) ? value : native(value);
    return () => made;
  }

  #list(list: ListLiteral): Code {
    const { elements } = list;
    const cost = isConstant(list) ? 0 : costs.list;
    const parts = elements.map(({ value, isOptional }) => ({ code: this.code(value), isOptional }));
    return (frame) => {
      frame.budget.spend(cost);
      const list: Value[] = [];
      for (const { code, isOptional } of parts) {
        const value = code(frame);
        if (isFault(value)) return value;
        if (!isOptional) list.push(value);
        else if (!(value instanceof Optional)) return noSuchOverload();
        else if (value.isThere) list.push(value.value);
      }
      return list;
    };
  }

  #map(literal: MapLiteral): Code {
    const { entries } = literal;
    const cost = isConstant(literal) ? 0 : costs.map;
    const parts = entries.map(({ key, value, isOptional }) => ({
      key: this.code(key),
      value: this.code(value),
      isOptional,
    }));
    return (frame) => {
      frame.budget.spend(cost);
      const map = new Map<unknown, readonly [Value, Value]>();
      for (const part of parts) {
        const key = part.key(frame);
        if (isFault(key)) return key;
        const value = part.value(frame);
        if (isFault(value)) return value;
        if (part.isOptional && !(value instanceof Optional)) return noSuchOverload();
        const given = part.isOptional && value instanceof Optional ? value.value : value;
        if (given === undefined) continue;
        if (map.has(keyOf(key))) return new Fault(`duplicate key in map: ${keyText(key)}`);
        map.set(keyOf(key), [key, given]);
      }
      return new CelMap(map);
    };
  }

  #object({ fields, typeName }: ObjectLiteral): Code {
    const parts = fields.map(({ name, value, isOptional }) => ({ name, code: this.code(value), isOptional }));
    return (frame) => {
      frame.budget.spend(costs.object);
      const object: Record<string, Value> = {};
      for (const { name, code, isOptional } of parts) {
        const value = code(frame);
        if (isFault(value)) return value;
        const given = isOptional && value instanceof Optional ? value.value : value;
        if (given !== undefined) Object.defineProperty(object, name, { value: given, enumerable: true });
      }
      markWritten(object, typeName);
      return object;
    };
  }

  #bind<T>(names: readonly string[], make: (slots: readonly number[]) => T): T {
    const slots = names.map(() => this.slotCount++);
    for (const [index, name] of names.entries()) this.#scope.push([name, slots[index] ?? 0]);
    const made = make(slots);
    this.#scope.length -= names.length;
    return made;
  }

  #fold(fold: Fold): Code {
    const range = this.code(fold.range);
    const start = this.code(fold.start);
    const rangeType = this.#checked.typeOf(fold.range);
    const element = nativeOf(
      rangeType.kind === 'list'
        ? rangeType.element
        : rangeType.kind === 'map'
          ? rangeType.value
          : { kind: 'dyn' },
    );
    return this.#bind([fold.carried], ([carried = 0]) => {
      const result = this.code(fold.result);
      return this.#bind([fold.first, fold.second ?? '#none'], ([first = 0, second = 0]) => {
        const [goOn, step] = [this.code(fold.goOn), this.code(fold.step)];
        return (frame) => {
          const over = range(frame);
          if (isFault(over)) return over;
          const { slots } = frame;
          const kept = [slots[carried], slots[first], slots[second]];
          slots[carried] = start(frame);
          const isDone = walk(over, fold.second !== undefined, (one, other) => {
            slots[first] = isList(over) ? (fold.second === undefined ? element(one) : one) : one;
            slots[second] = element(other);
            if (goOn(frame) === false) return false;
            slots[carried] = step(frame);
            return true;
          });
          const made = isDone ? result(frame) : noSuchOverload();
          [slots[carried], slots[first], slots[second]] = kept;
          return made;
        };
      });
    });
  }
}

/** @returns false for what cannot be walked over */
function walk(over: Value, isPair: boolean, each: (one: Value, other: Value) => boolean): boolean {
  if (isList(over)) {
    for (const [index, value] of over.entries()) if (!each(isPair ? index : value, value)) break;
    return true;
  }
  if (!isMap(over)) return false;
  for (const key of keysOf(over)) if (!each(key, memberAt(over, key))) break;
  return true;
}

/** Operators that need not look at all their arguments, and what macros are made of. */
const specials: Readonly<Record<string, ((compiler: Compiler, call: Call, base: Base) => Code) | undefined>> =
  {
    '_&&_': (compiler, call) => logical(compiler, call, false),
    '_||_': (compiler, call) => logical(compiler, call, true),
    '_?_:_': (compiler, { args }) => {
      const [condition, yes, no] = args.map((arg, index) =>
        compiler.code(arg, index > 0 && isAttribute(arg) ? 'free' : 'counted'),
      );
      return (frame) => {
        const chosen = condition?.(frame);
        if (isFault(chosen)) return chosen;
        if (typeof chosen !== 'boolean') return noSuchOverload();
        return chosen ? yes?.(frame) : no?.(frame);
      };
    },
    '@not_strictly_false': (compiler, { args }) => {
      const [condition] = args.map((arg) => compiler.code(arg));
      return (frame) => {
        const value = condition?.(frame);
        frame.budget.spend(1);
        return value !== false;
      };
    },
    '@append': (compiler, { args }) => {
      const [list, element] = args.map((arg) => compiler.code(arg));
      return (frame) => {
        const carried = list?.(frame);
        if (isFault(carried)) return carried;
        const value = element?.(frame);
        if (isFault(value)) return value;
        frame.budget.spend(costs.list + 1); // A list of one, joined.
        if (!Array.isArray(carried)) return noSuchOverload();
        carried.push(value); // The walk's own: nobody else has seen it.
        return carried;
      };
    },
    '@put': (compiler, { args }) => {
      const [map, key, value] = args.map((arg) => compiler.code(arg));
      return (frame) => {
        const [carried, at, given] = [map?.(frame), key?.(frame), value?.(frame)];
        const fault = [carried, at, given].find(isFault);
        if (fault !== undefined) return fault;
        frame.budget.spend(1);
        return put(carried, [[at, given]]);
      };
    },
    '@putAll': (compiler, { args }) => {
      const [map, more] = args.map((arg) => compiler.code(arg));
      return (frame) => {
        const [carried, given] = [map?.(frame), more?.(frame)];
        const fault = [carried, given].find(isFault);
        if (fault !== undefined) return fault;
        frame.budget.spend(1);
        if (!isMap(given)) return noSuchOverload();
        return put(
          carried,
          keysOf(given).map((key) => [key, memberAt(given, key)]),
        );
      };
    },
    '_?._': (compiler, { args }, base) => {
      const [operand, field] = args;
      if (operand === undefined) return noSuchOverload;
      const { code, cost } = compiler.operand(operand, base);
      const name = field?.kind === 'constant' ? compiler.property(operand, String(field.value)) : '';
      const isField = compiler.holderOf(operand)?.kind === 'object';
      return (frame) => {
        const value = code(frame);
        if (isFault(value)) return value;
        frame.budget.spend(cost);
        const selected = selectOptional(value instanceof Optional ? value : new Optional(value), name, false);
        return isField ? withoutNull(selected) : selected;
      };
    },
  };

function logical(compiler: Compiler, { args }: Call, ending: boolean): Code {
  const [left, right] = args.map((arg) => compiler.code(arg));
  return (frame) => {
    const first = left?.(frame);
    if (first === ending) return ending;
    const second = right?.(frame);
    if (second === ending) return ending;
    if (isFault(first)) return first;
    if (isFault(second)) return second;
    return typeof first === 'boolean' && typeof second === 'boolean' ? !ending : noSuchOverload();
  };
}

function applied(operator: Operator, args: readonly Code[], native: (value: Value) => Value): Code {
  const [left, right] = args;
  return (frame) => {
    const first = left?.(frame);
    const second = right?.(frame);
    const { budget } = frame;
    budget.spend(operator.cost(first, second));
    if (isFault(first)) return first;
    if (isFault(second)) return second;
    return native(operator.apply(first, second, budget));
  };
}

const one = (): number => 1;
const free = (): number => 0;
/** Operators whose cost does not depend on which of their signatures it is. */
const anyTypes: Readonly<Record<string, true>> = { '_==_': true, '_!=_': true, '@in': true };
