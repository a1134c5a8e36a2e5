import { constants } from 'node:os';
import { posix } from 'node:path';
import type { ImageConfig } from '#api/oci/config.ts';
import { PodwrightError } from '#base/errors.ts';
import { checkArguments } from '#native/launch/argument-limits.ts';
import { deviceRulesOf } from '#native/bpf/device-rules.ts';
import type { DeviceRule } from '#native/bpf/device-rules.ts';
import { defaultMounts } from '#native/launch/compile-container.ts';
import type { ContainerLaunch, LaunchMount, LaunchStdio, LaunchUser } from '#native/launch/launch.ts';
import { volumesDirectory } from '#agent/runtime/container-root.ts';
import { planImageVolumes, type ImageVolume } from '#agent/runtime/image-volumes.ts';
import { nonRootRefusal, resolveUser, type ImageAccounts } from '#agent/runtime/image-user.ts';
import type { RuntimePaths } from './plan-sandbox.ts';
import type {
  CgroupResources,
  ContainerConfig as AskedContainer,
  ContainerHooks,
  SandboxConfig,
} from '#agent/runtime/runtime.ts';

/** Of images that it mounts, where they are on the host by now. */
export type PlacedContainer = Omit<AskedContainer, 'mounts'> & { readonly mounts: readonly LaunchMount[] };

/** Everything that starting a container does, decided. */
export interface ContainerPlan {
  readonly id: string;
  readonly cgroup: {
    readonly path: string;
    readonly resources: CgroupResources;
    /** What its processes may open. */
    readonly devices: readonly DeviceRule[];
  };
  readonly launch: Omit<ContainerLaunch, 'cgroup'>;
  readonly hooks?: ContainerHooks;
  /** Of the image, to be filled with what it has there before the launch, which mounts them. */
  readonly volumes: readonly ImageVolume[];
  readonly stdio: LaunchStdio;
  readonly stopSignal: number;
}

/** What the plan needs to know besides the container itself. */
export interface ContainerContext {
  readonly paths: RuntimePaths;
  readonly sandbox: SandboxConfig;
  /** The pod's /dev/shm on the host. */
  readonly sharedMemoryPath: string | undefined;
  /** The pod's supervisor's, which no container mounts from. */
  readonly supervisorDirectory: string;
  /** Of the host, which a privileged container has. */
  readonly hostDevices: ContainerLaunch['devices'];
  /** Whether what a container opens is looked at (RuntimeSystem.deviceRefusal). */
  readonly isDeviceFiltered: boolean;
  /** The process of `pidTarget` in the supervisor's view; undefined where that does not run. */
  readonly targetPid: number | undefined;
  /** Of the node, for containers that name none themselves. */
  readonly ulimits?: ContainerLaunch['rlimits'] | undefined;
  readonly image: {
    readonly config: ImageConfig;
    readonly lower: readonly string[]; // top first
    readonly accounts: ImageAccounts;
    /** Of the image's /. */
    readonly root: { readonly mode: number; readonly uid: number; readonly gid: number };
  };
}

const defaultPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/**
 * @throws E_INVALID when the container cannot run as asked: no command, root where it must not be, an unknown user or signal, no pid
 * target; E_LIMIT for more arguments and environment than execve(2) takes
 */
export function planContainer(config: PlacedContainer, context: ContainerContext): ContainerPlan {
  const { image, sandbox, paths, ulimits = [] } = context;
  const own = new Set(config.rlimits.map(({ name }) => name));
  const refusal = config.runAsNonRoot ? nonRootRefusal(config.user, image.config.user) : undefined;
  if (refusal !== undefined) throw new PodwrightError('E_INVALID', refusal);
  const user = resolveUser(config.user, image.config.user, image.accounts);
  checkIds(config, user, sandbox);
  const directory = `${containersDirectory(paths)}/${config.id}`;
  const [args, env] = [argsOf(config, image.config), envOf(config, context, user.home)];
  checkArguments(args, env);
  const volumes = planImageVolumes(
    image.config.volumes,
    config.mounts,
    volumesDirectory(containersDirectory(paths), config.id),
  );
  return {
    id: config.id,
    cgroup: {
      path: `${sandbox.cgroupParent}/${config.id}`,
      resources: config.resources,
      devices: deviceRulesOf({ isPrivileged: config.security.privileged, devices: config.devices }),
    },
    launch: {
      root: {
        kind: 'overlay',
        lower: image.lower,
        upper: `${directory}/upper`,
        work: `${directory}/work`,
        merged: context.supervisorDirectory,
        make: { directory, ...image.root },
      },
      mounts: mountsOf(withImageVolumes(config, volumes, sandbox), context),
      devices: devicesOf(config, context.hostDevices),
      args,
      env,
      cwd: config.workingDir ?? (image.config.workingDir === '' ? '/' : image.config.workingDir),
      user: { uid: user.uid, gid: user.gid, additionalGids: user.additionalGids },
      security: context.isDeviceFiltered ? config.security : { ...config.security, nodev: true },
      rlimits: [...config.rlimits, ...ulimits.filter(({ name }) => !own.has(name))],
      sysctls: {}, // the pod's are set once, in its sandbox
      oomScoreAdj: config.oomScoreAdj,
      pidNamespace: pidNamespaceOf(config, context),
      ids: sandbox.ids,
    },
    ...(config.hooks === undefined ? {} : { hooks: config.hooks }),
    volumes,
    stdio: config.stdio,
    stopSignal: signalNumber(config.stopSignal ?? image.config.stopSignal ?? 'SIGTERM'),
  };
}

