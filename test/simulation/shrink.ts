import type { Outcome, Script } from './simulate.ts';

/** Without what would have happened after the world came to its end: that changes nothing of it. Pure. */
export function untilEnd(script: Script, { virtualMs }: Pick<Outcome, 'virtualMs'>): Script {
  const isBefore = ({ atMs }: { readonly atMs: number }): boolean => atMs <= virtualMs;
  return { ...script, faults: script.faults.filter(isBefore), steps: script.steps.filter(isBefore) };
}

/**
 * The least of a script that is still wrong, as far as leaving out goes: first all of a kind, then halves, then ever smaller parts. What
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
    let size = least[part].length;
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
      // What is left is less than a part.
      if (size > 1) size = Math.min(Math.ceil(size / 2), Math.max(1, least[part].length));
      else if (!isLess) break;
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
