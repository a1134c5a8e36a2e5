/** Runs of which the node has nothing but their logs: its records were lost, with a reboot, before the API had heard of them. */
import { namesIn } from '#base/names-in.ts';
import { podPaths } from './pod-paths.ts';
import { containersOf } from './pod-input.ts';
import type { PodMemory } from './pod-memory.ts';
import type { KubeletPorts } from './ports.ts';

const logName = /^(\d{1,9})\.log$/;

/**
 * Finds the newest run of each container that has a log, once, before this agent starts anything of the pod: a log is not
 * written by two runs. As the kubelet's calcRestartCountByLogDir (kuberuntime_container.go) does.
 */
export async function ensureLoggedAttempts(
  memory: PodMemory,
  { directories }: Pick<KubeletPorts, 'directories'>,
): Promise<void> {
  if (memory.loggedAttempts !== undefined) return;
  const { pod } = memory.desired;
  const paths = podPaths(pod, directories);
  const logged = new Set(await namesIn(paths.logs));
  const found = new Map<string, number>();
  for (const { spec } of containersOf(pod)) {
    if (!logged.has(spec.name)) continue;
    const names = await namesIn(`${paths.logs}/${spec.name}`);
    const attempts = names.flatMap((name) => logName.exec(name)?.[1] ?? []).map(Number);
    if (attempts.length > 0)
      found.set(
        spec.name,
        attempts.reduce((a, b) => Math.max(a, b)),
      );
  }
  memory.loggedAttempts = found;
}
