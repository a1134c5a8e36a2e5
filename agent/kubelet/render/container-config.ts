import type { Container, EphemeralContainer, Pod, VolumeMount } from '#api/generated/objects.ts';
import { PodwrightError } from '#base/errors.ts';
import { expandVariables } from '#api/pod/expand.ts';
import { normalizeSysctl } from '#api/pod/sysctls.ts';
import type { LaunchMount } from '#native/launch/launch.ts';
import type { ContainerConfig, ContainerMount, ImageRecord, SandboxConfig } from '#agent/runtime/runtime.ts';
import type { ContainerDevices } from '#agent/device/container-devices.ts';
import { createArgumentRoom, expandWithin } from './argument-room.ts';
import type { ResolvConf } from '#agent/node/resolv-conf.ts';
import type { EnvEntry } from './environment.ts';
import type { PodPaths } from '#agent/kubelet/pod-paths.ts';
import { ruledContainer, ruledPod, type CgroupFacts } from './cgroup-rules.ts';
import { cgroupOf, oomScoreAdj, podCgroup, podCgroupResources, withPodLimits } from './resources.ts';
import { containerAnnotations, containerSelinux, sandboxWords } from './sandbox-words.ts';
import { renderSecurity, renderUser, type ProfileFacts } from './security.ts';

/** A volumeMount whose source is found: the volume, or the bind of a subPath. */
export interface ResolvedMount {
  readonly mount: VolumeMount;
  readonly source: string;
  readonly isFile: boolean;
  readonly isReadOnly: boolean;
  /** Files of an image, whose id the source is. */
  readonly image?: { readonly subPath: string | undefined };
}

export interface ContainerConfigInput {
  readonly pod: Pod;
  readonly container: Container | EphemeralContainer;
  readonly id: string;
  readonly attempt: number;
  readonly imageId: string;
  readonly image: ImageRecord | undefined;
  readonly env: readonly EnvEntry[];
  readonly mounts: readonly ResolvedMount[];
  /** Of volumes that are block devices, where the container wants them. */
  readonly devices?: ContainerConfig['devices'];
  /** What plugins of devices give it. */
  readonly given?: ContainerDevices | undefined;
  readonly paths: PodPaths;
  readonly node: CgroupFacts;
  readonly pidsMax: number | undefined;
  readonly profiles: ProfileFacts;
  /** Who makes it can have what is mounted below a volume read-only, too. Default: it can. */
  readonly hasRecursiveReadOnly?: boolean | undefined;
  /** The id of the container whose pid namespace it joins. */
  readonly pidTarget?: string | undefined;
}

/** All that the runtime needs for one run of a container. Pure. @throws {E_INVALID} with the message of the event */
export function renderContainer(asked: ContainerConfigInput): ContainerConfig {
  const { pod, container, given } = asked;
  const input = { ...asked, env: envOf(asked) };
  const { user, runAsNonRoot } = renderUser(pod, container, input.image);
  const selinux = containerSelinux(pod, container);
  const hasTty = container.tty === true;
  const resources = withPodLimits(container.resources, pod.spec?.resources);
  return {
    id: input.id,
    name: container.name,
    attempt: input.attempt,
    imageId: input.imageId,
    image: container.image ?? '',
    ...renderArguments(input),
    env: input.env,
    workingDir: container.workingDir === '' ? undefined : container.workingDir,
    mounts: renderMounts(input),
    user: given === undefined ? user : { ...user, fsGroups: [...user.fsGroups, ...given.additionalGids] },
    runAsNonRoot,
    security: renderSecurity(pod, container, input.profiles),
    devices: [...(given?.devices ?? []), ...(input.devices ?? [])],
    ...(given === undefined || Object.keys(given.hooks).length === 0 ? {} : { hooks: given.hooks }),
    ...(given === undefined || given.cdiDevices.length === 0 ? {} : { cdiDevices: given.cdiDevices }),
    rlimits: [],
    oomScoreAdj: oomScoreAdj(pod, container, input.node.memoryBytes),
    pidTarget: input.pidTarget,
    resources: {
      ...ruledContainer(cgroupOf(resources), { pod, container }, input.node),
      ...(input.pidsMax === undefined ? {} : { pidsMax: input.pidsMax }),
    },
    stdio: {
      logPath: input.paths.log(container.name, input.attempt),
      stdin: container.stdin === true,
      stdinOnce: container.stdinOnce === true,
      tty: hasTty,
    },
    stopSignal: container.lifecycle?.stopSignal,
    termination: {
      path: input.paths.terminationMessage(container.name, input.id),
      fallbackToLogsOnError: container.terminationMessagePolicy === 'FallbackToLogsOnError',
    },
    annotations: containerAnnotations(pod, container, given),
    ...(selinux === undefined ? {} : { selinux }),
  };
}

