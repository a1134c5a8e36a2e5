/**
 * What hooks and policies that change objects know of each other in one write. When one of them changed the object, all plugins are asked once
 * more, so that those before it, and those of the server itself, see what it did; of hooks and policies only those that wish it and were asked
 * before a change (apiserver/pkg/admission/reinvocation.go).
 */
export class Reinvocation {
  #isAgain = false;
  #isWanted = false;
  readonly #rounds = new Map<string, Rounds>();

  /** Whether this is the second time. */
  get isAgain(): boolean {
    return this.#isAgain;
  }

  /** Whether somebody changed the object. */
  get isWanted(): boolean {
    return this.#isWanted;
  }

  want(): void {
    this.#isWanted = true;
  }

  beginAgain(): void {
    this.#isAgain = true;
  }

  /** Of one plugin. */
  of(plugin: string): Rounds {
    let rounds = this.#rounds.get(plugin);
    if (rounds === undefined) this.#rounds.set(plugin, (rounds = new Rounds()));
    return rounds;
  }
}

/** Whom a plugin asked, and whom it is to ask again; by an id of its own. */
export class Rounds {
  /** The object as the plugin left it. */
  lastOutput: unknown;
  readonly #asked = new Set<string>();
  readonly #again = new Set<string>();

  /** One that wishes to be asked again when the object is changed after it. */
  wasAsked(id: string): void {
    this.#asked.add(id);
  }

  /** The object was changed: whoever was asked before is to see it. */
  changed(): void {
    for (const id of this.#asked) this.#again.add(id);
    this.#asked.clear();
  }

  isDue(id: string): boolean {
    return this.#again.has(id);
  }
}
