/** Runs of which the node has nothing but their logs: its records were lost, with a reboot, before the API had heard of them. */
import type { Pod } from '#api/generated/objects.ts';
import { namesIn } from '#base/names-in.ts';
import { containersOf } from './pod-input.ts';
import { podPaths, type KubeletDirectories } from '#agent/kubelet/pod-paths.ts';

const logName = /^(\d{1,9})\.log$/;

/**
 * By container name, the newest run that has a log. Asked before an agent starts anything of the pod: a log is not written by two
 * runs. As the kubelet's calcRestartCountByLogDir (kuberuntime_container.go) does.
 */
export async function findLoggedAttempts(
  pod: Pod,
  directories: KubeletDirectories,
): Promise<ReadonlyMap<string, number>> {
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
  return found;
}
