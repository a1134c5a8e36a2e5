import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

import type { ContainerLaunch, Supervisor } from '#native/launch/launch.ts';
import { createLauncher } from '#native/launch/launcher.linux.ts';
import { defaultMounts } from '#native/launch/compile-container.ts';
import { alternate, firstInstructionMs, monotonicNs } from '#test/bench/measure.ts';
import { createNodeParts, logOf, type NodeParts } from '#test/bench/node-parts.ts';
import { ociContenders } from '#test/bench/oci-runtime.ts';
import { atMost, type Row } from '#test/bench/row.ts';

const signal = AbortSignal.timeout(300_000);

/** A container in a ready sandbox: from the call to its first instruction. */
export const launch: Row = {
  name: 'launch',
  inNamespaces: true,
  run: async (scale) => {
    await using parts = await createNodeParts();

    await parts.runtime.runSandbox(parts.sandbox('launch'), signal);
    await using own = await startSupervisor(parts);

    const peers = ociContenders(parts.directory, parts.root, (runtime) => {
      const bundle = runtime.bundle(['/probe']);
      return async () => firstInstructionMs(monotonicNs(), await runtime.run(bundle));
    });
    const rounds = scale.rounds(40);
    const budgets = [atMost(1.5)];
    return [
      await alternate({
        what: 'launch by the supervisor, root a directory',
        unit: 'ms',
        contenders: [{ name: 'podwright', round: () => own.launch() }, ...peers],
        rounds,
        budgets,
      }),
      await alternate({
        what: 'launch by the runtime, overlay of an image, recorded',
        unit: 'ms',
        contenders: [{ name: 'podwright', round: () => launchByRuntime(parts) }, ...peers],
        rounds,
        budgets,
      }),
    ];
  },
};

async function launchByRuntime(parts: NodeParts): Promise<number> {
  const container = parts.container([]);
  const startNs = monotonicNs();
  await parts.runtime.startContainer('launch', container, signal);
  const log = await logOf(parts, 'launch', container);
  await parts.runtime.removeContainer('launch', container.id, { withLogs: true });
  return firstInstructionMs(startNs, log);
}

interface ProbeSupervisor extends AsyncDisposable {
  launch(): Promise<number>;
}

/** A supervisor with the namespaces of a pod's, whose launches are what `crun run` does by the default specification. */
async function startSupervisor(parts: NodeParts): Promise<ProbeSupervisor> {
  const directory = join(parts.directory, 'sup');
  await mkdir(directory);
  const supervisor: Supervisor = await createLauncher().startSupervisor({
    directory,
    netns: undefined,
    hostname: 'probe',
    ipcNamespace: true,
    pidNamespace: false,
    cgroup: undefined,
    sysctls: {},
  });
  const container = probeLaunch(parts);
  let ended = Promise.withResolvers<void>();
  const watch = supervisor.onExit(() => ended.resolve());
  let count = 0;
  return {
    launch: async () => {
      const id = `probe-${count++}`;
      const logPath = join(directory, id);
      ended = Promise.withResolvers();
      const startNs = monotonicNs();
      await supervisor.launch(id, container, { logPath, stdin: false, stdinOnce: false, tty: false });
      await ended.promise;
      return firstInstructionMs(startNs, await readFile(logPath, 'utf8'));
    },
    [Symbol.asyncDispose]: async () => {
      watch[Symbol.dispose]();
      await supervisor.stop();
      supervisor[Symbol.dispose]();
    },
  };
}

function probeLaunch(parts: NodeParts): ContainerLaunch {
  return {
    root: { kind: 'directory', path: parts.root },
    mounts: defaultMounts,
    devices: [],
    args: ['/probe'],
    env: ['PATH=/'],
    cwd: '/',
    user: { uid: 0, gid: 0, additionalGids: [] },
    security: parts.container([]).security,
    rlimits: [{ name: 'RLIMIT_NOFILE', soft: 1024, hard: 1024 }],
    sysctls: {},
    oomScoreAdj: undefined,
    pidNamespace: 'private',
    cgroup: undefined,
  };
}
