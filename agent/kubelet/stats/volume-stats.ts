import { lstat, statfs } from 'node:fs/promises';
import path from 'node:path';
import type { Clock } from '#base/clock.ts';
import { errnoOf } from '#base/errors.ts';
import type { Pod } from '#api/generated/objects.ts';
import type { DiskUse } from '#agent/kubelet/evict/used-below.ts';
import type { KubeletDirectories } from '#agent/kubelet/pod-paths.ts';
import { readRecords, type FoundRecord } from '#agent/volume/claims/records.ts';
import type { VolumeCounts } from '#agent/volume/counts/volume-counts.ts';
import type { ClaimVolumeFacts, FileSystemFacts, OwnVolumeFacts, VolumeFacts } from './stats-input.ts';

/** How it is found out what a volume uses. */
export interface Measure {
  /** Counts a directory file by file, and may remember; tells only how long it took to count. */
  readonly usedBelow: (directory: string, tell?: (seconds: number) => void) => Promise<DiskUse>;
  readonly clock: Pick<Clock, 'monotonic'>;
  readonly counts?: Pick<VolumeCounts, 'measured'> | undefined;
}

/** What volumes of claims use, by the uid of the pod. */
export async function readVolumeStats(
  podsDirectory: string,
  measure: Measure,
): Promise<ReadonlyMap<string, readonly ClaimVolumeFacts[]>> {
  const byPod = new Map<string, ClaimVolumeFacts[]>();
  for (const record of await readRecords(podsDirectory)) {
    const facts = await factsOf(record, measure);
    if (facts !== undefined) byPod.set(record.podUid, [...(byPod.get(record.podUid) ?? []), facts]);
  }
  return byPod;
}

/** The fields of a volume whose files the node makes for one pod, and counts (kubelet, MetricsProvider of pkg/volume). */
const ownFields = ['emptyDir', 'configMap', 'secret', 'projected', 'downwardAPI'] as const;

/** What volumes use that are the pod's own; without those that are not there yet. */
export async function readOwnVolumes(
  pod: Pod,
  directories: Pick<KubeletDirectories, 'pods' | 'podsMemory'>,
  measure: Measure,
): Promise<readonly OwnVolumeFacts[]> {
  const uid = pod.metadata?.uid ?? '';
  const found: OwnVolumeFacts[] = [];
  for (const volume of pod.spec?.volumes ?? []) {
    const field = ownFields.find((each) => volume[each] !== undefined);
    if (field === undefined) continue;
    for (const root of [directories.pods, directories.podsMemory]) {
      const facts = await usedBy(path.join(root, uid, 'volumes', field, volume.name), measure);
      if (facts === undefined) continue;
      const isOnDisk = root === directories.pods && volume.emptyDir?.medium !== 'Memory';
      found.push({ name: volume.name, ...facts, isOnDisk });
      break;
    }
  }
  return found;
}

/** Undefined for what has no files: a block device, a volume that is not there yet, or is gone again; and for what a server has, which may be away. */
async function factsOf(
  { name, claim, path: directory, isRemote, sizeBytes }: FoundRecord,
  measure: Measure,
): Promise<ClaimVolumeFacts | undefined> {
  if (directory === undefined || isRemote === true) return undefined;
  const slash = claim.indexOf('/');
  const names = { namespace: claim.slice(0, slash), name: claim.slice(slash + 1) };
  const facts = await usedBy(directory, measure);
  if (facts === undefined) return undefined;
  const { fileSystem, used } = facts;
  return { name, claim: names, fileSystem: within(fileSystem, used, sizeBytes), used };
}

/** Undefined for what is no directory, or not there. */
async function usedBy(
  directory: string,
  { usedBelow, clock, counts }: Measure,
): Promise<Pick<VolumeFacts, 'fileSystem' | 'used'> | undefined> {
  try {
    const found = await lstat(directory);
    if (!found.isDirectory()) return undefined;
    const startMs = clock.monotonic();
    const fileSystem = await readFileSystem(directory);
    counts?.measured('statfs', (clock.monotonic() - startMs) / 1000);
    // One that is a file system of its own counts itself.
    const isOwn = (await lstat(path.dirname(directory))).dev !== found.dev;
    const used = isOwn
      ? usedOf(fileSystem)
      : await usedBelow(directory, (seconds) => counts?.measured('du', seconds));
    return { fileSystem, used };
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
