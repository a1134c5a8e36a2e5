/** An exec as a syscall program: joins a container's namespaces by the pidfd of one of its processes, then becomes the process. */
import { compileIdentity, compileProcess, compileStdio } from './compile-process.ts';
import { CLONE } from './kernel-constants.ts';
import { createProgramBuilder, flags } from './program.ts';
import type { Program } from './program.ts';
import type { Architecture } from './syscall-numbers.ts';
import type { ExecLaunch, LaunchStdio } from './launch.ts';

/** Where the supervisor puts the target's pidfd (supervisor/program.h, TARGET_FD). */
const targetFd = 4;

/** The pid namespace is not among those joined here: the child was born in it. @throws E_INVALID, E_LIMIT as compileContainer. */
export function compileExec(
  exec: ExecLaunch,
  stdio: Pick<LaunchStdio, 'stdin' | 'tty'>,
  architecture: Architecture,
): Program {
  const builder = createProgramBuilder();
  builder.label('join the namespaces of the container');
  const namespaces = flags(
    CLONE,
    'CLONE_NEWNS',
    'CLONE_NEWCGROUP',
    'CLONE_NEWUTS',
    'CLONE_NEWIPC',
    'CLONE_NEWNET',
  );
  builder.op('setns', [targetFd, namespaces]);
  builder.op('close', [targetFd]);
  compileStdio(builder, stdio, exec.user);
  compileIdentity(builder, exec, architecture);
  compileProcess(builder, exec);
  return builder.build();
}
