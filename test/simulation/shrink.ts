import type { Outcome, Script } from './simulate.ts';

/**
 * The least of a script that is still wrong, as far as leaving out goes: first halves of what happens in it, then ever smaller parts. What
 * is found must be wrong, and not in the same words: names in them are of what was left out, too.
 */
export async function shrink(
  script: Script,
  {
    isStillWrong,
    triesMax,
  }: { readonly isStillWrong: (script: Script) => Promise<boolean>; readonly triesMax: number },
): Promise<{ readonly script: Script; readonly tries: number }> {
  let tries = 0;
  let least = script;
  for (const part of ['faults', 'steps'] as const) {
    let size = Math.ceil(least[part].length / 2);
    while (size >= 1 && tries < triesMax) {
      let isLess = false;
      for (let from = 0; from < least[part].length && tries < triesMax;) {
        const fewer = { ...least, [part]: least[part].toSpliced(from, size) };
        tries++;
        if (await isStillWrong(fewer)) {
          least = fewer;
          isLess = true;
        } else from += size;
      }
      if (size === 1 && !isLess) break;
      size = size === 1 ? (isLess ? 1 : 0) : Math.ceil(size / 2);
    }
  }
  return { script: least, tries };
}

/** What kind of fault it is, without the names in it. */
export function kindOfFault({ fault }: Outcome): string | undefined {
  return fault
    ?.replace(/\/registry\/\S+|n\d+\/\S+|[0-9a-f]{8}-[0-9a-f-]{27}|\d[\d.]*|[a-z]+\d-[a-z0-9-]+/g, '…')
    .split(';')[0];
}
