import { Environment, type Program } from '#api/cel/environment.ts';
import { listOf, mapOf, types, type CelType, type ObjectType } from '#api/cel/check/cel-type.ts';
import { Budget } from '#api/cel/eval/budget.ts';
import { isFault, isList, type Value } from '#api/cel/eval/values.ts';
import type { Expr } from '#api/cel/syntax/ast.ts';
import { parse } from '#api/cel/syntax/parse.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { describeError } from '#base/errors.ts';
import type { User } from '#control-plane/apiserver/serve/request.ts';

/** What is said of an issuer's tokens by CEL, where it is (apiserver.config.k8s.io, `expression`; KEP 3331). */
export interface IssuerExpressions {
  readonly username?: string;
  readonly groups?: string;
  readonly uid?: string;
  readonly extra: readonly { readonly key: string; readonly expression: string }[];
  readonly claimRules: readonly ExpressionRule[];
  readonly userRules: readonly ExpressionRule[];
}

export interface ExpressionRule {
  readonly expression: string;
  /** What is said of who does not pass. */
  readonly message: string;
}

/** What one expression may cost (apiserver/pkg/apis/cel, PerCallLimit). */
const costMax = 1_000_000;

const userFields: Readonly<Record<string, CelType>> = {
  username: types.string,
  uid: types.string,
  groups: listOf(types.string),
  extra: mapOf(types.string, listOf(types.string)),
};
const userType: ObjectType = {
  kind: 'object',
  name: 'kubernetes.UserInfo',
  fieldOf: (field) => {
    const type = Object.hasOwn(userFields, field) ? userFields[field] : undefined;
    return type === undefined ? undefined : { type };
  },
};

/** What an expression speaks of: the claims of a token, or the user that they made. */
type Subject = 'claims' | 'user';

const environments: Readonly<Record<Subject, Environment>> = {
  claims: new Environment({ variables: { claims: mapOf(types.string, types.dyn) } }),
  user: new Environment({ variables: { user: userType } }),
};

/** What is wrong with an expression, which comes to a bool if it is a rule; undefined for one that is in order. */
export function expressionProblem(
  expression: string,
  about: Subject,
  { isRule }: { readonly isRule: boolean },
): string | undefined {
  return environments[about].compile(expression, isRule ? [types.bool] : []).error;
}

/** Whether an expression reads a claim by its name: `claims.email`, `has(claims.email)`, `claims.?email`. */
export function readsClaim(expression: string, claim: string): boolean {
  const { expr } = parse(expression);
  return expr !== undefined && reads(expr, claim);
}

function reads(node: unknown, claim: string): boolean {
  if (Array.isArray(node)) return node.some((each) => reads(each, claim));
  if (typeof node !== 'object' || node === null) return false;
  return (isNode(node) && isReadOf(node, claim)) || Object.values(node).some((each) => reads(each, claim));
}

function isNode(value: object): value is Expr {
  return 'kind' in value;
}

function isReadOf(node: Expr, claim: string): boolean {
  if (node.kind === 'selection') return isClaims(node.operand) && node.field === claim;
  if (node.kind !== 'call' || node.name !== '_?._' || node.target !== undefined) return false;
  const [operand, field] = node.args;
  return operand !== undefined && isClaims(operand) && field?.kind === 'constant' && field.value === claim;
}

function isClaims(node: Expr): boolean {
  return node.kind === 'identifier' && node.name === 'claims';
}

/** An outcome, or why there is none. */
type Outcome = { readonly value: Value } | { readonly error: string };

/** Made once for an issuer. */
export interface IssuerPrograms {
  readonly username: Program | undefined;
  readonly groups: Program | undefined;
  readonly uid: Program | undefined;
  readonly extra: readonly { readonly key: string; readonly program: Program }[];
  readonly claimRules: readonly Rule[];
  readonly userRules: readonly Rule[];
}

interface Rule {
  readonly program: Program;
  readonly message: string;
}

