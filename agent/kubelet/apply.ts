import { mkdir, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { describeError } from '#base/errors.ts';
import { settleAll } from '#base/settle-all.ts';
import { unreachable } from '#base/unreachable.ts';
import { pods } from '#api/kind-ref.ts';
import { isConflict, isNotFound } from '#client/api-error.ts';
import { removeTree } from '#native/fs/remove-tree.ts';
import type { Applied, ApplyContext } from './apply-context.ts';
import { renderSandbox } from './container-config.ts';
import { podHostname } from './host-files.ts';
import type { ActionOutcome } from './outcome.ts';
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

/**
 * Carries out one action. Safe to repeat. A failure that has a place in the pod's status is its outcome, and told as an event;
 * any other is thrown, and the pod is looked at again later.
 */
export async function apply(action: Action, context: ApplyContext, signal: AbortSignal): Promise<Applied> {
  switch (action.kind) {
    case 'pullImage':
      return pullImage(action, context);
    case 'startContainer':
      return startContainer(action, context, signal);
    case 'startHook':
      return startHook(action, context);
    case 'stopContainer':
      return stopContainer(action, context);
    default:
      return { outcome: await applyWhole(action, context, signal) };
  }
}

type WholeAction = Exclude<
  Action,
  { readonly kind: 'pullImage' | 'startContainer' | 'startHook' | 'stopContainer' }
>;

/** Those that leave nothing running. */
async function applyWhole(
  action: WholeAction,
  context: ApplyContext,
  signal: AbortSignal,
): Promise<ActionOutcome> {
  const { memory, ports } = context;
  const { uid } = memory;
  switch (action.kind) {
    case 'prepareVolumes': {
      const [mounted] = await settleAll([mountVolumes(context, signal), makeDirectories(context)]);
      return mounted;
    }
    case 'refreshVolumes':
      return mountVolumes(context, signal);
    case 'removeVolumes':
      await ports.volumes.remove(uid);
      return { kind: 'volumesRemoved' };
    case 'runSandbox':
      return runSandbox(action, context, signal);
    case 'stopSandbox':
      await ports.runtime.stopSandbox(uid, signal);
      return { kind: 'sandboxStopped' };
    case 'resize':
      return resizePod(action, context);
    case 'removeContainer':
      await ports.runtime.removeContainer(uid, action.id, { withLogs: true });
      await removeFilesOf(action, context);
      return { kind: 'containerRemoved', id: action.id };
    case 'removePod':
      // First: as long as the runtime knows the pod, an agent that is cut off here goes on with it.
      await removeTree(podPaths(memory.desired.pod, ports.directories).logs);
      await ports.runtime.removePod(uid, signal);
      return { kind: 'podRemoved' };
    case 'deleteObject':
      await deleteObject(context);
      return { kind: 'objectDeleted' };
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

async function mountVolumes({ memory, ports }: ApplyContext, signal: AbortSignal): Promise<ActionOutcome> {
  const { pod } = memory.desired;
  const atMs = ports.clock.now();
  const atChange = memory.facts.volumeChanges; // Before the objects are read: a change from here on is another one.
  try {
    const downward = podDownward(memory, ports);
    const mounted = await ports.volumes.mount({ pod, downward, now: atMs, signal });
    return { kind: 'volumesMounted', mounted, atChange };
  } catch (error) {
    signal.throwIfAborted();
    const message = describeError(error);
    ports.events.warning(pod, 'FailedMount', `MountVolume.SetUp failed: ${message}`);
    return { kind: 'volumesFailed', message, atMs, atChange };
  }
}

async function runSandbox(
  { attempt, replaces }: Extract<Action, { kind: 'runSandbox' }>,
  { memory, ports }: ApplyContext,
  signal: AbortSignal,
): Promise<ActionOutcome> {
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
    return { kind: 'sandboxRunning', resources: podCgroupResources(pod, undefined) };
  } catch (error) {
    signal.throwIfAborted();
    const message = describeError(error);
    ports.events.warning(pod, 'FailedCreatePodSandBox', `Failed to create pod sandbox: ${message}`);
    return { kind: 'sandboxFailed', message, atMs: ports.clock.now() };
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
}
