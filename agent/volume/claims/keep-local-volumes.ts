import type { Clock } from '#base/clock.ts';
import { describeError } from '#base/errors.ts';
import type { KeyOutcome } from '#base/keyed-queue.ts';
import type { Logger } from '#base/log.ts';
import { persistentVolumes } from '#api/schema/kind-ref.ts';
import type { PersistentVolume } from '#api/generated/objects.ts';
import { localVolumeFinalizer, volumeNodeLabel } from '#api/volume/local-volumes.ts';
import { isNotFound } from '#client/api-error.ts';
import { runController, source, type Controller } from '#client/controller.ts';
import type { EventRecorder } from '#client/event-recorder.ts';
import type { WritableInformer } from '#client/informer.ts';
import type { Informers } from '#client/informers.ts';
import { podsWithVolume } from './claim-objects.ts';
import type { LocalVolumes } from './local-volumes.ts';

export interface KeepLocalVolumesOptions {
  readonly informers: Informers;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly nodeName: string;
  readonly localVolumes: LocalVolumes;
  /** Below it the records of pods that use volumes. */
  readonly podsDirectory: string;
  /** Tells of volumes that cannot be removed. */
  readonly events: Pick<EventRecorder, 'record'>;
  /** A volume of the pod is larger than before. */
  readonly onGrown: (podUid: string) => void;
}

/** The volumes that the node makes. */
export function volumesMadeBy(nodeName: string, informers: Informers): WritableInformer<PersistentVolume> {
  return informers.for(persistentVolumes, { labelSelector: `${volumeNodeLabel}=${nodeName}` });
}

/** What is due for a volume of this node. */
export type KeepStep = 'nothing' | 'remove' | 'let go';

const protectionFinalizer = 'kubernetes.io/pv-protection';
/** A volume that pods still have is looked at again. */
const usedMs = 1000;

/** What becomes of a volume: it is removed when its object goes, nothing keeps it, and its policy says so. Pure. */
export function planKeeping({ metadata, spec }: PersistentVolume): KeepStep {
  const finalizers = metadata?.finalizers ?? [];
  if (metadata?.deletionTimestamp === undefined || !finalizers.includes(localVolumeFinalizer))
    return 'nothing';
  if (finalizers.includes(protectionFinalizer)) return 'nothing';
  return spec?.persistentVolumeReclaimPolicy === 'Delete' ? 'remove' : 'let go';
}

/** Removes the node's volumes whose objects go, and tells pods of those that grow. Runs until disposed. */
export function keepLocalVolumes(options: KeepLocalVolumesOptions): Controller {
  const { informers, clock, logger, nodeName, podsDirectory, onGrown } = options;
  const volumes = volumesMadeBy(nodeName, informers);
  const sizes = new Map<string, string | undefined>(); // by name, as they were seen last
  void volumes.synced.then(() => tellOrphans(options, volumes.list()));
  return runController({
    name: 'local volumes',
    clock,
    logger,
    sources: [source(volumes, ({ key }) => [key])],
    reconcile: async (name): Promise<KeyOutcome | void> => {
      const volume = volumes.get(name);
      const size = volume?.spec?.capacity?.['storage'];
      const isNew = !sizes.has(name);
      const isGrown = !isNew && volume !== undefined && sizes.get(name) !== size;
      if (volume === undefined) sizes.delete(name);
      else sizes.set(name, size);
      if (volume === undefined) return;
      const step = planKeeping(volume);
      // Until it says that it is bound no pod has it, and all records are read for one.
      const mayBeOld = isNew && volume.status?.phase === 'Bound';
      if (!isGrown && !mayBeOld && step === 'nothing') return;
      const users = await podsWithVolume(podsDirectory, name);
      if (isGrown || mayBeOld) for (const uid of users) onGrown(uid);
      if (step === 'nothing') return;
      if (users.length > 0) return { kind: 'again', afterMs: usedMs };
      if (step === 'remove') await removeVolume(options, volume);
      const finalizers = volume.metadata?.finalizers?.filter((one) => one !== localVolumeFinalizer);
      const next = { ...volume, metadata: { ...volume.metadata, finalizers } };
      try {
        volumes.observe(await informers.client.update(persistentVolumes, next));
      } catch (error) {
        if (!isNotFound(error)) throw error;
      }
    },
  });
}

/** What cannot be removed is told of at its object, which stays. */
async function removeVolume(
  { localVolumes, events, logger }: KeepLocalVolumesOptions,
  volume: PersistentVolume,
): Promise<void> {
  try {
    await localVolumes.remove(volume);
  } catch (error) {
    const regarding = { kind: persistentVolumes, object: volume };
    events.record(regarding, 'Warning', 'VolumeFailedDelete', describeError(error));
    throw error;
  }
  logger.info({ volume: volume.metadata?.name }, 'volume removed');
}

/** What has no object any more is told of and stays: a store that was put back knows less than the disk. */
async function tellOrphans(
  { localVolumes, logger }: KeepLocalVolumesOptions,
  known: readonly PersistentVolume[],
): Promise<void> {
  const names = new Set(known.map(({ metadata }) => metadata?.name));
  try {
    const orphans = (await localVolumes.list()).filter((name) => !names.has(name));
    if (orphans.length === 0) return;
    const { directory } = localVolumes;
    const some = orphans.slice(0, toldMax);
    logger.warn({ directory, count: orphans.length, some }, 'volumes without a PersistentVolume: they stay');
  } catch (error) {
    logger.warn({ error: describeError(error) }, 'volumes not listed');
  }
}

const toldMax = 10;
