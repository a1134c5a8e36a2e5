import { resolve } from 'node:path';

/** Directories of the system (hier(7)) and of its users: neither they nor what they lie in is anybody's to remove. */
const systemDirectories: readonly string[] = [
  '/bin /boot /dev /etc /home /lib /lib32 /lib64 /libx32 /lost+found /media /mnt /opt /proc /root /run /sbin /snap /srv /sys /tmp',
  '/usr /var /etc/systemd /etc/systemd/system /run/lock /run/systemd /run/user /var/backups /var/cache /var/lib /var/local',
  '/var/lock /var/log /var/mail /var/opt /var/run /var/spool /var/tmp /sys/fs /sys/fs/cgroup /sys/fs/cgroup/unified /dev/shm',
].flatMap((line) => line.split(' '));

/** Below these there is nothing of ours, whatever a path says. */
const systemTrees: readonly string[] = [
  '/bin',
  '/boot',
  '/dev',
  '/lib',
  '/lib64',
  '/proc',
  '/sbin',
  '/sys',
  '/usr',
];

/**
 * Why a directory can never be removed as one of ours, by its name alone: `/`, what the system is made of, homes. undefined
 * when its name does not speak against it. Pure.
 */
export function protectedPathProblem(path: string, homes: readonly string[] = []): string | undefined {
  if (!path.startsWith('/') || resolve(path) !== path) return 'it is no absolute path in its plain form';
  if (path === '/') return 'it is the root of the file system';
  if (systemDirectories.includes(path)) return 'it is a directory of the system';
  const tree = systemTrees.find((each) => path.startsWith(`${each}/`));
  if (tree !== undefined && !path.startsWith('/dev/shm/')) return `it lies in ${tree}, which is the system's`;
  const home = homes.find((each) => each === path || each.startsWith(`${path}/`));
  if (home === path || /^\/home\/[^/]+$/.test(path)) return 'it is a home directory';
  return home === undefined ? undefined : `the home directory ${home} lies in it`;
}
