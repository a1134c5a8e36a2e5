import { lstat, opendir } from 'node:fs/promises';
import path from 'node:path';
import { errnoOf } from '#base/errors.ts';
import type { Pod } from '#api/objects.ts';
import { parseQuantity, quantityToInteger } from '#api/quantity.ts';
import type { KubeletDirectories } from './pod-paths.ts';

/** kubelet's eviction monitoring period. */
export const evictionCheckMs = 10_000;

/** Why the pod must go, in the kubelet's words: an emptyDir on disk holds more than its sizeLimit. Memory ones are limited by their tmpfs. */
export async function overLimit(pod: Pod, directories: KubeletDirectories): Promise<string | undefined> {
  for (const { name, emptyDir } of pod.spec?.volumes ?? []) {
    if (emptyDir?.sizeLimit === undefined || emptyDir.medium === 'Memory') continue;
    const limitBytes = quantityToInteger(parseQuantity(emptyDir.sizeLimit));
    const directory = path.join(directories.pods, pod.metadata?.uid ?? '', 'volumes', 'emptyDir', name);
    if (limitBytes > 0 && (await usedBytes(directory, limitBytes)) > limitBytes) {
      return `Usage of EmptyDir volume "${name}" exceeds the limit "${emptyDir.sizeLimit}". `;
    }
  }
  return undefined;
}

/** Disk blocks below a directory; stops counting once it is more than `enough`. */
async function usedBytes(directory: string, enough: number): Promise<number> {
  let used = 0;
  try {
    for await (const entry of await opendir(directory, { recursive: true })) {
      const { blocks } = await lstat(path.join(entry.parentPath, entry.name));
      used += blocks * 512;
      if (used > enough) break;
    }
  } catch (error) {
    // What is removed meanwhile is not used any more.
    if (errnoOf(error) !== 'ENOENT') throw error;
  }
  return used;
}
