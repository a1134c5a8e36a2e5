import path from 'node:path';
import type { Pod } from '#api/generated/objects.ts';
import { podLimits } from '#api/pod/requests.ts';
import { formatQuantity, parseQuantity, quantityToInteger } from '#api/meta/quantity.ts';
import { containersOf } from '#agent/kubelet/sync/pod-input.ts';
import { podPaths, type KubeletDirectories } from '#agent/kubelet/pod-paths.ts';
import { usedBelow } from './used-below.ts';

/** kubelet's eviction monitoring period. */
export const evictionCheckMs = 10_000;

/** Where a pod writes on the node's disk. */
export interface PodStorage {
  readonly directories: KubeletDirectories;
  /** What the runs of a container wrote to their own file systems; directories, by container name. */
  readonly writableLayers: ReadonlyMap<string, readonly string[]>;
}

/** Which limit, by the kubelet's name of it (pkg/kubelet/eviction), and what the pod is told. */
export interface OverLimit {
  readonly signal: 'emptydirfs.limit' | 'ephemeralpodfs.limit' | 'ephemeralcontainerfs.limit';
  readonly message: string;
}

const storage = 'ephemeral-storage';

/**
 * Why the pod must go, in the kubelet's words: an emptyDir on disk holds more than its sizeLimit, or a container (its file
 * system, logs and termination messages) or the pod (its volumes and /etc/hosts too) more than its limit of ephemeral-storage. emptyDirs in memory are limited by
 * their tmpfs. Nothing is measured that has no limit.
 */
export async function overLimit(
  pod: Pod,
  { directories, writableLayers }: PodStorage,
): Promise<OverLimit | undefined> {
  const paths = podPaths(pod, directories);
  const disks = (pod.spec?.volumes ?? []).filter(
    ({ emptyDir }) => emptyDir !== undefined && emptyDir.medium !== 'Memory',
  );
  const directoryOf = (name: string): string => path.join(paths.root, 'volumes', 'emptyDir', name);
  for (const { name, emptyDir } of disks) {
    const limit = emptyDir?.sizeLimit;
    if (limit !== undefined && (await isOver([directoryOf(name)], bytesOf(limit))))
      return {
        signal: 'emptydirfs.limit',
        message: `Usage of EmptyDir volume "${name}" exceeds the limit "${limit}". `,
      };
  }
  const containers = containersOf(pod).map(({ spec }) => ({
    name: spec.name,
    limit: spec.resources?.limits?.[storage],
    written: [
      ...(writableLayers.get(spec.name) ?? []),
      path.join(paths.logs, spec.name),
      path.dirname(paths.terminationMessage(spec.name, 'any')),
    ],
  }));
  const whole = podLimits(pod).get(storage);
  const all = [
    ...containers.flatMap(({ written }) => written),
    ...disks.map(({ name }) => directoryOf(name)),
    ...[paths.hosts, paths.resolvConf, paths.hostname],
  ];
  if (whole !== undefined && (await isOver(all, quantityToInteger(whole))))
    return {
      signal: 'ephemeralpodfs.limit',
      message: `Pod ephemeral local storage usage exceeds the total limit of containers ${formatQuantity(whole)}. `,
    };
  for (const { name, limit, written } of containers) {
    if (limit !== undefined && (await isOver(written, bytesOf(limit))))
      return {
        signal: 'ephemeralcontainerfs.limit',
        message: `Container ${name} exceeded its local ephemeral storage limit "${limit}". `,
      };
  }
  return undefined;
}

function bytesOf(quantity: string): number {
  return quantityToInteger(parseQuantity(quantity));
}

/** Whether directories hold more than so many bytes together; 0 is no limit. */
async function isOver(directories: readonly string[], limitBytes: number): Promise<boolean> {
  if (limitBytes <= 0) return false;
  let used = 0;
  for (const directory of directories) {
    used += (await usedBelow(directory, limitBytes - used)).bytes;
    if (used > limitBytes) return true;
  }
  return false;
}
