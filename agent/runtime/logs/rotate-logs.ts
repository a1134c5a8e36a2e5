/**
 * Rotation of a log. Each step may be the last one of this agent, or of the supervisor that writes:
 *
 *     0.log ─ rename ─▶ 0.log.20261120-082750 ─ the writer opens 0.log anew ─ the oldest are removed
 *           ◀─ link, unlink ─ where the writer cannot: it goes on with the file that it has
 *
 * `repairLog` goes on from wherever that was. No step writes over a file that is there.
 */
import { link, readdir, rename, rm, stat } from 'node:fs/promises';
import type { Stats } from 'node:fs';
import { errnoOf } from '#base/errors.ts';

export interface LogRotation {
  readonly sizeBytesMax: number;
  /** With the one being written. */
  readonly filesMax: number;
}

/** A container's log. */
export interface ContainerLog {
  readonly path: string;
  /** Tells its writer that it was renamed; undefined when nobody writes any more. */
  readonly reopen: (() => Promise<void>) | undefined;
}

/** containerLogMaxSize and containerLogMaxFiles of a kubelet. */
export const defaultLogRotation: LogRotation = { sizeBytesMax: 10 * 1024 * 1024, filesMax: 5 };

/**
 * `0.log.20261120-082750`, as the kubelet names them: sorted by name is sorted by age. Later than the newest one, whatever the
 * clock says.
 */
export function rotatedName(path: string, nowMs: number, newest: string | undefined): string {
  const stamp = newest?.slice(path.length + 1).replace(stampPattern, '$1-$2-$3T$4:$5:$6Z') ?? '';
  const newestMs = Date.parse(stamp);
  const atMs = Number.isNaN(newestMs) ? nowMs : Math.max(nowMs, newestMs + 1000);
  const [date = '', time = ''] = new Date(atMs).toISOString().split('T');
  return `${path}.${date.replaceAll('-', '')}-${time.slice(0, 8).replaceAll(':', '')}`;
}

const stampPattern = /^(\d{4})(\d\d)(\d\d)-(\d\d)(\d\d)(\d\d)$/;

/**
 * Rotates a log that has grown too large: renamed, and the writer told to open anew; the oldest rotated files go.
 * @returns whether it was rotated
 */
export async function rotateLog(
  { path, reopen }: ContainerLog,
  { rotation, nowMs }: { readonly rotation: LogRotation; readonly nowMs: number },
): Promise<boolean> {
  if (reopen === undefined) return false;
  const found = await statOf(path);
  // Cut off between rename and reopen, or somebody removed it: what is written goes where nobody reads.
  if (found === undefined) await reopen();
  if (found === undefined || found.size < rotation.sizeBytesMax) return false;
  const rotated = rotatedName(path, nowMs, (await rotatedLogs(path)).at(-1));
  await rename(path, rotated);
  try {
    await reopen();
  } catch (error) {
    // The writer still has the old file: it gets its name back.
    await putBack(rotated, path);
    throw error;
  }
  await removeOldest(path, rotation);
  return true;
}

/** Goes on with a rotation that was cut off, by whoever was killed. */
export async function repairLog({ path, reopen }: ContainerLog, rotation: LogRotation): Promise<void> {
  const newest = (await rotatedLogs(path)).at(-1);
  const current = await statOf(path);
  if (current === undefined) {
    if (reopen !== undefined) await reopen();
    else if (newest !== undefined) await putBack(newest, path);
  } else if (newest !== undefined) {
    const rotated = await statOf(newest);
    // It was being put back: one name is enough.
    if (rotated !== undefined && isSameFile(rotated, current)) await rm(newest, { force: true });
  }
  await removeOldest(path, rotation);
}

/** Not over a file that came there meanwhile: rename(2) would replace it. */
async function putBack(rotated: string, path: string): Promise<void> {
  try {
    await link(rotated, path);
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') return;
    throw error;
  }
  await rm(rotated, { force: true });
}

async function removeOldest(path: string, { filesMax }: LogRotation): Promise<void> {
  const old = await rotatedLogs(path);
  const many = Math.max(0, old.length - (filesMax - 1));
  for (const each of old.slice(0, many)) await rm(each, { force: true });
}

/** The rotated files of a log, oldest first. */
export async function rotatedLogs(path: string): Promise<readonly string[]> {
  const at = path.lastIndexOf('/');
  const [directory, prefix] = [path.slice(0, at), `${path.slice(at + 1)}.`];
  try {
    const names = await readdir(directory);
    return names
      .filter((name) => name.startsWith(prefix) && stampPattern.test(name.slice(prefix.length)))
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

export function isSameFile(a: Stats, b: Stats): boolean {
  return a.ino === b.ino && a.dev === b.dev;
}

export async function statOf(path: string): Promise<Stats | undefined> {
  try {
    return await stat(path);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}
