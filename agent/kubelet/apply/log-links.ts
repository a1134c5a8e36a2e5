/**
 * What collectors of logs look for beside the logs: `containers/POD_NAMESPACE_CONTAINER-ID.log`, a link to the log of each
 * container (kubelet's legacyLogSymlink), relative, so that it holds wherever the two directories are seen, as at /var/log.
 */
import { access, mkdir, readdir, readlink, symlink, unlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { errnoOf } from '#base/errors.ts';
import type { Pod } from '#api/generated/objects.ts';
import type { PodObservation } from '#agent/runtime/runtime.ts';
import { nameLengthMax } from '#agent/kubelet/pod-paths.ts';

/** Beside the directory of the pods' logs. */
export function logLinksDirectory(logs: string): string {
  return join(dirname(logs), 'containers');
}

export interface LinkedLog {
  readonly pod: Pod;
  readonly container: string;
  readonly id: string;
  /** Of the log, in the directory of the pods' logs. */
  readonly path: string;
}

/** Pure: the name of the link, and where it leads. A pod's name that is too long is cut, for the id tells links apart. */
export function renderLogLink(
  logs: string,
  { pod, container, id, path }: LinkedLog,
): { name: string; target: string } {
  const { name = '', namespace = '' } = pod.metadata ?? {};
  const end = `_${namespace}_${container}-${id}.log`;
  return {
    name: `${name.slice(0, nameLengthMax - end.length)}${end}`,
    target: join('..', basename(logs), path.slice(logs.length + 1)),
  };
}

/** Makes the link; one that is there is right, for an id belongs to one container. */
export async function linkLog(logs: string, log: LinkedLog): Promise<void> {
  const { name, target } = renderLogLink(logs, log);
  const directory = logLinksDirectory(logs);
  try {
    await symlink(target, join(directory, name));
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') return;
    if (errnoOf(error) !== 'ENOENT') throw error;
    await mkdir(directory, { recursive: true, mode: 0o755 });
    await linkLog(logs, log);
  }
}

/** Those that an agent did not live to make. */
export async function linkKnownLogs(logs: string, pods: readonly PodObservation[]): Promise<void> {
  for (const { namespace, name, containers } of pods) {
    const pod = { metadata: { namespace, name } };
    for (const { id, name: container, logPath: path } of containers) {
      if (path?.startsWith(`${logs}/`) === true) await linkLog(logs, { pod, container, id, path });
    }
  }
}

/**
 * Removes the links into the directory of a pod's logs, which may be gone already.
 * @param podLogs `.../pods/NAMESPACE_NAME_UID`
 */
export async function removeLinksOfPod(podLogs: string): Promise<void> {
  const logs = dirname(podLogs);
  const directory = logLinksDirectory(logs);
  const inside = join('..', basename(logs), basename(podLogs), '/');
  const [, podName = ''] = basename(podLogs).split('_');
  // A node has links of many pods, and to read one is a system call. Of the longest name 58 characters are in the link's.
  const start = podName.slice(0, 50);
  for (const name of await namesIn(directory)) {
    if (!name.startsWith(start)) continue;
    const link = join(directory, name);
    const target = await orUndefined(() => readlink(link));
    if (target?.startsWith(inside) === true) await orUndefined(() => unlink(link));
  }
}

/** Removes links to logs that are gone; whatever else is there stays. */
export async function removeDeadLogLinks(logs: string): Promise<void> {
  const directory = logLinksDirectory(logs);
  const inside = join('..', basename(logs), '/');
  for (const name of await namesIn(directory)) {
    const link = join(directory, name);
    const target = await orUndefined(() => readlink(link));
    if (target === undefined || !target.startsWith(inside)) continue;
    const isThere = await orUndefined(async () => (await access(link), true));
    if (isThere === undefined) await orUndefined(() => unlink(link));
  }
}

async function namesIn(directory: string): Promise<readonly string[]> {
  return (await orUndefined(() => readdir(directory))) ?? [];
}

/** EINVAL: no link. ELOOP, ENAMETOOLONG: one that leads nowhere either. */
async function orUndefined<T>(ask: () => Promise<T>): Promise<T | undefined> {
  try {
    return await ask();
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'EINVAL', 'ELOOP', 'ENAMETOOLONG'].includes(errnoOf(error) ?? ''))
      return undefined;
    throw error;
  }
}
