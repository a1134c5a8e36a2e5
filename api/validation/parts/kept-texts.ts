import type { JsonObject } from '#api/meta/object.ts';

/** The texts that the object which is being validated may keep; validation is synchronous, so that there is only one. */
let kept: (() => ReadonlySet<string>) | undefined;

/**
 * Validates an update: a text of an address or a network that `old` had, anywhere in it, is not held to be one that all read alike (the
 * ratcheting of KEP-4858). What follows from such a text is asked still. `mayKeep` is asked once, when there is such a text.
 */
export function withKeptTexts<T>(old: JsonObject, mayKeep: () => boolean, validate: () => T): T {
  const outer = kept;
  let texts: ReadonlySet<string> | undefined;
  kept = () => (texts ??= mayKeep() ? addressTextsOf(old) : new Set());
  try {
    return validate();
  } finally {
    kept = outer;
  }
}

/** Whether the object that is being validated had the text before. */
export function isKeptText(text: string): boolean {
  return kept?.().has(text) ?? false;
}

/** What addresses, networks and lists of them are made of: load balancers have such a list in an annotation. */
const addressLetters = /^[\da-f.:/,\s]+$/i;

function addressTextsOf(object: JsonObject): ReadonlySet<string> {
  const texts = new Set<string>();
  const rest: unknown[] = [object];
  while (rest.length > 0) {
    const value = rest.pop();
    if (typeof value === 'object' && value !== null) {
      for (const member of Object.values(value)) rest.push(member);
    } else if (typeof value === 'string' && addressLetters.test(value)) {
      for (const text of value.split(',')) texts.add(text.trim());
    }
  }
  return texts;
}
