/** A process that joins a bundle's container, as compileExec has it of a pod's. */
import { CLONE } from '#native/launch/kernel-constants.ts';
import { targetFd } from '#native/launch/compile-mount.ts';
import { compileRlimit, writeFile } from '#native/launch/compile-container.ts';
import { closeAllButUser, compileEnterUser } from '#native/launch/compile-user-namespace.ts';
import { createProgramBuilder, flags, number, text, texts, textList } from '#native/launch/program.ts';
import type { Program, ProgramBuilder } from '#native/launch/program.ts';
import type { Architecture } from '#native/launch/syscall-numbers.ts';
import type { JoinLaunch, NamespaceKind } from './bundle-launch.ts';
import { cloneFlagOf } from './compile-bundle.ts';
import {
  compileBundleIdentity,
  compileBundleProcess,
  compileEarlyProcess,
  compileFind,
  compileScheduling,
  compileTerminal,
  reports,
  tell,
} from './compile-bundle-process.ts';

/** Of the pid namespace it becomes a part only when it has all that the process has, and no more. */
export function compileJoin(launch: JoinLaunch, architecture: Architecture): Program {
  const builder = createProgramBuilder();
  const { process, users } = launch;
  if (process.oomScoreAdj !== undefined) {
    builder.label(`set oom_score_adj ${process.oomScoreAdj}`);
    writeFile(builder, '/proc/self/oom_score_adj', String(process.oomScoreAdj), ['EACCES']);
  }
  compileEarlyProcess(builder, process);
  join(builder, launch.namespaces);
  if (users === undefined) builder.op('close_range', [targetFd, number(0xffff_ffff, '~0'), 0]);
  else closeAllButUser(builder, targetFd);
  compileTerminal(builder, process, { users, isContainer: false });
  for (const limit of process.rlimits) compileRlimit(builder, limit);
  compileScheduling(builder, process);
  if (users !== undefined) compileEnterUser(builder, { mounts: false });
  compileBundleIdentity(builder, process, architecture);
  compileFind(builder, process);
  tell(builder, reports.executing);
  builder.label('be born in the pid namespace');
  builder.op('fork', []);
  builder.op('setsid', []);
  compileBundleProcess(builder, process, architecture);
  return builder.build();
}

function join(builder: ProgramBuilder, namespaces: readonly NamespaceKind[]): void {
  const kinds = namespaces.filter((kind) => kind !== 'user').map((kind) => cloneFlagOf[kind]);
  builder.label('join the namespaces of the container');
  builder.op('setns', [targetFd, flags(CLONE, ...kinds)]);
}

/** A hook that runs in the container's namespaces with the rights of the runtime. */
export function compileHook(
  hook: { readonly path: string; readonly args: readonly string[]; readonly env: readonly string[] },
  namespaces: readonly NamespaceKind[],
): Program {
  const builder = createProgramBuilder();
  join(builder, namespaces);
  builder.op('close_range', [targetFd, number(0xffff_ffff, '~0'), 0]);
  builder.label(`execute the hook ${hook.path}`);
  builder.op('chdir', [text('/')]);
  tell(builder, reports.executing);
  builder.op('fork', []);
  builder.op('execvePath', [textList([hook.path]), texts(hook.args), texts(hook.env)]);
  return builder.build();
}