/** @throws {Error} for expressions that have a problem */
export function compileExpressions(expressions: IssuerExpressions): IssuerPrograms {
  const { username, groups, uid, extra, claimRules, userRules } = expressions;
  const ruleOf =
    (about: Subject) =>
    ({ expression, message }: ExpressionRule): Rule => ({
      program: programOf(expression, about, [types.bool]),
      message,
    });
  const mapped = (expression: string | undefined): Program | undefined =>
    expression === undefined ? undefined : programOf(expression, 'claims');
  return {
    username: mapped(username),
    groups: mapped(groups),
    uid: mapped(uid),
    extra: extra.map(({ key, expression }) => ({ key, program: programOf(expression, 'claims') })),
    claimRules: claimRules.map(ruleOf('claims')),
    userRules: userRules.map(ruleOf('user')),
  };
}

function programOf(expression: string, about: Subject, wanted: readonly CelType[] = []): Program {
  const { program, error } = environments[about].compile(expression, wanted);
  if (program === undefined) throw new Error(`${expression}: ${error}`);
  return program;
}

function run(program: Program, subject: JsonObject): Outcome {
  let why: string;
  try {
    const value = program.run(() => subject, new Budget(costMax));
    if (!isFault(value)) return { value };
    why = value.message;
  } catch (error) {
    why = describeError(error); // There is no more to spend.
  }
  return { error: `expression '${program.text}' resulted in error: ${why}` };
}

/** A text that claims come to; `name`: what it is called where it is none. */
export function textOf(program: Program, claims: JsonObject, name: string): string | { error: string } {
  const outcome = run(program, claims);
  const failed = (why: string): { error: string } => ({
    error: `oidc: error evaluating ${name} claim expression: ${why}`,
  });
  if ('error' in outcome) return failed(outcome.error);
  return typeof outcome.value === 'string'
    ? outcome.value
    : failed(`${name} claim expression must return a string`);
}

const noTexts = 'expression must return a string or a list of strings';

/** Empty texts are none. */
function textsOf(value: Value): readonly string[] | undefined {
  if (value === null || value === '') return [];
  if (typeof value === 'string') return [value];
  if (!isList(value)) return undefined;
  const texts = value.filter((each): each is string => typeof each === 'string');
  return texts.length === value.length ? texts.filter((text) => text !== '') : undefined;
}

export function groupsBy(program: Program, claims: JsonObject): readonly string[] | { error: string } {
  const outcome = run(program, claims);
  const groups = 'error' in outcome ? undefined : textsOf(outcome.value);
  const why = 'error' in outcome ? outcome.error : noTexts;
  return groups ?? { error: `oidc: error evaluating group claim expression: ${why}` };
}

/** What else is known of a user, by key; of a key without values nothing. */
export function extraBy(
  mappings: IssuerPrograms['extra'],
  claims: JsonObject,
): { readonly extra: NonNullable<User['extra']> } | { readonly error: string } {
  const extra: Record<string, readonly string[]> = {};
  for (const { key, program } of mappings) {
    const outcome = run(program, claims);
    if ('error' in outcome) return outcome;
    const values = textsOf(outcome.value);
    if (values === undefined)
      return { error: `oidc: error evaluating extra claim expression: ${program.text}: ${noTexts}` };
    if (values.length > 0) extra[key] = values;
  }
  return { extra };
}

/** The first thing that is wrong by the rules; all of them are asked before one counts. `name`: what they are called. */
export function ruleProblem(rules: readonly Rule[], subject: JsonObject, name: string): string | undefined {
  const outcomes = rules.map(({ program, message }) => ({
    program,
    message,
    outcome: run(program, subject),
  }));
  const problem = (why: string): string => `oidc: error evaluating ${name}: ${why}`;
  for (const { outcome } of outcomes) if ('error' in outcome) return problem(outcome.error);
  for (const { outcome, program, message } of outcomes) {
    if ('value' in outcome && outcome.value !== true)
      return problem(`validation expression '${program.text}' failed: ${message}`);
  }
  return undefined;
}

/** As rules see a user: all of it is there (authentication/v1, UserInfo). */
export function userSubject({ name, uid = '', groups, extra = {} }: User): JsonObject {
  return { username: name, uid, groups: [...groups], extra: { ...extra } };
}
