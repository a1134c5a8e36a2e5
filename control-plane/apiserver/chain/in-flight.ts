import { tooManyRequests } from '#api/errors/status.ts';

/**
 * Requests that were not answered yet, those that wait for their turn among them; a watch or log counts only until it has begun. Whose turn it
 * is, flow control decides: this is for what comes before, and leaves room for the queues of all levels. Clients retry on 429 with Retry-After.
 */
export const inFlightMax = 6_000;

const readOnlyMethods: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS']);

/** The places of one server among the requests that are worked on. */
export class InFlight {
  #mutating = 0;
  #readOnly = 0;
  readonly #mutatingPlace: Disposable = { [Symbol.dispose]: () => void this.#mutating-- };
  readonly #readOnlyPlace: Disposable = { [Symbol.dispose]: () => void this.#readOnly-- };

  /** A place for a request of this method until it is disposed of, once. @throws {E_API} 429 */
  take(method: string): Disposable {
    if (this.#mutating + this.#readOnly >= inFlightMax)
      throw tooManyRequests('Too many requests, please try again later.', 1);
    if (readOnlyMethods.has(method)) {
      this.#readOnly++;
      return this.#readOnlyPlace;
    }
    this.#mutating++;
    return this.#mutatingPlace;
  }

  /** Those that are taken. */
  taken(): { readonly mutating: number; readonly readOnly: number } {
    return { mutating: this.#mutating, readOnly: this.#readOnly };
  }
}
