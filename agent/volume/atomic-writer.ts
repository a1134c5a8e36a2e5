import {
  chmodSync,
  lchownSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { errnoOf } from '#base/errors.ts';
import { removeTree } from '#native/fs/remove-tree.ts';
import type { Payload } from './payload.ts';

/**
 * Writes files so that a reader sees all of the old or all of the new:
 *
 *   volume/key        ▶ ..data/key          one link per first path component
 *   volume/..data     ▶ ..2f9Xa1            swapped by rename(2)
 *   volume/..2f9Xa1/key                     the files
 *
 * Whether anything changed. The directory is the agent's own, which containers have read-only: all that is touched are names that were
 * made here. The calls are synchronous: a token's volume is twenty calls, which cost 0.4 ms so and 1.4 ms as trips through libuv's pool,
 * more when the agent is busy; between many, the event loop is given back.
 * Source of the layout: k8s.io/kubernetes pkg/volume/util/atomic_writer.go.
 */
export async function writeAtomically(
  directory: string,
  payload: Payload,
  fsGroup: number | undefined,
): Promise<boolean> {
  const isNew = mkdirSync(directory, { recursive: true, mode: 0o755 }) !== undefined;
  const data = path.join(directory, '..data');
  if (isNew) {
    // Nothing is replaced, and nobody reads yet: `..data` comes last, and who is cut off before leaves none.
    const first = mkdtempSync(`${directory}/..`);
    await writeFiles(first, payload, fsGroup);
    await linkNames(directory, payload, noNames);
    symlinkSync(path.basename(first), data);
    return true;
  }
  const old = currentTarget(data);
  if (old !== undefined && (await isEqual(path.join(directory, old), payload))) {
    await linkNames(directory, payload, namesIn(directory)); // Those that a writer did not live to make.
    return false;
  }
  const fresh = mkdtempSync(`${directory}/..`); // Not join(), which would take the dots for the parent.
  await writeFiles(fresh, payload, fsGroup);
  const link = `${data}_tmp`;
  rmSync(link, { force: true });
  symlinkSync(path.basename(fresh), link);
  renameSync(link, data);
  await linkNames(directory, payload, namesIn(directory));
  await removeOthers(directory, path.basename(fresh));
  return true;
}

/** Files between which the event loop is given back: a millisecond or two of them. */
const filesPerTurn = 64;
/** Bytes written or compared between which it is given back. */
const bytesPerTurn = 4_194_304;

/** Counts what is done; each time that it is a turn's worth, whatever else waits goes first. */
function createTurns(): (bytes: number) => Promise<void> | undefined {
  let files = 0;
  let done = 0;
  return (bytes) => {
    files += 1;
    done += bytes;
    if (files < filesPerTurn && done < bytesPerTurn) return undefined;
    files = 0;
    done = 0;
    return setImmediate();
  };
}

async function writeFiles(root: string, payload: Payload, fsGroup: number | undefined): Promise<void> {
  const turn = createTurns();
  const umask = process.umask();
  chmodSync(root, 0o755);
  const directories = new Set([...payload.keys()].map((name) => path.dirname(path.join(root, name))));
  directories.delete(root);
  for (const directory of directories) {
    mkdirSync(directory, { recursive: true, mode: 0o755 });
    const pause = turn(0);
    if (pause !== undefined) await pause;
  }
  for (const [name, file] of payload) {
    const target = path.join(root, name);
    // The group of the pod may read what its owner may.
    const mode = fsGroup === undefined ? file.mode : file.mode | 0o440;
    writeFileSync(target, file.data, { mode });
    const isGiven = fsGroup !== undefined || file.uid !== undefined;
    if (isGiven) lchownSync(target, file.uid ?? 0, fsGroup ?? 0);
    // After chown, which takes bits away, as does the umask.
    if (isGiven || (mode & umask) !== 0) chmodSync(target, mode);
    const pause = turn(file.data.length);
    if (pause !== undefined) await pause;
  }
}

const noNames: ReadonlySet<string> = new Set();

/** What readers see of a volume. */
function namesIn(directory: string): ReadonlySet<string> {
  return new Set(readdirSync(directory).filter((name) => !name.startsWith('..')));
}

async function linkNames(directory: string, payload: Payload, present: ReadonlySet<string>): Promise<void> {
  const turn = createTurns();
  const wanted = new Set([...payload.keys()].map((name) => name.split('/')[0] ?? name));
  for (const name of wanted) {
    if (present.has(name)) continue;
    symlinkSync(path.join('..data', name), path.join(directory, name));
    const pause = turn(0);
    if (pause !== undefined) await pause;
  }
  for (const name of present) {
    if (!wanted.has(name)) await removeTree(path.join(directory, name));
  }
}

/** Of the directories of data, what is not the current one: the last, and what writers left that were cut off. */
async function removeOthers(directory: string, current: string): Promise<void> {
  for (const name of readdirSync(directory)) {
    if (isDataName(name) && name !== current) await removeTree(path.join(directory, name));
  }
}

/** As mkdtemp(3) makes it, and never a way out of the volume. */
function isDataName(name: string): boolean {
  return /^\.\.[A-Za-z0-9]{6}$/.test(name);
}

function currentTarget(link: string): string | undefined {
  try {
    const target = readlinkSync(link);
    return isDataName(target) ? target : undefined;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

async function isEqual(root: string, payload: Payload): Promise<boolean> {
  const turn = createTurns();
  try {
    const entries = readdirSync(root, { recursive: true, withFileTypes: true });
    const names = entries
      .filter((entry) => !entry.isDirectory())
      .map((entry) => path.relative(root, path.join(entry.parentPath, entry.name)));
    if (names.length !== payload.size) return false;
    for (const name of names) {
      const file = payload.get(name);
      const target = path.join(root, name);
      const stats = statSync(target);
      if (file === undefined || stats.size !== file.data.length) return false;
      if (!Buffer.from(file.data).equals(readFileSync(target))) return false;
      if ((stats.mode & 0o777 & ~0o440) !== (file.mode & 0o777 & ~0o440)) return false;
      const pause = turn(file.data.length);
      if (pause !== undefined) await pause;
    }
    return true;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false;
    throw error;
  }
}
