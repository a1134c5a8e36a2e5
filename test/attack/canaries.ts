/** What of the host's must be the same before and after: names, kinds, modes, owners, numbers of devices, contents. */
import { createHash } from 'node:crypto';
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';

export type Fingerprints = ReadonlyMap<string, string>;

const contentBytesMax = 65_536;

/** Of each path and all that is below it. Other file systems' devices and terminals come and go: `except` names them. */
export function fingerprint(paths: readonly string[], except: RegExp = /^$/): Fingerprints {
  const found = new Map<string, string>();
  const visit = (path: string): void => {
    if (except.test(path)) return;
    const stats = lstatSync(path, { throwIfNoEntry: false });
    if (stats === undefined) return;
    const { mode, uid, gid, rdev, ino, size } = stats;
    const more = stats.isSymbolicLink()
      ? readlinkSync(path)
      : stats.isFile() && size <= contentBytesMax
        ? createHash('sha256').update(readFileSync(path)).digest('hex')
        : '';
    const sizeText = stats.isFile() ? String(size) : '';
    found.set(path, `${mode.toString(8)} ${uid}:${gid} ${rdev} ${ino} ${sizeText} ${more}`);
    if (stats.isDirectory()) for (const name of readdirSync(path)) visit(join(path, name));
  };
  for (const path of paths) visit(path);
  return found;
}

/** A line for each that came, went, or is another. */
export function differences(before: Fingerprints, after: Fingerprints): readonly string[] {
  const paths = [...new Set([...before.keys(), ...after.keys()])];
  return paths
    .filter((path) => before.get(path) !== after.get(path))
    .map((path) => `${path}: ${before.get(path) ?? 'not there'} -> ${after.get(path) ?? 'gone'}`);
}
