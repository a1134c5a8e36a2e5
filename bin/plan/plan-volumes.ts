/** Where a pod's volumes will be, and how they come there. Pure: agent/volume makes them so. */
import { join } from 'node:path';

import type { Pod, Volume, VolumeProjection } from '#api/generated/objects.ts';
import { claimNameOf } from '#api/volume/claim.ts';
import { PodwrightError } from '#base/errors.ts';
import { memoryRoomBytes, needsMemoryRoom } from '#agent/volume/memory-room.ts';
import { bindVolume } from '#agent/volume/volume-kinds.ts';
import { directories } from './assumed-node.ts';

export interface PlannedVolume {
  readonly name: string;
  readonly path: string;
  readonly isReadOnly: boolean;
  /** A path of the host that is a file by its type. */
  readonly isFile: boolean;
  /** Whether a path below it names a file rather than a directory. */
  readonly holdsFiles: boolean;
  /** Files of an image. */
  readonly isImage?: boolean;
  readonly lines: readonly string[];
}

/** @throws {E_UNSUPPORTED} naming the field, for a kind of volume that nodes do not have */
export function planVolumes(pod: Pod): ReadonlyMap<string, PlannedVolume> {
  return new Map((pod.spec?.volumes ?? []).map((volume) => [volume.name, planVolume(pod, volume)]));
}

const fileTypes: ReadonlySet<string> = new Set([
  'File',
  'FileOrCreate',
  'Socket',
  'CharDevice',
  'BlockDevice',
]);
const madeTypes: Readonly<Record<string, string>> = {
  '': 'make the directory if nothing is there',
  DirectoryOrCreate: 'make the directory if nothing is there',
  FileOrCreate: 'make the file if nothing is there',
};

function planVolume(pod: Pod, volume: Volume): PlannedVolume {
  const { field, place } = bindVolume(volume);
  const uid = pod.metadata?.uid ?? '';
  const root = place === 'memory' ? directories.podsMemory : directories.pods;
  const path =
    place === 'none' ? (volume.hostPath?.path ?? '') : join(root, uid, 'volumes', field, volume.name);
  const { name } = volume;
  const sources = sourcesOf(volume);
  if (sources.length > 0) {
    const room = place === 'memory' && needsMemoryRoom(pod) ? [roomOf(join(root, uid))] : [];
    const writes = sources.map((source) => `write files of ${source} to ${path}, as one change`);
    const lines = [...room, ...writes];
    return { name, path, isReadOnly: true, isFile: false, holdsFiles: true, lines };
  }
  const plain = { name, path, isReadOnly: false, isFile: false, holdsFiles: false };
  if (volume.hostPath !== undefined) {
    const { type = '' } = volume.hostPath;
    const made = madeTypes[type] ?? `must be a ${type}`;
    return { ...plain, isFile: fileTypes.has(type), lines: [`use ${path} of the node: ${made}`] };
  }
  if (volume.image !== undefined) {
    const { reference = '', pullPolicy = 'IfNotPresent' } = volume.image;
    const lines = [`pull image ${reference} (${pullPolicy}), mounted read-only by each container's launch`];
    return { ...plain, isReadOnly: true, isImage: true, lines };
  }
  if (volume.nfs !== undefined) {
    const { server, path: exported, readOnly } = volume.nfs;
    const lines = [`mount nfs ${server}:${exported} on ${path}${readOnly === true ? ', read-only' : ''}`];
    return { ...plain, isReadOnly: readOnly === true, lines };
  }
  const claim = claimNameOf(pod, volume);
  if (claim !== undefined) {
    const lines = [`use the volume that claim ${claim} is bound to, where its PersistentVolume says`];
    return { ...plain, path: `<volume of claim ${claim}>`, lines };
  }
  const { medium = '', sizeLimit } = volume.emptyDir ?? {};
  const fsGroup = pod.spec?.securityContext?.fsGroup;
  const size = sizeLimit === undefined ? '' : `,size=${sizeLimit}`;
  const mode = fsGroup === undefined ? '777' : '2777';
  const lines =
    medium === 'Memory'
      ? [`mount tmpfs on ${path} mode=${mode}${size}${fsGroup === undefined ? '' : `,gid=${fsGroup}`}`]
      : [`mkdir ${path} 0${mode}${fsGroup === undefined ? '' : ` of group ${fsGroup}`}`];
  return { ...plain, lines };
}

/** All memory volumes of a pod share it: the first that needs it mounts it. */
function roomOf(path: string): string {
  return `mount tmpfs on ${path} mode=755,size=${memoryRoomBytes}, the pod's own, unless it is there`;
}

function sourcesOf(volume: Volume): readonly string[] {
  const { configMap, secret, downwardAPI, projected } = volume;
  if (configMap !== undefined) return [`configmap ${configMap.name ?? ''}`];
  if (secret !== undefined) return [`secret ${secret.secretName ?? ''}`];
  if (downwardAPI !== undefined) return ['the downward API'];
  return (projected?.sources ?? []).map((source) => sourceOf(volume.name, source));
}

function sourceOf(volume: string, source: VolumeProjection): string {
  const { configMap, secret, serviceAccountToken, downwardAPI } = source;
  if (configMap !== undefined) return `configmap ${configMap.name ?? ''}`;
  if (secret !== undefined) return `secret ${secret.name ?? ''}`;
  if (downwardAPI !== undefined) return 'the downward API';
  if (serviceAccountToken !== undefined) return `a service account token (${serviceAccountToken.path})`;
  const [field = 'nothing'] = Object.keys(source);
  throw new PodwrightError(
    'E_UNSUPPORTED',
    `volume "${volume}": projected source ${field} is not supported by nodes`,
  );
}
