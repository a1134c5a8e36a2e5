import { lstat, rm, rmdir, unlink } from 'node:fs/promises';
import path from 'node:path';
import { errnoOf, isPodwrightError, PodwrightError } from '#base/errors.ts';
import type { KeyLock } from '#base/key-lock.ts';
import { namesIn } from '#base/names-in.ts';
import { statusNameOf } from '#proto/status.ts';
import type { Mounter } from '#agent/volume/volume.ts';
import type { CsiDriverClient, CsiDrivers } from './csi-drivers.ts';
import type { CsiPaths } from './csi-paths.ts';
import {
  csiRecordFile,
  findCsiRecords,
  readCsiRecord,
  readPodRecords,
  readStageRecord,
  readStageRecords,
  readWholeStageRecord,
  stageRecordFile,
  writeStageRecord,
  type CsiRecord,
  type FoundCsiRecord,
  type StageRecord,
} from './csi-records.ts';

export interface Unmounting {
  readonly drivers: CsiDrivers;
  readonly paths: CsiPaths;
  readonly podsDirectory: string;
  readonly mounter: Pick<Mounter, 'isMountPoint' | 'unmount'>;
  /** By `driver^handle`: what is done to one volume is done one after another. */
  readonly lock: KeyLock;
  readonly onReleased: () => void;
}

const keyOf = ({ driver, handle }: Pick<CsiRecord, 'driver' | 'handle'>): string => `${driver}^${handle}`;

/** Undoes all that drivers may have done for a pod. The record goes last: what is cut is done again. @throws {E_DAMAGED} after what can be done */
export async function unmountPod(unmounting: Unmounting, podDirectory: string): Promise<void> {
  const { whole, damage } = await readPodRecords(podDirectory);
  for (const record of whole) await unmounting.lock(keyOf(record), () => unmountOne(unmounting, record));
  if (damage === undefined) return;
  await clearPlaces(unmounting, path.basename(podDirectory));
  throw damage;
}

/**
 * Of a volume whose record cannot be read what is staged may tell the driver, which is told then; what is at the pod's places goes
 * whatever it says.
 */
async function clearPlaces(unmounting: Unmounting, podUid: string): Promise<void> {
  const { paths, mounter } = unmounting;
  const [mounts, devices] = [paths.podMounts(podUid), paths.published];
  const places = [
    ...(await namesIn(mounts)).map((name) => ({ name, place: path.join(mounts, name, 'mount') })),
    ...(await namesIn(devices)).map((name) => ({ name, place: path.join(devices, name, podUid) })),
  ];
  const staged = places.length === 0 ? [] : await readStageRecords(paths.drivers);
  for (const { name, place } of places) {
    for (const one of staged)
      if (one.volume === name) await unmounting.lock(keyOf(one), () => tellGone(unmounting, one, place));
    mounter.unmount(place);
    await removePlace(unmounting, place, '(unknown)');
    await removeEmptyParents(path.dirname(place), podUid);
  }
}

/** As a driver that counts pods would not unstage else. */
async function tellGone(
  { drivers }: Unmounting,
  { driver: name, handle }: StageRecord,
  target: string,
): Promise<void> {
  const driver = drivers.list().find((one) => one.name === name);
  if (driver === undefined) return;
  try {
    await callUndo(driver, 'NodeUnpublishVolume', { volume_id: handle, target_path: driver.place(target) });
  } catch (error) {
    if (!isPodwrightError(error)) throw error; // What it refuses is taken from it by force.
  }
}

async function unmountOne(unmounting: Unmounting, { directory, podUid }: FoundCsiRecord): Promise<void> {
  const { drivers, paths, onReleased } = unmounting;
  const record = await readCsiRecord(directory); // It may have been undone while this waited.
  if (record === undefined) return;
  const driver = drivers.get(record.driver);
  const { target, handle } = record;
  await callUndo(driver, 'NodeUnpublishVolume', { volume_id: handle, target_path: driver.place(target) });
  await removePlace(unmounting, target, record.driver);
  await removeEmptyParents(path.dirname(target), podUid);
  if (record.staging !== undefined) {
    const own = paths.volume(record.driver, handle);
    const isStaged = (await namesIn(own)).includes(path.basename(stageRecordFile(own)));
    const staged = (await readWholeStageRecord(own)) ?? { ...record, staging: record.staging };
    if (isStaged && !(await isUsed(unmounting, staged, directory))) await unstage(unmounting, driver, staged);
  }
  await rm(csiRecordFile(directory), { force: true });
  onReleased();
}

