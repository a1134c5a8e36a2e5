import { stat } from 'node:fs/promises';
import { describeError, PodwrightError } from '#base/errors.ts';
import { settleAll } from '#base/settle-all.ts';
import type { ConfigMap, Container, EphemeralContainer, FileKeySelector, Secret } from '#api/objects.ts';
import type { ContainerConfig, SandboxObservation } from '#agent/runtime/runtime.ts';
import type { MountedVolumes } from '#agent/volume/pod-volumes.ts';
import { bindSubPath, readInside } from '#agent/volume/sub-path.ts';
import { ensureFile, isLaunchFailure, type Applied, type ApplyContext } from './apply-context.ts';
import { renderContainer, subPathOf, type ResolvedMount } from './container-config.ts';
import { parseEnvFile } from './env-file.ts';
import { envFileKey, environmentReferences, renderEnvironment, type EnvEntry } from './environment.ts';
import { podHostname, renderHosts, renderResolvConf } from './host-files.ts';
import { containersOf, type Action, type StartFailure } from './pod-input.ts';
import type { ActionOutcome } from './outcome.ts';
import { linkLog } from './log-links.ts';
import { podPaths } from './pod-paths.ts';
import { findPidTarget, pidTargetName } from './pid-target.ts';
import { allocatedPod } from './pod-memory.ts';
import { podDownward } from './ports.ts';
import { noteDueHook, runDueHook } from './post-start.ts';
import { unsupportedInContainer } from './unsupported.ts';

type StartAction = Extract<Action, { kind: 'startContainer' }>;

/** Describes the container and launches it; its postStart hook runs beside. */
export async function startContainer(
  action: StartAction,
  context: ApplyContext,
  signal: AbortSignal,
): Promise<Applied> {
  const { memory, ports } = context;
  const { pod } = memory.desired;
  const container = containersOf(allocatedPod(memory)).find(
    ({ spec }) => spec.name === action.container,
  )?.spec;
  if (container === undefined)
    throw new PodwrightError('E_INTERNAL', `start container ${action.container}: not in the pod`);
  if (action.isPullTold !== true) {
    const message = `Container image "${container.image ?? ''}" already present on machine`;
    ports.events.normal(pod, 'Pulled', message, container.name);
  }
  const hasHook = container.lifecycle?.postStart !== undefined;
  let config;
  try {
    config = await describeContainer(action, container, context);
    if (hasHook) await noteDueHook(action, context);
  } catch (error) {
    return { outcome: tellFailure(context, container.name, 'CreateContainerConfigError', error) };
  }
  try {
    await ports.runtime.startContainer(memory.uid, config, signal);
  } catch (error) {
    signal.throwIfAborted();
    if (!isLaunchFailure(error))
      return { outcome: tellFailure(context, container.name, 'CreateContainerError', error) };
    const place = { container: container.name, failure: 'StartError' };
    ports.events.warning(pod, 'Failed', `Error: ${describeError(error)}`, place);
    return { outcome: { kind: 'launchFailed', container: container.name } };
  }
  ports.events.normal(pod, 'Created', `Container created`, container.name);
  ports.events.normal(pod, 'Started', `Container started`, container.name);
  linkItsLog(action, container, context);
  const { container: name, id } = action;
  const resources = container.resources ?? {};
  return {
    outcome: { kind: 'containerStarted', container: name, id, resources, hasHook },
    ...(hasHook ? { beside: () => runDueHook(action, context) } : {}),
  };
}

/** Beside the start: no pod waits for who collects its logs. */
function linkItsLog(
  { id, attempt }: StartAction,
  container: Container | EphemeralContainer,
  { memory, ports }: ApplyContext,
): void {
  const { pod } = memory.desired;
  const path = podPaths(pod, ports.directories).log(container.name, attempt);
  linkLog(ports.directories.logs, { pod, container: container.name, id, path }).catch((error: unknown) =>
    ports.logger.warn({ directory: ports.directories.logs, error: describeError(error) }, 'log not linked'),
  );
}

function tellFailure(
  { memory, ports }: ApplyContext,
  container: string,
  reason: StartFailure['reason'],
  error: unknown,
): ActionOutcome {
  const message = describeError(error);
  const place = { container, failure: reason };
  ports.events.warning(memory.desired.pod, 'Failed', `Error: ${message}`, place);
  return { kind: 'startFailed', container, reason, message, atMs: ports.clock.now() };
}

async function describeContainer(
  { id, attempt, imageId }: StartAction,
  container: Container | EphemeralContainer,
  context: ApplyContext,
): Promise<ContainerConfig> {
  const { memory, ports } = context;
  const { pod } = memory.desired;
  const missing =
    pod.spec === undefined ? undefined : unsupportedInContainer(container, pod.spec, ports.node);
  if (missing !== undefined)
    throw new PodwrightError('E_UNSUPPORTED', `${missing} is not supported by this node`);
  const pidTarget = pidTargetOf(container, context);
  const paths = podPaths(pod, ports.directories);
  const env = await environmentOf(container, context);
  const [mounts] = await settleAll([
    resolveMounts(container, env, context),
    ensurePodFiles(context),
    ensureFile(paths.terminationMessage(container.name, id), '', 0o666),
  ]);
  const { node, runtime } = ports;
  const image = runtime.images.resolve(imageId);
  const limits = { nodeMemoryBytes: node.memoryBytes, pidsMax: undefined };
  const run = { id, attempt, imageId, image, pidTarget };
  return renderContainer({ pod, container, ...run, env, mounts, paths, ...limits });
}

