import { mkdir, readdir } from 'node:fs/promises';
import path from 'node:path';
import type { Pod, Volume } from '#api/generated/objects.ts';
import { isPodUid } from '#agent/runtime/plan/plan-sandbox.ts';
import { isPodwrightError, PodwrightError } from '#base/errors.ts';
import { namesIn } from '#base/names-in.ts';
import { removeTree } from '#native/fs/remove-tree.ts';
import { createContentRoom, podContentBytesMax, sharedContentBytesMax } from './content-room.ts';
import { readRecord } from './claims/records.ts';
import type { Tries, VolumeCounts } from './counts/volume-counts.ts';
import { readCsiRecord } from './csi/csi-records.ts';
import type { KubeletView } from './csi/kubelet-view.ts';
import { inGroups } from './in-groups.ts';
import { ensureMemoryRoom, needsMemoryRoom } from './memory-room.ts';
import { bindVolume } from './volume-kinds.ts';
import type {
  DownwardValues,
  MountedVolume,
  Mounter,
  VolumeContext,
  VolumeKinds,
  VolumeObjects,
} from './volume.ts';

export interface PodVolumesOptions {
  /** On disk, below it `<uid>/volumes/<kind>/<name>`. */
  readonly directory: string;
  /** On a tmpfs, for what must not be written to disk; the same layout, and of pods with much of it each a tmpfs of its own. */
  readonly memoryDirectory: string;
  /** What the volumes of a pod, by its uid, refer to. */
  readonly objects: (podUid: string) => VolumeObjects;
  readonly mounter: Mounter;
  readonly kinds?: VolumeKinds;
  /** What stands in for /var/lib/kubelet. */
  readonly view?: KubeletView;
  /** Undoes, before a pod's directory goes, what is not undone by removing it. @throws and nothing is removed */
  readonly unmountPod?: ((podDirectory: string) => Promise<void>) | undefined;
  /** A pod's directory went though not all could be undone: what its volumes share with nobody is to be looked for. */
  readonly onForced?: (() => void) | undefined;
  /** What the node has for all pods together. */
  readonly allocatable?: VolumeContext['allocatable'];
  /** Undefined: nobody counts. */
  readonly counts?: VolumeCounts | undefined;
}

export interface MountRequest {
  readonly pod: Pod;
  readonly downward: DownwardValues;
  readonly now: number;
  readonly signal: AbortSignal;
}

/** All volumes of a pod, by name. */
export interface MountedVolumes {
  readonly byName: ReadonlyMap<string, MountedVolume>;
  readonly refreshAtMs: number | undefined;
}

export interface PodVolumes {
  /** Makes or refreshes all volumes of the pod. Safe to repeat. */
  mount(request: MountRequest): Promise<MountedVolumes>;
  /** Removes all that is left of the pod's volumes, from the directories alone: no object is needed. Safe to repeat. */
  remove(uid: string): Promise<void>;
  /** Counts what an earlier agent left. */
  recall(): Promise<void>;
  /** Uids of pods with anything left here. */
  uids(): Promise<readonly string[]>;
}

