import { lstat, statfs } from 'node:fs/promises';
import path from 'node:path';
import { errnoOf } from '#base/errors.ts';
import type { DiskUse } from '#agent/kubelet/evict/used-below.ts';
import { readRecords, type FoundRecord } from '#agent/volume/claims/records.ts';
import type { FileSystemFacts, VolumeFacts } from './stats-input.ts';

/** What volumes of claims use, by the uid of the pod. `usedBelow` counts a directory file by file, and may remember. */
export async function readVolumeStats(
  podsDirectory: string,
  usedBelow: (directory: string) => Promise<DiskUse>,
): Promise<ReadonlyMap<string, readonly VolumeFacts[]>> {
  const byPod = new Map<string, VolumeFacts[]>();
  for (const record of await readRecords(podsDirectory)) {
    const facts = await factsOf(record, usedBelow);
    if (facts !== undefined) byPod.set(record.podUid, [...(byPod.get(record.podUid) ?? []), facts]);
  }
  return byPod;
}

/** Undefined for what has no files: a block device, a volume that is not there yet, or is gone again; and for what a server has, which may be away. */
async function factsOf(
  { name, claim, path: directory, isRemote, sizeBytes }: FoundRecord,
  usedBelow: (directory: string) => Promise<DiskUse>,
): Promise<VolumeFacts | undefined> {
  if (directory === undefined || isRemote === true) return undefined;
  const slash = claim.indexOf('/');
  const names = { namespace: claim.slice(0, slash), name: claim.slice(slash + 1) };
  try {
    const found = await lstat(directory);
    if (!found.isDirectory()) return undefined;
    const fileSystem = await readFileSystem(directory);
    // One that is a file system of its own counts itself.
    const isOwn = (await lstat(path.dirname(directory))).dev !== found.dev;
    const used = isOwn ? usedOf(fileSystem) : await usedBelow(directory);
    return { name, claim: names, fileSystem: within(fileSystem, used, sizeBytes), used };
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** A volume of a size that nothing enforces is told of as if it ended there: who watches over it sees it become full (decision 0138). Pure. */
export function within(
  { capacityBytes, availableBytes, ...inodes }: FileSystemFacts,
  used: DiskUse,
  sizeBytes = 0,
): FileSystemFacts {
  if (sizeBytes <= 0) return { capacityBytes, availableBytes, ...inodes };
  return {
    capacityBytes: Math.min(capacityBytes, sizeBytes),
    availableBytes: Math.min(availableBytes, Math.max(0, sizeBytes - used.bytes)),
    ...inodes,
  };
}

/** The file system that a directory is on (statfs(2)). */
export async function readFileSystem(directory: string): Promise<FileSystemFacts> {
  const { blocks, bavail, bsize, files, ffree } = await statfs(directory);
  return { capacityBytes: blocks * bsize, availableBytes: bavail * bsize, inodes: files, inodesFree: ffree };
}

function usedOf({ capacityBytes, availableBytes, inodes, inodesFree }: FileSystemFacts): DiskUse {
  return { bytes: capacityBytes - availableBytes, inodes: inodes - inodesFree };
}
