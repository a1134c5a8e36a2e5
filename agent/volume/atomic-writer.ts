import {
  chmodSync,
  lchownSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
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
 * Whether anything changed. The calls are synchronous: these volumes live on a tmpfs, their content is that of API objects (3 MiB
 * at most), and a token's volume is twenty calls, which cost 0.4 ms so and 1.4 ms as trips through libuv's pool, more when the agent is busy.
 * Source of the layout: k8s.io/kubernetes pkg/volume/util/atomic_writer.go.
 */
export function writeAtomically(directory: string, payload: Payload, fsGroup: number | undefined): boolean {
  mkdirSync(directory, { recursive: true, mode: 0o755 });
  const data = path.join(directory, '..data');
  const old = currentTarget(data);
  if (old !== undefined && isEqual(path.join(directory, old), payload)) return false;
  const fresh = mkdtempSync(`${directory}/..`); // Not join(), which would take the dots for the parent.
  writeFiles(fresh, payload, fsGroup);
  const link = `${data}_tmp`;
  rmSync(link, { force: true });
  symlinkSync(path.basename(fresh), link);
  renameSync(link, data);
  linkNames(directory, payload);
  if (old !== undefined) rmSync(path.join(directory, old), { recursive: true, force: true });
  return true;
}

function writeFiles(root: string, payload: Payload, fsGroup: number | undefined): void {
  chmodSync(root, 0o755);
  const directories = new Set([...payload.keys()].map((name) => path.dirname(path.join(root, name))));
  for (const directory of directories) mkdirSync(directory, { recursive: true, mode: 0o755 });
  for (const [name, file] of payload) {
    const target = path.join(root, name);
    writeFileSync(target, file.data);
    if (fsGroup !== undefined || file.uid !== undefined) lchownSync(target, file.uid ?? 0, fsGroup ?? 0);
    // The group of the pod may read what its owner may; chmod after chown, and whatever the umask is.
    chmodSync(target, fsGroup === undefined ? file.mode : file.mode | 0o440);
  }
}

function linkNames(directory: string, payload: Payload): void {
  const wanted = new Set([...payload.keys()].map((name) => name.split('/')[0] ?? name));
  const present = new Set(readdirSync(directory).filter((name) => !name.startsWith('..')));
  for (const name of wanted) {
    if (!present.has(name)) symlinkSync(path.join('..data', name), path.join(directory, name));
  }
  for (const name of present) {
    if (!wanted.has(name)) rmSync(path.join(directory, name), { recursive: true, force: true });
  }
}

function currentTarget(link: string): string | undefined {
  try {
    return readlinkSync(link);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

function isEqual(root: string, payload: Payload): boolean {
  try {
    const entries = readdirSync(root, { recursive: true, withFileTypes: true });
    const names = entries
      .filter((entry) => !entry.isDirectory())
      .map((entry) => path.relative(root, path.join(entry.parentPath, entry.name)));
    if (names.length !== payload.size) return false;
    for (const name of names) {
      const file = payload.get(name);
      const target = path.join(root, name);
      if (file === undefined || !Buffer.from(file.data).equals(readFileSync(target))) return false;
      if ((statSync(target).mode & 0o777 & ~0o440) !== (file.mode & 0o777 & ~0o440)) return false;
    }
    return true;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false;
    throw error;
  }
}
