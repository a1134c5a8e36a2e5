import { chmod, lchown, lstat, readdir } from 'node:fs/promises';
import path from 'node:path';

/**
 * Gives a volume to the pod's fsGroup: group ownership, read and write for the group, new files in directories inherit
 * it. Symbolic links are not followed. Skipped when the root already has it (`OnRootMismatch`).
 */
export async function applyFsGroup(
  root: string,
  fsGroup: number,
  policy: 'Always' | 'OnRootMismatch' = 'OnRootMismatch',
): Promise<void> {
  const before = await lstat(root);
  const isDone = before.gid === fsGroup && (before.mode & 0o2770) === 0o2770;
  if (isDone && policy === 'OnRootMismatch') return;
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  for (const entry of entries) {
    if (entry.isSymbolicLink()) continue;
    await give(path.join(entry.parentPath, entry.name), fsGroup, entry.isDirectory());
  }
  await give(root, fsGroup, true); // Last, so that an interrupted walk is done again.
}

async function give(target: string, gid: number, isDirectory: boolean): Promise<void> {
  const { uid, mode } = await lstat(target);
  await lchown(target, uid, gid);
  await chmod(target, (mode & 0o7777) | (isDirectory ? 0o2770 : 0o660));
}
