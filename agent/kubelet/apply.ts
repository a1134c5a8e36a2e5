import { mkdir, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { backoffMs, type Backoff } from '#base/backoff.ts';
import { describeError } from '#base/errors.ts';
import { settleAll } from '#base/settle-all.ts';
import { unreachable } from '#base/unreachable.ts';
import { pods } from '#api/kind-ref.ts';
import { isConflict, isNotFound } from '#client/api-error.ts';
import { removeTree } from '#native/fs/remove-tree.ts';
import type { ApplyContext } from './apply-context.ts';
import { renderSandbox } from './container-config.ts';
import { podHostname } from './host-files.ts';
import { startHook } from './post-start.ts';
import { pullImage } from './pull-image.ts';
import { podDownward } from './ports.ts';
import { containersOf, type Action } from './pod-input.ts';
import { allocatedPod } from './pod-memory.ts';
import { podPaths } from './pod-paths.ts';
import { resizePod } from './resize-pod.ts';
import { podCgroupResources } from './resources.ts';
import { startContainer } from './start-container.ts';
import { stopContainer } from './stop-container.ts';

const retryBackoff: Backoff = { initialMs: 1000, factor: 2, maxMs: 120_000 };

/**
 * Carries out one action. Safe to repeat. A failure that has a place in the pod's status is kept in the memory and told as
 * an event; any other is thrown, and the pod is looked at again later.
 */
export async function apply(action: Action, context: ApplyContext, signal: AbortSignal): Promise<void> {
  const { memory, ports } = context;
  const { runtime } = ports;
  const { uid } = memory;
  switch (action.kind) {
    case 'prepareVolumes':
      await settleAll([mountVolumes(context, signal), makeDirectories(context)]);
      return undefined;
    case 'refreshVolumes':
      return mountVolumes(context, signal);
    case 'removeVolumes':
      await ports.volumes.remove(uid);
      memory.volumes = { state: 'removed' };
      return undefined;
    case 'runSandbox':
      return runSandbox(action, context, signal);
    case 'stopSandbox':
      return runtime.stopSandbox(uid, signal);
    case 'pullImage':
      return pullImage(action, context);
    case 'startContainer':
      return startContainer(action, context, signal);
    case 'startHook':
      return startHook(action, context);
    case 'stopContainer':
      return stopContainer(action, context);
    case 'resize':
      return resizePod(action, context);
    case 'removeContainer':
      memory.resize.actuated.delete(action.id);
      memory.resize.restarts.delete(action.id);
      memory.postStart.delete(action.id);
      memory.backoffTold.delete(action.id);
      await runtime.removeContainer(uid, action.id, { withLogs: true });
      return removeFilesOf(action, context);
    case 'removePod':
      // First: as long as the runtime knows the pod, an agent that is cut off here goes on with it.
      await removeTree(podPaths(memory.desired.pod, ports.directories).logs);
      return runtime.removePod(uid, signal);
    case 'deleteObject':
      return deleteObject(context);
    default:
      return unreachable(action);
  }
}

async function removeFilesOf(
  { container, id }: Extract<Action, { kind: 'removeContainer' }>,
  { memory, ports }: ApplyContext,
): Promise<void> {
  const paths = podPaths(memory.desired.pod, ports.directories);
  await rm(paths.terminationMessage(container, id), { force: true });
  await rm(paths.dueHook(id), { force: true });
}

/** What containers will need on disk, made while the sandbox is: starting one finds it there. */
async function makeDirectories({ memory, ports }: ApplyContext): Promise<void> {
  const { pod } = memory.desired;
  const paths = podPaths(pod, ports.directories);
  await Promise.all(
    containersOf(pod).flatMap(({ spec: { name } }) =>
      [paths.terminationMessage(name, 'any'), paths.log(name, 0)].map((file) =>
        mkdir(dirname(file), { recursive: true }),
      ),
    ),
  );
}

async function mountVolumes({ memory, ports }: ApplyContext, signal: AbortSignal): Promise<void> {
  const { pod } = memory.desired;
  const now = ports.clock.now();
  memory.areVolumesStale = false; // Before the objects are read: a change from here on is another one.
  try {
    const mounted = await ports.volumes.mount({ pod, downward: podDownward(memory, ports), now, signal });
    memory.mounted = mounted;
    memory.volumeFailures = 0;
    memory.volumes = { state: 'ready', isStale: false, refreshAtMs: mounted.refreshAtMs };
  } catch (error) {
    signal.throwIfAborted();
    memory.volumeFailures += 1;
    const message = describeError(error);
    ports.events.warning(pod, 'FailedMount', `MountVolume.SetUp failed: ${message}`);
    const retryAtMs = now + backoffMs(retryBackoff, memory.volumeFailures);
    // Volumes that were there once stay as they are: running containers keep the old content.
    if (memory.volumes.state === 'ready') memory.volumes = { ...memory.volumes, refreshAtMs: retryAtMs };
    else memory.volumes = { state: 'failed', message, retryAtMs };
  }
}

async function runSandbox(
  { attempt, replaces }: Extract<Action, { kind: 'runSandbox' }>,
  { memory, ports }: ApplyContext,
  signal: AbortSignal,
): Promise<void> {
  const pod = allocatedPod(memory);
  try {
    const { hostname } = podHostname(pod, ports.dns.clusterDomain);
    if (replaces) {
      ports.events.normal(pod, 'SandboxChanged', 'Pod sandbox changed, it will be killed and re-created.');
      await ports.runtime.stopSandbox(memory.uid, signal);
    }
    await ports.runtime.runSandbox(
      renderSandbox({ pod, attempt, hostname, pidsMax: ports.node.podPidsMax }),
      signal,
    );
    memory.resize.podCgroup = podCgroupResources(pod, undefined);
    memory.sandboxFailure = undefined;
  } catch (error) {
    signal.throwIfAborted();
    const failures = (memory.sandboxFailure?.failures ?? 0) + 1;
    const message = describeError(error);
    ports.events.warning(pod, 'FailedCreatePodSandBox', `Failed to create pod sandbox: ${message}`);
    memory.sandboxFailure = {
      message,
      failures,
      retryAtMs: ports.clock.now() + backoffMs(retryBackoff, failures),
    };
  }
}

/** The last step: the object may go. Our uid is the condition, for the name may belong to another pod by now. */
async function deleteObject({ memory, ports }: ApplyContext): Promise<void> {
  const { namespace, name = '', uid } = memory.desired.pod.metadata ?? {};
  try {
    await ports.client.delete(pods, { namespace, name }, { gracePeriodSeconds: 0, preconditions: { uid } });
  } catch (error) {
    if (!isNotFound(error) && !isConflict(error)) throw error;
  }
  memory.isDeleted = true;
}
