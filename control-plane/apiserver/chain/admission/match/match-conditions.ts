import { compileCondition } from '#api/cel/admission/compile-policy.ts';
import { matchConditions, type AdmissionInput, type Matching } from '#api/cel/admission/evaluation.ts';

type Compiled = Parameters<typeof matchConditions>[0];

/** Conditions of one hook; compiled when they are first asked. */
export class MatchConditions {
  readonly #expressions: readonly string[];
  #compiled: Compiled | undefined;

  constructor(expressions: readonly string[]) {
    this.#expressions = expressions;
  }

  get isEmpty(): boolean {
    return this.#expressions.length === 0;
  }

  /** What an older release took, and this one does not, fails. @throws what `ask` of the input throws */
  ask(input: AdmissionInput): Matching {
    this.#compiled ??= this.#expressions.map((text) => ({ text, ...compileCondition(text, {}) }));
    return matchConditions(this.#compiled, input);
  }
}