export function createPodVolumes(options: PodVolumesOptions): PodVolumes {
  const { directory, memoryDirectory, objects, mounter, kinds, counts } = options;
  const roots = [directory, memoryDirectory];
  return {
    mount: async ({ pod, ...request }) => {
      const uid = checkedUid(pod.metadata?.uid ?? '');
      const hasRoom = needsMemoryRoom(pod);
      if (hasRoom) ensureMemoryRoom(path.join(memoryDirectory, uid), mounter);
      const content = createContentRoom();
      const bytesMaxIn = (place: string): number =>
        place === 'memory' && !hasRoom ? sharedContentBytesMax : podContentBytesMax;
      const mounted = await inGroups(
        pod.spec?.volumes ?? [],
        saying(async (volume): Promise<[string, MountedVolume]> => {
          const bound = bindVolume(volume, kinds);
          const root = bound.place === 'memory' ? memoryDirectory : directory;
          const context = {
            pod,
            volume,
            directory: path.join(root, uid, 'volumes', bound.field, volume.name),
            fsGroup: pod.spec?.securityContext?.fsGroup,
            objects: objects(uid),
            content: content(volume.name, bytesMaxIn(bound.place)),
            mounter,
            ...{ view: options.view, allocatable: options.allocatable },
            ...request,
          };
          const mountIt = (tellPlugin?: VolumeContext['tellPlugin']): Promise<MountedVolume> =>
            bound.mount({ ...context, tellPlugin });
          return [volume.name, await (counts?.mounting(uid, volume, mountIt) ?? mountIt())];
        }),
      );
      const times = mounted.flatMap(([, { refreshAtMs }]) => refreshAtMs ?? []);
      return { byName: new Map(mounted), refreshAtMs: times.length === 0 ? undefined : Math.min(...times) };
    },
    remove: async (uid) => {
      const work = async (): Promise<void> => {
        const isForced = await isUnreadable(() =>
          options.unmountPod?.(path.join(directory, checkedUid(uid))),
        );
        const tries = isForced ? counts?.forceCleaned : undefined;
        await counted(tries, async () => {
          for (const root of roots) await removeRoot(path.join(root, checkedUid(uid)), mounter);
        });
        if (isForced) options.onForced?.();
      };
      await (counts?.unmounting(uid, work) ?? work());
    },
    recall: async () => {
      if (counts !== undefined) await countFound(roots, counts.reconstructed);
    },
    uids: async () => {
      const found = await Promise.all(
        roots.map(async (root) => {
          await mkdir(root, { recursive: true });
          return readdir(root);
        }),
      );
      return [...new Set(found.flat().filter(isPodUid))];
    },
  };
}

/** Whether what was to be undone has a record that cannot be read: then its mounts go without its driver, as the kubelet's reconciler has it. */
async function isUnreadable(undo: () => Promise<void> | undefined): Promise<boolean> {
  try {
    await undo();
    return false;
  } catch (error) {
    if (isPodwrightError(error) && error.code === 'E_DAMAGED') return true;
    throw error;
  }
}

/** Of all pods. Whoever needs a record that cannot be read says so. */
async function countFound(roots: readonly string[], tries: Tries): Promise<void> {
  for (const root of roots) {
    await inGroups(await namesIn(root), async (uid) => {
      for (const place of await volumesBelow(path.join(root, uid))) {
        const look = async (): Promise<void> => void (await readRecord(place), await readCsiRecord(place));
        await counted(tries, look).catch(() => undefined);
      }
    });
  }
}

async function counted(tries: Tries | undefined, work: () => Promise<void>): Promise<void> {
  if (tries !== undefined) tries.tries++;
  try {
    await work();
  } catch (error) {
    if (tries !== undefined) tries.failures++;
    throw error;
  }
}

/** `detail.volume` of what is thrown is the volume that it is about. */
function saying<T>(mount: (volume: Volume) => Promise<T>): (volume: Volume) => Promise<T> {
  return async (volume) => {
    try {
      return await mount(volume);
    } catch (error) {
      if (!isPodwrightError(error)) throw error;
      const { code, message: text, detail } = error;
      throw new PodwrightError(code, text, { cause: error, detail: { ...detail, volume: volume.name } });
    }
  };
}

/** It becomes a path, that of what is removed. @throws E_INVALID */
function checkedUid(uid: string): string {
  if (isPodUid(uid)) return uid;
  throw new PodwrightError('E_INVALID', `find the volumes of pod ${JSON.stringify(uid)}: that is no pod uid`);
}

/** Unmounts volumes and subpaths, then removes the rest; what else is mounted below, removeTree unmounts and never follows. */
async function removeRoot(root: string, mounter: Mounter): Promise<void> {
  for (const container of await namesIn(path.join(root, 'subpaths'))) {
    for (const index of await namesIn(path.join(root, 'subpaths', container))) {
      mounter.unmount(path.join(root, 'subpaths', container, index));
    }
  }
  for (const place of await volumesBelow(root)) {
    // Of claims, beside their records. Before anything is looked at: a server may be away.
    mounter.unmount(path.join(place, 'mount'));
    mounter.unmount(place);
  }
  mounter.unmount(root);
  await removeTree(root);
}

/** Directories of volumes, of a pod's. */
async function volumesBelow(root: string): Promise<readonly string[]> {
  const kinds = await namesIn(path.join(root, 'volumes'));
  const found = kinds.map(async (kind) => {
    const names = await namesIn(path.join(root, 'volumes', kind));
    return names.map((name) => path.join(root, 'volumes', kind, name));
  });
  return (await Promise.all(found)).flat();
}
