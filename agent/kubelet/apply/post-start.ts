/**
 * postStart hooks, each delivered once at least (kubernetes.io/docs/concepts/containers/container-lifecycle-hooks): from before its
 * container is started until it has returned well, a file says that it is due, so that the agent after one that was killed
 * in between runs it again.
 */
import { describeError } from '#base/errors.ts';
import { namesIn } from '#base/names-in.ts';
import type { Pod } from '#api/generated/objects.ts';
import type { PodObservation } from '#agent/runtime/runtime.ts';
import type { ActionOf, Hook } from '#agent/kubelet/render/action.ts';
import type { Applied, ApplyContext } from './apply-context.ts';
import { runHook } from '#agent/kubelet/probe/handler.ts';
import { podNames } from '#agent/kubelet/sync/pod-events.ts';
import { podPaths, type KubeletDirectories } from '#agent/kubelet/pod-paths.ts';

/** Writes down that a hook is due, before its container is started. */
export async function noteDueHook({ dueFile }: Hook, disk: ApplyContext['ports']['disk']): Promise<void> {
  await disk.ensureFile(dueFile, '', 0o600);
}

/** The ids of running containers whose hooks earlier agents left due. */
export async function findDueHooks(
  pod: Pod,
  actual: PodObservation,
  directories: KubeletDirectories,
): Promise<readonly string[]> {
  if (actual.containers.every(({ state }) => state.state !== 'running')) return [];
  const due = new Set(await namesIn(podPaths(pod, directories).dueHooks));
  return actual.containers.flatMap(({ id }) => (due.has(id) ? [id] : []));
}

/** Until the hook has returned, the container counts as not started; if it fails, the container is killed. */
export function startHook({ id, hook }: ActionOf<'startHook'>, context: ApplyContext): Applied {
  const outcome = { kind: 'hookBegun', id } as const;
  return hook === undefined ? { outcome } : { outcome, beside: () => runDueHook(hook, context) };
}

export function runDueHook({ handler, target, dueFile }: Hook, { memory, ports }: ApplyContext): void {
  const { pod, container, containerId: id } = target;
  const never = new AbortController().signal; // A hook has no time-out; its container's end ends it.
  runHook(handler, target, ports, never)
    .then(
      (result) => (result.isSuccess ? undefined : result.output),
      (error: unknown) => describeError(error),
    )
    .then(async (failure) => {
      memory.report({ kind: 'hookEnded', id, failure });
      if (failure !== undefined)
        ports.events.warning(pod, 'FailedPostStartHook', `PostStartHook failed: ${failure}`, {
          container: container.name,
          isQuoting: handler.exec !== undefined,
        });
      ports.enqueue(memory.uid);
      if (failure === undefined) await ports.disk.removeFile(dueFile);
    })
    .catch((error: unknown) =>
      ports.logger.error({ ...podNames(pod), error: describeError(error) }, 'hook crashed'),
    );
}
