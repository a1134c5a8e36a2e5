/** Walks a tree of any depth and width, by descriptors, with a bounded number of them and little memory per level. */
import { errnoOf, PodwrightError } from '#base/errors.ts';
import { nextTurn, TurnTime } from '#base/time-slice.ts';
import { createTurns } from '#base/turns.ts';
import type { Entry, TreeDirectory } from './tree.ts';

/** Where the walk stands: an entry in a directory that is open for the call. */
export interface Place {
  readonly directory: TreeDirectory;
  readonly entry: Entry;
  /** Of the directory: 0 is the root of the walk. */
  readonly depth: number;
}

type Now<T> = T | Promise<T>;

export interface TreeVisitor {
  /** What is no directory; also a directory's name that something else got since it was read. */
  visit(place: Place): Now<void>;
  /** A directory, before its content. Whether to go in; absent: always. */
  enter?(place: Place): Now<boolean>;
  /** A directory, after its content. `again` goes through it once more (files came while it was read). */
  leave?(place: Place): Now<'done' | 'again'>;
  /** A directory that something is mounted on, which the walk never enters. `again` tries it once more (unmounted). */
  mounted?(place: Place): Now<'skip' | 'again'>;
}

export interface WalkOptions {
  readonly signal?: AbortSignal;
}

/** Directories held open at once; those above are opened again through `..` and compared. */
const openMax = 32;

interface Level {
  /** undefined when it was closed to make room. */
  directory: TreeDirectory | undefined;
  readonly inode: bigint;
  readonly device: bigint;
  /** Read and not yet seen. */
  entries: readonly Entry[];
  at: number;
  /** Inode of the entry that the walk is in, as reading the directory told it; overlayfs has another in stat(2). */
  inside: bigint;
  /** Positions before that entry, and behind the last one that was taken. */
  before: bigint;
  next: bigint;
}

/**
 * Goes through everything below `root`, which stays the caller's. One directory after another, depth first; each is opened
 * without following a link and without crossing a mount. What is gone by the time it is looked at is passed over.
 *
 * @throws E_CONFLICT when a directory was moved away while the walk was below it; the signal's reason; what the visitor throws
 */
export async function walkTree(
  root: TreeDirectory,
  visitor: TreeVisitor,
  options: WalkOptions = {},
): Promise<void> {
  await using walk = new Walk(root, visitor);

  const { signal } = options;
  await timeLeft();
  for (;;) {
    const step = walk.step();
    if (step === false || (step !== true && !(await step))) return;
    // At each entry: one is removed in 10 us, and in milliseconds where the disk's journal is full.
    if (walksTime.isLeft()) continue;
    await timeLeft();
    signal?.throwIfAborted();
  }
}

/** Of all walks of the process, which share a turn of the event loop with other work: many that are small make it no longer, either. */
const walksTime = new TurnTime();
const walksTurns = createTurns();

/** Resolves when there is time left in a turn, for who has waited longest: a walk of a million files does not keep others waiting. */
async function timeLeft(): Promise<void> {
  using _turn = await walksTurns.take('walk');
  while (!walksTime.isLeft()) await nextTurn();
}

class Walk implements AsyncDisposable {
  readonly #root: TreeDirectory;
  readonly #visitor: TreeVisitor;
  readonly #levels: Level[];

  constructor(root: TreeDirectory, visitor: TreeVisitor) {
    this.#root = root;
    this.#visitor = visitor;
    this.#levels = [levelOf(root)];
  }

  /** One entry, or the way out of a directory; whether there is more. A promise only where the visitor gave one. */
  step(): boolean | Promise<boolean> {
    const level = this.#top();
    const directory = this.#opened(level);
    if (level.at >= level.entries.length) {
      level.entries = directory.read(level.next);
      level.at = 0;
      if (level.entries.length === 0) return this.#levels.length > 1 ? this.#leave() : false;
    }
    const entry = level.entries[level.at++];
    if (entry === undefined) return true;
    level.before = level.next;
    level.next = entry.next;
    const place = { directory, entry, depth: this.#levels.length - 1 };
    if (entry.type === 'directory') return this.#enter(place);
    return after(this.#visitor.visit(place), () => true);
  }

  #top(): Level {
    const level = this.#levels.at(-1);
    if (level === undefined) throw new TypeError('a walk has a root');
    return level;
  }

  #opened({ directory }: Level): TreeDirectory {
    if (directory === undefined) throw new TypeError('the innermost directory is open');
    return directory;
  }

