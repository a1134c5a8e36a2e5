/** An exec as a syscall program: joins a container's namespaces by the pidfd of one of its processes, then becomes the process. */
import { compileConfinement, compileRlimit } from './compile-container.ts';
import { compileIdentity, compileProcess, compileStdio } from './compile-process.ts';
import { targetFd } from './compile-mount.ts';
import { closeAllButUser, compileEnterUser, hostId } from './compile-user-namespace.ts';
import { CLONE } from './kernel-constants.ts';
import { createProgramBuilder, flags, number } from './program.ts';
import type { Program } from './program.ts';
import type { Architecture } from './syscall-numbers.ts';
import type { ExecLaunch, LaunchStdio } from './launch.ts';

/** Of the pid namespace it becomes a part only when it has all that the process has, and no more. @throws E_INVALID, E_LIMIT as compileContainer. */
export function compileExec(
  exec: ExecLaunch,
  stdio: Pick<LaunchStdio, 'stdin' | 'tty'>,
  architecture: Architecture,
): Program {
  const builder = createProgramBuilder();
  compileConfinement(builder, exec.security.appArmor);
  builder.label('join the namespaces of the container');
  const namespaces = flags(
    CLONE,
    'CLONE_NEWNS',
    'CLONE_NEWCGROUP',
    'CLONE_NEWUTS',
    'CLONE_NEWIPC',
    'CLONE_NEWNET',
    'CLONE_NEWPID',
  );
  builder.op('setns', [targetFd, namespaces]);
  // Before any path of the container is followed: none of them leads to what the supervisor has open.
  if (exec.ids === undefined) builder.op('close_range', [targetFd, number(0xffff_ffff, '~0'), 0]);
  else closeAllButUser(builder, targetFd);
  compileStdio(builder, stdio, hostId(exec.ids, exec.user.uid));
  // By root of the host: a user namespace raises none.
  for (const limit of exec.rlimits ?? []) compileRlimit(builder, limit);
  if (exec.ids !== undefined) compileEnterUser(builder, { mounts: false });
  compileIdentity(builder, exec, architecture);
  compileProcess(builder, exec, architecture, { isSeen: true, tty: stdio.tty });
  return builder.build();
}
