/** The disk and the volumes of fake nodes: nothing is written but logs, and those only of containers that say something. */
import { appendFileSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Pod, Volume } from '#api/generated/objects.ts';
import { claimNameOf, foreignClaim, isFullyBound } from '#api/volume/claim.ts';
import { persistentVolumeClaims } from '#api/schema/kind-ref.ts';
import { PodwrightError } from '#base/errors.ts';
import type { Clock } from '#base/clock.ts';
import { isNotFound } from '#client/api-error.ts';
import type { ApiClient } from '#client/client.ts';
import type { PodDisk } from '#agent/kubelet/pod-disk.ts';
import type { ReferencedObjects } from '#agent/kubelet/referenced-objects.ts';
import type { MountedVolume } from '#agent/volume/volume.ts';
import type { PodVolumes } from '#agent/volume/pod-volumes.ts';
import { removeTree } from '#native/fs/remove-tree.ts';

/** Bytes of one container's log; what it says beyond is lost. */
const logBytesMax = 1_048_576;

/** The logs of many nodes' containers, in one directory that is the process's own. */
export interface FakeLogs {
  write(path: string, text: string): void;
  remove(podLogs: string): Promise<void>;
}

export function createFakeLogs(clock: Clock): FakeLogs {
  const sizes = new Map<string, number>(); // by path, of pods that are there
  const pathsOf = new Map<string, Set<string>>(); // by the pod's directory
  return {
    write: (path, text) => {
      const stamp = new Date(clock.now()).toISOString().replace('Z', '000000Z');
      // The format of CRI: time, stream, F for a whole line.
      const lines = text.split('\n').filter((line, index, all) => line !== '' || index < all.length - 1);
      const written = lines.map((line) => `${stamp} stdout F ${line}\n`).join('');
      const size = (sizes.get(path) ?? 0) + written.length;
      if (size > logBytesMax) return;
      sizes.set(path, size);
      const pod = dirname(dirname(path));
      pathsOf.set(pod, (pathsOf.get(pod) ?? new Set()).add(path));
      mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
      appendFileSync(path, written);
    },
    remove: async (podLogs) => {
      const paths = pathsOf.get(podLogs);
      if (paths === undefined) return; // None of its containers said anything.
      pathsOf.delete(podLogs);
      for (const path of paths) sizes.delete(path);
      await removeTree(podLogs);
    },
  };
}

export function createFakeDisk(logs: FakeLogs): PodDisk {
  const nothing = async (): Promise<void> => undefined;
  const noAttempts: ReadonlyMap<string, number> = new Map();
  return {
    makeDirectory: nothing,
    ensureFile: nothing,
    removeFile: nothing,
    bindSource: async () => false,
    linkLog: nothing,
    removeLogs: (podLogs) => logs.remove(podLogs),
    loggedAttempts: async () => noAttempts,
    dueHooks: async () => [],
    collectLogs: () => ({ [Symbol.asyncDispose]: nothing }),
  };
}

export interface FakeVolumesOptions {
  readonly client: ApiClient;
  readonly objects: ReferencedObjects;
}

/** Volumes that are there as soon as what they refer to is; a pod waits for that as on any node, and in the same words. */
export function createFakeVolumes({ client, objects }: FakeVolumesOptions): PodVolumes {
  return {
    mount: async ({ pod }) => {
      const byName = new Map<string, MountedVolume>();
      for (const volume of pod.spec?.volumes ?? []) {
        await requireSources(pod, volume, objects);
        await requireClaim(pod, volume, client);
        byName.set(volume.name, { path: join('/nonexistent', pod.metadata?.uid ?? '', volume.name) });
      }
      return { byName, refreshAtMs: undefined };
    },
    recall: async () => undefined,
    remove: async () => undefined,
    uids: async () => [],
  };
}

/** ConfigMaps and Secrets that are not optional. @throws E_NOT_FOUND */
async function requireSources(pod: Pod, volume: Volume, objects: ReferencedObjects): Promise<void> {
  const { namespace = '', uid = '' } = pod.metadata ?? {};
  const { configMap, secret, projected } = volume;
  const parts = [{ configMap, secret }, ...(projected?.sources ?? [])];
  for (const part of parts) {
    const mapName = part.configMap?.name;
    const secretName =
      part.secret === undefined
        ? undefined
        : 'secretName' in part.secret
          ? part.secret.secretName
          : 'name' in part.secret
            ? part.secret.name
            : undefined;
    if (mapName !== undefined && part.configMap?.optional !== true)
      require(await objects.configMap(uid, namespace, mapName), 'configmap', mapName);
    if (secretName !== undefined && part.secret?.optional !== true)
      require(await objects.secret(uid, namespace, secretName), 'secret', secretName);
  }
}

function require(object: unknown, kind: string, name: string): void {
  if (object === undefined)
    throw new PodwrightError('E_NOT_FOUND', `${kind} ${JSON.stringify(name)} not found`);
}

/** In the kubelet's words, as claims of real nodes have them. @throws E_NOT_FOUND, E_INVALID */
async function requireClaim(pod: Pod, volume: Volume, client: ApiClient): Promise<void> {
  const name = claimNameOf(pod, volume);
  if (name === undefined) return;
  const namespace = pod.metadata?.namespace ?? '';
  try {
    const claim = await client.get(persistentVolumeClaims, { namespace, name });
    const foreign = volume.ephemeral === undefined ? undefined : foreignClaim(pod, claim);
    if (foreign !== undefined) throw new PodwrightError('E_INVALID', foreign);
    if (!isFullyBound(claim) || claim.status?.phase !== 'Bound')
      throw new PodwrightError('E_INVALID', `PVC ${namespace}/${name} is not bound`);
  } catch (error) {
    if (!isNotFound(error)) throw error;
    throw new PodwrightError('E_NOT_FOUND', `persistentvolumeclaims ${JSON.stringify(name)} not found`);
  }
}
