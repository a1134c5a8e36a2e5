import { PodwrightError } from '#base/errors.ts';

/** Addresses of a node's pods, out of its range, the one that was free for longest first. */
export class NodeNetwork {
  readonly #held = new Map<string, string>();
  #next = 2;
  /** `10.244.1.`; undefined: the node was given no range yet. */
  prefix: string | undefined;

  /** Those of a pod; one that has some keeps them. @throws {E_BUSY} {E_LIMIT} where there are none */
  add(uid: string): readonly string[] {
    const held = this.#held.get(uid);
    if (held !== undefined) return [held];
    if (this.prefix === undefined)
      throw new PodwrightError('E_BUSY', 'add to pod network: the node has no range');
    const taken = new Set(this.#held.values());
    for (let tries = 0; tries < 253; tries++) {
      const ip = `${this.prefix}${this.#next}`;
      this.#next = this.#next >= 254 ? 2 : this.#next + 1;
      if (taken.has(ip)) continue;
      this.#held.set(uid, ip);
      return [ip];
    }
    throw new PodwrightError('E_LIMIT', 'add to pod network: no address is left');
  }

  /** Takes them back; safe to repeat. */
  del(uid: string): void {
    this.#held.delete(uid);
  }

  /** Planted: forgets who has what, as a node's file of addresses that was lost. */
  forget(): void {
    this.#held.clear();
    this.#next = 2;
  }
}
