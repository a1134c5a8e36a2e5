/** A container as a syscall program. Pure: the order of the ops is the design, and each step that must follow another says why. */
import { posix } from 'node:path';
import { PodwrightError } from '#base/errors.ts';
import {
  AT_FDCWD,
  CLONE,
  MNT,
  MOVE,
  OPEN,
  RLIM_INFINITY,
  RLIMIT,
  S_IFBLK,
  S_IFCHR,
  TREE,
} from './kernel-constants.ts';
import {
  allocateSharedTrees,
  compileCovers,
  compileMaskedPaths,
  compileMount,
  compilePropagation,
  compileReadonlyPaths,
  deviceNumber,
  openTarget,
  overlayData,
  procFd,
  registers,
  setAttributes,
  targetFd,
} from './compile-mount.ts';
import type { ProcSource } from './compile-mount.ts';
import { compileIdentity, compileProcess, compileStdio } from './compile-process.ts';
import {
  closeAllButUser,
  compileEnterUser,
  compileOwnership,
  hostId,
  shiftDirectory,
  shiftIds,
} from './compile-user-namespace.ts';
import { bytes, createProgramBuilder, flags, number, register, text } from './program.ts';
import type { Program, ProgramArgument, ProgramBuilder } from './program.ts';
import type { Architecture } from './syscall-numbers.ts';
import type { ContainerLaunch, IdRange, LaunchRlimit, LaunchStdio } from './launch.ts';

/**
 * The mounts that the runtime specification asks of every Linux container (runtime-spec, config-linux.md, "Default Filesystems").
 * The launch itself adds none: callers put these first, then their own.
 */
export const defaultMounts: ContainerLaunch['mounts'] = [
  { type: 'proc', source: 'proc', target: '/proc', options: ['nosuid', 'nodev', 'noexec'] },
  {
    type: 'tmpfs',
    source: 'tmpfs',
    target: '/dev',
    options: ['nosuid', 'strictatime'],
    data: 'mode=755,size=65536k',
  },
  {
    type: 'devpts',
    source: 'devpts',
    target: '/dev/pts',
    options: ['nosuid', 'noexec'],
    data: 'newinstance,ptmxmode=0666,mode=0620,gid=5',
  },
  { type: 'mqueue', source: 'mqueue', target: '/dev/mqueue', options: ['nosuid', 'nodev', 'noexec'] },
  { type: 'sysfs', source: 'sysfs', target: '/sys', options: ['nosuid', 'nodev', 'noexec', 'ro'] },
];

/** Devices of every container: null, zero, full, random, urandom, tty (runtime-spec, "Default Devices"). */
export const defaultDevices: ContainerLaunch['devices'] = (
  [
    ['/dev/null', 1, 3],
    ['/dev/zero', 1, 5],
    ['/dev/full', 1, 7],
    ['/dev/random', 1, 8],
    ['/dev/urandom', 1, 9],
    ['/dev/tty', 5, 0],
  ] as const
).map(([path, major, minor]) => ({ path, type: 'c', major, minor, mode: 0o666 }));

const defaultLinks: readonly (readonly [string, string])[] = [
  ['fd', '/proc/self/fd'],
  ['stdin', '/proc/self/fd/0'],
  ['stdout', '/proc/self/fd/1'],
  ['stderr', '/proc/self/fd/2'],
  ['core', '/proc/kcore'],
  ['ptmx', 'pts/ptmx'],
];

/** What clone3 makes anew for a container; its other namespaces are the supervisor's, or joined. */
export function containerCloneFlags(container: ContainerLaunch): number {
  return container.pidNamespace === 'private' ? CLONE.CLONE_NEWNS | CLONE.CLONE_NEWPID : CLONE.CLONE_NEWNS;
}

