import { isPodwrightError } from '#base/errors.ts';
import type { IpFamily } from '#base/ip.ts';
import type { Xtables } from '#native/xtables/xtables.ts';
import { planIptablesRemoval } from './ruleset.ts';

/** Takes away what this mode left in the kernel, of both families. A host without the programs has nothing of it. Safe to repeat. */
export async function removeIptables(xtables: Xtables): Promise<void> {
  const families: readonly IpFamily[] = [4, 6];
  for (const family of families) {
    try {
      if (!(await xtables.hasTables(family))) continue;
      await xtables.restore(family, planIptablesRemoval(await xtables.save(family)));
    } catch (error) {
      if (!isPodwrightError(error, 'E_UNSUPPORTED')) throw error;
    }
  }
}