function pidTargetOf(
  container: Container | EphemeralContainer,
  { memory, ports }: ApplyContext,
): string | undefined {
  const { spec } = memory.desired.pod;
  const name = spec === undefined ? undefined : pidTargetName(container, spec);
  if (name === undefined) return undefined;
  return findPidTarget(name, ports.runtime.observe(memory.uid)?.containers ?? []);
}

async function environmentOf(
  container: Container | EphemeralContainer,
  { memory, ports }: ApplyContext,
): Promise<readonly EnvEntry[]> {
  const { pod } = memory.desired;
  const namespace = pod.metadata?.namespace ?? '';
  const references = environmentReferences(container);
  const configMaps = new Map<string, ConfigMap>();
  const secrets = new Map<string, Secret>();
  await Promise.all([
    ...references.configMaps.map(async (name) => {
      const object = await ports.objects.configMap(memory.uid, namespace, name);
      if (object !== undefined) configMaps.set(name, object);
    }),
    ...references.secrets.map(async (name) => {
      const object = await ports.objects.secret(memory.uid, namespace, name);
      if (object !== undefined) secrets.set(name, object);
    }),
  ]);
  const downward = podDownward(memory, ports);
  const envFiles = await readEnvFiles(references.files, memory.facts.mounted);
  const services = ports.services();
  return renderEnvironment({ pod, container, configMaps, secrets, services, downward, envFiles });
}

/** Bound of an env file, bytes: as the kubelet has it. */
const envFileBytesMax = 64 * 1024;

async function readEnvFiles(
  files: readonly FileKeySelector[],
  mounted: MountedVolumes | undefined,
): Promise<ReadonlyMap<string, ReadonlyMap<string, string>>> {
  const read = new Map<string, ReadonlyMap<string, string>>();
  for (const file of files) {
    const volume = mounted?.byName.get(file.volumeName);
    if (volume === undefined)
      throw new PodwrightError('E_NOT_FOUND', `volume "${file.volumeName}" of an env file is not mounted`);
    const text = await readInside(volume.path, file.path, envFileBytesMax);
    if (text !== undefined) read.set(envFileKey(file), parseEnvFile(text));
  }
  return read;
}

async function resolveMounts(
  container: Container | EphemeralContainer,
  env: readonly EnvEntry[],
  { memory, ports }: ApplyContext,
): Promise<readonly ResolvedMount[]> {
  const paths = podPaths(memory.desired.pod, ports.directories);
  const resolved: ResolvedMount[] = [];
  for (const [index, mount] of (container.volumeMounts ?? []).entries()) {
    const volume = memory.facts.mounted?.byName.get(mount.name);
    if (volume === undefined)
      throw new PodwrightError(
        'E_NOT_FOUND',
        `volume "${mount.name}" of container ${container.name} is not mounted`,
      );
    const subPath = subPathOf(mount, env);
    const isReadOnly = volume.isReadOnly === true;
    if (subPath === undefined) {
      const isFile = !(await stat(volume.path)).isDirectory();
      resolved.push({ mount, source: volume.path, isFile, isReadOnly });
      continue;
    }
    const target = paths.subPath(container.name, index);
    const bound = await bindSubPath({ root: volume.path, subPath, target, mounter: ports.mounter });
    resolved.push({ mount, source: bound.path, isFile: bound.isFile, isReadOnly });
  }
  return resolved;
}

/** hosts, resolv.conf and hostname, once for each sandbox; written in place, so that containers that have them see it. */
async function ensurePodFiles(context: ApplyContext): Promise<void> {
  const { memory, actual, ports } = context;
  const sandbox = ports.runtime.observe(memory.uid)?.sandbox ?? actual.sandbox;
  if (sandbox === undefined) return;
  // Containers start beside each other: the first writes, all wait for it.
  if (memory.beside.podFiles?.sandboxId !== sandbox.id) {
    memory.beside.podFiles = { sandboxId: sandbox.id, written: writePodFiles(sandbox, context) };
  }
  try {
    await memory.beside.podFiles.written;
  } catch (error) {
    memory.beside.podFiles = undefined;
    throw error;
  }
}

async function writePodFiles(sandbox: SandboxObservation, { memory, ports }: ApplyContext): Promise<void> {
  const { pod } = memory.desired;
  const paths = podPaths(pod, ports.directories);
  const names = podHostname(pod, ports.dns.clusterDomain);
  const ips = pod.spec?.hostNetwork === true ? ports.node.ips : sandbox.ips;
  await ensureFile(paths.hostname, `${names.hostname}\n`, 0o644);
  await settleAll([
    ensureFile(paths.hosts, renderHosts(pod, names, { ips, hostFile: ports.node.hostsFile }), 0o644),
    ensureFile(paths.resolvConf, renderResolvConf(pod, ports.dns), 0o644),
  ]);
}
