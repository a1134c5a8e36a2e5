/** CRI's configuration of a container in terms of the runtime. Pure. Whatever is asked for and not to be had is refused by its name. */
import { posix } from 'node:path';
import { compileLocalProfile } from '#agent/kubelet/render/seccomp.ts';
import { renderCapabilities } from '#agent/kubelet/render/security.ts';
import type { ContainerConfig, ContainerMount } from '#agent/runtime/runtime.ts';
import type { ContainerDevices } from '#agent/device/container-devices.ts';
import type { LoadedProfiles } from '#agent/kubelet/render/apparmor.ts';
import type { LaunchMount } from '#native/launch/launch.ts';
import type {
  ContainerConfig as AskedContainer,
  KeyValue,
  LinuxContainerSecurityContext,
  Mount,
  NamespaceOption,
  PodSandboxConfig,
  Signal,
} from '#proto/cri/api.ts';
import { refusal } from '#proto/status.ts';
import { appArmorOf } from './render-confinement.ts';
import { cgroupResourcesOf } from './render-resources.ts';
import { checkLabels, rangeOf, userIdsOf, type SandboxNamespaces } from './render-sandbox.ts';

/** What is known of it besides. */
export interface ContainerPlace {
  readonly id: string;
  readonly sandbox: PodSandboxConfig;
  /** What the sandbox was made with. */
  readonly made: SandboxNamespaces;
  readonly imageId: string;
  /** Of the mounts' host paths, those that are no directories. */
  readonly files: ReadonlySet<string>;
  /** Ids of images that it mounts, as it names them. */
  readonly images: ReadonlyMap<string, string>;
  readonly devices: ContainerConfig['devices'];
  /** What every container of the sandbox has, where it brings none of its own. */
  readonly ownMounts: readonly LaunchMount[];
  readonly isSelinuxEnabled: boolean;
  /** Of the seccomp profile that it names, where that is a file. */
  readonly profile: SeccompText | undefined;
  /** Profiles of AppArmor; undefined: the kernel has none. */
  readonly appArmor: LoadedProfiles | undefined;
  /** What the CDI devices that it names bring. */
  readonly given: ContainerDevices;
}

export interface SeccompText {
  readonly path: string;
  readonly text: string;
  /** Which system calls a profile means may go by the kernel. */
  readonly kernelRelease: string;
}

/** @throws INVALID_ARGUMENT, UNIMPLEMENTED, E_INVALID */
export function containerConfigOf(config: AskedContainer, place: ContainerPlace): ContainerConfig {
  const { metadata, linux } = config;
  if (metadata === null || metadata.name === '')
    throw refusal('INVALID_ARGUMENT', 'config.metadata: a name must be given');
  const security = linux?.security_context ?? null;
  const { given } = place;
  return {
    id: place.id,
    name: metadata.name,
    attempt: metadata.attempt,
    imageId: place.imageId,
    image: config.image?.user_specified_image || config.image?.image || '',
    command: config.command,
    args: config.args,
    env: envOf(config.envs.map(renderEnv), given.env),
    workingDir: config.working_dir === '' ? undefined : config.working_dir,
    mounts: mountsOf(config.mounts, place),
    user: { ...userOf(security), fsGroups: given.additionalGids },
    runAsNonRoot: false, // The kubelet has looked.
    security: securityOf(security, place),
    devices: devicesOf(place),
    ...(Object.keys(given.hooks).length === 0 ? {} : { hooks: given.hooks }),
    rlimits: [],
    oomScoreAdj: linux?.resources?.oom_score_adj ?? 0,
    pidTarget: pidTargetOf(security?.namespace_options, place.made),
    resources: cgroupResourcesOf(linux?.resources),
    stdio: {
      logPath: logPathOf(config.log_path, place.sandbox.log_directory),
      stdin: config.stdin,
      stdinOnce: config.stdin_once,
      tty: config.tty,
    },
    stopSignal: signalName(config.stop_signal),
    termination: undefined, // The kubelet mounts and reads its own.
  };
}