/** What the pod says goes before what plugins of devices say. */
function envOf({ env, given }: ContainerConfigInput): readonly EnvEntry[] {
  if (given === undefined || given.env.length === 0) return env;
  const own = new Set(env.map(({ name }) => name));
  return [...given.env.filter(({ name }) => !own.has(name)), ...env];
}

/** What execve(2) takes is for the arguments and the environment together. @throws {E_LIMIT} */
function renderArguments({
  container,
  env,
}: ContainerConfigInput): Pick<ContainerConfig, 'command' | 'args'> {
  const variables = new Map(env.map(({ name, value }) => [name, value]));
  const room = createArgumentRoom();
  for (const { name, value } of env)
    room.take(Buffer.byteLength(name) + 1 + Buffer.byteLength(value), `environment variable ${name}`);
  const expand = (field: 'command' | 'args'): readonly string[] =>
    (container[field] ?? []).map((text, index) => {
      const what = `${field}[${index}]`;
      const expanded = expandWithin(text, (name) => variables.get(name), what);
      room.take(Buffer.byteLength(expanded), what);
      return expanded;
    });
  return { command: expand('command'), args: expand('args') };
}

export const defaultTerminationMessagePath = '/dev/termination-log';

function renderMounts({
  container,
  id,
  mounts,
  paths,
  given,
  hasRecursiveReadOnly = true,
}: ContainerConfigInput): readonly ContainerMount[] {
  const targets = new Set(mounts.map(({ mount }) => mount.mountPath));
  const rbind = (source: string, target: string): LaunchMount => ({
    type: 'bind',
    source,
    target,
    isFile: true,
    options: ['rbind', 'rprivate'],
  });
  const standard = [
    rbind(paths.hosts, '/etc/hosts'),
    rbind(paths.resolvConf, '/etc/resolv.conf'),
    rbind(paths.hostname, '/etc/hostname'),
    rbind(
      paths.terminationMessage(container.name, id),
      absolute(container.terminationMessagePath ?? defaultTerminationMessagePath),
    ),
  ];
  // A volume at the same place stands for what the pod brings of its own.
  const ofPod = [
    ...mounts.map((mount) => renderMount(mount, hasRecursiveReadOnly)),
    ...standard.filter(({ target }) => !targets.has(target)),
  ];
  const taken = new Set(ofPod.map(({ target }) => target));
  return [...(given?.mounts ?? []).filter(({ target }) => !taken.has(target)), ...ofPod];
}

const propagations = { None: 'rprivate', HostToContainer: 'rslave', Bidirectional: 'rshared' } as const;

/** A relative path is one from the container's root, as the kubelet has it (MakeAbsolutePath). */
function absolute(path: string): string {
  return path.startsWith('/') ? path : `/${path}`;
}

function renderMount(
  { mount, source, isFile, isReadOnly, image }: ResolvedMount,
  hasRecursiveReadOnly: boolean,
): ContainerMount {
  const readOnly = mount.readOnly === true || isReadOnly;
  const target = absolute(mount.mountPath);
  // Never written to; its programs run (KEP-4639, since 1.36).
  const options = ['rbind', 'rprivate', 'ro'];
  if (image !== undefined) return { type: 'image', source, target, options, ...image };
  return {
    type: 'bind',
    source,
    target,
    isFile,
    options: [
      'rbind',
      propagations[mount.mountPropagation ?? 'None'],
      ...(readOnly ? [readOnlyOption(mount, hasRecursiveReadOnly)] : []),
    ],
  };
}

/**
 * `rro` covers what is mounted below the volume too (mount_setattr(2), AT_RECURSIVE); any kernel that we run on has it, not every handler.
 * @throws {E_UNSUPPORTED} in the kubelet's words
 */
function readOnlyOption({ name, recursiveReadOnly: asked }: VolumeMount, has: boolean): 'ro' | 'rro' {
  if (asked === 'Enabled' && !has)
    throw new PodwrightError(
      'E_UNSUPPORTED',
      `volume ${JSON.stringify(name)} requested recursive read-only mode, but it is not supported by the runtime`,
    );
  return has && (asked === 'Enabled' || asked === 'IfPossible') ? 'rro' : 'ro';
}

