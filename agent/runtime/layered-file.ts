import { lstat, open, readlink } from 'node:fs/promises';
import { errnoOf, PodwrightError } from '#base/errors.ts';

const linksMax = 40; // MAXSYMLINKS of Linux

/**
 * Reads a small file as a container made of these layers (top first) would see it, without mounting them: whiteouts hide,
 * symbolic links are followed inside the layers only. Opaque directories are not asked for: the files that we read this way
 * (/etc/passwd, /etc/group) would be hidden with all of /etc.
 *
 * Undefined when there is none. @throws E_INVALID when it is larger than `bytesMax` or links go round
 */
export async function readLayeredFile(
  layers: readonly string[],
  path: string,
  bytesMax: number,
): Promise<string | undefined> {
  let rest = split(path);
  let done: string[] = [];
  for (let links = 0; rest.length > 0;) {
    const [name = '', ...after] = rest;
    const here = [...done, name];
    const found = await findTop(layers, here);
    if (found === undefined) return undefined;
    if (found.isLink) {
      links += 1;
      if (links > linksMax)
        throw new PodwrightError('E_INVALID', `read ${path} of image: too many symbolic links`);
      const target = await readlink(found.path);
      const base = target.startsWith('/') ? [] : done;
      rest = resolveDots([...base, ...split(target), ...after]);
      done = [];
      continue;
    }
    if (after.length === 0) return found.isFile ? readBounded(found.path, bytesMax) : undefined;
    done = here;
    rest = after;
  }
  return undefined;
}

async function findTop(
  layers: readonly string[],
  components: readonly string[],
): Promise<{ readonly path: string; readonly isLink: boolean; readonly isFile: boolean } | undefined> {
  for (const layer of layers) {
    const path = `${layer}/${components.join('/')}`;
    try {
      const stats = await lstat(path);
      if (stats.isCharacterDevice() && stats.rdev === 0) return undefined; // whiteout
      return { path, isLink: stats.isSymbolicLink(), isFile: stats.isFile() };
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT' && errnoOf(error) !== 'ENOTDIR') throw error;
    }
  }
  return undefined;
}

async function readBounded(path: string, bytesMax: number): Promise<string> {
  await using file = await open(path, 'r');

  const { size } = await file.stat();
  if (size > bytesMax) throw new PodwrightError('E_INVALID', `read ${path}: larger than ${bytesMax} bytes`);
  return file.readFile('utf8');
}

function split(path: string): string[] {
  return path.split('/').filter((part) => part !== '' && part !== '.');
}

function resolveDots(parts: readonly string[]): string[] {
  const resolved: string[] = [];
  for (const part of parts) {
    if (part === '..') resolved.pop();
    else resolved.push(part);
  }
  return resolved;
}
