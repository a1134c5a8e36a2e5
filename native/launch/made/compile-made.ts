/** What the supervisor's child does that has a process made by a program of the host's (supervisor/launch.c). Pure. */
import { PodwrightError } from '#base/errors.ts';
import { compileRoot, writeFile } from '#native/launch/compile-container.ts';
import { compilePropagation } from '#native/launch/compile-mount.ts';
import { AT_FDCWD, CLONE, MS } from '#native/launch/kernel-constants.ts';
import {
  bytes,
  createProgramBuilder,
  flags,
  number,
  register,
  text,
  textList,
  texts,
} from '#native/launch/program.ts';
import type { Program, ProgramBuilder } from '#native/launch/program.ts';
import { compilePlace } from './compile-place.ts';
import type { LaunchStdio, MadeLaunch } from '#native/launch/launch.ts';

/** Not one that a root has: those are registers.root to registers.covers. */
const listener = 7;
/** asm-generic/fcntl.h, linux/net.h, sys/un.h; the same on every processor that we build for. */
const [AF_UNIX, SOCK_STREAM, SOCK_CLOEXEC, SOCK_NONBLOCK] = [1, 1, 0o2000000, 0o4000];
const O_RDWR = 2;
/** sun_path with its NUL (unix(7)). */
const socketPathBytesMax = 108;

/**
 * The program runs in a mount namespace of its own, so that nobody has to unmount what it needs. It begins with nothing but the process's
 * streams; the process begins when its number is known, so that its end cannot be missed.
 *
 * @throws E_INVALID for a path that holds a NUL, or of a socket that is too long
 */
export function compileMade(made: MadeLaunch, stdio: Pick<LaunchStdio, 'tty'>): Program {
  const builder = createProgramBuilder();
  builder.label('leave the session of the supervisor');
  builder.op('setsid', []);
  if (made.oomScoreAdj !== undefined) {
    builder.label(`set oom_score_adj ${made.oomScoreAdj}`);
    writeFile(builder, '/proc/self/oom_score_adj', String(made.oomScoreAdj), ['EACCES']);
  }
  builder.label(`find ${made.program}`);
  builder.op('findProgram', [textList([made.program])]);
  compileMounts(builder, made);
  builder.label(`enter ${made.directory}`);
  builder.op('chdir', [text(made.directory)]);
  if (stdio.tty) compileListener(builder, made);
  builder.label('make files with the usual modes');
  builder.op('umask', [number(0o022, '022')]);
  run(builder, made, made.make);
  if (stdio.tty) {
    builder.label('take the terminal');
    builder.op('takeTty', [register(listener)]);
  }
  builder.label('tell which process it is');
  builder.op('made', [text(made.pidFile)]);
  if (made.start === undefined) return builder.build();
  // Or else what it says beside the process would be in the log of that.
  builder.label('let go of the streams');
  builder.op('openat', [AT_FDCWD, text('/dev/null'), O_RDWR, 0], { save: listener });
  for (const fd of [0, 1, 2]) builder.op('dup3', [register(listener), fd, 0]);
  run(builder, made, made.start);
  return builder.build();
}

function run(builder: ProgramBuilder, { program, env }: MadeLaunch, args: readonly string[]): void {
  builder.label(`run ${program}`);
  builder.op('run', [text(program), texts(args), texts(env)]);
}

function compileMounts(builder: ProgramBuilder, made: MadeLaunch): void {
  const { root, cgroupMount, privateMounts, isNodev, place } = made;
  if (root === undefined && cgroupMount === undefined && place === undefined) return;
  builder.label('enter a mount namespace');
  builder.op('unshare', [flags(CLONE, 'CLONE_NEWNS')]);
  // Nothing is mounted for the host in a user namespace, and what is shifted is covered at its own place.
  if (place !== undefined) compilePropagation(builder, new Map());
  // All others stay peers of the host's: what a container mounts with Bidirectional propagation has to reach it.
  for (const mount of privateMounts) {
    builder.label(`keep what is mounted in ${mount} from the host`);
    builder.op('mount', [0, text(mount), 0, flags(MS, 'MS_PRIVATE'), 0]);
  }
  if (cgroupMount !== undefined) {
    builder.label('show cgroup v2 alone');
    builder.op('mount', [text(cgroupMount), text('/sys/fs/cgroup'), 0, flags(MS, 'MS_BIND'), 0]);
  }
  if (root === undefined && place === undefined) return;
  builder.label('make files with the modes asked for');
  builder.op('umask', [0]);
  if (place !== undefined) compilePlace(builder, made, place);
  else if (root !== undefined) compileRootAlone(builder, root, isNodev);
}

function compileRootAlone(
  builder: ProgramBuilder,
  root: NonNullable<MadeLaunch['root']>,
  isNodev: boolean,
): void {
  compileRoot(builder, {
    root,
    ids: undefined,
    security: { maskedPaths: [], privileged: false, nodev: isNodev },
  });
}

function compileListener(builder: ProgramBuilder, { consoleSocket }: MadeLaunch): void {
  if (consoleSocket === undefined) throw new PodwrightError('E_INTERNAL', 'compile a terminal: no socket');
  const path = Buffer.from(`${consoleSocket}\0`);
  if (path.length > socketPathBytesMax)
    throw new PodwrightError(
      'E_INVALID',
      `listen on ${consoleSocket}: longer than ${socketPathBytesMax - 1} bytes`,
    );
  const address = Buffer.concat([Buffer.from([AF_UNIX, 0]), path]);
  builder.label(`listen on ${consoleSocket}`);
  builder.op('socket', [AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0], { save: listener });
  builder.op('bind', [register(listener), bytes(address, JSON.stringify(consoleSocket)), address.length]);
  builder.op('listen', [register(listener), 1]);
}
