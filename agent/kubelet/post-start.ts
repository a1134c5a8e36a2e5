/**
 * postStart hooks, each delivered once at least (kubernetes.io/docs/concepts/containers/container-lifecycle-hooks): from before its
 * container is started until it has returned well, a file says that it is due, so that the agent after one that was killed
 * in between runs it again.
 */
import { rm } from 'node:fs/promises';
import { describeError } from '#base/errors.ts';
import { namesIn } from '#base/names-in.ts';
import type { Pod } from '#api/objects.ts';
import type { PodObservation } from '#agent/runtime/runtime.ts';
import { ensureFile, type Applied, type ApplyContext } from './apply-context.ts';
import { runHook } from './handler.ts';
import { podNames } from './pod-events.ts';
import { containersOf } from './pod-input.ts';
import { podPaths, type KubeletDirectories } from './pod-paths.ts';

/** A run of a container. */
interface Run {
  readonly container: string;
  readonly id: string;
}

/** Writes down that the hook of a run is due, before that is started. */
export async function noteDueHook({ id }: Run, { memory, ports }: ApplyContext): Promise<void> {
  await ensureFile(podPaths(memory.desired.pod, ports.directories).dueHook(id), '', 0o600);
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
export function startHook(run: Run, context: ApplyContext): Applied {
  return { outcome: { kind: 'hookBegun', id: run.id }, beside: () => runDueHook(run, context) };
}

/** Runs the hook of a container that has one. */
export function runDueHook({ container: name, id }: Run, context: ApplyContext): void {
  const { memory, ports } = context;
  const { pod } = memory.desired;
  const container = containersOf(pod).find(({ spec }) => spec.name === name)?.spec;
  const handler = container?.lifecycle?.postStart;
  if (container === undefined || handler === undefined) return;
  const isHost = pod.spec?.hostNetwork === true;
  const ips = isHost ? ports.node.ips : (ports.runtime.observe(memory.uid)?.sandbox?.ips ?? []);
  const target = { pod, container, containerId: id, podIp: ips[0] ?? '127.0.0.1' };
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
          container: name,
          isQuoting: handler.exec !== undefined,
        });
      ports.enqueue(memory.uid);
      if (failure === undefined) await rm(podPaths(pod, ports.directories).dueHook(id), { force: true });
    })
    .catch((error: unknown) =>
      ports.logger.error({ ...podNames(pod), error: describeError(error) }, 'hook crashed'),
    );
}
