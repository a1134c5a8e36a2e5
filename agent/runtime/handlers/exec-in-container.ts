import { randomUUID } from 'node:crypto';
import type { Handler } from './handler.ts';
import { environmentOf } from '#agent/runtime/exec-environment.ts';
import { execIdPrefix, type Pod } from '#agent/runtime/pod.ts';
import type { ContainerDocument } from '#agent/runtime/pod-state.ts';
import type { ExecRequest, ExecSession } from '#agent/runtime/runtime.ts';

const SIGKILL = 9;

/** A command beside the first process of a running container, with what that has; killed where the signal aborts. */
export async function execInContainer(
  pod: Pod,
  running: ContainerDocument & { readonly pid: number },
  how: {
    readonly request: ExecRequest;
    readonly handler: Handler;
    /** Where the container's cgroup is. */
    readonly cgroup: string | undefined;
  },
  signal: AbortSignal,
): Promise<ExecSession> {
  const { request, handler, cgroup } = how;
  const { exec, pid: targetPid } = running;
  signal.throwIfAborted();
  const execId = `${execIdPrefix}${randomUUID()}`;
  const exitCode = pod.expectExec(execId);
  const { supervisor } = pod;
  try {
    const own = await environmentOf(pod.directory, running);
    const hasTerm = !request.tty || own.some((entry) => entry.startsWith('TERM='));
    const { args } = request;
    const { cwd, user, security, rlimits } = exec;
    const env = hasTerm ? own : [...own, 'TERM=xterm'];
    const { streams } = await handler.exec(
      { supervisor, directory: pod.directory },
      {
        ...{ id: execId, containerId: running.id },
        exec: { targetPid, args, env, cwd, user, security, rlimits, cgroup, ids: pod.sandbox.config.ids },
        stdio: { logPath: undefined, stdin: request.stdin, stdinOnce: true, tty: request.tty },
      },
    );
    const kill = (): Promise<void> => supervisor.kill(execId, SIGKILL, { all: true });
    const onAbort = (): void => void kill().catch(() => undefined); // gone with its supervisor
    signal.addEventListener('abort', onAbort, { once: true });
    void exitCode.finally(() => signal.removeEventListener('abort', onAbort));
    return { streams, exitCode, kill };
  } catch (error) {
    pod.forgetExec(execId);
    throw error;
  }
}
