/** Containers in CRI's words, as the kubelet would say them. Pure. What the runtime cannot do is refused by name. */
import { refuseHooks } from '#agent/runtime/handlers/handler.ts';
import { posix } from 'node:path';
import { PodwrightError } from '#base/errors.ts';
import type { Outgoing } from '#proto/contract.ts';
import type {
  ContainerConfig as CriContainer,
  Device,
  LinuxContainerSecurityContext,
  Mount,
  MountPropagation,
  SecurityProfile,
  Signal,
} from '#proto/cri/api.ts';
import { defaultAppArmorProfile } from '#agent/kubelet/render/apparmor.ts';
import { mountedImagesOf } from '#agent/runtime/container-document.ts';
import type {
  ContainerConfig,
  ContainerMount,
  HandlerFeatures,
  HostDevice,
  ImageRecord,
  SandboxConfig,
} from '#agent/runtime/runtime.ts';
import {
  containerNameLabel,
  idLabel,
  markAnnotation,
  nodeLabel,
  type ContainerMark,
  type SandboxMark,
} from './marks.ts';
import { resourcesRequest } from './render-resources.ts';
import { mapping, namespacesOf, podLabels, selinuxOf } from './render-sandbox.ts';

/** What a runtime says that it can, by its Status; those before these fields say nothing, and cannot. */
export interface CriFeatures {
  readonly hasGroupsPolicy: boolean;
}

export interface ContainerPlace {
  readonly nodeName: string;
  readonly pod: Pick<SandboxConfig, 'uid' | 'namespace' | 'name'>;
  readonly mark: SandboxMark;
  /** CRI's id of the container whose pid namespace is joined. */
  readonly targetId: string | undefined;
  /** Who the image's user is, where the pod says nobody. */
  readonly imageUser: { readonly uid?: number | undefined; readonly name?: string | undefined };
  /** Where profiles of seccomp are, which the runtime reads by itself. */
  readonly seccompDirectory: string;
  /** What is in its pod's cgroup, and so will be in its own. */
  readonly cgroupFiles: ReadonlySet<string>;
  readonly features: CriFeatures;
  readonly handlerFeatures: HandlerFeatures | undefined;
}

/** @throws E_UNSUPPORTED, E_INVALID */
export function containerRequest(config: ContainerConfig, place: ContainerPlace): Outgoing<CriContainer> {
  refuseHooks(config.hooks);
  const { name, attempt, stdio, termination, image } = config;
  const { stdin, tty } = stdio;
  const images = mountedImagesOf(config);
  const mark: ContainerMark = { image, logPath: stdio.logPath, termination, stdin, tty, ...images };
  return {
    metadata: { name, attempt },
    image: { image: config.imageId, user_specified_image: image },
    command: config.command,
    args: config.args,
    working_dir: config.workingDir ?? '',
    envs: config.env.map(({ name: key, value }) => ({ key, value: Buffer.from(value) })),
    mounts: config.mounts.map((mount) => mountOf(mount, place)),
    devices: config.devices.map(deviceOf),
    CDI_devices: (config.cdiDevices ?? []).map((name) => ({ name })),
    labels: {
      ...podLabels(place.pod),
      [containerNameLabel]: name,
      [nodeLabel]: place.nodeName,
      [idLabel]: config.id,
    },
    annotations: {
      ...config.annotations,
      'io.kubernetes.container.restartCount': String(attempt),
      [markAnnotation]: JSON.stringify(mark),
    },
    log_path: logPathOf(stdio.logPath, place.mark.logDirectory),
    stdin: stdio.stdin,
    stdin_once: stdio.stdinOnce,
    tty: stdio.tty,
    stop_signal: signalOf(config.stopSignal),
    linux: {
      resources: {
        ...resourcesRequest(config.resources, place.cgroupFiles),
        oom_score_adj: config.oomScoreAdj,
      },
      security_context: securityOf(config, place),
    },
  };
}

/** By its numbers where nobody knows what the host calls it: every host whose devices udev makes has those links. */
function deviceOf({ path, hostPath, type, major, minor, access = 'rwm' }: HostDevice): Outgoing<Device> {
  return {
    container_path: path,
    host_path: hostPath ?? `/dev/${type === 'b' ? 'block' : 'char'}/${major}:${minor}`,
    permissions: access,
  };
}

/** Relative to the sandbox's. @throws E_INVALID where it is elsewhere: CRI has one directory of logs for all of a sandbox */
function logPathOf(path: string | undefined, directory: string): string {
  if (path === undefined) return '';
  const below = posix.relative(directory, path);
  if (directory !== '' && !below.startsWith('..') && !posix.isAbsolute(below)) return below;
  throw new PodwrightError(
    'E_INVALID',
    `log of container to ${path}: not below ${directory}, where its sandbox's are`,
  );
}

const propagations: Readonly<Record<string, MountPropagation>> = {
  rslave: 'PROPAGATION_HOST_TO_CONTAINER',
  rshared: 'PROPAGATION_BIDIRECTIONAL',
};