  #enter(place: Place): boolean | Promise<boolean> {
    const { enter } = this.#visitor;
    if (enter === undefined) return this.#open(place);
    return after(enter.call(this.#visitor, place), (isWanted) => (isWanted ? this.#open(place) : true));
  }

  #open(place: Place): boolean | Promise<boolean> {
    const { directory, entry } = place;
    let opened: TreeDirectory;
    try {
      opened = directory.openDirectory(entry.name);
    } catch (error) {
      return this.#unopened(place, error);
    }
    this.#top().inside = entry.inode;
    this.#levels.push(levelOf(opened));
    this.#makeRoom();
    return true;
  }

  #unopened(place: Place, error: unknown): boolean | Promise<boolean> {
    switch (errnoOf(error)) {
      case 'ENOENT':
        return true;
      case 'ENOTDIR':
      case 'ELOOP':
        return after(this.#visitor.visit(place), () => true);
      case 'EXDEV':
        return after(this.#visitor.mounted?.(place) ?? 'skip', (answer) =>
          answer === 'again' ? this.#open(place) : true,
        );
      default:
        throw error;
    }
  }

  /** The root stays open, so does what is innermost. */
  #makeRoom(): void {
    const level = this.#levels[this.#levels.length - openMax];
    if (level?.directory === undefined || level.directory === this.#root) return;
    level.directory[Symbol.dispose]();
    level.directory = undefined;
    level.entries = [];
    level.at = 0;
  }

  #leave(): boolean | Promise<boolean> {
    const left = this.#levels.pop();
    const level = this.#top();
    if (left?.directory === undefined) throw new TypeError('the innermost directory is open');
    using opened = new DisposableStack();

    const child = opened.use(left.directory);
    const entry = level.directory === undefined ? this.#comeBack(level, child) : level.entries[level.at - 1];
    const { leave } = this.#visitor;
    if (leave === undefined || entry === undefined) return true;
    const place = { directory: this.#opened(level), entry, depth: this.#levels.length - 1 };
    opened.move(); // It is closed below.
    return this.#told(place, child, () => leave.call(this.#visitor, place));
  }

  /** Who is told of a directory's end may have removed it: it is open until then, so that its inode goes off the event loop. */
  async #told(place: Place, child: TreeDirectory, leave: () => Now<'done' | 'again'>): Promise<boolean> {
    let answer: 'done' | 'again';
    try {
      answer = await leave();
    } finally {
      await child.closeRemoved();
    }
    return answer === 'again' ? this.#open(place) : true;
  }

  /** Opens a directory again that was closed, and finds the entry that the walk was in; undefined when that has gone. */
  #comeBack(level: Level, child: TreeDirectory): Entry | undefined {
    const directory = child.openParent();
    level.directory = directory;
    const { inode, device } = directory.stat();
    if (inode !== level.inode || device !== level.device) {
      throw new PodwrightError('E_CONFLICT', 'walk a tree: a directory was moved away meanwhile');
    }
    // Where it was, or, as positions shift on some file systems when entries go, anywhere.
    return this.#find(level, level.before) ?? this.#find(level, 0n);
  }

  #find(level: Level, from: bigint): Entry | undefined {
    level.next = from;
    for (;;) {
      const entries = this.#opened(level).read(level.next);
      if (entries.length === 0) return undefined;
      const index = entries.findIndex((entry) => entry.inode === level.inside);
      level.entries = entries;
      level.at = index < 0 ? entries.length : index + 1;
      level.next = (index < 0 ? entries.at(-1) : entries[index])?.next ?? level.next;
      if (index >= 0) return entries[index];
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { directory } of this.#levels) {
      if (directory !== this.#root) directory?.[Symbol.dispose]();
    }
  }
}

function levelOf(directory: TreeDirectory): Level {
  const { inode, device } = directory.stat();
  return { directory, inode, device, entries: [], at: 0, inside: 0n, before: 0n, next: 0n };
}

/** Goes on at once with a value, later with a promise: a walk of a million files makes no promise for each. */
function after<T>(value: Now<T>, goOn: (value: T) => boolean | Promise<boolean>): boolean | Promise<boolean> {
  return value instanceof Promise ? value.then(goOn) : goOn(value);
}
