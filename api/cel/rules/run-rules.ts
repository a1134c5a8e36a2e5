import type { Program } from '#api/cel/environment.ts';
import { Budget, costExceeded } from '#api/cel/eval/budget.ts';
import { isFault, none, Optional, type Value } from '#api/cel/eval/values.ts';
import {
  duplicateField,
  forbiddenField,
  invalidField,
  invalidHidden,
  requiredField,
  type FieldError,
} from '#api/errors/field-error.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { equalJson, isObject, listOf } from '#api/wire/json.ts';
import { isPodwrightError } from '#base/errors.ts';
import type { CompiledRule, RuleTree } from './compile-rules.ts';
import { nameOfRule } from './rule.ts';

/** What one expression may cost when it is run, and all of one object (apiserver/pkg/apis/cel, PerCallLimit, RuntimeCELCostBudget). */
export const callCostMax = 1_000_000;
export const objectCostMax = 10_000_000;
/** Bytes of what a messageExpression comes to. */
export const messageBytesMax: number = 5 * 1024;

export interface Judgement {
  readonly errors: readonly FieldError[];
  /** Of values that break a rule and are as they were before. */
  readonly ratcheted: readonly FieldError[];
  /** What is left of the budget; less than nothing: it was too little, and not all was judged. */
  readonly budgetLeft: number;
}

export interface Judged {
  readonly value: unknown;
  /** As it was; undefined of a creation. */
  readonly old?: unknown;
  /** '' for the whole object. */
  readonly path?: string;
  readonly budget?: number;
}

/**
 * Runs the rules of a schema on a value that its schema has nothing else against (apiextensions-apiserver, schema/cel/validation.go):
 * transition rules where there is an old value, and what was wrong before and did not change is not an error.
 */
export function runRules(tree: RuleTree, judged: Judged): Judgement {
  const { value, old, path = '', budget = objectCostMax } = judged;
  const run = new Run(budget);
  const before: Before | undefined =
    old === undefined || old === null ? undefined : { isSame: sameAs(value, old), value: old };
  run.visit(tree, { path, value, old, before, isRoot: true });
  return { errors: run.errors, ratcheted: run.ratcheted, budgetLeft: run.budget };
}

/** The nearest value of old that can be told to be this one, or what it is in. */
interface Before {
  readonly value: unknown;
  readonly isSame: () => boolean;
}

interface Place {
  readonly path: string;
  readonly value: unknown;
  /** For transition rules; undefined where there is none. */
  readonly old: unknown;
  readonly before: Before | undefined;
  readonly isRoot: boolean;
}

function sameAs(value: unknown, old: unknown): () => boolean {
  let known: boolean | undefined;
  return () => (known ??= equalJson(value, old));
}

/** Ends a run whose budget is spent. */
const spent = new Error('spent');

class Run {
  readonly errors: FieldError[] = [];
  readonly ratcheted: FieldError[] = [];
  budget: number;

  constructor(budget: number) {
    this.budget = budget;
  }

  visit(tree: RuleTree, place: Place): void {
    try {
      this.#visit(tree, place);
    } catch (error) {
      if (error !== spent) throw error;
      this.budget = -1;
    }
  }