/** @throws E_UNSUPPORTED */
function mountOf(mount: ContainerMount, { handlerFeatures, mark }: ContainerPlace): Outgoing<Mount> {
  const { source, target, options } = mount;
  const mappings = mark.ids === undefined ? [] : mapping(mark.ids);
  if (mount.type === 'image')
    return {
      uidMappings: mappings,
      gidMappings: mappings,
      container_path: target,
      image: { image: source },
      image_sub_path: mount.subPath ?? '',
      readonly: true,
    };
  if (mount.type !== 'bind')
    throw new PodwrightError(
      'E_UNSUPPORTED',
      `mount ${mount.type} on ${target}: a runtime is asked for binds alone by CRI`,
    );
  const isRecursive = options.includes('rro');
  if (isRecursive && handlerFeatures?.recursiveReadOnlyMounts !== true)
    throw new PodwrightError(
      'E_UNSUPPORTED',
      `mount ${target}: the runtime has no recursive read-only mounts`,
    );
  const shifts = mount.isIdMapped === false ? [] : mappings;
  return {
    container_path: target,
    host_path: source,
    readonly: isRecursive || options.includes('ro'),
    recursive_read_only: isRecursive,
    propagation:
      options.map((word) => propagations[word]).find((each) => each !== undefined) ?? 'PROPAGATION_PRIVATE',
    uidMappings: shifts,
    gidMappings: shifts,
  };
}

/** A name of signal(7), `SIGRTMIN+3`, as CRI has it. */
function signalOf(name: string | undefined): Signal {
  if (name === undefined) return 'RUNTIME_DEFAULT';
  return name.replace('+', 'PLUS').replace(/(?<=SIGRTMAX)-/, 'MINUS') as Signal; // The API has validated it.
}

/** @throws E_UNSUPPORTED */
function securityOf(config: ContainerConfig, place: ContainerPlace): Outgoing<LinuxContainerSecurityContext> {
  const { security, user } = config;
  const { targetId, features } = place;
  if (user.leavesImageGroups === true && !features.hasGroupsPolicy)
    throw new PodwrightError(
      'E_UNSUPPORTED',
      'supplementalGroupsPolicy Strict: the runtime does not support it',
    );
  const namespaces = namespacesOf(place.mark);
  return {
    ...userOf(config, place),
    supplemental_groups: [...new Set([...(user.additionalGids ?? []), ...user.fsGroups])],
    supplemental_groups_policy: user.leavesImageGroups === true ? 'Strict' : 'Merge',
    namespace_options:
      targetId === undefined ? namespaces : { ...namespaces, pid: 'TARGET', target_id: targetId },
    privileged: security.privileged,
    ...selinuxOf(config.selinux),
    // All of them said one by one: what a runtime's defaults are is its own.
    ...(security.privileged
      ? {}
      : {
          capabilities: {
            drop_capabilities: ['ALL'],
            add_capabilities: security.capabilities.map((name) => name.replace(/^CAP_/, '')),
          },
        }),
    no_new_privs: security.noNewPrivileges,
    readonly_rootfs: security.readonlyRoot,
    masked_paths: security.maskedPaths,
    readonly_paths: security.readonlyPaths,
    seccomp: seccompOf(security.seccomp, place.seccompDirectory),
    apparmor: appArmorOf(security.appArmor),
  };
}

/** Who is not named is who the image names, with its group; CRI has no group without a user. */
function userOf(
  { user: { uid, gid, name } }: ContainerConfig,
  { imageUser }: ContainerPlace,
): Outgoing<Pick<LinuxContainerSecurityContext, 'run_as_user' | 'run_as_group' | 'run_as_username'>> {
  const group = gid === undefined ? {} : { run_as_group: { value: gid } };
  if (uid !== undefined) return { run_as_user: { value: uid }, ...group };
  if (name !== undefined) return { run_as_username: name, ...group };
  if (gid === undefined) return {};
  return imageUser.name === undefined
    ? { run_as_user: { value: imageUser.uid ?? 0 }, ...group }
    : { run_as_username: imageUser.name, ...group };
}

/** Of the default each runtime has its own. */
function appArmorOf(profile: string | undefined): Outgoing<SecurityProfile> {
  if (profile === undefined) return { profile_type: 'Unconfined' };
  if (profile === defaultAppArmorProfile) return { profile_type: 'RuntimeDefault' };
  return { profile_type: 'Localhost', localhost_ref: profile };
}

/** A profile of a file is read by the runtime itself. */
function seccompOf(
  seccomp: ContainerConfig['security']['seccomp'],
  directory: string,
): Outgoing<SecurityProfile> {
  if (seccomp === 'unconfined') return { profile_type: 'Unconfined' };
  if (seccomp === 'runtime-default') return { profile_type: 'RuntimeDefault' };
  return {
    profile_type: 'Localhost',
    localhost_ref: posix.join(directory, seccomp.name.replace(/^localhost\//, '')),
  };
}

/** Of an image's `user`: a number is a uid, else it is a name; what is behind `:` is the runtime's to see. */
export function imageUserOf(image: Pick<ImageRecord, 'user'> | undefined): ContainerPlace['imageUser'] {
  const [user = ''] = (image?.user ?? '').split(':', 1);
  if (user === '') return { uid: 0 };
  return /^\d+$/.test(user) ? { uid: Number(user) } : { name: user };
}
