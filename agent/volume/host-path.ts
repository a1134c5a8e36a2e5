import { lstatSync, type Stats } from 'node:fs';
import { mkdir, stat, writeFile } from 'node:fs/promises';
import type { HostPathVolumeSource } from '#api/generated/objects.ts';
import { errnoOf, PodwrightError } from '#base/errors.ts';
import type { VolumeKind } from './volume.ts';

type HostPathType = NonNullable<HostPathVolumeSource['type']>;

const tests: Readonly<Record<Exclude<HostPathType, ''>, (stats: Stats) => boolean>> = {
  Directory: (stats) => stats.isDirectory(),
  DirectoryOrCreate: (stats) => stats.isDirectory(),
  File: (stats) => stats.isFile(),
  FileOrCreate: (stats) => stats.isFile(),
  Socket: (stats) => stats.isSocket(),
  CharDevice: (stats) => stats.isCharacterDevice(),
  BlockDevice: (stats) => stats.isBlockDevice(),
};

/** A path of the host, of the type asked for. Ownership is the host's: fsGroup does not apply. */
export const hostPath: VolumeKind<HostPathVolumeSource> = {
  place: 'none',
  mount: async ({ path: given, type = '' }, { view }) => {
    if (given.split('/').includes('..') || !given.startsWith('/')) {
      throw new PodwrightError('E_INVALID', `hostPath ${given}: must be absolute and without '..'`);
    }
    const path = view?.inside(given) ?? given;
    // As container runtimes do for a bind mount whose source is missing.
    if ((type === 'DirectoryOrCreate' || type === '') && !exists(path))
      await mkdir(path, { recursive: true, mode: 0o755 });
    if (type === 'FileOrCreate' && !exists(path)) await createFile(path);
    if (type !== '') await check(path, type);
    return { path };
  },
};

/** O_EXCL: neither a link that leads nowhere nor a file that came meanwhile is written to. */
async function createFile(path: string): Promise<void> {
  try {
    await writeFile(path, '', { mode: 0o644, flag: 'wx' });
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error;
  }
}

async function check(path: string, type: Exclude<HostPathType, ''>): Promise<void> {
  const found = await stat(path).catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  });
  if (found !== undefined && tests[type](found)) return;
  throw new PodwrightError('E_INVALID', `hostPath type check failed: ${path} is not a ${describe[type]}`);
}

const describe: Readonly<Record<Exclude<HostPathType, ''>, string>> = {
  Directory: 'directory',
  DirectoryOrCreate: 'directory',
  File: 'file',
  FileOrCreate: 'file',
  Socket: 'socket file',
  CharDevice: 'character device',
  BlockDevice: 'block device',
};

function exists(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}
