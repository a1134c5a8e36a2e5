import { Environment, type Program } from '#api/cel/environment.ts';
import { optionalOf, types, type ListSemantics } from '#api/cel/check/cel-type.ts';
import { sizesOf, type DeclaredType } from '#api/cel/declared/declared-type.ts';
import { schemaType, semanticsOf } from '#api/cel/declared/schema-type.ts';
import type { Uses } from '#api/cel/library/libraries.ts';
import {
  hasRules,
  isEmbedded,
  memberSchema,
  rulesOf,
  type StructuralSchema,
  type ValidationRule,
} from '#api/structural/structural-schema.ts';
import { readFieldPath } from './field-path.ts';

/** A rule that was compiled, or what is wrong with it. */
export interface CompiledRule {
  readonly rule: ValidationRule;
  /** undefined where there is an error, and for an empty rule. */
  readonly program?: Program | undefined;
  readonly error?: string | undefined;
  readonly messageProgram?: Program | undefined;
  readonly messageError?: string | undefined;
  /** Of what is judged; '' for the value itself. */
  readonly fieldPath: string;
  readonly usesOldSelf: boolean;
  /** Estimated, in units, of one evaluation; of a rule with an error 0. */
  readonly costMax: number;
  readonly messageCostMax: number;
}

/** The rules of a schema, as a tree beside it that ends where there are none. */
export interface RuleTree {
  /** Of the schema: `object`, `string`, …. */
  readonly type: string;
  readonly rules: readonly CompiledRule[];
  readonly items?: RuleTree | undefined;
  /** Of lists whose items are told apart by keys: an item has an old one. */
  readonly semantics?: ListSemantics | undefined;
  readonly values?: RuleTree | undefined;
  /** By name, in order. */
  readonly properties: readonly (readonly [name: string, tree: RuleTree])[];
}

/**
 * The rules of a structural schema, for values that are whole objects; undefined where it has none. Rules with errors are in it, to be told
 * of when they are run: what is stored was compiled before. Those of parts that are equal are compiled once.
 */
export function compileRules(schema: StructuralSchema): RuleTree | undefined {
  return new RuleTrees().treeOf(schema, true);
}

class RuleTrees {
  /** Of parts. */
  readonly #trees = new Map<StructuralSchema, RuleTree>();

  treeOf(schema: StructuralSchema, isResource: boolean): RuleTree | undefined {
    if (!hasRules(schema)) return undefined;
    const { items, properties = new Map<string, StructuralSchema>(), type } = schema;
    const names = [...properties.keys()].toSorted();
    return {
      type,
      rules: compileOwnRules(schema, isResource, 'all'),
      items: this.#inner(items),
      values: this.#inner(memberSchema(schema)),
      properties: names.flatMap((name) => {
        const tree = this.#inner(properties.get(name));
        return tree === undefined ? [] : [[name, tree] as const];
      }),
      semantics: semanticsOf(schema),
    };
  }

  #inner(part: StructuralSchema | undefined): RuleTree | undefined {
    if (part === undefined) return undefined;
    const tree = this.#trees.get(part) ?? this.treeOf(part, isEmbedded(part));
    if (tree !== undefined) this.#trees.set(part, tree);
    return tree;
  }
}

/** Those of the schema itself. */
export function compileOwnRules(
  schema: StructuralSchema,
  isResource: boolean,
  uses: Uses,
): readonly CompiledRule[] {
  const rules = rulesOf(schema);
  if (rules.length === 0) return [];
  const declared = schemaType(schema, 'selfType', isResource);
  if (declared === undefined)
    return rules.map((rule) => ({
      ...unusable(rule),
      error: 'unable to convert structural schema to CEL declarations',
    }));
  const environments = {
    plain: environmentOf(declared, false, uses),
    optional: environmentOf(declared, true, uses),
  };
  return rules.map((rule) =>
    compileRule(rule, rule.optionalOldSelf === true ? environments.optional : environments.plain, {
      declared,
      schema,
    }),
  );
}

function environmentOf({ celType }: DeclaredType, isOptional: boolean, uses: Uses): Environment {
  const variables = { self: celType, oldSelf: isOptional ? optionalOf(celType) : celType };
  return new Environment({ variables, uses });
}

function unusable(rule: ValidationRule): CompiledRule {
  return { rule, fieldPath: '', usesOldSelf: false, costMax: 0, messageCostMax: 0 };
}

function compileRule(
  rule: ValidationRule,
  environment: Environment,
  { declared, schema }: { readonly declared: DeclaredType; readonly schema: StructuralSchema },
): CompiledRule {
  if (rule.rule.trim() === '') return unusable(rule);
  const { program, error } = environment.compile(rule.rule);
  if (program === undefined) return { ...unusable(rule), error };
  if (program.type.kind !== 'bool')
    return { ...unusable(rule), error: 'cel expression must evaluate to a bool' };
  const sizes = sizesOf(declared);
  return {
    rule,
    program,
    fieldPath: readFieldPath(rule.fieldPath, schema) ?? '',
    usesOldSelf: program.names.has('oldSelf'),
    costMax: program.estimate(sizes).max,
    ...compileMessage(rule, environment, declared),
  };
}

function compileMessage(
  { messageExpression }: ValidationRule,
  environment: Environment,
  declared: DeclaredType,
): Pick<CompiledRule, 'messageProgram' | 'messageError' | 'messageCostMax'> {
  if (messageExpression === '') return { messageCostMax: 0 };
  const { program, error } = environment.compile(messageExpression);
  if (program === undefined) return { messageError: `messageExpression ${error}`, messageCostMax: 0 };
  if (program.type.kind !== types.string.kind)
    return { messageError: 'messageExpression must evaluate to a string', messageCostMax: 0 };
  return { messageProgram: program, messageCostMax: program.estimate(sizesOf(declared)).max };
}
