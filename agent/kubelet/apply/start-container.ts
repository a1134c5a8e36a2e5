import { describeError } from '#base/errors.ts';
import { settleAll } from '#base/settle-all.ts';
import type { ContainerConfig } from '#agent/runtime/runtime.ts';
import type { FailStartAction, PodFiles, StartAction } from '#agent/kubelet/render/action.ts';
import { isLaunchFailure, type Applied, type ApplyContext } from './apply-context.ts';
import type { ActionOutcome } from '#agent/kubelet/sync/outcome.ts';
import type { StartFailure } from '#agent/kubelet/sync/pod-input.ts';
import { noteDueHook, runDueHook } from './post-start.ts';

/** Makes a container's files and mounts and launches it; its postStart hook runs beside. */
export async function startContainer(
  action: StartAction,
  context: ApplyContext,
  signal: AbortSignal,
): Promise<Applied> {
  const { memory, ports } = context;
  const { pod } = memory.desired;
  const { container, hook, resources } = action;
  tellPresent(action, context);
  let config;
  try {
    config = await preparePlace(action, context);
    // An agent that is killed now finds what the container has for itself.
    await ports.assignments?.written();
    if (hook !== undefined) await noteDueHook(hook, ports.disk);
  } catch (error) {
    return { outcome: tellFailure(context, container, 'CreateContainerConfigError', describeError(error)) };
  }
  try {
    await ports.runtime.startContainer(memory.uid, config, signal);
  } catch (error) {
    signal.throwIfAborted();
    const message = describeError(error);
    if (!isLaunchFailure(error))
      return { outcome: tellFailure(context, container, 'CreateContainerError', message) };
    ports.events.warning(pod, 'Failed', `Error: ${message}`, { container, failure: 'StartError' });
    return { outcome: { kind: 'launchFailed', container } };
  }
  ports.events.normal(pod, 'Created', `Container created`, container);
  ports.events.normal(pod, 'Started', `Container started`, container);
  linkItsLog(config, context);
  const hasHook = hook !== undefined;
  return {
    outcome: { kind: 'containerStarted', container, id: config.id, resources, hasHook },
    ...(hasHook ? { beside: () => runDueHook(hook, context) } : {}),
  };
}

/** Tells that a container cannot be described. */
export function failStart(action: FailStartAction, context: ApplyContext): ActionOutcome {
  tellPresent(action, context);
  return tellFailure(context, action.container, action.reason, action.message);
}

function tellPresent(
  { container, image, isPullTold }: StartAction | FailStartAction,
  { memory, ports }: ApplyContext,
): void {
  if (isPullTold) return;
  const message = `Container image "${image}" already present on machine and can be accessed by the pod`;
  ports.events.normal(memory.desired.pod, 'Pulled', message, container);
}

function tellFailure(
  { memory, ports }: ApplyContext,
  container: string,
  reason: StartFailure['reason'],
  message: string,
): ActionOutcome {
  ports.events.warning(memory.desired.pod, 'Failed', `Error: ${message}`, { container, failure: reason });
  return { kind: 'startFailed', container, reason, message, atMs: ports.clock.now() };
}

/** Beside the start: no pod waits for who collects its logs. */
function linkItsLog({ id, name: container, stdio }: ContainerConfig, { memory, ports }: ApplyContext): void {
  const { logs } = ports.directories;
  const { pod } = memory.desired;
  ports.disk
    .linkLog({ pod, container, id, path: stdio.logPath ?? '' })
    .catch((error: unknown) =>
      ports.logger.warn({ directory: logs, error: describeError(error) }, 'log not linked'),
    );
}

/** The config with what was found at the sources of its mounts. */
async function preparePlace(
  { config, sources, podFiles, messageFile }: StartAction,
  { memory, ports }: ApplyContext,
): Promise<ContainerConfig> {
  const [areFiles] = await settleAll([
    bindSources(sources, ports),
    ensurePodFiles(podFiles, memory.beside, ports),
    ports.disk.ensureFile(messageFile, '', 0o666),
  ]);
  const mounts = config.mounts.map((mount, index) => {
    const isFile = areFiles[index];
    return isFile === undefined ? mount : { ...mount, isFile };
  });
  return { ...config, mounts };
}

type DiskPorts = Pick<ApplyContext['ports'], 'disk' | 'mounter'>;

/** Whether each is a file; undefined: others see to that. */
async function bindSources(
  sources: StartAction['sources'],
  { disk, mounter }: DiskPorts,
): Promise<readonly (boolean | undefined)[]> {
  const areFiles: (boolean | undefined)[] = [];
  for (const source of sources) areFiles.push(await disk.bindSource(source, mounter));
  return areFiles;
}

/** Containers start beside each other: the first writes, all wait for it. */
async function ensurePodFiles(
  podFiles: PodFiles,
  beside: ApplyContext['memory']['beside'],
  ports: DiskPorts,
): Promise<void> {
  const { sandboxId } = podFiles;
  if (beside.podFiles?.sandboxId !== sandboxId)
    beside.podFiles = { sandboxId, written: writePodFiles(podFiles, ports) };
  try {
    await beside.podFiles?.written;
  } catch (error) {
    beside.podFiles = undefined;
    throw error;
  }
}

async function writePodFiles({ files: [first, ...others] }: PodFiles, { disk }: DiskPorts): Promise<void> {
  if (first === undefined) return;
  await disk.ensureFile(first.path, first.content, 0o644); // Makes the directory of all.
  await settleAll(others.map(({ path, content }) => disk.ensureFile(path, content, 0o644)));
}
