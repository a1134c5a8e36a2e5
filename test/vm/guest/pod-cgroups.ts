/** Where a pod's processes are, read from the kernel and not from podwright. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export const nodeCgroup = '/sys/fs/cgroup/podwright';

export interface PodCgroups {
  readonly pod: string;
  readonly supervisor: string;
  /** One directory per container. */
  readonly containers: readonly string[];
}

/** The cgroups of a pod, or undefined as long as there are none. */
export function findPodCgroups(uid: string): PodCgroups | undefined {
  if (!existsSync(nodeCgroup)) return undefined;
  const pod = directoriesBelow(nodeCgroup).find((directory) => directory.endsWith(`/pod${uid}`));
  if (pod === undefined) return undefined;
  const children = childrenOf(pod);
  return {
    pod,
    supervisor: join(pod, 'sup'),
    containers: children.filter((directory) => !directory.endsWith('/sup')),
  };
}

export function read(cgroup: string, file: string): string {
  return readFileSync(join(cgroup, file), 'utf8').trim();
}

export function processesOf(cgroup: string): readonly number[] {
  return read(cgroup, 'cgroup.procs')
    .split('\n')
    .filter((line) => line !== '')
    .map(Number);
}

/** A number in a file of `name value` lines: cpu.stat, memory.events. */
export function statOf(cgroup: string, file: string, name: string): number {
  return Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(read(cgroup, file))?.[1]);
}

const childrenOf = (cgroup: string): readonly string[] =>
  readdirSync(cgroup, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => join(cgroup, entry.name));

function directoriesBelow(cgroup: string): readonly string[] {
  return childrenOf(cgroup).flatMap((child) => [child, ...directoriesBelow(child)]);
}
