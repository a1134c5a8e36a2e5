/** Options of mount(8), as flags of mount(2) and its data. Pure. */
import type { MountOption } from './mount.ts';

/** All words that are flags. */
export const flagWords: readonly MountOption[] = [
  'ro',
  'nosuid',
  'nodev',
  'noexec',
  'noatime',
  'relatime',
  'nosymfollow',
];
/** What is so anyway, and what is for /etc/fstab and its readers. */
const neutralWords: ReadonlySet<string> = new Set(
  'rw suid dev exec defaults atime auto noauto _netdev nofail'.split(' '),
);

/** Words that are neither are the file system's, which refuses what it does not know. */
export function splitMountOptions(options: readonly string[]): {
  readonly flags: readonly MountOption[];
  readonly data: readonly string[];
} {
  const words = options.flatMap((each) => each.split(',')).filter((word) => word !== '');
  const flags = flagWords.filter((flag) => words.includes(flag));
  const data = words.filter((word) => !neutralWords.has(word) && !flagWords.some((flag) => flag === word));
  return { flags, data };
}