/** @throws E_INVALID for who has no id in the pod's user namespace */
function checkIds({ name }: PlacedContainer, user: LaunchUser, { ids }: SandboxConfig): void {
  const beyond = [user.uid, user.gid, ...user.additionalGids].find(
    (id) => ids !== undefined && id >= ids.count,
  );
  if (ids === undefined || beyond === undefined) return;
  const why = `the pod's user namespace has the ids 0 to ${ids.count - 1}`;
  throw new PodwrightError('E_INVALID', `run ${name} with id ${beyond}: ${why}`);
}

/** In a user namespace the files of volumes have the owners there that they have on the host. */
function withImageVolumes(
  config: PlacedContainer,
  volumes: readonly ImageVolume[],
  { ids }: SandboxConfig,
): PlacedContainer {
  const mounts = [...config.mounts, ...volumes.map(mountOf)];
  if (ids === undefined) return { ...config, mounts };
  return {
    ...config,
    mounts: mounts.map((mount) => (mount.type === 'bind' ? { isIdMapped: true, ...mount } : mount)),
  };
}

function mountOf({ path, directory }: ImageVolume): LaunchMount {
  return { type: 'bind', source: directory, target: path, options: ['rbind', 'rprivate'] };
}

/** Its own, and of a privileged one all of the host's but where it mounts something itself. */
function devicesOf(
  { security, devices, mounts }: PlacedContainer,
  hostDevices: ContainerLaunch['devices'],
): ContainerLaunch['devices'] {
  if (!security.privileged) return devices;
  const own = new Set(devices.map(({ path }) => path));
  const isFree = (path: string): boolean =>
    !own.has(path) &&
    !mounts.some(({ target }) => {
      const mounted = target.replace(/(?<=.)\/+$/, '');
      return path === mounted || path.startsWith(`${mounted === '/' ? '' : mounted}/`);
    });
  return [...hostDevices.filter(({ path }) => isFree(path)), ...devices];
}

export function containersDirectory(paths: RuntimePaths): string {
  return `${paths.dataDirectory}/containers`;
}

function pidNamespaceOf(
  { name, pidTarget }: PlacedContainer,
  { sandbox, targetPid }: ContainerContext,
): ContainerLaunch['pidNamespace'] {
  if (sandbox.hostPid) return 'host';
  if (sandbox.sharePidNamespace) return 'pod';
  if (pidTarget === undefined) return 'private';
  if (targetPid !== undefined) return { ofPid: targetPid };
  throw new PodwrightError('E_INVALID', `run ${name}: the container of its pid namespace does not run`);
}

/** command replaces entrypoint and cmd, args replace cmd (Kubernetes, "Define a Command and Arguments for a Container"). */
function argsOf(config: PlacedContainer, image: ImageConfig): readonly string[] {
  const tail = config.args.length > 0 ? config.args : config.command.length > 0 ? [] : image.cmd;
  const args = [...(config.command.length > 0 ? config.command : image.entrypoint), ...tail];
  if (args.length === 0) throw new PodwrightError('E_INVALID', `run ${config.image}: no command specified`);
  return args;
}

/** The image's, then the pod's over it; in the image's order, then the pod's. */
function envOf(config: PlacedContainer, context: ContainerContext, home: string): readonly string[] {
  const env = new Map<string, string>([['PATH', defaultPath]]);
  if (config.stdio.tty) env.set('TERM', 'xterm');
  env.set('HOSTNAME', context.sandbox.hostname);
  for (const entry of context.image.config.env) {
    const equals = entry.indexOf('=');
    if (equals > 0) env.set(entry.slice(0, equals), entry.slice(equals + 1));
  }
  for (const { name, value } of config.env) env.set(name, value);
  if (!env.has('HOME')) env.set('HOME', home);
  return [...env].map(([name, value]) => `${name}=${value}`);
}

