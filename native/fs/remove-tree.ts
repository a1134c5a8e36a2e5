import { basename, dirname } from 'node:path';
import { errnoOf, PodwrightError } from '#base/errors.ts';
import { kernelError } from '#native/sys/errno.ts';
import { protectedPathProblem } from './protected-path.ts';
import type { TreeDirectory, Trees } from './tree.ts';
import { createTrees } from './tree.linux.ts';
import { type Place, type TreeVisitor, walkTree, type WalkOptions } from './walk-tree.ts';

export interface RemoveOptions extends WalkOptions {
  readonly trees?: Trees;
  /** The directory itself stays. */
  readonly keepsRoot?: boolean;
}

/**
 * Removes a directory (or file) of ours with everything in it, whatever its users left there: trees of any depth, names of any
 * bytes, directories without permission bits, immutable files. What is mounted below is unmounted, never followed.
 * The directory that it lies in must be one that only root writes to: its path is followed, the last name is not.
 * Succeeds if there is nothing. How many entries went.
 *
 * @throws the first error, after trying the rest: E_BUSY when somebody goes on writing there
 */
export async function removeTree(path: string, options: RemoveOptions = {}): Promise<number> {
  const { trees = createTrees() } = options;
  const problem = protectedPathProblem(path);
  if (problem !== undefined) throw new PodwrightError('E_INVALID', `remove ${path}: ${problem}`);
  let parent: TreeDirectory;
  try {
    parent = trees.open(dirname(path));
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return 0;
    throw error;
  }
  using directory = parent;

  return await removeEntry(directory, Buffer.from(basename(path)), options);
}

/** The same for a name in a directory that is open. */
export async function removeEntry(
  directory: TreeDirectory,
  name: Buffer,
  options: RemoveOptions = {},
): Promise<number> {
  const found = directory.statOf(name);
  if (found === undefined) return 0;
  const removal = new Removal();
  const place = { directory, entry: { name, type: found.type, inode: found.inode, next: 0n }, depth: -1 };
  if (found.type === 'directory') {
    if (options.keepsRoot !== true && removal.goesAtOnce(place)) return removal.removed;
    for (let isOver = false; !isOver;) {
      const emptied = await removeContent(place, removal, options);
      isOver = options.keepsRoot === true || removal.leave(place) === 'done';
      await emptied?.closeRemoved();
    }
  } else await removal.visit(place);
  removal.throwFirst();
  return removal.removed;
}

/** The directory that is empty now, still open; undefined where there is none to go into. */
async function removeContent(
  place: Place,
  removal: Removal,
  options: RemoveOptions,
): Promise<TreeDirectory | undefined> {
  let opened: TreeDirectory;
  try {
    opened = place.directory.openDirectory(place.entry.name);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    if (errnoOf(error) !== 'EXDEV') throw error;
    return removal.mounted(place) === 'skip' ? undefined : removeContent(place, removal, options);
  }
  using stack = new DisposableStack();

  const root = stack.use(opened);
  await walkTree(root, removal, options);
  stack.move();
  return root;
}

/** Times that a directory is gone through because entries came while it was emptied. */
const rereadsMax = 100;
/** Mounts on one another that are taken off one name. */
const mountsMax = 1000;

class Removal implements TreeVisitor {
  removed = 0;
  #rereads = 0;
  #first: unknown;
  #failures = 0;

  /** Most directories are empty, and go by one call; what speaks against it is looked at on the long way. */
  enter(place: Place): boolean {
    return !this.goesAtOnce(place);
  }

  goesAtOnce({ directory, entry }: Place): boolean {
    if (!directory.removeEmpty(entry.name)) return false;
    this.removed++;
    return true;
  }

  visit(place: Place): void | Promise<void> {
    try {
      const { directory, entry } = place;
      const done = directory.removeFile(entry.name, entry.type);
      if (!(done instanceof Promise)) {
        this.removed++;
        return undefined;
      }
      return done.then(() => void this.removed++).catch((error: unknown) => this.#visitFailed(place, error));
    } catch (error) {
      return this.#visitFailed(place, error);
    }
  }

  #visitFailed(place: Place, error: unknown): void | Promise<void> {
    if (errnoOf(error) === 'ENOENT') return undefined;
    // A file that something is mounted on.
    if (errnoOf(error) === 'EBUSY' && unmountAll(place)) return this.visit(place);
    return this.#fail(error);
  }

  leave(place: Place): 'done' | 'again' {
    try {
      place.directory.removeDirectory(place.entry.name);
      this.removed++;
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return 'done';
      if (errnoOf(error) === 'EBUSY' && unmountAll(place)) return this.leave(place);
      // Some file systems pass entries over while others go; and somebody may have written.
      const isWorthwhile = this.#failures === 0 && this.#rereads++ < rereadsMax;
      if (errnoOf(error) === 'ENOTEMPTY' && isWorthwhile) return 'again';
      this.#fail(error);
    }
    return 'done';
  }

  mounted(place: Place): 'again' | 'skip' {
    try {
      if (unmountAll(place)) return 'again';
      throw kernelError(`remove ${JSON.stringify(place.entry.name.toString())}`, 'EBUSY');
    } catch (error) {
      this.#fail(error);
      return 'skip';
    }
  }

  #fail(error: unknown): void {
    this.#failures++;
    this.#first ??= error;
  }

  throwFirst(): void {
    if (this.#first === undefined) return;
    if (errnoOf(this.#first) !== 'ENOTEMPTY') throw this.#first;
    throw new PodwrightError('E_BUSY', 'remove a directory: somebody goes on writing there', {
      cause: this.#first,
    });
  }
}

/** Whether there was a mount. What was mounted there keeps all that is in it. */
function unmountAll({ directory, entry }: Place): boolean {
  let count = 0;
  while (count < mountsMax && directory.unmount(entry.name)) count++;
  return count > 0;
}
