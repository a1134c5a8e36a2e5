/** A supervisor of its own for a kernel test, with everything that it leaves removed at the end. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createBusyboxContainer } from './busybox.fixture.ts';
import { createLauncher } from './launcher.linux.ts';
import type { LauncherOptions } from './launcher.linux.ts';
import { quiet, readAll, watchExits } from './launcher.conformance.ts';
import type {
  ContainerLaunch,
  ExecLaunch,
  LaunchStdio,
  ProcessExit,
  Supervisor,
  SupervisorSpec,
} from './launch.ts';

export interface KernelRun {
  readonly code: number;
  /** The log without the times. Lines of stdout and stderr, two pipes, come in no set order between them. */
  readonly log: string;
  /** The whole lines of stdout alone. */
  readonly stdout: readonly string[];
}

export interface KernelPod extends AsyncDisposable {
  readonly directory: string;
  readonly supervisor: Supervisor;
  readonly container: (script: string) => ContainerLaunch;
  readonly exitOf: (id: string) => Promise<ProcessExit>;
  /** Runs a container to its end. */
  run(container: ContainerLaunch, stdio?: Partial<LaunchStdio>): Promise<KernelRun>;
  /** Runs an exec to its end. */
  exec(
    exec: ExecLaunch,
  ): Promise<{ readonly code: number; readonly stdout: string; readonly stderr: string }>;
}

export async function createKernelPod(
  spec: Partial<SupervisorSpec> = {},
  options: LauncherOptions = {},
): Promise<KernelPod> {
  const directory = mkdtempSync('/tmp/podwright-kernel-');
  mkdirSync(join(directory, 'pod'));
  const container = createBusyboxContainer(directory);
  const start = createLauncher(options).startSupervisor({
    directory: join(directory, 'pod'),
    netns: undefined,
    hostname: 'pod',
    ipcNamespace: true,
    pidNamespace: false,
    cgroup: undefined,
    sysctls: {},
    ...spec,
  });
  start.catch(() => rmSync(directory, { recursive: true, force: true }));
  const supervisor = await start;
  const exitOf = watchExits(supervisor);
  let count = 0;
  return {
    directory,
    supervisor,
    container,
    exitOf,
    run: async (launch, stdio = {}) => {
      const id = `run${count++}`;
      const logPath = stdio.logPath ?? join(directory, id);
      await supervisor.launch(id, launch, { ...quiet, logPath, ...stdio });
      const { code } = await exitOf(id);
      const log = stripTimes(readFileSync(logPath, 'utf8'));
      return { code, log, stdout: [...log.matchAll(/^stdout F (.*)$/gm)].map(([, line = '']) => line) };
    },
    exec: async (exec) => {
      const id = `exec${count++}`;
      const { streams } = await supervisor.exec(id, exec, quiet);
      const [stdout, stderr] = await Promise.all([readAll(streams.stdout), readAll(streams.stderr)]);
      return { code: (await exitOf(id)).code, stdout, stderr };
    },
    [Symbol.asyncDispose]: async () => {
      for (const { id } of await supervisor.running().catch(() => [])) {
        await supervisor.kill(id, 9);
        await exitOf(id);
      }
      if (existsSync(join(directory, 'pod/sock'))) await supervisor.stop().catch(() => undefined);
      supervisor[Symbol.dispose]();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** `stdout F text` of each line of a CRI log. */
export function stripTimes(log: string): string {
  return log.replaceAll(/^\S+ /gm, '');
}
