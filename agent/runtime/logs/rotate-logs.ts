import { open, readdir, rename, rm, stat } from 'node:fs/promises';
import { errnoOf } from '#base/errors.ts';

export interface LogRotation {
  readonly sizeBytesMax: number;
  /** With the one being written. */
  readonly filesMax: number;
}

/** containerLogMaxSize and containerLogMaxFiles of a kubelet. */
export const defaultLogRotation: LogRotation = { sizeBytesMax: 10 * 1024 * 1024, filesMax: 5 };

/** `0.log.20261120-082750`, as the kubelet names them: sorted by name is sorted by age. */
export function rotatedName(path: string, nowMs: number): string {
  const [date = '', time = ''] = new Date(nowMs).toISOString().split('T');
  return `${path}.${date.replaceAll('-', '')}-${time.slice(0, 8).replaceAll(':', '')}`;
}

/**
 * Rotates a log that has grown too large: renamed, and the writer told to open anew; the oldest rotated files go.
 * @returns whether it was rotated
 */
export async function rotateLog(
  path: string,
  options: { readonly rotation: LogRotation; readonly nowMs: number; readonly reopen: () => Promise<void> },
): Promise<boolean> {
  const { rotation, nowMs, reopen } = options;
  if ((await sizeOf(path)) < rotation.sizeBytesMax) return false;
  const rotated = rotatedName(path, nowMs);
  // Twice in one second: the next look rotates it. Renaming would throw the earlier file's lines away.
  if (await exists(rotated)) return false;
  await rename(path, rotated);
  try {
    await reopen();
  } catch (error) {
    // The writer still has the old file: put it back under its name, unless a new one is there.
    if (!(await exists(path))) await rename(rotated, path);
    throw error;
  }
  const old = await rotatedLogs(path);
  for (const each of old.slice(0, Math.max(0, old.length - (rotation.filesMax - 1))))
    await rm(each, { force: true });
  return true;
}

/** The rotated files of a log, oldest first. */
export async function rotatedLogs(path: string): Promise<readonly string[]> {
  const at = path.lastIndexOf('/');
  const [directory, prefix] = [path.slice(0, at), `${path.slice(at + 1)}.`];
  try {
    const names = await readdir(directory);
    return names
      .filter((name) => name.startsWith(prefix))
      .toSorted()
      .map((name) => `${directory}/${name}`);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw error;
  }
}

/** Removes a log and its rotated files. */
export async function removeLogs(path: string): Promise<void> {
  for (const each of [path, ...(await rotatedLogs(path))]) await rm(each, { force: true });
}

async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return 0;
    throw error;
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await using _file = await open(path, 'r');

    return true;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false;
    throw error;
  }
}
