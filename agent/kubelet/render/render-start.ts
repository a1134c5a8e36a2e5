/** What a container is started with, from what was read for it. Pure. */
import { describeError, PodwrightError } from '#base/errors.ts';
import type { ConfigMap, Container, EphemeralContainer, Secret, Service } from '#api/generated/objects.ts';
import type { ImageRecord } from '#agent/runtime/runtime.ts';
import type { FailStartAction, IntentOf, MountSource, PodFiles, StartAction } from './action.ts';
import type { LoadedProfiles } from './apparmor.ts';
import type { ContainerDevices } from '#agent/device/container-devices.ts';
import { withAllocation } from '#agent/kubelet/allocation.ts';
import { renderContainer, subPathOf, type ResolvedMount } from './container-config.ts';
import { renderEnvironment, type EnvEntry } from './environment.ts';
import { podHostname, renderHosts, renderResolvConf } from './host-files.ts';
import { findPidTarget, pidTargetName } from './pid-target.ts';
import { containersOf } from '#agent/kubelet/sync/pod-input.ts';
import { podPaths } from '#agent/kubelet/pod-paths.ts';
import { downwardOf, hookOf, podIpsOf, type RenderInput } from './render-input.ts';
import { withPodLimits } from './resources.ts';
import { unsupportedInContainer } from '#agent/kubelet/admit/unsupported.ts';

/** What is read for the start of a container, or why it could not be. */
export type StartReading = StartSources | { readonly failure: unknown };

export interface StartSources {
  /** By name, of the pod's namespace: those that its environment refers to and that are there. */
  readonly configMaps: ReadonlyMap<string, ConfigMap>;
  readonly secrets: ReadonlyMap<string, Secret>;
  readonly services: readonly Service[];
  /** By `envFileKey`. */
  readonly envFiles: ReadonlyMap<string, ReadonlyMap<string, string>>;
  readonly image: ImageRecord | undefined;
  /** Undefined: nobody has devices for pods. */
  readonly devices?: ContainerDevices;
  /** Text of the profile that `localhostProfileOf` names; undefined: it is not there, or none is named. */
  readonly seccompProfile?: string | undefined;
  /** Undefined: the kernel has no AppArmor. */
  readonly appArmor?: LoadedProfiles | undefined;
}

type ReadStart = IntentOf<'startContainer'> & { readonly reading: StartReading };
type AnyContainer = Container | EphemeralContainer;

/** @throws E_INTERNAL for a container that the pod does not have */
export function renderStart(intent: ReadStart, input: RenderInput): StartAction | FailStartAction {
  const given = withAllocation(input.pod, input.allocated);
  const container = containersOf(given).find(({ spec }) => spec.name === intent.container)?.spec;
  if (container === undefined)
    throw new PodwrightError('E_INTERNAL', `start container ${intent.container}: not in the pod`);
  const start = {
    container: container.name,
    image: container.image ?? '',
    isPullTold: intent.isPullTold === true,
  };
  try {
    return {
      kind: 'startContainer',
      ...start,
      ...describeContainer(container, intent, { ...input, pod: given }),
    };
  } catch (error) {
    const message = describeError(error);
    return { kind: 'failStart', ...start, reason: 'CreateContainerConfigError', message };
  }
}

type Description = Pick<
  StartAction,
  'config' | 'sources' | 'podFiles' | 'messageFile' | 'hook' | 'resources'
>;

