import type { JsonObject } from '#api/meta/object.ts';
import { formatGroupVersion, type Kind } from '#api/schema/kinds.ts';
import { isPodwrightError } from '#base/errors.ts';

/** Asks a webhook for one object of a kind in another version. @throws {E_API} where it does not convert it */
export type ConvertOne = (from: Kind, object: JsonObject, to: Kind) => Promise<JsonObject>;

/** What is missing: thrown out of work that cannot wait, and caught where it can. */
class Unconverted extends Error {
  readonly key: string;
  readonly ask: (convert: ConvertOne) => Promise<JsonObject>;

  constructor(key: string, ask: Unconverted['ask']) {
    super('not converted yet');
    this.key = key;
    this.ask = ask;
  }
}

/** Objects that one piece of work needs in other versions; its owners are of few. */
const askedMax = 64;
/** Kept for work that is done again: objects, and characters of them. */
const keptMax = 256;
const keptCharactersMax = 8 * 1024 * 1024;

/**
 * Conversions by webhooks for work that is pure: it is done with what is there, what it lacks is asked for, and it is done again. An object is
 * known by its text, as work that is done again makes it anew.
 */
export class ConversionsAhead {
  /** undefined: nobody converts it. */
  readonly #kept = new Map<string, JsonObject | undefined>();
  #characters = 0;

  /** The object in the other version; undefined where its webhook does not convert it. Only within `settle`. */
  of(from: Kind, object: JsonObject, to: Kind): JsonObject | undefined {
    const { group, resource, version } = from;
    const key = `${resource}.${group} ${version} ${to.version} ${JSON.stringify(object)}`;
    if (this.#kept.has(key)) return this.#kept.get(key);
    const given = { ...object, apiVersion: formatGroupVersion(from), kind: from.kind };
    throw new Unconverted(key, (convert) => convert(from, given, to));
  }

  /** Does the work once all that it needs was converted. @throws what the work throws */
  async settle<T>(convert: ConvertOne, work: () => T): Promise<T> {
    for (let asked = 0; ; asked++) {
      try {
        return work();
      } catch (error) {
        if (!(error instanceof Unconverted) || asked === askedMax) throw error;
        this.#keep(error.key, await answerOf(error.ask(convert)));
      }
    }
  }

  #keep(key: string, object: JsonObject | undefined): void {
    this.#kept.set(key, object);
    this.#characters += key.length;
    for (const oldest of this.#kept.keys()) {
      const isWithin = this.#kept.size <= keptMax && this.#characters <= keptCharactersMax;
      if (isWithin || oldest === key) break;
      this.#kept.delete(oldest);
      this.#characters -= oldest.length;
    }
  }
}

async function answerOf(answer: Promise<JsonObject>): Promise<JsonObject | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (isPodwrightError(error, 'E_API')) return undefined;
    throw error;
  }
}
