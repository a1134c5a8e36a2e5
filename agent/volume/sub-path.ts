import { constants } from 'node:fs';
import { mkdir, open, rmdir, stat, unlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { errnoOf, PodwrightError } from '#base/errors.ts';
import { ensureInside, openInside } from '#native/fs/open-inside.ts';
import type { Mounter } from './volume.ts';

export interface SubPathRequest {
  /** The volume. */
  readonly root: string;
  readonly subPath: string;
  /** Where the agent keeps the bind: `…/subpaths/<container>/<index>`. */
  readonly target: string;
  readonly mounter: Mounter;
}

/**
 * Binds a path inside a volume to a place of the agent's own, which containers then get. The path is opened by the kernel beneath the
 * volume, and what was opened is what is bound, by its descriptor: nothing that a container swaps meanwhile is looked at again. A
 * missing directory is made, as open as the volume. What the bind shows, and whether it is a file.
 */
export async function bindSubPath(
  request: SubPathRequest,
): Promise<{ readonly path: string; readonly isFile: boolean }> {
  const { root, subPath, target, mounter } = request;
  checkSubPath(subPath);
  const { mode } = await stat(root);
  using found = ensureInside(root, subPath, mode & 0o7777);

  const isFile = found.type !== 'directory';
  await removeTarget(target, mounter);
  await mkdir(path.dirname(target), { recursive: true });
  if (isFile) await writeFile(target, '', { flag: 'wx' });
  else await mkdir(target);
  mounter.bind(`/proc/self/fd/${found.fd}`, target);
  return { path: target, isFile };
}

/** What an earlier bind left: a mount point of ours, which is empty. Were something still mounted there, nothing of it would go. */
async function removeTarget(target: string, mounter: Mounter): Promise<void> {
  for (let count = 0; count < mountsMax && mounter.unmount(target);) count++;
  try {
    await unlink(target);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return;
    if (errnoOf(error) !== 'EISDIR' && errnoOf(error) !== 'EPERM') throw error;
    await rmdir(target);
  }
}

/** Mounts on one another at one place. */
const mountsMax = 100;

/** The text of a file inside a volume, found with the same care; undefined when it is not there. @throws {E_LIMIT} */
export async function readInside(
  root: string,
  subPath: string,
  bytesMax: number,
): Promise<string | undefined> {
  checkSubPath(subPath);
  try {
    using found = openInside(root, subPath);

    if (found.type !== 'file') throw new PodwrightError('E_INVALID', `read ${subPath}: not a file`);
    if (found.sizeBytes > bytesMax)
      throw new PodwrightError('E_LIMIT', `read ${subPath}: ${found.sizeBytes} bytes, at most ${bytesMax}`);
    await using file = await open(`/proc/self/fd/${found.fd}`, constants.O_RDONLY | constants.O_NONBLOCK);

    // It may have grown since: no more than the bound is read.
    const { buffer, bytesRead } = await file.read(Buffer.alloc(bytesMax), 0, bytesMax, 0);
    return buffer.toString('utf8', 0, bytesRead);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** As the API has it for what stands in a pod; this one may be made of variables. */
function checkSubPath(subPath: string): void {
  if (!subPath.startsWith('/') && !subPath.split('/').includes('..') && !subPath.includes('\0')) return;
  throw new PodwrightError('E_INVALID', `subPath ${JSON.stringify(subPath)}: leads out of the volume`);
}