function describeContainer(container: AnyContainer, intent: ReadStart, input: RenderInput): Description {
  const { pod, node } = input;
  const { id, attempt, imageId, reading } = intent;
  const missing = pod.spec === undefined ? undefined : unsupportedInContainer(container, pod.spec, node);
  if (missing !== undefined)
    throw new PodwrightError('E_UNSUPPORTED', `${missing} is not supported by this node`);
  const pidTarget = pidTargetOf(container, input);
  if ('failure' in reading) throw reading.failure;
  const env = renderEnvironment({ pod, container, ...reading, downward: downwardOf(input) });
  const paths = podPaths(pod, input.directories);
  const resolved = mountsOf(container, { env, images: intent.volumeImages }, input);
  const config = renderContainer({
    pod,
    container,
    id,
    attempt,
    imageId,
    image: reading.image,
    pidTarget,
    env,
    mounts: resolved.map(({ mount }) => mount),
    devices: devicesOf(container, input),
    given: reading.devices,
    hasRecursiveReadOnly: input.actual.sandbox?.handler?.features.recursiveReadOnlyMounts,
    paths,
    node,
    pidsMax: undefined,
    profiles: {
      appArmor: reading.appArmor,
      isDefault: node.isSeccompDefault === true,
      kernelRelease: node.kernelRelease ?? '',
      localhostProfile: reading.seccompProfile,
    },
  });
  return {
    config,
    sources: resolved.map(({ source }) => source),
    podFiles: podFilesOf(input),
    messageFile: paths.terminationMessage(container.name, id),
    hook: hookOf({ container: container.name, id, name: 'postStart' }, input),
    resources: withPodLimits(container.resources, pod.spec?.resources),
  };
}

function pidTargetOf(container: AnyContainer, { pod, actual }: RenderInput): string | undefined {
  const name = pod.spec === undefined ? undefined : pidTargetName(container, pod.spec);
  return name === undefined ? undefined : findPidTarget(name, actual.containers);
}

/** A volume of mode Block is a device in the container, at a path of its own. */
function devicesOf(
  container: AnyContainer,
  { mounted }: RenderInput,
): NonNullable<StartAction['config']['devices']> {
  return (container.volumeDevices ?? []).map(({ name, devicePath }) => {
    const { device, path: hostPath } = mounted?.byName.get(name) ?? {};
    if (device !== undefined)
      return { path: devicePath, type: 'b', ...device, ...(hostPath === undefined ? {} : { hostPath }) };
    throw new PodwrightError(
      'E_INVALID',
      `volume "${name}" has volumeMode Filesystem, but is specified in volumeDevices`,
    );
  });
}

/** Whether each is a file is seen when it is bound. */
function mountsOf(
  container: AnyContainer,
  { env, images }: { readonly env: readonly EnvEntry[]; readonly images: ReadStart['volumeImages'] },
  { pod, mounted, directories }: RenderInput,
): readonly { readonly mount: ResolvedMount; readonly source: MountSource }[] {
  const paths = podPaths(pod, directories);
  return (container.volumeMounts ?? []).map((mount, index) => {
    const volume = mounted?.byName.get(mount.name);
    if (volume === undefined)
      throw new PodwrightError(
        'E_NOT_FOUND',
        `volume "${mount.name}" of container ${container.name} is not mounted`,
      );
    if (volume.device !== undefined)
      throw new PodwrightError(
        'E_INVALID',
        `volume "${mount.name}" has volumeMode Block, but is specified in volumeMounts`,
      );
    const subPath = subPathOf(mount, env);
    if (volume.isImage === true) {
      const source = images?.get(mount.name) ?? '';
      const resolved = { mount, source, isFile: false, isReadOnly: true, image: { subPath } };
      return { mount: resolved, source: { kind: 'image' } };
    }
    const target = subPath === undefined ? volume.path : paths.subPath(container.name, index);
    const source: MountSource =
      subPath === undefined
        ? { kind: 'volume', path: volume.path, ...(volume.isRemote === true ? { isDirectory: true } : {}) }
        : { kind: 'subPath', root: volume.path, subPath, target };
    const isReadOnly = volume.isReadOnly === true;
    return { mount: { mount, source: target, isFile: false, isReadOnly }, source };
  });
}

/** The first makes the directory of all. */
function podFilesOf(input: RenderInput): PodFiles {
  const { pod, actual, node, dns, directories } = input;
  const paths = podPaths(pod, directories);
  const names = podHostname(pod, dns.clusterDomain);
  const hosts = renderHosts(pod, names, { ips: podIpsOf(input), hostFile: node.hostsFile });
  return {
    sandboxId: actual.sandbox?.id ?? '',
    files: [
      { path: paths.hostname, content: `${names.hostname}\n` },
      { path: paths.hosts, content: hosts },
      { path: paths.resolvConf, content: renderResolvConf(pod, dns) },
    ],
  };
}
