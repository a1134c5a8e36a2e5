import type { Call, Constant, Expr, Fold, Identifier } from './ast.ts';
import type { Issue } from './source.ts';

/** The carried value of a walk; no identifier can be called so. */
export const carriedName = '@result';

type Macro = (call: Call, target: Expr) => Expr | Issue;

/** By name and number of arguments: what stands for a call of a target (cel-go, common/stdlib and ext). */
const macros: Readonly<Record<string, Macro>> = {
  'all/2': (call, range) => walk(call, range, { start: yes, goOn: carriedIs(true), step: and }),
  'all/3': (call, range) => walk(call, range, { start: yes, goOn: carriedIs(true), step: and }),
  'exists/2': (call, range) => walk(call, range, { start: no, goOn: carriedIs(false), step: or }),
  'exists/3': (call, range) => walk(call, range, { start: no, goOn: carriedIs(false), step: or }),
  'exists_one/2': existsOne,
  'existsOne/2': existsOne,
  'exists_one/3': existsOne,
  'existsOne/3': existsOne,
  'map/2': (call, range) => walk(call, range, { start: emptyList, goOn: always, step: append }),
  'map/3': (call, range) => walk(call, range, { start: emptyList, goOn: always, step: appendIf }),
  'filter/2': (call, range) => {
    const [variable] = call.args;
    if (variable === undefined) return call;
    const step = (condition: Expr, { offset }: Call): Expr =>
      choose(condition, plus(variable, offset), offset);
    return walk(call, range, { start: emptyList, goOn: always, step });
  },
  'transformList/3': (call, range) => walk(call, range, { start: emptyList, goOn: always, step: append }),
  'transformList/4': (call, range) => walk(call, range, { start: emptyList, goOn: always, step: appendIf }),
  'transformMap/3': (call, range) => transformMap(call, range, '@put'),
  'transformMap/4': (call, range) => transformMap(call, range, '@put'),
  'transformMapEntry/3': (call, range) => transformMap(call, range, '@putAll'),
  'transformMapEntry/4': (call, range) => transformMap(call, range, '@putAll'),
  'sortBy/2': (call, range) => {
    const keys = walk(call, range, { start: emptyList, goOn: always, step: append });
    return 'message' in keys
      ? keys
      : { ...callOf('@sortByAssociatedKeys', call.offset, [keys]), target: range };
  },
  'optMap/2': (call, target) =>
    optional(call, target, (value) => callOf('optional.of', call.offset, [value])),
  'optFlatMap/2': (call, target) => optional(call, target, (value) => value),
};

/** How many of the arguments name variables. */
const variableCount: Readonly<Record<string, number>> = {
  ...{ 'all/3': 2, 'exists/3': 2, 'exists_one/3': 2, 'existsOne/3': 2 },
  ...{ 'transformList/3': 2, 'transformList/4': 2, 'transformMap/3': 2, 'transformMap/4': 2 },
  ...{ 'transformMapEntry/3': 2, 'transformMapEntry/4': 2 },
};

/** Macros that not every expression may use: `cel.bind(name, value, expression)` (cel-go, ext/bindings.go). */
export type Macros = 'usual' | 'withBindings';

/** What a macro comes to, or the call itself where it is none. */
export function expandMacro(call: Call, kinds: Macros = 'usual'): Expr | Issue {
  const { name, target, args, offset } = call;
  const isOfCel = target?.kind === 'identifier' && target.name === 'cel';
  if (kinds === 'withBindings' && isOfCel && name === 'bind' && args.length === 3) return bind(call);
  if (target === undefined) {
    if (name !== 'has' || args.length !== 1) return call;
    const [selection] = args;
    return selection?.kind === 'selection'
      ? { ...selection, isTest: true, offset }
      : { offset: selection?.offset ?? offset, message: 'invalid argument to has() macro' };
  }
  const key = `${name}/${args.length}`;
  const macro = Object.hasOwn(macros, key) ? macros[key] : undefined;
  return macro === undefined ? call : macro(call, target);
}

interface Walk {
  readonly start: (offset: number) => Expr;
  readonly goOn: (offset: number) => Expr;
  /** The next carried value, of the last argument, or the last two. */
  readonly step: (body: Expr, call: Call) => Expr;
  readonly result?: (offset: number) => Expr;
}