/** What every container gets (OCI runtime specification, config-linux.md, and containerd's defaults), unless the pod mounts there itself. */
function mountsOf(config: PlacedContainer, context: ContainerContext): readonly LaunchMount[] {
  const { privileged } = config.security;
  const access = privileged ? 'rw' : 'ro';
  const sharedMemory = context.sharedMemoryPath ?? '/dev/shm';
  const writable = (mount: LaunchMount): LaunchMount => ({
    ...mount,
    options: mount.options.map((option) => (option === 'ro' ? 'rw' : option)),
  });
  const defaults: readonly LaunchMount[] = [
    ...(privileged ? defaultMounts.map(writable) : defaultMounts),
    {
      type: 'bind',
      source: sharedMemory,
      target: '/dev/shm',
      options: ['rbind', 'nosuid', 'nodev', 'noexec'],
    },
    {
      type: 'cgroup2',
      source: 'cgroup',
      target: '/sys/fs/cgroup',
      options: ['nosuid', 'noexec', 'nodev', 'relatime', access],
    },
  ];
  for (const mount of config.mounts) checkProcMount(mount);
  const asked = new Set(config.mounts.map((mount) => mount.target.replace(/(?<=.)\/+$/, '')));
  return [...defaults.filter((mount) => !asked.has(mount.target)), ...parentsFirst(config.mounts)];
}

/** A mount covers what is mounted below its place before it, so that the order in which a pod lists them must not count (as in containerd). */
function parentsFirst(mounts: readonly LaunchMount[]): readonly LaunchMount[] {
  const depth = ({ target }: LaunchMount): number =>
    posix
      .normalize(`/${target}`)
      .split('/')
      .filter((part) => part !== '').length;
  return mounts.toSorted((a, b) => depth(a) - depth(b));
}

/** What may be laid over a file of /proc: figures of the machine that lxcfs and its like replace (runc, libcontainer/rootfs_linux.go). */
const coverable: ReadonlySet<string> = new Set(
  'cpuinfo diskstats meminfo stat swaps uptime loadavg slabinfo sys/kernel/ns_last_pid sys/crypto/fips_enabled'
    .split(' ')
    .map((file) => `/proc/${file}`),
);

/**
 * Programs trust /proc: who lays files of his own there makes runtimes and tools of the container write where he likes
 * (CVE-2019-16884, CVE-2019-19921). The host's own /proc may stand for it.
 * @throws E_INVALID
 */
function checkProcMount({ target, source }: LaunchMount): void {
  const place = posix.normalize(`/${target}`).replace(/(?<=.)\/+$/, '');
  if (place !== '/proc' && !place.startsWith('/proc/')) return;
  if (place === '/proc' ? posix.normalize(`${source}/`) === '/proc/' : coverable.has(place)) return;
  const why = place === '/proc' ? 'it is not of type proc' : 'it is inside /proc';
  throw new PodwrightError('E_INVALID', `${JSON.stringify(place)} cannot be mounted because ${why}`);
}

/** As glibc and musl give them to programs. */
const SIGRTMIN = 34;
const SIGRTMAX = 64;

/** `SIGTERM`, `TERM`, `15`, `SIGRTMIN+3`, `SIGRTMAX-1` (what a stopSignal may be). @throws E_INVALID */
export function signalNumber(text: string): number {
  // SIGCLD is what System V calls SIGCHLD (signal(7)).
  const numbers: Readonly<Record<string, number | undefined>> = {
    SIGCLD: constants.signals.SIGCHLD,
    ...constants.signals,
  };
  const fromMin = /^(?:SIG)?RTMIN(?:\+(\d+))?$/i.exec(text);
  const fromMax = /^(?:SIG)?RTMAX(?:-(\d+))?$/i.exec(text);
  const number = /^\d+$/.test(text)
    ? Number(text)
    : fromMin !== null
      ? SIGRTMIN + Number(fromMin[1] ?? 0)
      : fromMax !== null
        ? SIGRTMAX - Number(fromMax[1] ?? 0)
        : numbers[`SIG${text.toUpperCase().replace(/^SIG/, '')}`];
  if (number !== undefined && number >= 1 && number <= 64) return number;
  throw new PodwrightError('E_INVALID', `use stop signal ${text}: no such signal`);
}
