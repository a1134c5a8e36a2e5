import { Environment, type Program } from '#api/cel/environment.ts';
import { listOf, mapOf, types, type CelType, type ObjectType } from '#api/cel/check/cel-type.ts';
import { Budget } from '#api/cel/eval/budget.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { objectOf, objectsOf } from '#api/wire/json.ts';
import { describeError } from '#base/errors.ts';
import { isFault } from '#api/cel/eval/values.ts';
import type { Attributes } from '#control-plane/apiserver/chain/authz/authorizer.ts';
import { renderAccessReview } from './access-question.ts';

/** Of what is asked, as expressions see it: the spec of a SubjectAccessReview of v1 (authorization/v1). */
const resourceTexts = ['namespace', 'verb', 'group', 'version', 'resource', 'subresource', 'name'];
const pathTexts = ['path', 'verb'];
const request = typeOf('kubernetes.SubjectAccessReviewSpec', {
  user: types.string,
  groups: listOf(types.string),
  uid: types.string,
  extra: mapOf(types.string, listOf(types.string)),
  resourceAttributes: typeOf('kubernetes.ResourceAttributes', {
    ...texts(...resourceTexts),
    fieldSelector: selectorOf('kubernetes.FieldSelectorAttributes'),
    labelSelector: selectorOf('kubernetes.LabelSelectorAttributes'),
  }),
  nonResourceAttributes: typeOf('kubernetes.NonResourceAttributes', texts(...pathTexts)),
});

const environment = new Environment({ variables: { request } });

/** Of all conditions of one question, as kube-apiserver bounds them. */
const costMax = 10_000_000;

function typeOf(name: string, fields: Readonly<Record<string, CelType>>): ObjectType {
  return {
    kind: 'object',
    name,
    fieldOf: (field) => {
      const type = Object.hasOwn(fields, field) ? fields[field] : undefined;
      return type === undefined ? undefined : { type };
    },
  };
}

function texts(...names: readonly string[]): Readonly<Record<string, CelType>> {
  return Object.fromEntries(names.map((name) => [name, types.string]));
}

function selectorOf(name: string): ObjectType {
  const requirement = typeOf('kubernetes.SelectorRequirement', {
    ...texts('key', 'operator'),
    values: listOf(types.string),
  });
  return typeOf(name, { rawSelector: types.string, requirements: listOf(requirement) });
}

/** What is wrong with an expression; undefined for one that is in order. */
export function conditionProblem(expression: string): string | undefined {
  if (expression.trim() === '') return 'give an expression';
  return environment.compile(expression, [types.bool]).error;
}

/** Whether a webhook is to be asked: all conditions hold, one does not, or it could not be told, with the reason. */
export type Matching = 'all' | 'notAll' | { readonly error: string };

/** @throws {Error} for expressions that have a problem */
export function matchConditions(expressions: readonly string[]): (attributes: Attributes) => Matching {
  const programs = expressions.map((expression) => {
    const { program, error } = environment.compile(expression, [types.bool]);
    if (program === undefined) throw new Error(`${expression}: ${error}`);
    return program;
  });
  if (programs.length === 0) return () => 'all';
  return (attributes) => matching(programs, subjectOf(attributes));
}

/** What expressions speak of: of a webhook's question, and what it leaves out because it is empty is there, empty (apiserver/pkg/authorization/cel). */
function subjectOf(attributes: Attributes): JsonObject {
  const spec = objectOf(renderAccessReview(attributes, 'v1')['spec']);
  return {
    ...{ user: '', groups: [], uid: '', extra: {}, ...spec },
    ...(attributes.kind === 'path'
      ? { nonResourceAttributes: { ...blankOf(pathTexts), ...objectOf(spec['nonResourceAttributes']) } }
      : { resourceAttributes: { ...blankOf(resourceTexts), ...withValues(spec['resourceAttributes']) } }),
  };
}

function blankOf(names: readonly string[]): JsonObject {
  return Object.fromEntries(names.map((name) => [name, '']));
}

/** A requirement of a selector has values, if only none. */
function withValues(resourceAttributes: unknown): JsonObject {
  const attributes = objectOf(resourceAttributes);
  const selectors = ['fieldSelector', 'labelSelector'].flatMap((name) => {
    const requirements = objectsOf(objectOf(attributes[name])['requirements']);
    const whole = requirements.map((requirement) => ({ values: [], ...requirement }));
    return whole.length === 0 ? [] : [[name, { requirements: whole }]];
  });
  const { fieldSelector: _fields, labelSelector: _labels, ...rest } = attributes;
  return { ...rest, ...Object.fromEntries(selectors) };
}

/** One that does not hold counts more than one that fails. */
function matching(programs: readonly Program[], spec: unknown): Matching {
  const budget = new Budget(costMax);
  let error: string | undefined;
  for (const program of programs) {
    const value = outcome(program, spec, budget);
    if (value === false) return 'notAll';
    if (value !== true) error ??= `expression '${program.text}' resulted in error: ${value}`;
  }
  return error === undefined ? 'all' : { error };
}

function outcome(program: Program, spec: unknown, budget: Budget): boolean | string {
  try {
    const value = program.run(() => spec, budget);
    return isFault(value) ? value.message : value === true;
  } catch (error) {
    return describeError(error); // There is no more to spend.
  }
}
