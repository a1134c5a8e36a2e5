import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { writeDurably } from '#base/durable-file.ts';
import { errnoOf, isPodwrightError, PodwrightError } from '#base/errors.ts';
import { namesIn } from '#base/names-in.ts';
import { isObject } from '#api/wire/json.ts';

/**
 * What says that a pod uses a claim's volume: one file in the directory of the pod's volume, there before the volume is touched and
 * until all that is the pod's is removed.
 *
 *   pods/UID/volumes/persistentVolumeClaim/NAME/claim.json
 */
export interface ClaimRecord {
  /** `namespace/name` */
  readonly claim: string;
  readonly claimUid: string;
  /** The PersistentVolume's name. */
  readonly volume: string;
  readonly volumeUid: string;
  /** Where its files are; undefined until that is known. */
  readonly path?: string;
  /** The group that has been given all of it. */
  readonly group?: number;
  /** Of one that the node makes: what was asked for, which nothing enforces. */
  readonly sizeBytes?: number;
  /** A server's: who looks at it may wait for that. */
  readonly isRemote?: boolean;
}

/** A record, and whose it is. */
export interface FoundRecord extends ClaimRecord {
  readonly podUid: string;
  /** The pod's name of the volume. */
  readonly name: string;
}

const fileName = 'claim.json';
/** Fields of a pod's volumes that are claims. */
const fields = ['persistentVolumeClaim', 'ephemeral'] as const;

/** Of one volume of a pod; undefined: there is none. @throws E_DAMAGED */
export async function readRecord(directory: string): Promise<ClaimRecord | undefined> {
  const file = path.join(directory, fileName);
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return undefined;
    throw error;
  }
  return parseRecord(text, file);
}

/** Of one volume of a pod; undefined: there is none that can be read. */
export async function readWholeRecord(directory: string): Promise<ClaimRecord | undefined> {
  try {
    return await readRecord(directory);
  } catch (error) {
    if (isPodwrightError(error) && error.code === 'E_DAMAGED') return undefined;
    throw error;
  }
}

/** Replaces the one there is; the directory is there. It has to outlive the agent, not the machine: that ends all pods. */
export async function writeRecord(directory: string, record: ClaimRecord): Promise<void> {
  await writeDurably(path.join(directory, fileName), JSON.stringify(record), { survives: 'kill' });
}

/** All records of the node but such that cannot be read: these were cut by the end of the machine, and with it of their pods. */
export async function readRecords(podsDirectory: string): Promise<readonly FoundRecord[]> {
  const found: FoundRecord[] = [];
  for (const podUid of await namesIn(podsDirectory)) {
    for (const field of fields) {
      const volumes = path.join(podsDirectory, podUid, 'volumes', field);
      for (const name of await namesIn(volumes)) {
        const record = await readWholeRecord(path.join(volumes, name));
        if (record !== undefined) found.push({ ...record, podUid, name });
      }
    }
  }
  return found;
}

function parseRecord(text: string, file: string): ClaimRecord {
  const damaged = (cause?: unknown): PodwrightError =>
    new PodwrightError('E_DAMAGED', `read ${file}: it is no record of a claim`, { cause });
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw damaged(cause);
  }
  if (!isObject(value)) throw damaged();
  const { claim, claimUid, volume, volumeUid, path: where, group, sizeBytes, isRemote } = value;
  if (typeof claim !== 'string' || typeof claimUid !== 'string') throw damaged();
  if (typeof volume !== 'string' || typeof volumeUid !== 'string') throw damaged();
  return {
    ...{ claim, claimUid, volume, volumeUid },
    ...(typeof where === 'string' ? { path: where } : {}),
    ...(typeof group === 'number' ? { group } : {}),
    ...(typeof sizeBytes === 'number' ? { sizeBytes } : {}),
    ...(isRemote === true ? { isRemote } : {}),
  };
}