/** @throws E_INVALID for an option, capability, limit or path that means nothing; E_LIMIT for what the kernel would cut off. */
export function compileContainer(
  container: ContainerLaunch,
  stdio: Pick<LaunchStdio, 'stdin' | 'tty'>,
  architecture: Architecture,
): Program {
  const builder = createProgramBuilder();
  compileSurroundings(builder, container, !container.security.privileged);
  compileConfinement(builder, container.security.appArmor);
  const joined = joinedPidNamespace(container);
  if (joined !== undefined) {
    builder.label('join the pid namespace');
    builder.op('setns', [targetFd, flags(CLONE, 'CLONE_NEWPID')]);
  }
  const shared = allocateSharedTrees(container.mounts);
  compilePropagation(builder, shared);
  compileRoot(builder, container);
  const isNodev = hasNoDevices(container);
  for (const mount of container.mounts) compileMount(builder, mount, { shared, proc: joined, isNodev });
  compileDevices(builder, container);
  compileMaskedPaths(builder, container.security.maskedPaths);
  compileReadonlyPaths(builder, container.security.readonlyPaths);
  // Before the root becomes read-only, and while its descriptor is there to keep the path inside.
  builder.label(`make ${container.cwd}`);
  openTarget(builder, container.cwd, false);
  compilePivot(builder, container);
  compileStdio(builder, stdio, hostId(container.ids, container.user.uid));
  for (const limit of container.rlimits) compileRlimit(builder, limit);
  if (container.ids !== undefined) compileEnterUser(builder, { mounts: true });
  compileIdentity(builder, container, architecture);
  compileProcess(builder, container, architecture, { isSeen: joined !== undefined, tty: stdio.tty });
  return builder.build();
}

function hasNoDevices({
  security,
}: {
  readonly security: Pick<ContainerLaunch['security'], 'nodev' | 'privileged'>;
}): boolean {
  return security.nodev === true && !security.privileged;
}

/** Where the proc of a pid namespace is that others are in; undefined for one of the container's own, or the host's. */
function joinedPidNamespace({ pidNamespace }: ContainerLaunch): ProcSource | undefined {
  if (pidNamespace === 'pod') return { fd: procFd, path: '/' };
  return typeof pidNamespace === 'object' ? { fd: targetFd, path: '/proc' } : undefined;
}

/** What is written through the host's /proc, which is there until pivot_root. */
export function compileSurroundings(
  builder: ProgramBuilder,
  container: Pick<ContainerLaunch, 'oomScoreAdj' | 'sysctls'>,
  hasCgroupNamespace: boolean,
): void {
  // After CLONE_INTO_CGROUP: a cgroup namespace made by clone itself would be rooted at the supervisor's cgroup.
  if (hasCgroupNamespace) {
    builder.label('enter a cgroup namespace');
    builder.op('unshare', [flags(CLONE, 'CLONE_NEWCGROUP')]);
  }
  if (container.oomScoreAdj !== undefined) {
    builder.label(`set oom_score_adj ${container.oomScoreAdj}`);
    // Without CAP_SYS_RESOURCE (a rootless or restricted node) it can only be raised: the process then keeps the supervisor's.
    writeFile(builder, '/proc/self/oom_score_adj', String(container.oomScoreAdj), ['EACCES']);
  }
  for (const [name, value] of Object.entries(container.sysctls).toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    if (!/^[a-z0-9_.\-/]+$/i.test(name) || name.includes('..')) {
      throw new PodwrightError('E_INVALID', `compile sysctl ${name}: not a name`);
    }
    builder.label(`set sysctl ${name}=${value}`);
    writeFile(builder, `/proc/sys/${name.replaceAll('.', '/')}`, value, []);
  }
  builder.label('make files with the modes asked for');
  builder.op('umask', [0]);
}

/** By the host's /proc, which no container has a say in; it holds from the execve on (apparmor(7), change_onexec). */
export function compileConfinement(builder: ProgramBuilder, profile: string | undefined): void {
  if (profile === undefined) return;
  builder.label(`confine what is executed to ${profile}`);
  writeFile(builder, '/proc/self/attr/apparmor/exec', `exec ${profile}`, []);
}

export function writeFile(
  builder: ProgramBuilder,
  path: string,
  content: string,
  tolerate: readonly string[],
): void {
  const data = Buffer.from(content);
  builder.op('writeFile', [text(path), bytes(data, JSON.stringify(content)), data.length], { tolerate });
}

