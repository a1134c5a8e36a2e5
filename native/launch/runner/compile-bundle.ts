/**
 * A bundle's container as syscall programs, of the ops that containers of pods are made of. What belongs to the process that clones (the
 * namespaces that children are born in) is the prologue; the rest the child does, and it waits where its caller has something to do.
 */
import { AT_FDCWD, CLONE, S_IFIFO } from '#native/launch/kernel-constants.ts';
import {
  compileDevices,
  compileNewRoot,
  compileReadonlyRoot,
  compileRlimit,
  compileRoot,
  compileSurroundings,
  writeFile,
} from '#native/launch/compile-container.ts';
import {
  allocateSharedTrees,
  compileMaskedPaths,
  compileMount,
  compilePropagation,
  compileReadonlyPaths,
  openTarget,
  procFd,
  registers,
  setAttributes,
  targetFd,
} from '#native/launch/compile-mount.ts';
import { compileEnterUser, compileOwnership, userFd } from '#native/launch/compile-user-namespace.ts';
import { bytes, createProgramBuilder, flags, number, register, text } from '#native/launch/program.ts';
import type { Program, ProgramBuilder } from '#native/launch/program.ts';
import type { Architecture } from '#native/launch/syscall-numbers.ts';
import type { ContainerLaunch, LaunchMount } from '#native/launch/launch.ts';
import type { BundleLaunch, NamespaceKind } from './bundle-launch.ts';
import {
  compileBundleIdentity,
  compileBundleProcess,
  compileEarlyProcess,
  compileFind,
  compileScheduling,
  compileTerminal,
  readAll,
  reports,
  tell,
} from './compile-bundle-process.ts';

export const cloneFlagOf: Readonly<Record<NamespaceKind, keyof typeof CLONE>> = {
  pid: 'CLONE_NEWPID',
  network: 'CLONE_NEWNET',
  mount: 'CLONE_NEWNS',
  ipc: 'CLONE_NEWIPC',
  uts: 'CLONE_NEWUTS',
  user: 'CLONE_NEWUSER',
  cgroup: 'CLONE_NEWCGROUP',
  time: 'CLONE_NEWTIME',
};

/** A descriptor of the FIFO that `start` writes to (runner.c, FIFO_FD). */
export const fifoFd: number = procFd;

/** What clone3 makes anew, and what the user namespace's first process makes, so that they are the namespace's. */
export function bundleCloneFlags(launch: BundleLaunch): { readonly clone: number; readonly user: number } {
  const made = launch.namespaces.filter(({ path }) => path === undefined).map(({ kind }) => kind);
  const isOwned = (kind: NamespaceKind): boolean => kind === 'network' || kind === 'ipc' || kind === 'uts';
  const hasOwnUsers = made.includes('user');
  const sum = (kinds: readonly NamespaceKind[]): number =>
    kinds.reduce((all, kind) => all | CLONE[cloneFlagOf[kind]], 0);
  return {
    clone: sum(
      made.filter((kind) => !['user', 'time', 'cgroup'].includes(kind) && !(hasOwnUsers && isOwned(kind))),
    ),
    user: hasOwnUsers ? sum(made.filter(isOwned)) : 0,
  };
}

/** Namespaces of others are entered by the process that clones: it ends at once, and of pid and time only children are a part. */
export function compilePrologue(launch: BundleLaunch): Program {
  const builder = createProgramBuilder();
  const joined = launch.namespaces.filter(({ kind }) => kind !== 'user' && kind !== 'mount');
  // Last: the others' paths are the caller's.
  const mount = launch.namespaces.filter(({ kind }) => kind === 'mount');
  for (const { kind, path } of [...joined, ...mount]) {
    if (path === undefined) continue;
    builder.label(`join the ${kind} namespace ${path}`);
    builder.op('openat', [AT_FDCWD, text(path), number(0o2000000, 'O_CLOEXEC'), 0], { save: 0 });
    builder.op('setns', [register(0), flags(CLONE, cloneFlagOf[kind])]);
  }
  if (launch.namespaces.some(({ kind, path }) => kind === 'time' && path === undefined)) {
    builder.label('make a time namespace');
    builder.op('unshare', [flags(CLONE, 'CLONE_NEWTIME')]);
    for (const { clock, seconds, nanoseconds } of launch.timeOffsets)
      writeFile(builder, '/proc/self/timens_offsets', `${clock} ${seconds} ${nanoseconds}`, []);
  }
  return builder.build();
}

