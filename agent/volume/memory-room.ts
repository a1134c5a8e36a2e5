/** Where the memory volumes of a pod live: a tmpfs of the pod's own, so that no pod takes another's room. */
import { existsSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import type { Pod, Volume, VolumeProjection } from '#api/generated/objects.ts';
import { podContentBytesMax } from './content-room.ts';
import type { Mounter } from './volume.ts';

/**
 * Size of a pod's tmpfs: its content once more while it is replaced, and directories. It takes memory for what is in it only; the content
 * is bounded before it is written.
 */
export const memoryRoomBytes: number = 2 * podContentBytesMax + 16_777_216;

/**
 * Whether a pod has memory volumes of more than what nearly all pods have: the one with its token, the cluster's CA and its namespace,
 * which is small by what it is made of. Mounts are for the others, since each of them is copied at every launch on the node.
 */
export function needsMemoryRoom({ spec }: Pod): boolean {
  const inMemory = (spec?.volumes ?? []).filter((volume) => isInMemory(volume));
  const [only] = inMemory;
  if (only === undefined) return false;
  if (only.projected === undefined || inMemory.length > 1) return true;
  const { sources = [] } = only.projected;
  return sources.length > ownSourcesMax || !sources.every(isSmall);
}

/** What must not be written to a disk. */
function isInMemory({ secret, projected }: Volume): boolean {
  return secret !== undefined || projected !== undefined;
}

/** Sources of the volume that admission adds (ServiceAccount admission, kube-api-access). */
const ownSourcesMax = 3;

function isSmall({ serviceAccountToken, configMap, downwardAPI }: VolumeProjection): boolean {
  if (serviceAccountToken !== undefined) return true;
  if (configMap !== undefined) return configMap.name === 'kube-root-ca.crt';
  const items = downwardAPI?.items ?? [];
  return items.length === 1 && items[0]?.fieldRef?.fieldPath === 'metadata.namespace';
}

/** Mounts the pod's tmpfs before anything is in its place; what an earlier agent put there without one stays as it is. */
export function ensureMemoryRoom(directory: string, mounter: Mounter): void {
  if (existsSync(path.join(directory, 'volumes'))) return;
  const isNew = mkdirSync(directory, { recursive: true, mode: 0o755 }) !== undefined;
  if (!isNew && mounter.isMountPoint(directory)) return;
  mounter.tmpfs(directory, { sizeBytes: memoryRoomBytes, mode: 0o755 });
}
