import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';

import { PodwrightError } from '#base/errors.ts';
import type { CgroupController } from '#native/cgroup/cgroup.ts';
import { findCgroup2Mount, parseOwnCgroup, parseWords } from '#native/cgroup/parse.ts';
import { parseMountinfo } from '#native/mount/mountinfo.ts';

/** What nodes delegate to pods, where the host has it. */
export const podControllers: readonly CgroupController[] = [
  'cpu',
  'cpuset',
  'hugetlb',
  'io',
  'memory',
  'pids',
];

/** Where cgroup v2 is mounted. @throws E_UNSUPPORTED with the remedy */
export function findCgroupRoot(): string {
  const root = findCgroup2Mount(parseMountinfo(readFileSync('/proc/self/mountinfo', 'utf8')));
  if (root !== undefined) return root;
  throw new PodwrightError(
    'E_UNSUPPORTED',
    'find cgroup v2: not mounted; mkdir -p /sys/fs/cgroup/unified && mount -t cgroup2 none /sys/fs/cgroup/unified',
  );
}

/** What says where the cgroup of a whole cluster goes. */
export interface CgroupPlace {
  /** Where cgroup v2 is mounted. */
  readonly mount: string;
  /** Of this process, relative to its cgroup namespace; undefined where there is no cgroup v2. */
  readonly own: string | undefined;
  /** The hierarchy belongs to systemd: what is not delegated is not for others to fill. */
  readonly hasSystemd: boolean;
  /** systemd has given the cgroup of this process away (Delegate=yes). */
  readonly isDelegated: boolean;
}

/**
 * The cgroup below which that of a cluster goes: the one that `up` stands in, where that is its own (a container's, a delegated
 * unit's), so that it goes with it; else the top. In a cgroup namespace the top is the container's own. Pure.
 */
export function chooseClusterParent({ mount, own, hasSystemd, isDelegated }: CgroupPlace): string {
  const isBelow = own !== undefined && own !== '/' && !own.startsWith('/..');
  return isBelow && (!hasSystemd || isDelegated) ? join(mount, own) : mount;
}

export interface ClusterParent {
  readonly path: string;
  /** What it can hand down to a cluster; none where processes live in it. */
  readonly controllers: readonly CgroupController[];
  /** Why none, for a person; undefined where it hands down what it has. */
  readonly problem: string | undefined;
}

/** Looks where this process stands; where that is a cgroup of its own, it steps into a leaf of it. @throws E_UNSUPPORTED */
export function findClusterParent(): ClusterParent {
  const mount = findCgroupRoot();
  const own = parseOwnCgroup(readFileSync('/proc/self/cgroup', 'utf8'));
  const hasSystemd = existsSync('/run/systemd/system');
  const isDelegated = hasSystemd && own !== undefined && isUnitDelegated(basename(own));
  const chosen = chooseClusterParent({ mount, own, hasSystemd, isDelegated });
  const path = existsSync(chosen) ? chosen : mount; // A mount of another part of the hierarchy.
  const problem = isRoot(path) || !hasControllers(path) ? undefined : makeRoom(path);
  return { path, controllers: problem === undefined ? podControllers : [], problem };
}

function isUnitDelegated(unit: string): boolean {
  if (!/\.(scope|service)$/.test(unit)) return false;
  try {
    const args = ['show', '--property=Delegate', '--value', '--', unit];
    return (
      execFileSync('systemctl', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim() ===
      'yes'
    );
  } catch {
    return false;
  }
}

/** Only the hierarchy's own root has no type; it may hold processes and hand controllers down. cgroups(7) */
const isRoot = (path: string): boolean => !existsSync(join(path, 'cgroup.type'));

const hasControllers = (path: string): boolean =>
  parseWords(readFileSync(join(path, 'cgroup.controllers'), 'utf8')).length > 0;

/** A cgroup with processes hands nothing down ("no internal processes"). Ours steps aside; others are not ours to move. */
function makeRoom(path: string): string | undefined {
  const others = parseWords(readFileSync(join(path, 'cgroup.procs'), 'utf8')).filter(
    (pid) => Number(pid) !== process.pid,
  );
  if (others.length > 0)
    return `processes live in ${path}, so that it cannot hand controllers down; start them in a cgroup below it`;
  if (holdsThisProcess(path)) {
    const leaf = join(path, 'podwright-up');
    mkdirSync(leaf, { recursive: true });
    writeFileSync(join(leaf, 'cgroup.procs'), String(process.pid));
  }
  return undefined;
}

function holdsThisProcess(path: string): boolean {
  return parseWords(readFileSync(join(path, 'cgroup.procs'), 'utf8')).includes(String(process.pid));
}
