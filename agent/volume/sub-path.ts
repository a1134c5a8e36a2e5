import { constants } from 'node:fs';
import { mkdir, open, readlink, rm, writeFile, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { errnoOf, PodwrightError } from '#base/errors.ts';
import type { Mounter } from './volume.ts';

const { O_RDONLY, O_NOFOLLOW, O_DIRECTORY, O_NONBLOCK } = constants;

export interface SubPathRequest {
  /** The volume. */
  readonly root: string;
  readonly subPath: string;
  /** Where the agent keeps the bind: `…/subpaths/<container>/<index>`. */
  readonly target: string;
  readonly mounter: Mounter;
}

/**
 * Binds a path inside a volume to a place of the agent's own, which containers then get. Links are resolved inside the
 * volume first; the walk to the result then opens one component after another and follows none, so that a container
 * cannot swap one in between (CVE-2017-1002101). A missing directory is made. What the bind shows, and whether it is a file.
 */
export async function bindSubPath(
  request: SubPathRequest,
): Promise<{ readonly path: string; readonly isFile: boolean }> {
  const { root, subPath, target, mounter } = request;
  await using handle = await openInside(root, subPath, { makesMissing: true });

  const isFile = !(await handle.stat()).isDirectory();
  mounter.unmount(target);
  await rm(target, { recursive: true, force: true });
  await mkdir(path.dirname(target), { recursive: true });
  if (isFile) await writeFile(target, '');
  else await mkdir(target);
  mounter.bind(`/proc/self/fd/${handle.fd}`, target);
  return { path: target, isFile };
}

/** The text of a file inside a volume, found with the same care; undefined when it is not there. @throws {E_LIMIT} */
export async function readInside(
  root: string,
  subPath: string,
  bytesMax: number,
): Promise<string | undefined> {
  try {
    await using handle = await openInside(root, subPath, { makesMissing: false });

    const stats = await handle.stat();
    if (!stats.isFile()) throw new PodwrightError('E_INVALID', `read ${subPath}: not a file`);
    if (stats.size > bytesMax)
      throw new PodwrightError('E_LIMIT', `read ${subPath}: ${stats.size} bytes, at most ${bytesMax}`);
    // It may have grown since: no more than the bound is read.
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(bytesMax), 0, bytesMax, 0);
    return buffer.toString('utf8', 0, bytesRead);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

async function openInside(
  root: string,
  subPath: string,
  { makesMissing }: { readonly makesMissing: boolean },
): Promise<FileHandle> {
  const components = await resolveLinks(root, subPath);
  let handle = await open(root, O_RDONLY | O_DIRECTORY);
  const mode = (await handle.stat()).mode & 0o7777; // What is made inside a volume is as open as the volume.
  for (const [index, name] of components.entries()) {
    const parent = handle;
    try {
      handle = await openChild(parent, name, { isLast: index === components.length - 1, mode, makesMissing });
    } finally {
      await parent.close();
    }
  }
  return handle;
}

const linksMax = 40; // As the kernel's MAXSYMLINKS.

/** The components of the path below the root without symbolic links. @throws {E_INVALID} when it leads out of the root */
async function resolveLinks(root: string, subPath: string): Promise<readonly string[]> {
  const escape = (): PodwrightError =>
    new PodwrightError('E_INVALID', `subPath ${JSON.stringify(subPath)}: leads out of the volume`);
  if (subPath.startsWith('/') || subPath.split('/').includes('..')) throw escape();
  const todo = subPath.split('/');
  const resolved: string[] = [];
  for (let links = 0; todo.length > 0;) {
    const name = todo.shift() ?? '';
    if (name === '' || name === '.') continue;
    if (name === '..') {
      if (resolved.pop() === undefined) throw escape();
      continue;
    }
    const link = await linkTarget(path.join(root, ...resolved, name));
    if (link === undefined) resolved.push(name);
    else if (link.startsWith('/') || ++links > linksMax) throw escape();
    else todo.unshift(...link.split('/'));
  }
  return resolved;
}

async function linkTarget(file: string): Promise<string | undefined> {
  try {
    return await readlink(file);
  } catch (error) {
    if (errnoOf(error) === 'EINVAL' || errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

async function openChild(
  parent: FileHandle,
  name: string,
  {
    isLast,
    mode,
    makesMissing,
  }: { readonly isLast: boolean; readonly mode: number; readonly makesMissing: boolean },
): Promise<FileHandle> {
  const child = `/proc/self/fd/${parent.fd}/${name}`;
  const flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | (isLast ? 0 : O_DIRECTORY);
  try {
    return await open(child, flags);
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT' || !makesMissing) throw error;
    await mkdir(child);
    const made = await open(child, flags | O_DIRECTORY);
    await made.chmod(mode); // Whatever the umask is.
    return made;
  }
}
