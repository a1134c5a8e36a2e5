import { lstat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '#base/clock.ts';
import { describeError } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import { namesIn } from '#base/names-in.ts';
import type { PodObservation } from '#agent/runtime/runtime.ts';
import { clientLogsXattr } from '#agent/runtime/cri/pod-files.ts';
import { isPodUid } from '#agent/runtime/plan/plan-sandbox.ts';
import { getXattr } from '#native/sys/file.ts';
import { removeTree } from '#native/fs/remove-tree.ts';
import type { KubeletDirectories } from '#agent/kubelet/pod-paths.ts';
import { linkKnownLogs, removeDeadLogLinks } from '#agent/kubelet/apply/log-links.ts';

/** How often log directories of pods are looked through that nobody knows. */
const collectMs = 60_000;

/** `namespace_name_uid`: names of Kubernetes have no underscore. */
const podDirectory = /^[a-z0-9.-]{1,253}_[a-z0-9.-]{1,253}_([^_]+)$/;

/**
 * Removes the log directories of pods that are not known, left by an agent that was killed. Only what is a directory of ours (our
 * user's) with a pod's name goes, by descriptors; whatever else is there stays, as do those that clients of CRI named.
 * @returns the names of those that went
 */
export async function removeOrphanLogs(
  directory: string,
  isKnown: (uid: string) => boolean,
): Promise<readonly string[]> {
  const removed: string[] = [];
  for (const name of await namesIn(directory)) {
    const uid = podDirectory.exec(name)?.[1] ?? '';
    if (!isPodUid(uid) || isKnown(uid)) continue;
    const path = join(directory, name);
    const found = await lstat(path);
    if (!found.isDirectory() || found.uid !== process.getuid?.()) continue;
    if (isKnown(uid)) continue; // It came meanwhile.
    if (getXattr(path, clientLogsXattr) !== undefined) continue; // A client's of CRI.
    await removeTree(path);
    removed.push(name);
  }
  return removed;
}

export interface OrphanLogsOptions {
  readonly directories: Pick<KubeletDirectories, 'logs' | 'formerLogs'>;
  readonly isKnown: (uid: string) => boolean;
  readonly pods: () => readonly PodObservation[];
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Now, and again and again until disposed. */
export function collectOrphanLogs({
  directories: { logs: directory, formerLogs = directory },
  isKnown,
  pods,
  clock,
  logger,
}: OrphanLogsOptions): AsyncDisposable {
  const abort = new AbortController();
  const run = async (): Promise<void> => {
    for (;;) {
      try {
        await linkKnownLogs(directory, pods());
        const removed: string[] = [];
        for (const each of new Set([directory, formerLogs])) {
          removed.push(...(await removeOrphanLogs(each, isKnown)));
          await removeDeadLogLinks(each);
        }
        if (removed.length > 0) logger.info({ directories: removed }, 'logs of pods that are gone removed');
      } catch (error) {
        logger.warn({ directory, error: describeError(error) }, 'logs of pods that are gone not removed');
      }
      await clock.sleep(collectMs, abort.signal);
    }
  };
  const done = run().catch(() => undefined); // Ends by abort only.
  return {
    [Symbol.asyncDispose]: async () => {
      abort.abort(new DOMException('kubelet stopped', 'AbortError'));
      await done;
    },
  };
}