/** @throws E_INVALID, E_LIMIT as compileContainer */
export function compileBundle(launch: BundleLaunch, architecture: Architecture): Program {
  const builder = createProgramBuilder();
  const { process, users } = launch;
  const container = containerOf(launch);
  pause(builder, 'wait for the hooks that come before the mounts');
  const made = new Set(launch.namespaces.filter(({ path }) => path === undefined).map(({ kind }) => kind));
  compileSurroundings(builder, container, made.has('cgroup'));
  compileNames(builder, launch);
  compileEarlyProcess(builder, process);
  const mounts = launch.mounts.map((mount) => mount as LaunchMount);
  const shared = allocateSharedTrees(mounts);
  compilePropagation(builder, shared);
  // Of a bundle with a user namespace the files are its ids' already (runtime-spec, config-linux.md, "User namespace mappings").
  compileRoot(builder, container);
  if (users !== undefined) compileOwnership(builder, users.ids);
  for (const mount of mounts)
    compileMount(builder, mount, { shared, proc: undefined, isNodev: launch.isNodev });
  compileDevices(builder, container);
  compilePipes(builder, launch.pipes);
  compileMaskedPaths(builder, launch.maskedPaths);
  compileReadonlyPaths(builder, launch.readonlyPaths);
  builder.label(`make ${process.cwd}`);
  openTarget(builder, process.cwd, false);
  if (launch.pausesMounted) pause(builder, 'wait for the hooks of the container');
  compilePlace(builder, launch);
  compileTerminal(builder, process, { users, isContainer: true });
  for (const limit of process.rlimits) compileRlimit(builder, limit);
  compileScheduling(builder, process);
  if (users !== undefined) compileEnterUser(builder, { mounts: true });
  compileBundleIdentity(builder, process, architecture);
  compileFind(builder, process);
  builder.label('wait to be started');
  // It outlives its caller from here on: it is there.
  builder.op('prctl', [1, 0, 0, 0, 0]);
  tell(builder, reports.ready);
  readAll(builder, fifoFd);
  builder.op('close', [fifoFd]);
  compileBundleProcess(builder, process, architecture);
  return builder.build();
}

/** What the parts of a pod's container are told. */
function containerOf(launch: BundleLaunch): ContainerLaunch {
  const { process, root } = launch;
  return {
    root: { kind: 'directory', path: root.path },
    mounts: launch.mounts.map((mount) => mount as LaunchMount),
    devices: launch.devices,
    ...{ args: process.args, env: process.env, cwd: process.cwd, user: process.user },
    security: {
      capabilities: [],
      noNewPrivileges: process.noNewPrivileges,
      privileged: false,
      seccomp: 'unconfined',
      readonlyRoot: root.isReadonly,
      maskedPaths: launch.maskedPaths,
      readonlyPaths: launch.readonlyPaths,
      nodev: launch.isNodev,
    },
    rlimits: process.rlimits,
    sysctls: launch.sysctls,
    oomScoreAdj: process.oomScoreAdj,
    pidNamespace: 'private',
    cgroup: undefined,
  };
}

function pause(builder: ProgramBuilder, what: string): void {
  builder.label(what);
  tell(builder, reports.paused);
  builder.op('await', []);
}

function compileNames(builder: ProgramBuilder, { hostname, domainname, personality }: BundleLaunch): void {
  const name = (op: string, value: string | undefined): void => {
    if (value === undefined) return;
    builder.label(`${op} ${value}`);
    const content = Buffer.from(value);
    builder.op(op, [bytes(content, JSON.stringify(value)), content.length]);
  };
  name('sethostname', hostname);
  name('setdomainname', domainname);
  if (personality === undefined) return;
  builder.label('be of the personality asked for');
  builder.op('personality', [personality]);
}

function compilePipes(builder: ProgramBuilder, pipes: BundleLaunch['pipes']): void {
  for (const { path, mode, uid, gid } of pipes) {
    const at = path.lastIndexOf('/');
    builder.label(`make ${path}`);
    openTarget(builder, path.slice(0, at) || '/', false);
    const [parent, name] = [register(registers.target), text(path.slice(at + 1))];
    builder.op('mknodat', [parent, name, number(S_IFIFO | mode, `p 0${mode.toString(8)}`), 0], {
      tolerate: ['EEXIST'],
      skip: 1,
    });
    builder.op('fchownat', [parent, name, uid, gid, 0]);
  }
}

const propagations = {
  shared: 'MS_SHARED',
  slave: 'MS_SLAVE',
  private: 'MS_PRIVATE',
  unbindable: 'MS_UNBINDABLE',
} as const;

/** The root becomes /, and nothing of the host's is left but what comes later: the FIFO, the user namespace. */
function compilePlace(builder: ProgramBuilder, { root, rootPropagation, users }: BundleLaunch): void {
  compileNewRoot(builder);
  if (root.isReadonly) compileReadonlyRoot(builder);
  // Not of what is mounted below: mounts say that themselves.
  builder.label(`make the root ${rootPropagation}`);
  const propagation = propagations[rootPropagation];
  setAttributes(builder, number(AT_FDCWD), text('/'), { recursive: false, propagation, attributes: [] });
  builder.label('close every descriptor but the report and what is still needed');
  builder.op('close_range', [targetFd, targetFd, 0]);
  if (users === undefined) builder.op('close_range', [userFd, number(0xffff_ffff, '~0'), 0]);
  else builder.op('close_range', [userFd + 1, number(0xffff_ffff, '~0'), 0]);
}