function renderEnv({ key, value }: KeyValue): ContainerConfig['env'][number] {
  return { name: key, value: Buffer.from(value).toString('utf8') };
}

/** What a CDI device says stands over what the client does, as with other runtimes (WithCDI of containerd). */
function envOf(asked: ContainerConfig['env'], given: ContainerConfig['env']): ContainerConfig['env'] {
  const names = new Set(given.map(({ name }) => name));
  return [...asked.filter(({ name }) => !names.has(name)), ...given];
}

function devicesOf({ devices, given }: ContainerPlace): ContainerConfig['devices'] {
  const paths = new Set(given.devices.map(({ path }) => path));
  return [...devices.filter(({ path }) => !paths.has(path)), ...given.devices];
}

/** Below the sandbox's directory of logs; none where either is not said. */
export function logPathOf(path: string, directory: string): string | undefined {
  if (path === '' || directory === '') return undefined;
  const whole = posix.normalize(posix.join(directory, path));
  if (posix.isAbsolute(directory) && whole.startsWith(`${posix.normalize(directory).replace(/\/+$/, '')}/`))
    return whole;
  throw refusal(
    'INVALID_ARGUMENT',
    `log_path ${JSON.stringify(path)}: not below log_directory ${JSON.stringify(directory)}`,
  );
}

const propagations = {
  PROPAGATION_PRIVATE: 'rprivate',
  PROPAGATION_HOST_TO_CONTAINER: 'rslave',
  PROPAGATION_BIDIRECTIONAL: 'rshared',
} as const;

function mountsOf(asked: readonly Mount[], place: ContainerPlace): readonly ContainerMount[] {
  const isGiven = new Set(place.given.mounts.map(({ target }) => target));
  const ofClient = asked.filter(({ container_path: target }) => !isGiven.has(target));
  const mounts = [...ofClient.map((mount) => mountOf(mount, place)), ...place.given.mounts];
  const targets = new Set(mounts.map(({ target }) => posix.normalize(target).replace(/(?<=.)\/+$/, '')));
  return [...mounts, ...place.ownMounts.filter(({ target }) => !targets.has(target))];
}

function mountOf(mount: Mount, { files, made, images }: ContainerPlace): ContainerMount {
  const { container_path: target, host_path: source, readonly, propagation } = mount;
  const what = `mounts: ${source} on ${target}`;
  if (mount.image !== null && mount.image.image !== '') return imageMountOf(mount, images);
  if (!posix.isAbsolute(source)) throw refusal('INVALID_ARGUMENT', `${what}: host_path is not absolute`);
  if (target === '') throw refusal('INVALID_ARGUMENT', `${what}: container_path is empty`);
  if (mount.recursive_read_only && (!readonly || propagation !== 'PROPAGATION_PRIVATE'))
    throw refusal(
      'INVALID_ARGUMENT',
      `${what}: recursive_read_only asks for readonly and PROPAGATION_PRIVATE`,
    );
  const access = mount.recursive_read_only ? ['rro'] : readonly ? ['ro'] : [];
  return {
    type: 'bind',
    source,
    target: target.startsWith('/') ? target : `/${target}`,
    isFile: files.has(source),
    options: ['rbind', propagations[propagation], ...access],
    ...(made.ids === undefined && !hasMappings(mount) ? {} : { isIdMapped: isIdMapped(mount, made, what) }),
  };
}

