import {
  chmod,
  lchown,
  mkdir,
  mkdtemp,
  readFile,
  readdir,
  readlink,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import path from 'node:path';
import { errnoOf } from '#base/errors.ts';
import type { Payload } from './payload.ts';

/**
 * Writes files so that a reader sees all of the old or all of the new:
 *
 *   volume/key        ▶ ..data/key          one link per first path component
 *   volume/..data     ▶ ..2f9Xa1            swapped by rename(2)
 *   volume/..2f9Xa1/key                     the files
 *
 * Whether anything changed. Source of the layout: k8s.io/kubernetes pkg/volume/util/atomic_writer.go.
 */
export async function writeAtomically(
  directory: string,
  payload: Payload,
  fsGroup: number | undefined,
): Promise<boolean> {
  await mkdir(directory, { recursive: true, mode: 0o755 });
  const data = path.join(directory, '..data');
  const old = await currentTarget(data);
  if (old !== undefined && (await isEqual(path.join(directory, old), payload))) return false;
  const fresh = await mkdtemp(`${directory}/..`); // Not join(), which would take the dots for the parent.
  await writeFiles(fresh, payload, fsGroup);
  const link = `${data}_tmp`;
  await rm(link, { force: true });
  await symlink(path.basename(fresh), link);
  await rename(link, data);
  await linkNames(directory, payload);
  if (old !== undefined) await rm(path.join(directory, old), { recursive: true, force: true });
  return true;
}

async function writeFiles(root: string, payload: Payload, fsGroup: number | undefined): Promise<void> {
  await chmod(root, 0o755);
  const directories = new Set([...payload.keys()].map((name) => path.dirname(path.join(root, name))));
  for (const directory of directories) await mkdir(directory, { recursive: true, mode: 0o755 });
  await Promise.all(
    [...payload].map(async ([name, file]) => {
      const target = path.join(root, name);
      await writeFile(target, file.data);
      if (fsGroup !== undefined || file.uid !== undefined) await lchown(target, file.uid ?? 0, fsGroup ?? 0);
      // The group of the pod may read what its owner may; chmod after chown, and whatever the umask is.
      await chmod(target, fsGroup === undefined ? file.mode : file.mode | 0o440);
    }),
  );
}

async function linkNames(directory: string, payload: Payload): Promise<void> {
  const wanted = new Set([...payload.keys()].map((name) => name.split('/')[0] ?? name));
  const present = new Set((await readdir(directory)).filter((name) => !name.startsWith('..')));
  for (const name of wanted) {
    if (!present.has(name)) await symlink(path.join('..data', name), path.join(directory, name));
  }
  for (const name of present) {
    if (!wanted.has(name)) await rm(path.join(directory, name), { recursive: true, force: true });
  }
}

async function currentTarget(link: string): Promise<string | undefined> {
  try {
    return await readlink(link);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

async function isEqual(root: string, payload: Payload): Promise<boolean> {
  try {
    const entries = await readdir(root, { recursive: true, withFileTypes: true });
    const names = entries
      .filter((entry) => !entry.isDirectory())
      .map((entry) => path.relative(root, path.join(entry.parentPath, entry.name)));
    if (names.length !== payload.size) return false;
    for (const name of names) {
      const file = payload.get(name);
      const target = path.join(root, name);
      if (file === undefined || !Buffer.from(file.data).equals(await readFile(target))) return false;
      if (((await stat(target)).mode & 0o777 & ~0o440) !== (file.mode & 0o777 & ~0o440)) return false;
    }
    return true;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false;
    throw error;
  }
}