  #visit(tree: RuleTree, place: Place): void {
    const { value } = place;
    if (value === undefined || value === null) return;
    if (tree.rules.length > 0) this.#own(tree, place);
    if (Array.isArray(value)) this.#list(tree, place, value);
    else if (isObject(value)) this.#members(tree, place, value);
  }

  #members(tree: RuleTree, place: Place, value: JsonObject): void {
    const { path, old, isRoot, before } = place;
    const oldMembers = isObject(old) ? old : {};
    const visit = (member: RuleTree, name: string, at: string): void => {
      const isHidden = isRoot && (name === 'apiVersion' || name === 'kind');
      const inner = { path: at, value: value[name], old: oldMembers[name], isRoot: false };
      this.#visit(member, {
        ...inner,
        before: isHidden ? undefined : within(before, inner.value, inner.old),
      });
    };
    if (tree.values !== undefined)
      for (const name of Object.keys(value)) visit(tree.values, name, `${path}[${name}]`);
    for (const [name, member] of tree.properties) {
      if (Object.hasOwn(value, name)) visit(member, name, path === '' ? name : `${path}.${name}`);
    }
  }

  #list(tree: RuleTree, place: Place, value: readonly unknown[]): void {
    const { items, semantics } = tree;
    if (items === undefined) return;
    const keys = semantics?.kind === 'map' ? semantics.keys : undefined;
    const byKey = keys === undefined ? undefined : oldItems(place.old, keys);
    for (const [index, item] of value.entries()) {
      const old = byKey === undefined || keys === undefined ? undefined : byKey.get(identityOf(item, keys));
      const before = within(place.before, item, old);
      this.#visit(items, { path: `${place.path}[${index}]`, value: item, old, before, isRoot: false });
    }
  }

  #own(tree: RuleTree, place: Place): void {
    if (this.budget <= 0) this.#giveUp(tree, place, outOfBudget);
    for (const compiled of tree.rules) this.#rule(compiled, tree, place);
  }

  #rule(compiled: CompiledRule, tree: RuleTree, place: Place): void {
    const { rule, program, error, usesOldSelf } = compiled;
    const { path, old, value } = place;
    const isOptional = rule.optionalOldSelf === true;
    if (error !== undefined)
      this.errors.push(invalidField(fieldOf(path), tree.type, `rule compile error: ${error}`));
    if (program === undefined || (usesOldSelf && isAbsent(old) && !isOptional)) return;
    const oldSelf = isOptional ? (isAbsent(old) ? none : new Optional(old)) : old;
    const name = nameOfRule(rule);
    const outcome = this.#evaluate(program, value, oldSelf);
    if (outcome === 'spent') this.#giveUp(tree, place, outOfBudget);
    if (outcome === 'tooCostly')
      this.#giveUp(
        tree,
        place,
        `'${costExceeded}': no further validation rules will be run due to call cost exceeds limit for rule: ${name}`,
      );
    if (isFault(outcome)) {
      const { message } = outcome;
      const detail = message.startsWith('no such overload')
        ? `'${message}': call arguments did not match a supported operator, function or macro signature for rule: ${name}`
        : `${message} evaluating rule: ${name}`;
      this.errors.push(invalidField(fieldOf(path), tree.type, detail));
      return;
    }
    if (outcome !== true) this.#broken(compiled, tree, place);
  }

  #broken(compiled: CompiledRule, tree: RuleTree, place: Place): void {
    const { rule, fieldPath, usesOldSelf, messageProgram } = compiled;
    const path = joined(place.path, fieldPath);
    const own = rule.message === '' ? `failed rule: ${nameOfRule(rule)}` : nameOfRule(rule);
    const note = (error: FieldError): void => {
      const isRatcheted = !usesOldSelf && place.before?.isSame() === true;
      (isRatcheted ? this.ratcheted : this.errors).push(error);
    };
    const made = messageProgram === undefined ? undefined : this.#message(messageProgram, place);
    if (made !== undefined && 'error' in made) {
      note(invalidField(fieldOf(path), tree.type, made.error));
      throw spent;
    }
    const isHidden = tree.type === 'object' || tree.type === 'array';
    note(errorFor(rule.reason, fieldOf(path), { value: place.value, isHidden, detail: made?.text ?? own }));
  }

  /** undefined: it comes to nothing that can be shown, and the rule's own message stands for it. */
  #message(
    program: Program,
    { value, old }: Place,
  ): { readonly text: string } | { readonly error: string } | undefined {
    const outcome = this.#evaluate(program, value, isAbsent(old) ? undefined : old);
    if (outcome === 'spent')
      return {
        error:
          'messageExpression evaluation failed due to running out of cost budget, no further validation rules will be run',
      };
    if (outcome === 'tooCostly') {
      const detail = `no further validation rules will be run due to call cost exceeds limit for messageExpression: ${JSON.stringify(program.text)}`;
      return { error: detail };
    }
    const text = typeof outcome === 'string' ? outcome.trim() : '';
    const isShown = text !== '' && !text.includes('\n') && Buffer.byteLength(text) <= messageBytesMax;
    return isShown ? { text } : undefined;
  }

  #evaluate(program: Program, self: Value, oldSelf: Value): Value | 'spent' | 'tooCostly' {
    const budget = new Budget(Math.min(callCostMax, this.budget));
    try {
      const variables: Readonly<Record<string, Value>> = { self, oldSelf };
      const value = program.run((name) => variables[name], budget);
      this.budget -= budget.charged;
      return this.budget < 0 ? 'spent' : value;
    } catch (error) {
      if (!isPodwrightError(error, 'E_LIMIT')) throw error;
      return budget.limit < callCostMax ? 'spent' : 'tooCostly';
    }
  }

  #giveUp(tree: RuleTree, { path }: Place, detail: string): never {
    this.errors.push(invalidField(fieldOf(path), tree.type, detail));
    throw spent;
  }
}

const outOfBudget =
  'validation failed due to running out of cost budget, no further validation rules will be run';

function isAbsent(value: unknown): boolean {
  return value === undefined || value === null;
}

/** Of a member or item: the old one where there is one, otherwise what it is in. */
function within(before: Before | undefined, value: unknown, old: unknown): Before | undefined {
  if (before === undefined || old === undefined) return before;
  return { value: old, isSame: sameAs(value, old) };
}

function oldItems(old: unknown, keys: readonly string[]): ReadonlyMap<string, unknown> {
  return new Map(listOf(old).map((item) => [identityOf(item, keys), item]));
}

function identityOf(item: unknown, keys: readonly string[]): string {
  return JSON.stringify(keys.map((key) => (isObject(item) ? (item[key] ?? null) : null)));
}

/** As upstream calls the whole object. */
function fieldOf(path: string): string {
  return path === '' ? '<nil>' : path;
}

function joined(path: string, relative: string): string {
  if (relative === '') return path;
  return path === '' ? relative : `${path}.${relative}`;
}

function errorFor(
  reason: string | undefined,
  field: string,
  {
    value,
    isHidden,
    detail,
  }: { readonly value: unknown; readonly isHidden: boolean; readonly detail: string },
): FieldError {
  switch (reason) {
    case 'FieldValueForbidden':
      return forbiddenField(field, detail);
    case 'FieldValueRequired':
      return requiredField(field, detail);
    case 'FieldValueDuplicate':
      return isHidden
        ? { ...duplicateField(field, undefined), omitsValue: true }
        : duplicateField(field, value);
    default:
      return isHidden ? invalidHidden(field, detail) : invalidField(field, value, detail);
  }
}
