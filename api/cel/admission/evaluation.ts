import type { Program } from '#api/cel/environment.ts';
import { Budget } from '#api/cel/eval/budget.ts';
import {
  Fault,
  isFault,
  isList,
  isMap,
  keysOf,
  memberAt,
  Optional,
  writtenTypeOf,
  type Value,
} from '#api/cel/eval/values.ts';
import { toJson } from '#api/cel/eval/to-json.ts';
import { authorizerValue, resourceCheckValue, type Ask } from '#api/cel/library/authorizer.ts';
import { callCostMax, messageBytesMax, objectCostMax } from '#api/cel/rules/run-rules.ts';
import { isPodwrightError } from '#base/errors.ts';
import type { JsonObject } from '#api/meta/object.ts';
import type {
  CompiledPolicy,
  PolicyCondition,
  PolicyExpression,
  PolicyMutation,
  PolicyValidation,
} from './compile-policy.ts';

/** What expressions of admission are about. */
export interface AdmissionInput {
  /** null of a deletion. */
  readonly object: JsonObject | null;
  /** null of a creation. */
  readonly oldObject: JsonObject | null;
  readonly request: JsonObject;
  /** null of what is in no namespace. */
  readonly namespaceObject: JsonObject | null;
  /** null where a binding names none. */
  readonly params: JsonObject | null;
  readonly ask: Ask;
  /** For `authorizer.requestResource`. */
  readonly about: Parameters<typeof resourceCheckValue>[1];
}

/** What the conditions of one policy or webhook may cost (apiserver/pkg/apis/cel, RuntimeCELCostBudgetMatchConditions). */
export const conditionsCostMax: number = objectCostMax / 4;

/** Whether all conditions hold; an error where none is false, and one could not be told. */
export type Matching = 'all' | 'notAll' | { readonly error: string };

/** One that does not hold counts more than one that fails. @throws what `ask` throws */
export function matchConditions(
  conditions: readonly Pick<PolicyCondition, 'text' | 'program' | 'error'>[],
  input: AdmissionInput,
): Matching {
  const evaluation = new Evaluation([], input, conditionsCostMax);
  let error: string | undefined;
  for (const condition of conditions) {
    const value = evaluation.runOrFault(condition);
    if (value === false) return 'notAll';
    if (value !== true)
      error ??= isFault(value) ? failed(condition.text, value) : failed(condition.text, noBool);
  }
  return error === undefined ? 'all' : { error };
}

const noBool = new Fault('cel expression must evaluate to a bool');

/** What one validation of a policy comes to. */
export type Outcome =
  | { readonly kind: 'holds' }
  /** It does not hold, with the message that is to be shown. */
  | { readonly kind: 'denied'; readonly message: string; readonly reason: string; readonly index: number }
  /** It could not be told: the failurePolicy says what becomes of that. */
  | { readonly kind: 'failed'; readonly message: string; readonly index: number };

export interface Annotation {
  readonly key: string;
  /** undefined: none is to be set. */
  readonly value: string | undefined;
  readonly error?: string | undefined;
}

export interface Judgement {
  /** Of each validation, with how long it took. */
  readonly outcomes: readonly (Outcome & { readonly ms: number })[];
  readonly annotations: readonly Annotation[];
}

/** Bytes of a value of an audit annotation. */
const annotationBytesMax = 10 * 1024;

/** All validations and audit annotations, after the conditions were found to hold. `now` is in milliseconds. @throws what `ask` throws */
export function judge(policy: CompiledPolicy, input: AdmissionInput, now: () => number = () => 0): Judgement {
  const evaluation = new Evaluation(policy.variables, input, objectCostMax);
  try {
    const outcomes = policy.validations.map((validation, index) => {
      const startMs = now();
      const outcome = outcomeOf(validation, index, evaluation);
      return { ...outcome, ms: now() - startMs };
    });
    const annotations = policy.annotations.map((annotation): Annotation => {
      const { key, text } = annotation;
      const value = evaluation.run(annotation);
      if (isFault(value)) return { key, value: undefined, error: failed(text, value) };
      const shown = typeof value === 'string' ? value.trim() : '';
      return { key, value: shown === '' ? undefined : clipBytes(shown) };
    });
    return { outcomes, annotations };
  } catch (error) {
    if (error !== outOfBudget) throw error;
    const message =
      'validation failed due to running out of cost budget, no further validation rules will be run';
    return { outcomes: [{ kind: 'failed', message, index: 0, ms: 0 }], annotations: [] };
  }
}

function outcomeOf(validation: PolicyValidation, index: number, evaluation: Evaluation): Outcome {
  const { text, reason } = validation;
  const value = evaluation.run(validation);
  if (isFault(value)) return { kind: 'failed', message: failed(text, value), index };
  if (value === true) return { kind: 'holds' };
  return { kind: 'denied', message: messageOf(validation, evaluation), reason, index };
}

function messageOf({ messageExpression, message, text }: PolicyValidation, evaluation: Evaluation): string {
  const made = messageExpression === undefined ? undefined : evaluation.run(messageExpression);
  const shown = typeof made === 'string' ? made.trim() : '';
  if (shown !== '' && !/[\n\r]/.test(shown) && Buffer.byteLength(shown) <= messageBytesMax) return shown;
  return message === '' ? `failed expression: ${text.trim()}` : message.trim();
}

