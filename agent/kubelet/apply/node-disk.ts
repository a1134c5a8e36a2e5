import { mkdir, rm, stat } from 'node:fs/promises';
import { bindSubPath } from '#agent/volume/sub-path.ts';
import { removeTree } from '#native/fs/remove-tree.ts';
import type { PodDisk } from '#agent/kubelet/pod-disk.ts';
import type { KubeletDirectories } from '#agent/kubelet/pod-paths.ts';
import { findLoggedAttempts } from '#agent/kubelet/sync/logged-attempts.ts';
import { collectOrphanLogs } from '#agent/kubelet/sync/orphan-logs.ts';
import { ensureFile } from './apply-context.ts';
import { linkLog, removeLinksOfPod } from './log-links.ts';
import { findDueHooks } from './post-start.ts';

/** That of a node. */
export function createNodeDisk(directories: KubeletDirectories): PodDisk {
  return {
    makeDirectory: async (path) => void (await mkdir(path, { recursive: true })),
    ensureFile,
    removeFile: (path) => rm(path, { force: true }),
    bindSource: async (source, mounter) => {
      if (source.kind === 'image') return undefined;
      if (source.kind !== 'volume') return (await bindSubPath({ ...source, mounter })).isFile;
      return source.isDirectory === true ? false : !(await stat(source.path)).isDirectory();
    },
    linkLog: (log) => linkLog(directories.logs, log),
    removeLogs: async (podLogs) => {
      await removeTree(podLogs);
      await removeLinksOfPod(podLogs);
    },
    loggedAttempts: (pod) => findLoggedAttempts(pod, directories),
    dueHooks: (pod, actual) => findDueHooks(pod, actual, directories),
    collectLogs: (options) => collectOrphanLogs({ directories, ...options }),
  };
}
