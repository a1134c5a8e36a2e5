import type { Dirent } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf } from '#base/errors.ts';
import { defaultDevices } from '#native/launch/compile-container.ts';
import type { ContainerLaunch } from '#native/launch/launch.ts';

type HostDevice = ContainerLaunch['devices'][number];

/** Of the host's /dev what is another file system, the console that the host is operated from, and the master of its terminals. */
const leftOut: ReadonlySet<string> = new Set([
  'pts',
  'shm',
  'fd',
  'mqueue',
  'hugepages',
  '.lxc',
  '.lxd-mounts',
  '.udev',
  'console',
  'ptmx',
]);

/** More is no machine's /dev, and a program of a launch has room for it. */
const hostDevicesMax = 4096;

/** Every device node below a directory like /dev, with mode and owner, as /dev/…; links and the defaults of containers are left out. */
export async function listHostDevices(directory: string): Promise<readonly HostDevice[]> {
  const devices: HostDevice[] = [];
  const own = new Set(defaultDevices.map(({ path }) => path));
  const walk = async (below: string): Promise<void> => {
    for (const entry of await entriesOf(join(directory, below))) {
      const path = join(below, entry.name);
      if (leftOut.has(path) || own.has(`/dev/${path}`) || devices.length >= hostDevicesMax) continue;
      if (entry.isDirectory()) await walk(path);
      if (!entry.isCharacterDevice() && !entry.isBlockDevice()) continue;
      const device = await deviceAt(join(directory, path), `/dev/${path}`);
      if (device !== undefined) devices.push(device);
    }
  };
  await walk('');
  return devices.toSorted((a, b) => (a.path < b.path ? -1 : 1));
}

/** None of a directory that has just gone. */
async function entriesOf(directory: string): Promise<readonly Dirent[]> {
  try {
    return await readdir(directory, { withFileTypes: true });
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw error;
  }
}

/** Of what a link leads to: kubelets say block volumes, and hosts devices by their numbers, as links. Undefined where it has just gone. */
export async function deviceAt(source: string, path: string): Promise<HostDevice | undefined> {
  try {
    const status = await stat(source);
    const type = status.isBlockDevice() ? 'b' : 'c';
    return {
      path,
      type,
      ...numbersOf(status.rdev),
      mode: status.mode & 0o777,
      uid: status.uid,
      gid: status.gid,
    };
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** gnu_dev_major and gnu_dev_minor (sys/sysmacros.h) for numbers of 32 bits, as the kernel has them (linux/kdev_t.h). */
function numbersOf(device: number): { readonly major: number; readonly minor: number } {
  return { major: (device >> 8) & 0xfff, minor: (device & 0xff) | ((device >> 12) & 0xf_ff00) };
}
