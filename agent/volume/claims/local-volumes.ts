import { chmod, lstat, mkdir, readFile, rename, rmdir } from 'node:fs/promises';
import path from 'node:path';
import { writeDurably } from '#base/durable-file.ts';
import { errnoOf, PodwrightError } from '#base/errors.ts';
import { namesIn } from '#base/names-in.ts';
import type { PersistentVolume } from '#api/generated/objects.ts';
import { localVolumeNode } from '#api/volume/local-volumes.ts';
import { isObject } from '#api/wire/json.ts';
import { removeTree } from '#native/fs/remove-tree.ts';

/**
 * The volumes that a node makes on its own disk (decision 0089), below its data directory:
 *
 *   volumes/pvc-UID/mark.json   whose it is; outside of what pods see
 *   volumes/pvc-UID/data/       what pods see
 *
 * The mark is there before the data, and after it when a volume is removed: what has no mark of the volume's own uid is touched by nobody.
 */
export interface LocalVolumes {
  readonly directory: string;
  /**
   * Makes the volume unless it is there, and says where its files are. One that was made and whose files are gone is not made anew: an
   * empty directory would be taken for the data. @throws E_CONFLICT for a directory of something else, E_DAMAGED for lost files
   */
  ensure(volume: PersistentVolume): Promise<string>;
  /** Removes the volume with all that is in it; succeeds where there is nothing. Safe to repeat from any cut. @throws E_CONFLICT as above */
  remove(volume: PersistentVolume): Promise<void>;
  /** What is there, by name. */
  list(): Promise<readonly string[]>;
}

export interface LocalVolumesOptions {
  /** Absolute, the agent's own. */
  readonly directory: string;
  readonly nodeName: string;
}

interface Mark {
  readonly volume: string;
  readonly uid: string;
  readonly state: 'making' | 'made' | 'removing';
}

export function createLocalVolumes({ directory, nodeName }: LocalVolumesOptions): LocalVolumes {
  const rootOf = (volume: PersistentVolume): string => ownRoot(volume, { directory, nodeName });
  return {
    directory,
    ensure: async (volume) => {
      const root = rootOf(volume);
      const mark = await provenMark(root, volume);
      if (mark?.state === 'removing')
        throw new PodwrightError('E_CONFLICT', `use ${root}: it is being removed`);
      const data = path.join(root, 'data');
      if (mark?.state === 'made') {
        if (await isDirectory(data)) return data;
        throw new PodwrightError(
          'E_DAMAGED',
          `use ${data}: the volume's files are gone; an empty directory is not made in their place`,
        );
      }
      await mkdir(root, { recursive: true, mode: 0o700 });
      await writeMark(root, volume, 'making');
      await makeData(root);
      await writeMark(root, volume, 'made');
      return data;
    },
    remove: async (volume) => {
      const root = rootOf(volume);
      if ((await provenMark(root, volume)) === undefined) return;
      await writeMark(root, volume, 'removing');
      await removeTree(path.join(root, 'data'));
      await removeTree(path.join(root, '.data'));
      // Last: as long as anything is left, the mark says whose it is.
      await removeTree(path.join(root, markName));
      await removeEmpty(root);
    },
    list: () => namesIn(directory),
  };
}

const markName = 'mark.json';
const volumeName = /^pvc-[0-9a-f-]{36}$/;

/** Where the volume is. @throws E_CONFLICT when it is not one that this node makes */
function ownRoot(volume: PersistentVolume, { directory, nodeName }: LocalVolumesOptions): string {
  const name = volume.metadata?.name ?? '';
  const root = path.join(directory, name);
  const isOurs =
    localVolumeNode(volume) === nodeName &&
    volumeName.test(name) &&
    volume.spec?.local?.path === path.join(root, 'data');
  if (isOurs) return root;
  throw new PodwrightError(
    'E_CONFLICT',
    `use PersistentVolume ${name} at ${volume.spec?.local?.path ?? 'no path'}: node ${nodeName} makes its volumes in ${directory}/NAME/data`,
  );
}

/** The mark of this very volume; undefined: nothing is there. @throws E_CONFLICT for what is there and is not its own */
async function provenMark(root: string, volume: PersistentVolume): Promise<Mark | undefined> {
  const { name, uid } = volume.metadata ?? {};
  const conflict = (what: string): PodwrightError =>
    new PodwrightError('E_CONFLICT', `use ${root} as PersistentVolume ${name ?? ''}: ${what}`);
  const mark = await readMark(root);
  if (mark === undefined) {
    const names = (await namesIn(root)).filter((one) => !one.startsWith(`.${markName}`));
    if (names.length > 0) throw conflict('it has files, and no mark of ours');
    return undefined;
  }
  if (mark.volume !== name || mark.uid !== uid) throw conflict(`it is that of ${mark.volume} ${mark.uid}`);
  return mark;
}

async function readMark(root: string): Promise<Mark | undefined> {
  const file = path.join(root, markName);
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
  const value: unknown = parseJson(text, file);
  const states = ['making', 'made', 'removing'] as const;
  const state = states.find((one) => isObject(value) && value['state'] === one);
  if (!isObject(value) || state === undefined)
    throw new PodwrightError('E_DAMAGED', `read ${file}: it is no mark of a volume`);
  return { volume: String(value['volume']), uid: String(value['uid']), state };
}

function parseJson(text: string, file: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new PodwrightError('E_DAMAGED', `read ${file}: it is no mark of a volume`, { cause });
  }
}

async function writeMark(root: string, { metadata }: PersistentVolume, state: Mark['state']): Promise<void> {
  const mark: Mark = { volume: metadata?.name ?? '', uid: metadata?.uid ?? '', state };
  await writeDurably(path.join(root, markName), JSON.stringify(mark));
}

/** Whole or not there, as open as an emptyDir: who may go in, the pods' mounts say. */
async function makeData(root: string): Promise<void> {
  const [draft, data] = [path.join(root, '.data'), path.join(root, 'data')];
  if (await isDirectory(data)) return;
  await mkdir(draft, { recursive: true });
  await chmod(draft, 0o777); // Whatever the umask is.
  await rename(draft, data);
}

async function isDirectory(file: string): Promise<boolean> {
  try {
    return (await lstat(file)).isDirectory();
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false;
    throw error;
  }
}

async function removeEmpty(directory: string): Promise<void> {
  try {
    await rmdir(directory);
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
  }
}
