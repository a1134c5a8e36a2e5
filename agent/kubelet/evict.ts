import { lstat, opendir, stat } from 'node:fs/promises';
import path from 'node:path';
import { errnoOf } from '#base/errors.ts';
import type { Pod } from '#api/objects.ts';
import { podLimits } from '#api/pod/requests.ts';
import { formatQuantity, parseQuantity, quantityToInteger } from '#api/quantity.ts';
import { containersOf } from './pod-input.ts';
import { podPaths, type KubeletDirectories } from './pod-paths.ts';

/** kubelet's eviction monitoring period. */
export const evictionCheckMs = 10_000;

/** Where a pod writes on the node's disk. */
export interface PodStorage {
  readonly directories: KubeletDirectories;
  /** What the runs of a container wrote to their own file systems; directories, by container name. */
  readonly writableLayers: ReadonlyMap<string, readonly string[]>;
}

const storage = 'ephemeral-storage';

/**
 * Why the pod must go, in the kubelet's words: an emptyDir on disk holds more than its sizeLimit, or a container (its file
 * system and logs) or the pod (its volumes too) more than its limit of ephemeral-storage. emptyDirs in memory are limited by
 * their tmpfs. Nothing is measured that has no limit.
 */
export async function overLimit(
  pod: Pod,
  { directories, writableLayers }: PodStorage,
): Promise<string | undefined> {
  const paths = podPaths(pod, directories);
  const disks = (pod.spec?.volumes ?? []).filter(
    ({ emptyDir }) => emptyDir !== undefined && emptyDir.medium !== 'Memory',
  );
  const directoryOf = (name: string): string => path.join(paths.root, 'volumes', 'emptyDir', name);
  for (const { name, emptyDir } of disks) {
    const limit = emptyDir?.sizeLimit;
    if (limit !== undefined && (await isOver([directoryOf(name)], bytesOf(limit))))
      return `Usage of EmptyDir volume "${name}" exceeds the limit "${limit}". `;
  }
  const containers = containersOf(pod).map(({ spec }) => ({
    name: spec.name,
    limit: spec.resources?.limits?.[storage],
    written: [...(writableLayers.get(spec.name) ?? []), path.join(paths.logs, spec.name)],
  }));
  const whole = podLimits(pod).get(storage);
  const all = [
    ...containers.flatMap(({ written }) => written),
    ...disks.map(({ name }) => directoryOf(name)),
  ];
  if (whole !== undefined && (await isOver(all, quantityToInteger(whole))))
    return `Pod ephemeral local storage usage exceeds the total limit of containers ${formatQuantity(whole)}. `;
  for (const { name, limit, written } of containers) {
    if (limit !== undefined && (await isOver(written, bytesOf(limit))))
      return `Container ${name} exceeded its local ephemeral storage limit "${limit}". `;
  }
  return undefined;
}

function bytesOf(quantity: string): number {
  return quantityToInteger(parseQuantity(quantity));
}

/** Whether directories hold more than so many bytes together; 0 is no limit. */
async function isOver(directories: readonly string[], limitBytes: number): Promise<boolean> {
  if (limitBytes <= 0) return false;
  let used = 0;
  for (const directory of directories) {
    used += await usedBytes(directory, limitBytes - used);
    if (used > limitBytes) return true;
  }
  return false;
}

/** Disk blocks below a directory; stops counting once it is more than `enough`. Of other file systems mounted there, nothing. */
async function usedBytes(directory: string, enough: number): Promise<number> {
  let used = 0;
  try {
    const { dev } = await stat(directory);
    for await (const entry of await opendir(directory, { recursive: true })) {
      const { blocks, dev: own } = await lstat(path.join(entry.parentPath, entry.name));
      if (own === dev) used += blocks * 512;
      if (used > enough) break;
    }
  } catch (error) {
    // What is removed meanwhile is not used any more.
    if (errnoOf(error) !== 'ENOENT') throw error;
  }
  return used;
}
