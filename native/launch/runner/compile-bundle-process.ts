/** What a bundle's first process and those that join it have in common: terminal, rights, limits of scheduling, the execve at the end. */
import { capabilityMask, capabilityNames } from '#native/launch/capabilities.ts';
import { compileConfinement } from '#native/launch/compile-container.ts';
import { openTarget, registers } from '#native/launch/compile-mount.ts';
import { candidatesOf, compileFilter, compileUser, hex, renderEnv } from '#native/launch/compile-process.ts';
import {
  AT_FDCWD,
  KEYCTL,
  MOVE,
  OPEN,
  PR,
  PR_CAP_AMBIENT,
  TIOCSCTTY,
  TIOCSWINSZ,
  TREE,
} from '#native/launch/kernel-constants.ts';
import { bytes, flags, number, register, text, textList, texts } from '#native/launch/program.ts';
import type { ProgramBuilder } from '#native/launch/program.ts';
import type { Architecture } from '#native/launch/syscall-numbers.ts';
import type { BundleProcess, BundleUsers, CapabilitySets, IdMapping } from './bundle-launch.ts';

/** What a process says to the runner (runner.c); beside an index of an op that failed. */
export const reports = { paused: -101, ready: -102, executing: -103 } as const;
const reportFd = 3;

export function tell(builder: ProgramBuilder, word: number): void {
  const message = Buffer.alloc(8);
  message.writeInt32LE(word, 0);
  const noSignal = number(0x4000, 'MSG_NOSIGNAL');
  builder.op('sendto', [reportFd, bytes(message, `report ${word}`), message.length, noSignal, 0, 0]);
}

/** Waits for a byte: the descriptor is open for writing here too, so that it never ends. */
export function readAll(builder: ProgramBuilder, fd: number): void {
  builder.op('read', [fd, bytes(Buffer.alloc(8), 'a byte'), 1]);
}

/** The host's id of one in the container; itself without a user namespace, 0 where nothing is mapped. */
export function ownerOf(mappings: readonly IdMapping[] | undefined, id: number): number {
  if (mappings === undefined) return id;
  const range = mappings.find(({ containerId, size }) => id >= containerId && id < containerId + size);
  return range === undefined ? 0 : range.hostId + id - range.containerId;
}

/** What goes by the host's /proc, or is asked before its right is gone. */
export function compileEarlyProcess(builder: ProgramBuilder, { apparmorProfile }: BundleProcess): void {
  compileConfinement(builder, apparmorProfile);
}

/** The streams, with the root in place. Of a container its terminal is its console too (runtime-spec, config-linux.md, "Default Devices"). */
export function compileTerminal(
  builder: ProgramBuilder,
  process: BundleProcess,
  { users, isContainer }: { readonly users: BundleUsers | undefined; readonly isContainer: boolean },
): void {
  const owner = ownerOf(users?.uidMappings, process.user.uid);
  const { terminal } = process;
  if (terminal === undefined) {
    builder.label('give the streams to the user');
    // A stream of somebody else's file system may refuse it: it is readable all the same.
    for (const fd of process.ownStreams)
      builder.op('fchown', [fd, owner, -1], { tolerate: ['EPERM', 'EROFS', 'EINVAL'] });
    return;
  }
  builder.label('open a terminal');
  builder.op('openTty', [owner]);
  if (terminal !== 'default') {
    const size = Buffer.alloc(8); // struct winsize
    size.writeUInt16LE(terminal.rows, 0);
    size.writeUInt16LE(terminal.columns, 2);
    builder.op('ioctl', [
      0,
      number(TIOCSWINSZ, 'TIOCSWINSZ'),
      bytes(size, `${terminal.columns}x${terminal.rows}`),
    ]);
  }
  if (!isContainer) return;
  builder.label('bind the terminal on /dev/console');
  const tree = flags(TREE, 'OPEN_TREE_CLONE', 'OPEN_TREE_CLOEXEC', 'AT_EMPTY_PATH');
  builder.op('open_tree', [0, text(''), tree], { save: registers.tree });
  builder.op('openat', [AT_FDCWD, text('/'), flags(OPEN, 'O_PATH', 'O_CLOEXEC'), 0], {
    save: registers.root,
  });
  openTarget(builder, '/dev/console', true);
  const how = flags(MOVE, 'MOVE_MOUNT_F_EMPTY_PATH', 'MOVE_MOUNT_T_EMPTY_PATH');
  builder.op('move_mount', [register(registers.tree), text(''), register(registers.target), text(''), how]);
  for (const each of [registers.tree, registers.root, registers.target])
    builder.op('close', [register(each)]);
}

