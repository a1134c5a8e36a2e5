import { PodwrightError } from '#base/errors.ts';

/** A path below the tree's root, or '' for the root: no climbing out, no empty parts. @throws E_INVALID */
export function checkedCgroupPath(path: string): string {
  const parts = path.split('/');
  const isSound = path === '' || parts.every((part) => part !== '' && part !== '.' && part !== '..');
  if (isSound && !path.includes('\0')) return path;
  throw new PodwrightError('E_INVALID', `use cgroup path '${path}'`);
}
