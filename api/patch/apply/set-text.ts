import { structJson } from '#api/wire/json.ts';
import type { FieldSet } from './field-set.ts';
import { knownSet } from './read-field-set.ts';

/** Sets by their text: objects that were made the same way own the same, and share one. */
const sets = new Map<string, FieldSet>();
const texts = new WeakMap<FieldSet, string>();

/** Sets that are shared, and how long their texts may be, in characters. */
const sharedCountMax = 2048;
const sharedLengthMax = 16_384;

/** The set that a text of this code's own making is of. */
export function setOfText(text: string): FieldSet {
  const known = sets.get(text);
  if (known !== undefined) return known;
  const set = knownSet(JSON.parse(text) as FieldSet);
  texts.set(set, text);
  if (text.length > sharedLengthMax) return set;
  for (const oldest of sets.keys()) {
    if (sets.size < sharedCountMax) break;
    sets.delete(oldest);
  }
  sets.set(text, set);
  return set;
}

/** The bytes of a set, as they are sent and stored. */
export function textOfSet(set: FieldSet): string {
  let text = texts.get(set);
  if (text === undefined) texts.set(set, (text = structJson(set)));
  return text;
}