/** Mounts the root at its place on the host (in our mount namespace only) and keeps its descriptor. */
export function compileRoot(
  builder: ProgramBuilder,
  container: Pick<ContainerLaunch, 'root' | 'ids'> & {
    readonly security: Pick<ContainerLaunch['security'], 'maskedPaths' | 'nodev' | 'privileged'>;
  },
): void {
  const { root } = container;
  const isMasking = container.security.maskedPaths.length > 0;
  const place = root.kind === 'overlay' ? root.merged : root.path;
  if (root.kind === 'directory') {
    builder.label(`clone the root ${place}`);
    const tree = flags(TREE, 'OPEN_TREE_CLONE', 'OPEN_TREE_CLOEXEC', 'AT_RECURSIVE');
    // Not in registers.tree, which the covers use.
    builder.op('open_tree', [AT_FDCWD, text(place), tree], { save: registers.root });
  }
  if (root.kind === 'overlay' && root.make !== undefined) makeUpper(builder, { ...root, make: root.make });
  if (container.ids !== undefined) shiftRoot(builder, root, container.ids);
  if (isMasking) compileCovers(builder, place);
  builder.label(`mount the root on ${place}`);
  if (root.kind === 'overlay') {
    const { links, data } = overlayData({ ...root, lower: lowerOf(root) });
    if (links.length > 0) linkLayers(builder, root, links);
    builder.op('mount', [text('overlay'), text(place), text('overlay'), 0, text(data)]);
  } else {
    const onPlace = [AT_FDCWD, text(place), flags(MOVE, 'MOVE_MOUNT_F_EMPTY_PATH')];
    builder.op('move_mount', [register(registers.root), text(''), ...onPlace]);
  }
  builder.op('openat', [AT_FDCWD, text(place), flags(OPEN, 'O_PATH', 'O_CLOEXEC'), 0], {
    save: registers.root,
  });
  if (!hasNoDevices(container)) return;
  const attributes = ['MOUNT_ATTR_NODEV'] as const;
  setAttributes(builder, register(registers.root), text(''), {
    recursive: root.kind === 'directory',
    propagation: undefined,
    attributes,
  });
}

/** An overlay shows the owners that its layers show. */
function shiftRoot(builder: ProgramBuilder, root: ContainerLaunch['root'], ids: IdRange): void {
  if (root.kind === 'directory') shiftIds(builder, register(registers.root), root.path);
  else {
    const directories = [...root.lower, root.upper, root.work].map((layer) => posix.dirname(layer));
    for (const directory of new Set(directories)) shiftDirectory(builder, directory, registers.tree);
  }
  compileOwnership(builder, ids);
}

/**
 * Made here rather than by the agent, whose thread must not wait for a disk and would go through libuv's pool three times.
 * The umask is 0 by now.
 */
function makeUpper(
  builder: ProgramBuilder,
  root: Pick<OverlayRoot, 'lower' | 'upper' | 'work'> & { readonly make: NonNullable<OverlayRoot['make']> },
): void {
  const { directory, mode, uid, gid } = root.make;
  builder.label(`make ${directory}`);
  builder.op('mkdirat', [AT_FDCWD, text(directory), octal(0o700)]);
  builder.op('mkdirat', [AT_FDCWD, text(root.work), octal(0o755)]);
  builder.op('mkdirat', [AT_FDCWD, text(root.upper), octal(mode)]);
  if (root.lower.length === 0) builder.op('mkdirat', [AT_FDCWD, text(emptyLayer(directory)), octal(0o755)]);
  if (uid !== 0 || gid !== 0) builder.op('fchownat', [AT_FDCWD, text(root.upper), uid, gid, 0]);
  // mkdir(2) gives no set-id bits, and chown(2) takes them away.
  if ((mode & 0o6000) !== 0) builder.op('fchmodat', [AT_FDCWD, text(root.upper), octal(mode)]);
}

/** An overlay has at least one lower directory (EINVAL otherwise): the empty one, where the image has no layer. */
function lowerOf({ lower, make }: OverlayRoot): readonly string[] {
  if (lower.length > 0) return lower;
  if (make === undefined)
    throw new PodwrightError('E_INVALID', 'compile overlay: no layer, and none is to be made');
  return [emptyLayer(make.directory)];
}

/** Short names of the layers beside the writable one, with which they go. */
function linkLayers(
  builder: ProgramBuilder,
  { make }: OverlayRoot,
  links: readonly { readonly name: string; readonly target: string }[],
): void {
  if (make === undefined)
    throw new PodwrightError('E_LIMIT', `compile overlay: ${links.length} layers do not fit a mount's data`);
  const directory = `${make.directory}/layers`;
  builder.op('mkdirat', [AT_FDCWD, text(directory), octal(0o700)]);
  builder.op('chdir', [text(directory)]);
  for (const { name, target } of links) builder.op('symlinkat', [text(target), AT_FDCWD, text(name)]);
}

