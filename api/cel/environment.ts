import { check, type Checked, type Scope } from './check/check.ts';
import type { Signature } from './check/signature.ts';
import { formatType, listOf, mapOf, types, type CelType, type ObjectType } from './check/cel-type.ts';
import type { Budget } from './eval/budget.ts';
import { compile } from './eval/compile.ts';
import type { CelFunction } from './eval/function.ts';
import { TypeValue, type Value } from './eval/values.ts';
import { estimateCost, type SizeSource } from './cost/estimate.ts';
import type { Range } from './cost/range.ts';
import { libraryFor, type Uses } from './library/libraries.ts';
import { formatIssues } from './check/format-calls.ts';
import { literalIssues } from './check/literals.ts';
import { identifiersOf } from './syntax/identifiers.ts';
import type { Expr } from './syntax/ast.ts';
import type { Macros } from './syntax/macros.ts';
import { parse } from './syntax/parse.ts';
import { describeIssues } from './syntax/source.ts';

/** What an expression may use: variables, objects that it may write, functions beyond those that all have. */
export interface EnvironmentOptions {
  readonly variables: Readonly<Record<string, CelType>>;
  /** Of an object that an expression may write (`Object.metadata`), by its name. */
  readonly objectOf?: (name: string) => ObjectType | undefined;
  readonly functions?: readonly CelFunction[];
  /** Whether it may use what a release before this one does not know: what is stored already may. */
  readonly uses?: Uses;
  readonly macros?: Macros;
}

/** An expression that is in order. */
export interface Program {
  readonly text: string;
  readonly type: CelType;
  /** Names of variables in it, of macros' own among them. */
  readonly names: ReadonlySet<string>;
  /** What it may cost where values are of these sizes; without, where they may be of any. */
  estimate(sizeAt?: SizeSource): Range;
  /**
   * What it comes to: a value or a `Fault`. Variables are asked for as they are needed.
   * @throws {E_LIMIT} when the budget is spent
   */
  run(variable: (name: string) => Value, budget: Budget): Value;
}

export type Compiled =
  | { readonly program: Program; readonly error?: undefined }
  /** As kube-apiserver words it: `compilation failed: ERROR: …`, or what it must come to. */
  | { readonly program: undefined; readonly error: string };

/** Types as values, by what they are called in an expression. */
const typeNames: Readonly<Record<string, CelType>> = {
  ...{ int: types.int, uint: types.uint, double: types.double, bool: types.bool, string: types.string },
  ...{ bytes: types.bytes, null_type: types.null, list: listOf(types.dyn), map: mapOf(types.dyn, types.dyn) },
  'google.protobuf.Timestamp': types.timestamp,
  'google.protobuf.Duration': types.duration,
};
const typeTypes: ReadonlyMap<string, CelType> = new Map(
  Object.entries(typeNames).map(([name, of]) => [name, { kind: 'type', of }]),
);
const typeValues: ReadonlyMap<string, TypeValue> = new Map(
  Object.keys(typeNames).map((name) => [name, new TypeValue(name)]),
);

/** Compiles expressions. */
export class Environment {
  readonly #scope: Scope;
  readonly #macros: Macros;

  constructor({ variables, objectOf, functions = [], uses = 'all', macros = 'usual' }: EnvironmentOptions) {
    this.#macros = macros;
    const byName = libraryFor(uses);
    const added = Map.groupBy<string, Signature>(functions, ({ name }) => name);
    this.#scope = {
      variableOf: (name) => (Object.hasOwn(variables, name) ? variables[name] : typeTypes.get(name)),
      functionsOf: (name) => {
        const [known = [], more = []] = [byName.get(name), added.get(name)];
        return more.length === 0 ? known : [...known, ...more];
      },
      objectOf: (name) => objectOf?.(name),
    };
  }

  /** @param wanted the types that it may come to; any without */
  compile(text: string, wanted: readonly CelType[] = []): Compiled {
    const parsed = parse(text, this.#macros);
    if (parsed.expr === undefined) return failed(text, parsed.issues);
    const checked = check(parsed.expr, this.#scope);
    if (checked.issues.length > 0) return failed(text, checked.issues);
    const issues = [...literalIssues(parsed.expr), ...formatIssues(parsed.expr, checked)];
    if (issues.length > 0) return failed(text, issues);
    const found = formatType(checked.type);
    const names = wanted.map(formatType);
    if (names.length > 0 && !names.includes(found)) {
      const [only] = names;
      const what = names.length === 1 ? only : `one of [${names.join(' ')}]`;
      return { program: undefined, error: `must evaluate to ${what} but got ${found}` };
    }
    return { program: programOf(text, parsed.expr, checked) };
  }
}

function failed(text: string, issues: Parameters<typeof describeIssues>[1]): Compiled {
  return { program: undefined, error: `compilation failed: ${describeIssues(text, issues)}` };
}

function programOf(text: string, expr: Expr, checked: Checked): Program {
  const { code, slotCount } = compile(expr, checked);
  return {
    text,
    type: checked.type,
    names: identifiersOf(expr),
    estimate: (sizeAt = () => undefined) => estimateCost(expr, checked, sizeAt),
    run: (variable, budget) =>
      code({
        variable: (name) => {
          const value = variable(name);
          return value === undefined ? typeValues.get(name) : value; // null is a value.
        },
        budget,
        slots: Array.from({ length: slotCount }),
      }),
  };
}
