/** What a rule of CEL (`x-kubernetes-validations`) makes of two values of its place. */
export interface RuleCase {
  /** As the rule has it; it tells which rule is meant. */
  readonly message: string;
  /** What was there before, where the rule compares with it. */
  readonly before?: unknown;
  readonly refused: unknown;
  /** Others may refuse it. */
  readonly allowed: unknown;
  /** What is said instead, where the schema itself refuses all that the rule would, before it is asked. */
  readonly instead?: string;
}