/** CRI's image mounts are never written to; their programs run (KEP-4639, since 1.36). */
function imageMountOf(mount: Mount, images: ContainerPlace['images']): ContainerMount {
  const { container_path: target, host_path: path, image, image_sub_path: subPath, readonly } = mount;
  const reference = image?.image ?? '';
  const what = `mounts: image ${reference} on ${target}`;
  if (target === '') throw refusal('INVALID_ARGUMENT', `${what}: container_path is empty`);
  if (path !== '') throw refusal('INVALID_ARGUMENT', `${what}: host_path ${path} is given, too`);
  const source = images.get(reference);
  if (source === undefined) throw refusal('NOT_FOUND', `${what}: no such image`);
  if (!readonly)
    throw refusal('INVALID_ARGUMENT', `${what}: readonly is not set, and nothing of it is written to`);
  return {
    type: 'image',
    source,
    target: target.startsWith('/') ? target : `/${target}`,
    options: ['rbind', 'rprivate', 'ro'],
    ...(subPath === '' ? {} : { subPath }),
  };
}

const hasMappings = ({ uidMappings, gidMappings }: Mount): boolean =>
  uidMappings.length + gidMappings.length > 0;

/** Files have the owners in the container that they have on the host, or are nobody's there. */
function isIdMapped(mount: Mount, { ids }: SandboxNamespaces, what: string): boolean {
  if (!hasMappings(mount)) return false;
  const asked = rangeOf(mount.uidMappings, mount.gidMappings);
  if (ids !== undefined && asked?.first === ids.first && asked.count === ids.count) return true;
  throw refusal('UNIMPLEMENTED', `${what}: uidMappings and gidMappings that are not those of the sandbox`);
}

function userOf(security: LinuxContainerSecurityContext | null): Partial<ContainerConfig['user']> {
  if (security === null) return {};
  const { run_as_user: uid, run_as_group: gid, run_as_username: name } = security;
  if (uid !== null && name !== '')
    throw refusal('INVALID_ARGUMENT', 'security_context: run_as_user and run_as_username are both given');
  if (uid === null && name === '' && gid !== null)
    throw refusal(
      'INVALID_ARGUMENT',
      'security_context: run_as_group without run_as_user or run_as_username',
    );
  return {
    ...(uid === null ? {} : { uid: uid.value }),
    ...(gid === null ? {} : { gid: gid.value }),
    ...(name === '' ? {} : { name }),
    additionalGids: security.supplemental_groups, // fsGroup is among them.
    ...(security.supplemental_groups_policy === 'Strict' ? { leavesImageGroups: true } : {}),
  };
}

const noSecurity: ContainerConfig['security'] = {
  capabilities: renderCapabilities(false, undefined),
  noNewPrivileges: false,
  privileged: false,
  seccomp: 'unconfined',
  readonlyRoot: false,
  maskedPaths: [],
  readonlyPaths: [],
};

function securityOf(
  security: LinuxContainerSecurityContext | null,
  { sandbox, isSelinuxEnabled, profile, appArmor: loaded }: ContainerPlace,
): ContainerConfig['security'] {
  if (security === null) return noSecurity;
  const { privileged, capabilities } = security;
  if (privileged && sandbox.linux?.security_context?.privileged !== true)
    throw refusal('INVALID_ARGUMENT', 'security_context.privileged: the sandbox is not privileged');
  if ((capabilities?.add_ambient_capabilities.length ?? 0) > 0)
    throw refusal(
      'UNIMPLEMENTED',
      'security_context.capabilities.add_ambient_capabilities: this runtime gives none',
    );
  checkLabels(security, isSelinuxEnabled);
  const asked = { add: capabilities?.add_capabilities ?? [], drop: capabilities?.drop_capabilities ?? [] };
  const kept = renderCapabilities(privileged, asked);
  const appArmor = appArmorOf(security, loaded);
  return {
    capabilities: kept,
    noNewPrivileges: security.no_new_privs,
    privileged,
    seccomp: seccompOf(security, kept, profile),
    ...(appArmor === undefined ? {} : { appArmor }),
    readonlyRoot: security.readonly_rootfs,
    maskedPaths: privileged ? [] : security.masked_paths,
    readonlyPaths: privileged ? [] : security.readonly_paths,
  };
}

