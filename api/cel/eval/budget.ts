import { PodwrightError } from '#base/errors.ts';

/** What an expression may cost, in units of about one step (CEL's runtime cost); it ends where there is no more. */
export class Budget {
  readonly limit: number;
  #spent = 0;
  #strained = 0;

  constructor(limit: number) {
    this.limit = limit;
  }

  get spent(): number {
    return this.#spent;
  }

  get isExceeded(): boolean {
    return this.#spent > this.limit;
  }

  /** What all of it comes to for who pays for several: the cost, or what the work was that cost nothing. */
  get charged(): number {
    return Math.max(this.#spent, Math.ceil(this.#strained / strainPerUnit));
  }

  /**
   * Work that CEL counts as nothing, or as one step, and that grows with values: elements compared or copied, texts measured.
   * @throws {E_LIMIT} when it is more than the cost that is allowed would take
   */
  strain(units: number): void {
    this.#strained += units;
    if (this.#strained > this.limit * strainPerUnit) throw new PodwrightError('E_LIMIT', costExceeded);
  }

  /** @throws {E_LIMIT} when that is more than there is: nothing else in an expression throws */
  spend(units: number): void {
    this.#spent += units;
    if (this.#spent > this.limit) throw new PodwrightError('E_LIMIT', costExceeded);
  }
}

/** Elements that are compared or copied in about the time of one unit of cost. */
const strainPerUnit = 10;

export const costExceeded = 'operation cancelled: actual cost limit exceeded';