function emptyLayer(directory: string): string {
  return `${directory}/empty`;
}

type OverlayRoot = Extract<ContainerLaunch['root'], { readonly kind: 'overlay' }>;

function octal(mode: number): ProgramArgument {
  return number(mode, `0${mode.toString(8)}`);
}

export function compileDevices(builder: ProgramBuilder, container: ContainerLaunch): void {
  const hasOwnDev = container.mounts.some((mount) => mount.target === '/dev' && mount.type === 'tmpfs');
  const defaults = hasOwnDev ? defaultDevices : [];
  const given = new Set(container.devices.map((device) => device.path));
  let parent = '';
  for (const device of [...defaults.filter(({ path }) => !given.has(path)), ...container.devices]) {
    const directory = posix.dirname(device.path);
    builder.label(`make ${device.path}`);
    if (directory !== parent) openTarget(builder, directory, false);
    parent = directory;
    const kind = device.type === 'c' ? S_IFCHR : S_IFBLK;
    const mode = number(kind | device.mode, `${device.type} 0${device.mode.toString(8)}`);
    const name = text(posix.basename(device.path));
    const node = deviceNumber(device.major, device.minor);
    const { uid = 0, gid = 0 } = device;
    // A device of the host's belongs to whom it does there; those of every container to its root.
    const isRoots = uid === 0 && gid === 0 && (container.ids === undefined || defaults.includes(device));
    // Where something is there already, a mount of the container's, its owner stays too.
    const options = { tolerate: ['EEXIST'], skip: isRoots ? 0 : 1 };
    builder.op('mknodat', [register(registers.target), name, mode, node], options);
    if (!isRoots) builder.op('fchownat', [register(registers.target), name, uid, gid, 0]);
  }
  if (!hasOwnDev) return;
  builder.label('make the links of /dev');
  openTarget(builder, '/dev', false);
  for (const [name, target] of defaultLinks) {
    builder.op('symlinkat', [text(target), register(registers.target), text(name)], { tolerate: ['EEXIST'] });
  }
}

/** The root becomes /; the host's mounts, /proc among them, and every descriptor go. */
function compilePivot(builder: ProgramBuilder, { security, ids }: ContainerLaunch): void {
  compileNewRoot(builder);
  if (security.readonlyRoot) compileReadonlyRoot(builder);
  builder.label('close every descriptor but the report');
  if (ids === undefined) builder.op('close_range', [4, number(0xffff_ffff, '~0'), 0]);
  else closeAllButUser(builder, 4);
}

export function compileNewRoot(builder: ProgramBuilder): void {
  builder.label('make the root /');
  builder.op('fchdir', [register(registers.root)]);
  builder.op('pivot_root', [text('.'), text('.')]);
  builder.op('umount2', [text('.'), flags(MNT, 'MNT_DETACH')]);
  builder.op('chdir', [text('/')]);
}

export function compileReadonlyRoot(builder: ProgramBuilder): void {
  builder.label('make the root read-only');
  const attributes = ['MOUNT_ATTR_RDONLY'] as const;
  setAttributes(builder, number(AT_FDCWD), text('/'), {
    recursive: false,
    propagation: undefined,
    attributes,
  });
}

export function compileRlimit(builder: ProgramBuilder, limit: LaunchRlimit): void {
  const resource = RLIMIT[limit.name];
  if (resource === undefined) throw new PodwrightError('E_INVALID', `compile limit ${limit.name}: unknown`);
  const values = Buffer.alloc(16);
  [limit.soft, limit.hard].forEach((value, index) => {
    const isUnlimited = value < 0 || value > Number.MAX_SAFE_INTEGER;
    values.writeBigUInt64LE(isUnlimited ? RLIM_INFINITY : BigInt(value), index * 8);
  });
  builder.label(`limit ${limit.name}`);
  const content = bytes(values, `${limit.soft}:${limit.hard}`);
  builder.op('prlimit64', [0, number(resource, limit.name), content, 0]);
}