export interface SandboxConfigInput {
  readonly pod: Pod;
  /** Of its RuntimeClass; '': none. */
  readonly handler?: string;
  readonly attempt: number;
  readonly hostname: string;
  readonly pidsMax: number | undefined;
  readonly logDirectory?: string;
  /** What the pod resolves by; undefined: nobody has to be told. */
  readonly dns?: ResolvConf;
  readonly node: CgroupFacts;
}

/** All that the runtime needs for a pod's sandbox. Pure. */
export function renderSandbox({
  pod,
  handler = '',
  attempt,
  hostname,
  pidsMax,
  logDirectory,
  dns,
  node,
}: SandboxConfigInput): SandboxConfig {
  const { metadata = {}, spec } = pod;
  const hostNetwork = spec?.hostNetwork === true;
  const containers = [
    ...(spec?.containers ?? []),
    ...(spec?.initContainers ?? []).filter((c) => c.restartPolicy === 'Always'),
  ];
  return {
    uid: metadata.uid ?? '',
    namespace: metadata.namespace ?? '',
    name: metadata.name ?? '',
    attempt,
    hostname,
    labels: metadata.labels ?? {},
    annotations: metadata.annotations ?? {},
    hostNetwork,
    hostPid: spec?.hostPID === true,
    hostIpc: spec?.hostIPC === true,
    sharePidNamespace: spec?.shareProcessNamespace === true,
    ...(spec?.hostUsers === false ? { hasOwnUsers: true } : {}),
    sysctls: Object.fromEntries(
      (spec?.securityContext?.sysctls ?? []).map(({ name, value }) => [normalizeSysctl(name), value]),
    ),
    portMappings: hostNetwork
      ? []
      : containers.flatMap(({ ports = [] }) =>
          ports.flatMap(({ hostPort = 0, containerPort, protocol = 'TCP', hostIP = '' }) =>
            hostPort === 0 ? [] : [{ hostPort, containerPort, protocol, hostIp: hostIP }],
          ),
        ),
    cgroupParent: podCgroup(pod),
    resources: ruledPod(podCgroupResources(pod, pidsMax), pod, node),
    ...(logDirectory === undefined ? {} : { logDirectory }),
    ...(hasPrivileged(spec) ? { hasPrivileged: true } : {}),
    ...(handler === '' ? {} : { runtimeHandler: handler }),
    ...(dns === undefined ? {} : { words: sandboxWords(pod, dns, node) }),
  };
}

const hasPrivileged = (spec: Pod['spec']): boolean =>
  [...(spec?.initContainers ?? []), ...(spec?.containers ?? []), ...(spec?.ephemeralContainers ?? [])].some(
    ({ securityContext }) => securityContext?.privileged === true,
  );

/** PATH_MAX of linux/limits.h without its NUL. */
const pathBytesMax = 4095;

/**
 * The subPath of a mount, with subPathExpr expanded: only then is it known where it leads. Words of makeMounts in pkg/kubelet/kubelet_pods.go.
 *
 * @throws {E_INVALID} when a variable of it is not known, and when it is absolute or goes up
 */
export function subPathOf(mount: VolumeMount, env: readonly EnvEntry[]): string | undefined {
  const subPath = expandedSubPath(mount, env);
  if (subPath === undefined) return undefined;
  if (subPath.startsWith('/'))
    throw new PodwrightError('E_INVALID', `error SubPath \`${subPath}\` must not be an absolute path`);
  if (subPath.split('/').includes('..'))
    throw new PodwrightError(
      'E_INVALID',
      `unable to provision SubPath \`${subPath}\`: must not contain '..'`,
    );
  return subPath;
}

function expandedSubPath(mount: VolumeMount, env: readonly EnvEntry[]): string | undefined {
  if (mount.subPathExpr === undefined || mount.subPathExpr === '') {
    return mount.subPath === '' ? undefined : mount.subPath;
  }
  const variables = new Map(env.map(({ name, value }) => [name, value]));
  const unknown = /\$\(([^)]*)\)/g;
  for (const [, name = ''] of mount.subPathExpr.matchAll(unknown)) {
    if (!variables.has(name)) throw new PodwrightError('E_INVALID', `missing value for "${name}"`);
  }
  const expanded = expandVariables(mount.subPathExpr, (name) => variables.get(name), pathBytesMax);
  if (expanded !== undefined) return expanded;
  throw new PodwrightError(
    'E_LIMIT',
    `subPathExpr of ${mount.name}: more than ${pathBytesMax} bytes, which is the length of a path`,
  );
}