/** What a mutation comes to: JSON, or why it comes to nothing. */
export type MutationResult = { readonly value: unknown } | { readonly error: string };

/** Evaluates one mutation of a policy on the object as it is now; variables anew. @throws what `ask` throws */
export function evaluateMutation(
  policy: CompiledPolicy,
  mutation: PolicyMutation,
  input: AdmissionInput,
): MutationResult {
  const evaluation = new Evaluation(policy.variables, input, objectCostMax);
  try {
    const value = evaluation.run(mutation);
    if (isFault(value)) return { error: failed(mutation.text, value) };
    const problem = mutation.kind === 'apply' ? nameProblem(value, 'Object') : undefined;
    return problem === undefined ? { value: toJson(value) } : { error: `type mismatch: ${problem}` };
  } catch (error) {
    if (error !== outOfBudget) throw error;
    return { error: failed(mutation.text, new Fault('out of cost budget')) };
  }
}

/** Objects are called by where they stand; those of lists and maps as these. */
function nameProblem(value: Value, expected: string): string | undefined {
  if (isList(value)) return value.map((one) => nameProblem(one, expected)).find((one) => one !== undefined);
  if (value instanceof Optional) return nameProblem(value.value, expected);
  const name = writtenTypeOf(value);
  if (name !== undefined && name !== expected)
    return `unexpected type name ${JSON.stringify(name)}, expected ${JSON.stringify(expected)}, which matches field name path from root Object type`;
  if (!isMap(value)) return undefined;
  for (const key of keysOf(value)) {
    const within = name === undefined ? expected : `${expected}.${String(key)}`;
    const problem = nameProblem(memberAt(value, key), within);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

/** As a person is told of an expression that could not be evaluated. */
export function failed(text: string, { message }: Fault): string {
  return `expression '${text}' resulted in error: ${message}`;
}

function clipBytes(text: string): string {
  const bytes = Buffer.from(text);
  return bytes.length <= annotationBytesMax ? text : bytes.subarray(0, annotationBytesMax).toString();
}

/** Ends a judgement whose budget is spent. */
const outOfBudget = new Error('out of budget');

/** Expressions of one policy about one request: they share a budget, and variables that are evaluated when they are first asked for. */
export class Evaluation {
  readonly #variables: ReadonlyMap<string, PolicyExpression>;
  readonly #input: AdmissionInput;
  readonly #made = new Map<string, Value>();
  #left: number;

  constructor(
    variables: readonly (PolicyExpression & { readonly name: string })[],
    input: AdmissionInput,
    budget: number,
  ) {
    this.#variables = new Map(variables.map((variable) => [variable.name, variable]));
    this.#input = input;
    this.#left = budget;
  }

  /** As `run`; a budget that is spent is a fault, too. */
  runOrFault(expression: Pick<PolicyExpression, 'program' | 'error'>): Value {
    try {
      return this.run(expression);
    } catch (error) {
      if (error !== outOfBudget) throw error;
      return new Fault(
        'validation failed due to running out of cost budget, no further validation rules will be run',
      );
    }
  }

  /** A value, or the fault that it is; of an expression that does not compile that. @throws what `ask` throws, and `outOfBudget` */
  run({ program, error }: Pick<PolicyExpression, 'program' | 'error'>): Value {
    if (program === undefined) return new Fault(`compilation error: ${error ?? 'no expression'}`);
    return this.#evaluate(program);
  }

  #evaluate(program: Program): Value {
    const budget = new Budget(Math.min(callCostMax, this.#left));
    try {
      const value = program.run((name) => this.#lookUp(name), budget);
      this.#left -= budget.charged;
      if (this.#left < 0) throw outOfBudget;
      return value;
    } catch (error) {
      if (!isPodwrightError(error, 'E_LIMIT')) throw error;
      if (budget.limit < callCostMax) throw outOfBudget;
      this.#left -= budget.charged;
      return new Fault(error.message);
    }
  }

  #lookUp(name: string): Value {
    const { object, oldObject, request, namespaceObject, params, ask, about } = this.#input;
    switch (name) {
      case 'object':
        return object;
      case 'oldObject':
        return oldObject;
      case 'request':
        return request;
      case 'namespaceObject':
        return namespaceObject;
      case 'params':
        return params;
      case 'authorizer':
        return authorizerValue(ask);
      case 'authorizer.requestResource':
        return resourceCheckValue(ask, about);
      case 'variables':
        return this.#lazy;
      default:
        return undefined;
    }
  }

  /** The policy's variables as an object whose members are evaluated when they are read. */
  get #lazy(): Value {
    const made = {};
    for (const name of this.#variables.keys())
      Object.defineProperty(made, name, { enumerable: true, get: () => this.#variable(name) });
    return made;
  }

  #variable(name: string): Value {
    if (this.#made.has(name)) return this.#made.get(name);
    const variable = this.#variables.get(name);
    const value = variable === undefined ? undefined : this.run(variable);
    const kept = isFault(value)
      ? new Fault(`composited variable ${JSON.stringify(name)} fails to evaluate: ${value.message}`)
      : value;
    this.#made.set(name, kept);
    return kept;
  }
}
