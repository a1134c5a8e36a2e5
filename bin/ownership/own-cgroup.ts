import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

import { errnoOf, PodwrightError } from '#base/errors.ts';
import { CGROUP2_SUPER_MAGIC } from '#native/sys/constants.ts';
import { fileSystemMagic, getXattr, setXattr } from '#native/sys/file.ts';

/** On the cgroup v2 directory of a node's pods: that everything below is podwright's to end. xattr(7), of root alone. */
const markAttribute = 'trusted.podwright';
const markValue = Buffer.from('owned');
/** On the cgroup of a cluster: the id in the marker of its data directory. */
const clusterAttribute = 'trusted.podwright.cluster';

/** @throws what lsetxattr(2) says, but where the kernel has no such attributes on cgroups */
export function markCgroup(directory: string): void {
  setAttribute(directory, markAttribute, markValue);
}

/** As above, with whose it is: it lies where `up` stood, and `down` may stand elsewhere. */
export function markClusterCgroup(directory: string, markerId: string): void {
  setAttribute(directory, clusterAttribute, Buffer.from(markerId));
}

function setAttribute(directory: string, attribute: string, value: Buffer): void {
  try {
    setXattr(directory, attribute, value);
  } catch (error) {
    // Without it, a cgroup that is not podwright's by its name is refused later.
    if (!['EOPNOTSUPP', 'EPERM'].includes(errnoOf(error) ?? '')) throw error;
  }
}

function isMarked(directory: string): boolean {
  return attributeOf(directory, markAttribute)?.equals(markValue) === true;
}

function attributeOf(directory: string, attribute: string): Buffer | undefined {
  try {
    return getXattr(directory, attribute);
  } catch (error) {
    if (['EOPNOTSUPP', 'EPERM', 'ENOENT'].includes(errnoOf(error) ?? '')) return undefined;
    throw error;
  }
}

/** Deeper, and more of them, no host has; a search ends there. */
const searchDepthMax = 16;
const searchCountMax = 50_000;

/**
 * The cgroups of a cluster, wherever `up` stood when it made them: those of its name that have the id of its data directory's marker.
 * One at the top that says nothing of that is by its name alone, as earlier releases, and kernels without attributes there, have it.
 */
export function findClusterCgroups(
  mount: string,
  name: string,
  markerId: string | undefined,
): readonly string[] {
  const found: string[] = [];
  const waiting = [{ path: mount, depth: 0 }];
  let count = 0;
  for (let next = waiting.pop(); next !== undefined && count < searchCountMax; next = waiting.pop()) {
    const { path, depth } = next;
    for (const child of childrenOf(path)) {
      count++;
      const whole = join(path, child);
      if (child === name) {
        const id = attributeOf(whole, clusterAttribute)?.toString();
        if (id === undefined ? path === mount : id === markerId) found.push(whole);
      } else if (depth < searchDepthMax) waiting.push({ path: whole, depth: depth + 1 });
    }
  }
  return found;
}

function childrenOf(path: string): readonly string[] {
  try {
    return readdirSync(path, { withFileTypes: true }).flatMap((entry) =>
      entry.isDirectory() ? [entry.name] : [],
    );
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return []; // It went meanwhile.
    throw error;
  }
}

export interface CgroupQuestion {
  readonly path: string;
  /** Where cgroup v2 is mounted. */
  readonly root: string;
}

/** Where a node's pods live when nobody says otherwise: known by its name, marked or not. */
export const defaultCgroup = (root: string): string => join(root, 'podwright');

/** Why a path can be nobody's cgroup to give to a node or to end. Pure. */
export function cgroupPathProblem({ path, root }: CgroupQuestion): string | undefined {
  if (!path.startsWith('/') || resolve(path) !== path) return 'it is no absolute path in its plain form';
  if (path === root) return 'it is the root of all cgroups';
  if (!path.startsWith(`${root}/`)) return `it does not lie below the cgroup v2 mount ${root}`;
  return undefined;
}

/**
 * Refuses a cgroup in use by others before a node takes it; makes sure that it is known as ours.
 * @throws E_USAGE
 */
export function claimCgroup(question: CgroupQuestion): void {
  const { path, root } = question;
  const problem = cgroupPathProblem(question) ?? contentProblem(path);
  if (problem !== undefined && path !== defaultCgroup(root)) {
    throw new PodwrightError('E_USAGE', `use ${path} as --cgroup: ${problem}; name an empty or new one`);
  }
}

/** undefined for one that is not there, is marked, or holds nothing. */
function contentProblem(path: string): string | undefined {
  try {
    if (isMarked(path)) return undefined;
    if (readFileSync(join(path, 'cgroup.procs'), 'utf8').trim() !== '') return 'it holds processes of others';
    const child = readdirSync(path, { withFileTypes: true }).find((entry) => entry.isDirectory());
    return child === undefined ? undefined : `it holds a cgroup of others, ${child.name}`;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** Proves that a cgroup is one that an agent made. Succeeds if it is gone. @throws E_USAGE */
export function proveCgroup(question: CgroupQuestion): void {
  const { path, root } = question;
  const refuse = (why: string): PodwrightError =>
    new PodwrightError('E_USAGE', `end the processes of ${path}: ${why}; nothing was ended`);
  const problem = cgroupPathProblem(question);
  if (problem !== undefined) throw refuse(problem);
  try {
    if (fileSystemMagic(path) !== CGROUP2_SUPER_MAGIC) throw refuse('it is no cgroup v2');
    if (path !== defaultCgroup(root) && !isMarked(path)) throw refuse('no podwright agent made it');
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
  }
}
