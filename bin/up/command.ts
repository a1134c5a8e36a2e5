import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { join, relative, resolve } from 'node:path';

import { systemClock } from '#base/clock.ts';
import { PodwrightError } from '#base/errors.ts';
import { createSyncNetlink } from '#native/netlink/sync.ts';
import { createCgroups } from '#native/cgroup/cgroup.linux.ts';
import { findCgroupRoot, podControllers } from '#bin/cgroup-root.ts';
import { createProgress, type OutputFormat } from '#bin/progress.ts';
import { repositoryRoot } from '#bin/paths.ts';
import { announceReady } from '#bin/ready.ts';
import { stopSignal } from '#bin/stop-signal.ts';
import { bringDown } from './down.ts';
import { startUp } from './up.ts';

export interface UpCommandOptions {
  readonly nodes: number;
  readonly data: string;
  readonly port: number;
  readonly keep?: boolean;
  readonly detach?: boolean;
  readonly output: OutputFormat;
}

const print = (line: string): void => void process.stdout.write(`${line}\n`);

export async function runUp(options: UpCommandOptions): Promise<void> {
  requireRoot('up');
  if (options.detach === true) {
    await runDetached(options);
    return;
  }
  const progress = createProgress(systemClock, options.output, print);
  const dataDir = resolve(options.data);
  const stop = stopSignal();
  const startMs = systemClock.monotonic();
  const cgroupRoot = findCgroupRoot();
  const cgroups = createCgroups(cgroupRoot);
  await using netlink = createSyncNetlink();
  const starting = startUp(
    { nodes: options.nodes, dataDir, port: options.port, keepData: options.keep === true },
    {
      clock: systemClock,
      cgroupRoot,
      makeCgroup: async (path) => void (await cgroups.ensure(relative(cgroupRoot, path), podControllers)),
      netlink,
      progress,
      environment: process.env,
    },
  );
  // A Ctrl-C during the start ends the processes; what was started is undone by startUp itself.
  await using running = await starting;

  const seconds = ((systemClock.monotonic() - startMs) / 1000).toFixed(1);
  const { kubeconfig } = running.plan;
  progress.say(
    `ready in ${seconds} s\n\n  export KUBECONFIG=${kubeconfig}\n  kubectl create deployment web --image=podwright/demo:1 --replicas=2\n`,
    {
      kubeconfig,
      seconds: Number(seconds),
    },
  );
  await announceReady(process.env);
  const signal = await stop;
  progress.say(`${signal}: stopping`);
}

/** Starts itself again in the background, with its output in DIR/up.log, and waits until that is ready. */
async function runDetached(options: UpCommandOptions): Promise<void> {
  const dataDir = resolve(options.data);
  await mkdir(dataDir, { recursive: true, mode: 0o711 });
  const logFile = join(dataDir, 'up.log');
  const log = openSync(logFile, 'w', 0o600);
  const args = [
    'up',
    '--keep',
    '--data',
    dataDir,
    '--nodes',
    String(options.nodes),
    '--port',
    String(options.port),
    '--output',
    options.output,
  ];
  const child = spawn(
    process.execPath,
    [...process.execArgv, join(repositoryRoot, 'bin', 'podwright.ts'), ...args],
    {
      stdio: ['ignore', log, log, 'ignore', 'pipe'],
      detached: true,
      env: { ...process.env, PODWRIGHT_READY_FD: '4' },
      cwd: '/',
    },
  );
  closeSync(log);
  const pipe = child.stdio[4];
  if (pipe === null || pipe === undefined) throw new TypeError('fd 4 is a pipe');
  const isReady = await Promise.race([
    once(pipe, 'data').then(() => true),
    once(child, 'exit').then(() => false),
  ]);
  pipe.destroy();
  const said = await readFile(logFile, 'utf8');
  if (!isReady)
    throw new PodwrightError(
      'E_CONNECTION',
      said
        .trim()
        .split('\n')
        .at(-1)
        ?.replace(/^podwright: /, '') ?? `start a cluster in ${dataDir}`,
    );
  process.stdout.write(said);
  child.unref();
}

export interface DownCommandOptions {
  readonly data: string;
  readonly purge?: boolean;
  readonly output: OutputFormat;
}

export async function runDown(options: DownCommandOptions): Promise<void> {
  requireRoot('down');
  const dataDir = resolve(options.data);
  const result = await bringDown(dataDir, { purge: options.purge === true, clock: systemClock });
  const what = result.stopped ? 'stopped' : 'nothing ran';
  createProgress(systemClock, options.output, print).say(
    result.purged ? `${what}; ${dataDir} removed` : `${what}; data kept in ${dataDir}`,
    { ...result, dataDir },
  );
}

function requireRoot(command: string): void {
  if (process.getuid?.() !== 0) {
    throw new PodwrightError(
      'E_PERMISSION',
      `run podwright ${command}: it makes namespaces and mounts, so it needs root; try sudo`,
    );
  }
}