export function compileScheduling(builder: ProgramBuilder, process: BundleProcess): void {
  const { cpus, ioPriority, scheduler } = process;
  if (cpus !== undefined) {
    const mask = Buffer.alloc(128); // cpu_set_t: 1024 CPUs
    for (const cpu of cpus) mask.writeUInt8(mask.readUInt8(cpu >> 3) | (1 << (cpu & 7)), cpu >> 3);
    builder.label(`run on the CPUs ${cpus.join(',')}`);
    builder.op('sched_setaffinity', [0, mask.length, bytes(mask, `[${cpus.join(',')}]`)]);
  }
  if (scheduler !== undefined) {
    builder.label('be scheduled as asked for');
    builder.op('sched_setattr', [0, bytes(scheduler, 'struct sched_attr'), 0]);
  }
  if (ioPriority === undefined) return;
  builder.label('be given the priority of I/O asked for');
  builder.op('ioprio_set', [number(1, 'IOPRIO_WHO_PROCESS'), 0, ioPriority]);
}

/** Working directory, capabilities, user, no_new_privs; the filter where it cannot wait. */
export function compileBundleIdentity(
  builder: ProgramBuilder,
  process: BundleProcess,
  _architecture: Architecture,
): void {
  const { capabilities, cwd, noNewPrivileges, seccomp, user } = process;
  if (process.hasOwnKeyring) {
    builder.label('leave the keys of the host');
    const join = flags(KEYCTL, 'KEYCTL_JOIN_SESSION_KEYRING');
    builder.op('keyctl', [join, 0], { tolerate: ['ENOSYS', 'EPERM'] });
  }
  builder.label(`enter ${cwd}`);
  builder.op('enterPath', [text(cwd)]);
  builder.label('drop capabilities from the bounding set');
  const bounding = capabilityMask(capabilities.bounding);
  builder.op('dropBounding', [hex(bounding & 0xffff_ffffn), hex(bounding >> 32n)]);
  if (seccomp !== undefined && !noNewPrivileges) compileFilter(builder, filterOf(seccomp));
  builder.label('keep capabilities over the change of user');
  builder.op('prctl', [flags(PR, 'PR_SET_KEEPCAPS'), 1, 0, 0, 0]);
  compileUser(builder, user);
  builder.op('prctl', [flags(PR, 'PR_SET_KEEPCAPS'), 0, 0, 0, 0]);
  compileCapabilities(builder, capabilities);
  if (!noNewPrivileges) return;
  builder.label('gain no privileges');
  builder.op('prctl', [flags(PR, 'PR_SET_NO_NEW_PRIVS'), 1, 0, 0, 0]);
}

function filterOf(filter: NonNullable<BundleProcess['seccomp']>): Parameters<typeof compileFilter>[1] {
  return { name: filter.name, filter: Buffer.from(filter.program, 'base64'), flags: filter.flags };
}

/** capset(2): a header, then two times effective, permitted, inheritable, low and high halves. */
function compileCapabilities(builder: ProgramBuilder, sets: CapabilitySets): void {
  const header = Buffer.alloc(8);
  header.writeUInt32LE(0x2008_0522, 0); // _LINUX_CAPABILITY_VERSION_3
  const data = Buffer.alloc(24);
  [sets.effective, sets.permitted, sets.inheritable].forEach((names, index) => {
    const mask = capabilityMask(names);
    data.writeUInt32LE(Number(mask & 0xffff_ffffn), index * 4);
    data.writeUInt32LE(Number(mask >> 32n), 12 + index * 4);
  });
  builder.label(`keep ${sets.effective.join(' ') || 'no capability'}`);
  builder.op('capset', [bytes(header, 'version 3'), bytes(data, 'effective, permitted, inheritable')]);
  const ambient = flags(PR, 'PR_CAP_AMBIENT');
  builder.op('prctl', [ambient, number(PR_CAP_AMBIENT.PR_CAP_AMBIENT_CLEAR_ALL, 'CLEAR_ALL'), 0, 0, 0]);
  for (const name of sets.ambient)
    builder.op('prctl', [
      ambient,
      number(PR_CAP_AMBIENT.PR_CAP_AMBIENT_RAISE, 'RAISE'),
      number(capabilityNames.indexOf(name), name),
      0,
      0,
    ]);
}

/** Whether there is such a program is known before anybody is told that the container is there. */
export function compileFind(builder: ProgramBuilder, { args, env }: BundleProcess): void {
  builder.label(`find ${args[0] ?? ''}`);
  builder.op('findProgram', [textList(candidatesOf(args[0] ?? '', env))]);
}

export function compileBundleProcess(
  builder: ProgramBuilder,
  process: BundleProcess,
  _architecture: Architecture,
): void {
  const [name = ''] = process.args;
  if (process.terminal !== undefined) {
    builder.label('take the terminal');
    builder.op('ioctl', [0, number(TIOCSCTTY, 'TIOCSCTTY'), 0]);
  }
  builder.label(`execute ${name}`);
  builder.op('umask', [number(process.umask, `0${process.umask.toString(8)}`)]);
  if (process.seccomp !== undefined && process.noNewPrivileges)
    compileFilter(builder, filterOf(process.seccomp));
  builder.label(`execute ${name}`);
  builder.op('execvePath', [
    textList(candidatesOf(name, process.env)),
    texts(process.args),
    renderEnv(process.env),
  ]);
}
