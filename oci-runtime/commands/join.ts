/** Processes that join a container: hooks of its namespaces, and those of `exec`. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PodwrightError } from '#base/errors.ts';
import type { HookStage, OciProcess } from '#api/oci/runtime/config.ts';
import { compileHook, compileJoin } from '#native/launch/runner/compile-join.ts';
import { startRun } from '#native/launch/runner/runner.ts';
import { createProgramBuilder } from '#native/launch/program.ts';
import { hostArchitecture } from '#native/launch/syscall-numbers.ts';
import type { BundleUsers } from '#native/launch/runner/bundle-launch.ts';
import { readFacts } from '#oci-runtime/host.ts';
import { renderBundle } from '#oci-runtime/render/render-launch.ts';
import { renderProcess } from '#oci-runtime/render/render-process.ts';
import { hookError } from '#oci-runtime/state/hooks.ts';
import { lives, namespacesOf } from '#oci-runtime/state/state.ts';
import type { ContainerState } from '#oci-runtime/state/state.ts';
import type { Runtime } from './runtime.ts';

const nothing = createProgramBuilder().build();

/** @throws {E_INVALID} naming the hook that failed */
export async function runHooksInside(
  runtime: Runtime,
  hooks: { readonly stage: HookStage; readonly state: ContainerState; readonly document: unknown },
): Promise<void> {
  const { stage, state } = hooks;
  for (const [index, hook] of (state.config.hooks?.[stage] ?? []).entries()) {
    const { path, args = [path], env = [] } = hook;
    const run = startRun(
      runtime.runner,
      {
        program: compileHook({ path, args, env }, namespacesOf(state)),
        ...{ prologue: nothing, args: [path], cloneFlags: 0, waits: true },
        targetPid: state.process?.pid,
        deadlineMs: hook.timeout === undefined || hook.timeout <= 0 ? undefined : hook.timeout * 1000,
      },
      { input: JSON.stringify(hooks.document) },
    );
    const code = await run.end().catch((error: unknown) => {
      throw hookError(stage, index, hook, error instanceof Error ? error.message : String(error));
    });
    if (code !== 0) throw hookError(stage, index, hook, `exit status ${code}`);
  }
}

export interface ExecOptions {
  readonly consoleSocket: string | undefined;
  readonly pidFile: string | undefined;
  readonly detaches: boolean;
  readonly hasOwnKeyring: boolean;
}

/** The exit code of what was executed; 0 at once where it detaches. @throws E_LAUNCH, E_INVALID, E_UNSUPPORTED */
export async function execIn(
  runtime: Runtime,
  state: ContainerState,
  what: { readonly process: OciProcess; readonly options: ExecOptions },
): Promise<number> {
  const { process, options } = what;
  if (process.terminal === true && options.consoleSocket === undefined)
    throw new PodwrightError('E_USAGE', '--tty: give --console-socket, which gets the terminal');
  if (!lives(state.process)) throw new PodwrightError('E_NOT_FOUND', 'cannot exec in a stopped container');
  const facts = { ...readFacts(state.bundle, state.config.root.path, runtime.log), isNodev: state.isNodev };
  const rendered = renderProcess(process, state.config.linux?.seccomp, facts);
  const launch = { ...rendered, hasOwnKeyring: options.hasOwnKeyring };
  const users: BundleUsers | undefined = renderBundle(state.config, { ...facts, hasOwnKeyring: false }).users;
  const { pid } = state.process;
  const run = startRun(runtime.runner, {
    program: compileJoin({ process: launch, namespaces: namespacesOf(state), users }, hostArchitecture),
    ...{ prologue: nothing, args: process.args, cloneFlags: 0, waits: !options.detaches, targetPid: pid },
    userPath: users === undefined ? undefined : `/proc/${pid}/ns/user`,
    cgroupProcs: state.cgroup === undefined ? undefined : join(state.cgroup, 'cgroup.procs'),
    consoleSocket: options.consoleSocket,
  });
  let latest: number | undefined;
  for (let event = await run.next(); event !== undefined; event = await run.next()) {
    if (event.kind === 'cloned') latest = event.pid;
    if (event.kind === 'died')
      throw new PodwrightError('E_LAUNCH', `exec in ${state.id}: its process ended at once`);
    if (event.kind === 'exited') return event.code;
    if (event.kind !== 'executed') continue;
    if (options.pidFile !== undefined) writeFileSync(options.pidFile, String(latest ?? event.pid));
    if (options.detaches) return 0;
  }
  throw new PodwrightError('E_LAUNCH', `exec in ${state.id}: the runner ended`);
}
