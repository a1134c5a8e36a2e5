import { lstat } from 'node:fs/promises';
import path from 'node:path';
import { errnoOf, isPodwrightError } from '#base/errors.ts';
import { createTrees } from '#native/fs/tree.linux.ts';
import { type Place, walkTree } from '#native/fs/walk-tree.ts';
import type { Pod } from '#api/generated/objects.ts';
import { podLimits } from '#api/pod/requests.ts';
import { formatQuantity, parseQuantity, quantityToInteger } from '#api/meta/quantity.ts';
import { containersOf } from '#agent/kubelet/sync/pod-input.ts';
import { podPaths, type KubeletDirectories } from '#agent/kubelet/pod-paths.ts';

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
 * system, logs and termination messages) or the pod (its volumes and /etc/hosts too) more than its limit of ephemeral-storage. emptyDirs in memory are limited by
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
    written: [
      ...(writableLayers.get(spec.name) ?? []),
      path.join(paths.logs, spec.name),
      path.dirname(paths.terminationMessage(spec.name, 'any')),
    ],
  }));
  const whole = podLimits(pod).get(storage);
  const all = [
    ...containers.flatMap(({ written }) => written),
    ...disks.map(({ name }) => directoryOf(name)),
    ...[paths.hosts, paths.resolvConf, paths.hostname],
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

/**
 * Disk blocks below a directory; stops counting once it is more than `enough`. Of other file systems mounted there, nothing. By
 * descriptors, since containers write there: nothing leads the count elsewhere or keeps the agent busy. A file counts once.
 */
async function usedBytes(directory: string, enough: number): Promise<number> {
  let used = 0;
  const counted = new Set<bigint>();
  const count = ({ directory: parent, entry }: Place): void => {
    const found = parent.statOf(entry.name);
    if (found === undefined || counted.has(found.inode)) return;
    if (found.links > 1 && found.type !== 'directory' && counted.size < linksMax) counted.add(found.inode);
    used += found.usedBytes;
    if (used > enough) throw new CountedEnough();
  };
  const enter = (place: Place): boolean => {
    count(place);
    return true;
  };
  try {
    // The pod's /etc/hosts and its like; what a container made of it is still one file.
    const itself = await lstat(directory);
    if (!itself.isDirectory()) return itself.blocks * blockBytes;
    using root = createTrees().open(directory);

    await walkTree(root, { visit: count, enter });
  } catch (error) {
    // What is removed meanwhile is not used any more; of what is moved away meanwhile, what was seen counts.
    const isMoved = isPodwrightError(error, 'E_CONFLICT');
    if (errnoOf(error) !== 'ENOENT' && !isMoved && !(error instanceof CountedEnough)) throw error;
  }
  return used;
}

/** Unit of st_blocks, stat(2). */
const blockBytes = 512;

class CountedEnough extends Error {}

/** Files of several names that are remembered; more of them count by each name, which is their maker's loss. */
const linksMax = 65_536;
