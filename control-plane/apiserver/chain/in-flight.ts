import { tooManyRequests } from '#api/errors/status.ts';

/** Requests worked on at once; a watch or log counts only until it has begun. Clients retry on 429 with Retry-After. */
const inFlightMax = 1000;

/** The places of one server among the requests that are worked on. */
export class InFlight {
  #taken = 0;
  readonly #place: Disposable = { [Symbol.dispose]: () => void this.#taken-- };

  /** A place until it is disposed of, once. @throws {E_API} 429 */
  take(): Disposable {
    if (this.#taken >= inFlightMax) throw tooManyRequests('Too many requests, please try again later.', 1);
    this.#taken++;
    return this.#place;
  }
}