/** The file that a container's seccomp profile is in; undefined: it is none, or has no say. */
export function seccompFileOf(security: LinuxContainerSecurityContext | null): string | undefined {
  if (security === null || security.privileged) return undefined;
  const { seccomp, seccomp_profile_path: older } = security;
  if (seccomp !== null) return seccomp.profile_type === 'Localhost' ? seccomp.localhost_ref : undefined;
  return older.startsWith('localhost/') ? older.slice('localhost/'.length) : undefined;
}

/** What clients before 1.22 say in seccomp_profile_path, and whether it is the runtime's own profile. */
const olderProfiles: ReadonlyMap<string, boolean> = new Map([
  ['', false],
  ['unconfined', false],
  ['runtime/default', true],
  ['docker/default', true],
]);

/** @throws INVALID_ARGUMENT */
function seccompOf(
  security: LinuxContainerSecurityContext,
  capabilities: readonly string[],
  profile: SeccompText | undefined,
): ContainerConfig['security']['seccomp'] {
  const { privileged, seccomp, seccomp_profile_path: path } = security;
  if (profile !== undefined) {
    return compileLocalProfile(profile.path, profile.text, { ...profile, capabilities });
  }
  if (seccomp === null && !olderProfiles.has(path) && !path.startsWith('localhost/'))
    throw refusal(
      'INVALID_ARGUMENT',
      `security_context.seccomp_profile_path ${JSON.stringify(path)}: unconfined, runtime/default and localhost/PATH are known`,
    );
  const isDefault =
    seccomp === null ? olderProfiles.get(path) === true : seccomp.profile_type === 'RuntimeDefault';
  return isDefault && !privileged ? 'runtime-default' : 'unconfined';
}

/** Whose pid namespace it joins beyond what the sandbox says. @throws INVALID_ARGUMENT where the sandbox is made otherwise */
function pidTargetOf(
  options: NamespaceOption | null | undefined,
  made: ContainerPlace['made'],
): string | undefined {
  if (options === null || options === undefined) return undefined;
  const { network, ipc, pid, target_id: target } = options;
  const refuse = (what: string): Error =>
    refusal('INVALID_ARGUMENT', `namespace_options: ${what}, and its sandbox was made otherwise`);
  const [ids, own] = [userIdsOf(options), made.ids];
  if (options.userns_options !== null && (ids?.first !== own?.first || ids?.count !== own?.count))
    throw refuse('userns_options');
  if (network === 'NODE' && !made.hostNetwork) throw refuse('network NODE');
  if (ipc === 'NODE' && !made.hostIpc) throw refuse('ipc NODE');
  const made_ = made.hostPid ? 'NODE' : made.sharePidNamespace ? 'POD' : 'CONTAINER';
  if (pid === 'TARGET') {
    if (target === '') throw refusal('INVALID_ARGUMENT', 'namespace_options: pid TARGET without target_id');
    if (made_ !== 'CONTAINER') throw refuse('pid TARGET');
    return target;
  }
  if (pid !== made_) throw refuse(`pid ${pid}`);
  return undefined;
}

/** `SIGRTMINPLUS3` is SIGRTMIN+3. */
export function signalName(signal: Signal): string | undefined {
  if (signal === 'RUNTIME_DEFAULT') return undefined;
  return signal.replace('PLUS', '+').replace(/(?<=SIGRTMAX)MINUS/, '-');
}

/** Of a number, as the runtime has it; what CRI has no name for is its default. */
export function signalOf(number: number | undefined, numbers: Readonly<Record<string, number>>): Signal {
  const found = Object.entries(numbers).find(([, each]) => each === number)?.[0];
  if (found !== undefined) return found as Signal; // Names of signal(7) are CRI's.
  if (number === undefined || number < 34 || number > 64) return 'RUNTIME_DEFAULT';
  if (number === 34) return 'SIGRTMIN';
  if (number === 64) return 'SIGRTMAX';
  return (number < 50 ? `SIGRTMINPLUS${number - 34}` : `SIGRTMAXMINUS${64 - number}`) as Signal;
}
