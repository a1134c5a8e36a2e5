import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { writeDurably } from '#base/durable-file.ts';
import { errnoOf, isPodwrightError, PodwrightError } from '#base/errors.ts';
import { namesIn } from '#base/names-in.ts';
import { isObject, stringOf } from '#api/wire/json.ts';

/**
 * What says that a driver may have mounted something for a pod: one file in the directory of the pod's volume, written before the driver
 * is asked anything and removed when it has undone all of it.
 *
 *   pods/UID/volumes/FIELD/NAME/csi.json
 */
export interface CsiRecord {
  readonly driver: string;
  readonly handle: string;
  /** The PersistentVolume, or the pod's own name of an inline one. */
  readonly volume: string;
  readonly target: string;
  /** Where it was staged, by drivers that stage. */
  readonly staging?: string;
  /** Somebody attached it to the node: the Node says that it is in use. */
  readonly isAttached: boolean;
  readonly isDevice: boolean;
  /** In which life of the machine it was published; undefined: not to the end. */
  readonly bootId?: string;
  /** The group that has been given all of it. */
  readonly group?: number;
  /** The size that its driver did not make of it while it is in use: it is not asked again for as long as the pod has it. */
  readonly refusedBytes?: number;
}

export interface FoundCsiRecord extends CsiRecord {
  readonly podUid: string;
  /** Of the pod's volume. */
  readonly directory: string;
}

/** The same of what all pods of a node share: HASH/staged.json. */
export interface StageRecord {
  readonly driver: string;
  readonly handle: string;
  readonly volume: string;
  readonly staging: string;
  /** In which life of the machine it was staged; undefined: not to the end. */
  readonly bootId?: string;
}

const recordName = 'csi.json';
const stageName = 'staged.json';
/** Fields of a pod's volumes that may be a driver's. */
const fields = ['persistentVolumeClaim', 'ephemeral', 'csi'] as const;

/** Undefined: there is none. @throws {E_DAMAGED} */
export async function readCsiRecord(directory: string): Promise<CsiRecord | undefined> {
  const file = path.join(directory, recordName);
  const value = await readObject(file);
  if (value === undefined) return undefined;
  const { driver, handle, target, staging, bootId, group, refusedBytes } = value;
  const isWhole = [driver, handle, target].every((text) => typeof text === 'string' && text !== '');
  if (!isWhole) throw damaged(file);
  return {
    ...{ driver: stringOf(driver), handle: stringOf(handle), target: stringOf(target) },
    volume: stringOf(value['volume']),
    isAttached: value['isAttached'] === true,
    isDevice: value['isDevice'] === true,
    ...(typeof staging === 'string' ? { staging } : {}),
    ...(typeof bootId === 'string' ? { bootId } : {}),
    ...(typeof group === 'number' ? { group } : {}),
    ...(typeof refusedBytes === 'number' ? { refusedBytes } : {}),
  };
}

/** The directory is there. */
export async function writeCsiRecord(directory: string, record: CsiRecord): Promise<void> {
  await writeDurably(path.join(directory, recordName), JSON.stringify(record));
}

export function csiRecordFile(directory: string): string {
  return path.join(directory, recordName);
}

/** Records of a pod, or of all; and of one that cannot be read, what is wrong with it. */
export interface FoundCsiRecords {
  readonly whole: readonly FoundCsiRecord[];
  readonly damage: PodwrightError | undefined;
  /** Uids of pods with such a record. */
  readonly damagedPods: readonly string[];
}

/** Of one pod, by its directory. */
export async function readPodRecords(podDirectory: string): Promise<FoundCsiRecords> {
  const whole: FoundCsiRecord[] = [];
  let damage: PodwrightError | undefined;
  for (const field of fields) {
    const volumes = path.join(podDirectory, 'volumes', field);
    for (const name of await namesIn(volumes)) {
      const directory = path.join(volumes, name);
      try {
        const record = await readCsiRecord(directory);
        if (record !== undefined) whole.push({ ...record, podUid: path.basename(podDirectory), directory });
      } catch (error) {
        if (!isPodwrightError(error) || error.code !== 'E_DAMAGED') throw error;
        damage = error;
      }
    }
  }
  const damagedPods = damage === undefined ? [] : [path.basename(podDirectory)];
  return { whole, damage, damagedPods };
}

/** Of all pods of the node. */
export async function findCsiRecords(podsDirectory: string): Promise<FoundCsiRecords> {
  const found = [];
  for (const uid of await namesIn(podsDirectory))
    found.push(await readPodRecords(path.join(podsDirectory, uid)));
  return {
    whole: found.flatMap(({ whole }) => whole),
    damage: found.find(({ damage }) => damage !== undefined)?.damage,
    damagedPods: found.flatMap(({ damagedPods }) => damagedPods),
  };
}

/** Undefined: there is none. @throws {E_DAMAGED} */
export async function readStageRecord(directory: string): Promise<StageRecord | undefined> {
  const file = path.join(directory, stageName);
  const value = await readObject(file);
  if (value === undefined) return undefined;
  const { driver, handle, volume, staging, bootId } = value;
  if (![driver, handle, staging].every((text) => typeof text === 'string' && text !== ''))
    throw damaged(file);
  return {
    ...{ driver: stringOf(driver), handle: stringOf(handle) },
    ...{ volume: stringOf(volume), staging: stringOf(staging) },
    ...(typeof bootId === 'string' ? { bootId } : {}),
  };
}

/** Undefined, too: it cannot be read, and who asks knows it from elsewhere. */
export async function readWholeStageRecord(directory: string): Promise<StageRecord | undefined> {
  try {
    return await readStageRecord(directory);
  } catch (error) {
    if (isPodwrightError(error) && error.code === 'E_DAMAGED') return undefined;
    throw error;
  }
}

/** All that can be read, of all drivers of the node. `driversDirectory`: below it a directory per driver. */
export async function readStageRecords(driversDirectory: string): Promise<readonly StageRecord[]> {
  const found: StageRecord[] = [];
  for (const driver of await namesIn(driversDirectory))
    for (const hash of await namesIn(path.join(driversDirectory, driver))) {
      const record = await readWholeStageRecord(path.join(driversDirectory, driver, hash));
      if (record !== undefined) found.push(record);
    }
  return found;
}

export async function writeStageRecord(directory: string, record: StageRecord): Promise<void> {
  await writeDurably(path.join(directory, stageName), JSON.stringify(record));
}

export function stageRecordFile(directory: string): string {
  return path.join(directory, stageName);
}

async function readObject(file: string): Promise<Readonly<Record<string, unknown>> | undefined> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return undefined;
    throw error;
  }
  try {
    const value: unknown = JSON.parse(text);
    if (isObject(value)) return value;
  } catch (cause) {
    throw damaged(file, cause);
  }
  throw damaged(file);
}

function damaged(file: string, cause?: unknown): PodwrightError {
  return new PodwrightError('E_DAMAGED', `read ${file}: it is no record of a CSI volume`, { cause });
}
