import { describeError, isPodwrightError } from '#base/errors.ts';
import { settleAll } from '#base/settle-all.ts';
import { unreachable } from '#base/unreachable.ts';
import { pods } from '#api/schema/kind-ref.ts';
import { isConflict, isNotFound } from '#client/api-error.ts';
import type { Action, ActionOf, VolumesToMount } from '#agent/kubelet/render/action.ts';
import type { Applied, ApplyContext } from './apply-context.ts';
import type { ActionOutcome } from '#agent/kubelet/sync/outcome.ts';
import { startHook } from './post-start.ts';
import { prepareClaims } from './prepare-claims.ts';
import { pullImage } from './pull-image.ts';
import { resizePod } from './resize-pod.ts';
import { failStart, startContainer } from './start-container.ts';
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
    case 'failStart':
      return { outcome: failStart(action, context) };
    case 'startHook':
      return startHook(action, context);
    case 'stopContainer':
      return stopContainer(action, context);
    default:
      return { outcome: await applyWhole(action, context, signal) };
  }
}

type LastingAction = ActionOf<'pullImage' | 'startContainer' | 'failStart' | 'startHook' | 'stopContainer'>;

/** Those that leave nothing running. */
async function applyWhole(
  action: Exclude<Action, LastingAction>,
  context: ApplyContext,
  signal: AbortSignal,
): Promise<ActionOutcome> {
  const { memory, ports } = context;
  const { uid } = memory;
  switch (action.kind) {
    case 'prepareVolumes':
      return mountVolumes(action.volumes, { context, directories: action.directories }, signal);
    case 'refreshVolumes':
      return mountVolumes(action.volumes, { context, directories: [] }, signal);
    case 'removeVolumes':
      await ports.volumes.remove(uid);
      return { kind: 'volumesRemoved' };
    case 'prepareClaims':
      return prepareClaims(action.pod, context, signal);
    case 'unprepareClaims':
      await ports.claims?.unprepare(uid, signal);
      return { kind: 'claimsRemoved' };
    case 'runSandbox':
      return runSandbox(action, context, signal);
    case 'failSandbox':
      return failSandbox(action.message, context);
    case 'stopSandbox':
      await ports.runtime.stopSandbox(uid, signal);
      return { kind: 'sandboxStopped' };
    case 'resize':
      return resizePod(action, context);
    case 'removeContainer':
      await ports.runtime.removeContainer(uid, action.id, { withLogs: true });
      for (const file of action.files) await ports.disk.removeFile(file);
      return { kind: 'containerRemoved', id: action.id };
    case 'removePod':
      // First: as long as the runtime knows the pod, an agent that is cut off here goes on with it.
      await ports.disk.removeLogs(action.logs);
      await ports.runtime.removePod(uid, signal);
      return { kind: 'podRemoved' };
    case 'deleteObject':
      await deleteObject(action, context);
      return { kind: 'objectDeleted' };
    default:
      return unreachable(action);
  }
}

/** With directories that containers will need: made while the sandbox is, so that starting one finds them there. */
async function mountVolumes(
  { pod, downward, atChange }: VolumesToMount,
  { context, directories }: { readonly context: ApplyContext; readonly directories: readonly string[] },
  signal: AbortSignal,
): Promise<ActionOutcome> {
  const { clock, events, volumes, disk } = context.ports;
  const atMs = clock.now();
  try {
    const [mounted] = await settleAll([
      volumes.mount({ pod, downward, now: atMs, signal }),
      Promise.all(directories.map((directory) => disk.makeDirectory(directory))),
    ]);
    for (const [name, { isGrown, notGrown }] of mounted.byName) {
      if (notGrown?.message !== undefined) events.warning(pod, 'VolumeResizeFailed', notGrown.message);
      if (isGrown === true)
        events.normal(
          pod,
          'FileSystemResizeSuccessful',
          `MountVolume.NodeExpandVolume succeeded for volume ${name}`,
        );
    }
    return { kind: 'volumesMounted', mounted, atChange };
  } catch (error) {
    signal.throwIfAborted();
    const message = describeError(error);
    events.warning(pod, 'FailedMount', failedMount(error, message));
    return { kind: 'volumesFailed', message, atMs, atChange };
  }
}

/** Which volume it is, in the words that the kubelet's events have. */
function failedMount(error: unknown, message: string): string {
  const volume = isPodwrightError(error) ? error.detail['volume'] : undefined;
  if (typeof volume !== 'string') return `MountVolume.SetUp failed: ${message}`;
  const said = `volume "${volume}": `;
  const why = message.startsWith(said) ? message.slice(said.length) : message;
  return `MountVolume.SetUp failed for volume "${volume}" : ${why}`;
}

async function runSandbox(
  { config, replaces, resources }: ActionOf<'runSandbox'>,
  context: ApplyContext,
  signal: AbortSignal,
): Promise<ActionOutcome> {
  const { events, runtime } = context.ports;
  try {
    if (replaces) {
      const message = 'Pod sandbox changed, it will be killed and re-created.';
      events.normal(context.memory.desired.pod, 'SandboxChanged', message);
      await runtime.stopSandbox(config.uid, signal);
    }
    await runtime.runSandbox(config, signal);
    return { kind: 'sandboxRunning', resources };
  } catch (error) {
    signal.throwIfAborted();
    return failSandbox(describeError(error), context);
  }
}

function failSandbox(message: string, { memory, ports }: ApplyContext): ActionOutcome {
  const text = `Failed to create pod sandbox: ${message}`;
  ports.events.warning(memory.desired.pod, 'FailedCreatePodSandBox', text);
  return { kind: 'sandboxFailed', message, atMs: ports.clock.now() };
}

/** The last step: the object may go. */
async function deleteObject(
  { namespace, name }: ActionOf<'deleteObject'>,
  { memory: { uid }, ports }: ApplyContext,
): Promise<void> {
  try {
    await ports.client.delete(pods, { namespace, name }, { gracePeriodSeconds: 0, preconditions: { uid } });
  } catch (error) {
    if (!isNotFound(error) && !isConflict(error)) throw error;
  }
}