async function unstage(unmounting: Unmounting, driver: CsiDriverClient, staged: StageRecord): Promise<void> {
  const own = unmounting.paths.volume(staged.driver, staged.handle);
  // Should the driver fail, or go on without an answer, nobody knows: the next pod has it staged again (kubernetes#100182).
  const { driver: name, handle, volume, staging } = staged;
  await writeStageRecord(own, { driver: name, handle, volume, staging });
  await callUndo(driver, 'NodeUnstageVolume', {
    ...{ volume_id: staged.handle, staging_target_path: driver.place(staged.staging) },
  });
  await removePlace(unmounting, staged.staging, staged.driver);
  await rm(stageRecordFile(own), { force: true });
  await removeEmpty(own);
}

/**
 * Whether a pod has, or may have, what is staged. `but`: the directory of a pod's volume that is being undone. Of a pod whose record
 * cannot be read, its places are named by PersistentVolumes: it has those, and keeps no other volume staged.
 */
async function isUsed(
  { paths, podsDirectory }: Unmounting,
  staged: Pick<StageRecord, 'driver' | 'handle' | 'volume'>,
  but?: string,
): Promise<boolean> {
  const { whole, damagedPods } = await findCsiRecords(podsDirectory);
  if (whole.some((one) => one.directory !== but && keyOf(one) === keyOf(staged))) return true;
  const devices = await namesIn(path.join(paths.published, staged.volume));
  for (const uid of damagedPods)
    if (devices.includes(uid) || (await namesIn(paths.podMounts(uid))).includes(staged.volume)) return true;
  return false;
}

/** What was staged for pods that are gone: their records went in a crash of the disk, or by hand. @throws the first failure, after what can be done */
export async function unstageUnused(unmounting: Unmounting, name: string): Promise<void> {
  const { paths, drivers } = unmounting;
  const driver = drivers.get(name);
  const failures: unknown[] = [];
  for (const hash of await namesIn(path.join(paths.drivers, name))) {
    try {
      await unstageIfUnused(unmounting, driver, path.join(paths.drivers, name, hash));
    } catch (error) {
      failures.push(error); // One that stays does not keep the others.
    }
  }
  if (failures.length > 0) throw failures[0];
}

async function unstageIfUnused(unmounting: Unmounting, driver: CsiDriverClient, own: string): Promise<void> {
  const seen = await readStageRecord(own);
  if (seen === undefined) return;
  await unmounting.lock(keyOf(seen), async () => {
    const staged = await readStageRecord(own);
    if (staged !== undefined && !(await isUsed(unmounting, staged)))
      await unstage(unmounting, driver, staged);
  });
}

type UndoRequest =
  | readonly ['NodeUnpublishVolume', { readonly volume_id: string; readonly target_path: string }]
  | readonly ['NodeUnstageVolume', { readonly volume_id: string; readonly staging_target_path: string }];

/** A driver that no longer knows the volume has nothing of it: whether that is so, the place shows. */
async function callUndo(driver: CsiDriverClient, ...[method, request]: UndoRequest): Promise<void> {
  try {
    if (method === 'NodeUnpublishVolume') await driver.call(method, request);
    else await driver.call(method, request);
  } catch (error) {
    if (!isPodwrightError(error) || statusNameOf(error) !== 'NOT_FOUND') throw error;
  }
}

/** Only what is empty and mounted nowhere: a driver's word is not taken for it, as what is below may be the data. @throws {E_BUSY} */
async function removePlace({ mounter }: Unmounting, place: string, driver: string): Promise<void> {
  if (mounter.isMountPoint(place))
    throw new PodwrightError(
      'E_BUSY',
      `unmount ${place}: driver ${driver} says that it did, and something is mounted there`,
    );
  try {
    if ((await lstat(place)).isDirectory()) await rmdir(place);
    else await unlink(place);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return;
    throw new PodwrightError('E_BUSY', `remove ${place} of driver ${driver}`, { cause: error });
  }
}

/** Up to that of the pod. */
async function removeEmptyParents(directory: string, podUid: string): Promise<void> {
  const parts = directory.split(path.sep);
  const last = parts.lastIndexOf(podUid);
  if (last < 0) return removeEmpty(directory);
  for (let length = parts.length; length > last; length--)
    await removeEmpty(parts.slice(0, length).join(path.sep));
}

async function removeEmpty(directory: string): Promise<void> {
  try {
    await rmdir(directory);
  } catch (error) {
    const errno = errnoOf(error) ?? '';
    if (!['ENOENT', 'ENOTEMPTY', 'EEXIST'].includes(errno)) throw error;
  }
}
