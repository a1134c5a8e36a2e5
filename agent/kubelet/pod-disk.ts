/** What of pods lies on the node's disk beside their volumes: the port of all that the pods' workers read and write there. */
import type { Pod } from '#api/generated/objects.ts';
import type { PodObservation } from '#agent/runtime/runtime.ts';
import type { Mounter } from '#agent/volume/volume.ts';
import type { LinkedLog } from './apply/log-links.ts';
import type { MountSource } from './render/action.ts';
import type { OrphanLogsOptions } from './sync/orphan-logs.ts';

export interface PodDisk {
  makeDirectory(path: string): Promise<void>;
  /** Makes the directory of a file, then the file. */
  ensureFile(path: string, content: string, mode: number): Promise<void>;
  removeFile(path: string): Promise<void>;
  /** Brings a mount's source to its place. Whether it is a file; undefined: others see to that. */
  bindSource(source: MountSource, mounter: Mounter): Promise<boolean | undefined>;
  linkLog(log: LinkedLog): Promise<void>;
  /** Of a pod, with the links to them. */
  removeLogs(podLogs: string): Promise<void>;
  /** By container name, the newest run that has a log. */
  loggedAttempts(pod: Pod): Promise<ReadonlyMap<string, number>>;
  /** The ids of running containers whose hooks earlier agents left due. */
  dueHooks(pod: Pod, actual: PodObservation): Promise<readonly string[]>;
  /** Until disposed: logs of pods that nobody knows go. */
  collectLogs(options: Omit<OrphanLogsOptions, 'directories'>): AsyncDisposable;
}
