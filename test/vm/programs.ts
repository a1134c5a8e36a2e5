import { existsSync } from 'node:fs';
import { join } from 'node:path';

/** Programs of the machine that make and run guests, and the packages of Debian that have them. */
const programs: Readonly<Record<string, string>> = {
  'apt-get': 'apt',
  'dpkg-deb': 'dpkg',
  tar: 'tar',
  'mkfs.erofs': 'erofs-utils',
  depmod: 'kmod',
  cpio: 'cpio',
  ldconfig: 'libc-bin',
  'qemu-system-x86_64': 'qemu-system-x86',
};

const directories = [...(process.env['PATH'] ?? '').split(':'), '/usr/sbin', '/sbin'];

/** Packages that this machine lacks for the VM lane, in alphabetical order. */
export function missingPackages(): readonly string[] {
  const missing = Object.entries(programs).filter(
    ([program]) => !directories.some((directory) => existsSync(join(directory, program))),
  );
  return missing.map(([, name]) => name).toSorted();
}