function walk(call: Call, range: Expr, { start, goOn, step, result }: Walk): Fold | Issue {
  const { name, args, offset } = call;
  const count = variableCount[`${name}/${args.length}`] ?? 1;
  const names = args.slice(0, count);
  for (const variable of names) {
    if (variable.kind === 'identifier') continue;
    return { offset: variable.offset, message: 'argument must be a simple name' };
  }
  const [first = '', second] = names.map((variable) => (variable.kind === 'identifier' ? variable.name : ''));
  if (first === second) return { offset, message: `duplicate variable name: ${first}` };
  const body = args.at(-1) ?? yes(offset);
  return {
    ...{ kind: 'fold', offset, range, first, second, carried: carriedName },
    start: start(offset),
    goOn: goOn(offset),
    step: step(body, call),
    result: result?.(offset) ?? carriedOf(offset),
  };
}

function existsOne(call: Call, range: Expr): Expr | Issue {
  return walk(call, range, {
    start: (offset) => int(0n, offset),
    goOn: always,
    step: (body, { offset }) =>
      choose(body, callOf('_+_', offset, [carriedOf(offset), int(1n, offset)]), offset),
    result: (offset) => callOf('_==_', offset, [carriedOf(offset), int(1n, offset)]),
  });
}

function transformMap(call: Call, range: Expr, put: '@put' | '@putAll'): Expr | Issue {
  const [key] = call.args;
  const condition = call.args.length === 4 ? call.args[2] : undefined;
  return walk(call, range, {
    start: (offset) => ({ kind: 'map', entries: [], offset }),
    goOn: always,
    step: (body, { offset }) => {
      const args =
        put === '@put' && key !== undefined ? [carriedOf(offset), key, body] : [carriedOf(offset), body];
      const made = callOf(put, offset, args);
      return condition === undefined ? made : choose(condition, made, offset);
    },
  });
}

function optional(call: Call, target: Expr, wrap: (value: Expr) => Expr): Expr | Issue {
  const { offset, args } = call;
  const [variable, body] = args;
  if (variable?.kind !== 'identifier' || body === undefined)
    return {
      offset: variable?.offset ?? offset,
      message: `${call.name}() variable name must be a simple identifier`,
    };
  const has: Call = { ...callOf('hasValue', offset, []), target };
  const value: Call = { ...callOf('value', offset, []), target };
  const bound = boundTo(variable.name, value, { offset, result: body });
  return callOf('_?_:_', offset, [has, wrap(bound), callOf('optional.none', offset, [])]);
}

function bind({ args: [variable, value, result], offset }: Call): Expr | Issue {
  if (variable?.kind !== 'identifier' || value === undefined || result === undefined)
    return {
      offset: variable?.offset ?? offset,
      message: 'cel.bind() variable names must be simple identifiers',
    };
  return boundTo(variable.name, value, { offset, result });
}

/** An expression in which a name stands for a value: a walk over nothing that carries it. */
function boundTo(name: string, value: Expr, { offset, result }: { offset: number; result: Expr }): Fold {
  return {
    ...{ kind: 'fold', offset, first: '#unused', carried: name },
    range: emptyList(offset),
    start: value,
    goOn: no(offset),
    step: { kind: 'identifier', name, offset },
    result,
  };
}

function and(body: Expr, { offset }: Call): Expr {
  return callOf('_&&_', offset, [carriedOf(offset), body]);
}

function or(body: Expr, { offset }: Call): Expr {
  return callOf('_||_', offset, [carriedOf(offset), body]);
}

function append(body: Expr, { offset }: Call): Expr {
  return plus(body, offset);
}

function appendIf(body: Expr, { args, offset }: Call): Expr {
  const condition = args.at(-2);
  return condition === undefined ? body : choose(condition, plus(body, offset), offset);
}

/** The carried list with one more. */
function plus(element: Expr, offset: number): Call {
  return callOf('@append', offset, [carriedOf(offset), element]);
}

function choose(condition: Expr, made: Expr, offset: number): Call {
  return callOf('_?_:_', offset, [condition, made, carriedOf(offset)]);
}

function carriedIs(wanted: boolean): (offset: number) => Expr {
  return (offset) => {
    const strict = wanted ? carriedOf(offset) : callOf('!_', offset, [carriedOf(offset)]);
    return callOf('@not_strictly_false', offset, [strict]);
  };
}

function callOf(name: string, offset: number, args: readonly Expr[]): Call {
  return { kind: 'call', name, args, offset };
}

function carriedOf(offset: number): Identifier {
  return { kind: 'identifier', name: carriedName, offset };
}

function int(value: bigint, offset: number): Constant {
  return { kind: 'constant', type: 'int', value, offset };
}

function yes(offset: number): Constant {
  return { kind: 'constant', type: 'bool', value: true, offset };
}

const always = yes;

function no(offset: number): Constant {
  return { kind: 'constant', type: 'bool', value: false, offset };
}

function emptyList(offset: number): Expr {
  return { kind: 'list', elements: [], offset };
}
