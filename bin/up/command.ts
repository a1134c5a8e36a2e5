import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, openSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { constants } from 'node:os';
import { join, relative, resolve } from 'node:path';

import { fastPathProblem, type FastPath } from '#agent/network/fast-path/choice.ts';
import type { ProxyMode } from '#agent/proxy/service-rules.ts';
import { systemClock } from '#base/clock.ts';
import { describeError, PodwrightError } from '#base/errors.ts';
import { ensureSupervisor } from '#native/launch/build.ts';
import { createSyncNft } from '#native/nft/nft.linux.ts';
import { createSyncNetlink } from '#native/netlink/sync.ts';
import { createCgroups } from '#native/cgroup/cgroup.linux.ts';
import { findCgroupRoot, findClusterParent } from '#bin/program/cgroup-root.ts';
import { logFileVariable } from '#bin/program/own-log.ts';
import { markerIdOf } from '#bin/ownership/marker.ts';
import { markCgroup, markClusterCgroup } from '#bin/ownership/own-cgroup.ts';
import { describeKept, proveOwned, removeOwned } from '#bin/ownership/remove-owned.ts';
import { repositoryRoot } from '#bin/paths.ts';
import { print, printText } from '#bin/terminal/print.ts';
import { createProgress, type OutputFormat, type Progress } from '#bin/terminal/progress.ts';
import { announceReady } from '#bin/program/ready.ts';
import { handlerProblems } from '#bin/options/handler-option.ts';
import { stopSignal } from '#bin/program/stop-signal.ts';
import { claimDataDir, claimEnvironment, type UpClaim } from './claim.ts';
import { renderMissing, renderReady } from './demo-image.ts';
import { clusterCgroupsOf } from './cluster-cgroups.ts';
import { bringDown } from './down.ts';
import { forgetNodes } from './forget-nodes.ts';
import { defaultOptions, readKeptOptions, writeKeptOptions } from './options.ts';
import type { Egress, KeptOptions, UpIpFamily } from './plan.ts';
import { startUp } from './up.ts';

export interface UpCommandOptions {
  /** Undefined: as the last `up` on this data directory. */
  readonly nodes?: number;
  readonly data: string;
  readonly port?: number;
  readonly ipFamily?: UpIpFamily;
  readonly nodeCidrMaskSize?: number;
  readonly maxPods?: number;
  readonly fabric?: string;
  readonly serverOption?: readonly string[];
  readonly egress?: Egress;
  readonly expose?: readonly string[];
  readonly proxyMode?: ProxyMode;
  readonly fastPath?: FastPath;
  readonly loadBalancerCidr?: readonly string[];
  readonly fakeNodes?: number;
  readonly runtimeHandler?: readonly string[];
  readonly keep?: boolean;
  readonly detach?: boolean;
  readonly output: OutputFormat;
}

/** Exit code 0 when a signal ended a cluster that was ready, 128 and the signal's number when it was not yet. */
export async function runUp(options: UpCommandOptions): Promise<void> {
  requireRoot('up');
  await ensureSupervisor(); // No pod starts without, so nothing else does.
  if (options.detach === true) {
    await runDetached(options);
    return;
  }
  const progress = createProgress(systemClock, options.output, print);
  const stop = stopSignal();
  const interrupt = new AbortController();
  void stop.then(() => interrupt.abort());
  try {
    await stayUp(options, progress, { stop, interrupt: interrupt.signal });
  } catch (error) {
    if (!interrupt.signal.aborted || error !== interrupt.signal.reason) throw error;
    const signal = await stop;
    progress.say(`${signal}: stopped before the cluster was ready`, { signal });
    process.exitCode = 128 + constants.signals[signal];
  }
}

/** @throws the reason of `interrupt`, once all that was started is undone */
async function stayUp(
  options: UpCommandOptions,
  progress: Progress,
  { stop, interrupt }: { readonly stop: Promise<NodeJS.Signals>; readonly interrupt: AbortSignal },
): Promise<void> {
  const startMs = systemClock.monotonic();
  const dataDir = resolve(options.data);
  const { path: cgroupRoot, controllers, problem } = findClusterParent();
  if (problem !== undefined)
    progress.say(`pods run without limits of cpu, memory and pids: ${problem}`, { problem });
  const cgroups = createCgroups(cgroupRoot);
  const claim = await claimDataDir(dataDir, process.env);
  const markerId = markerIdOf(dataDir, 'up') ?? '';
  await using undo = new AsyncDisposableStack();

  undo.defer(() => leaveDataDir(dataDir, claim, { keepsData: options.keep === true, progress }));
  const netlink = undo.use(createSyncNetlink());
  const earlier = await readKeptOptions(dataDir, (damaged) =>
    progress.say(`${damaged} is damaged: the options of last time are lost, and only those given now hold`, {
      damaged,
    }),
  );
  checkFamily(dataDir, earlier, options.ipFamily);
  const told = { ...defaultOptions, ...earlier, ...givenOptions(options) };
  checkFastPath(told);
  checkHandlers(told);
  const running = undo.use(
    await startUp(
      { ...told, dataDir },
      {
        clock: systemClock,
        cgroupRoot,
        findEarlier: () => clusterCgroupsOf(dataDir),
        makeCgroup: async (path) => {
          await cgroups.ensure(relative(cgroupRoot, path), controllers);
          markCgroup(path);
          markClusterCgroup(path, markerId);
        },
        netlink,
        nft: createSyncNft(),
        progress,
        environment: process.env,
      },
      interrupt,
    ),
  );
  await writeKeptOptions(dataDir, told);
  if (earlier !== undefined) await forgetNodes(running.plan, earlier.nodes, progress);

  const seconds = ((systemClock.monotonic() - startMs) / 1000).toFixed(1);
  const { withoutDemoImage, plan } = running;
  const { kubeconfig } = plan;
  if (withoutDemoImage.length > 0) progress.say(renderMissing(withoutDemoImage), { withoutDemoImage });
  progress.say(renderReady({ seconds, kubeconfig, hasDemoImage: withoutDemoImage.length === 0 }), {
    kubeconfig,
    seconds: Number(seconds),
  });
  await announceReady(process.env);
  const signal = await stop;
  progress.say(`${signal}: stopping`);
}

/** @throws E_INVALID */
function checkFastPath({ fastPath, proxyMode }: KeptOptions): void {
  const problem = fastPathProblem(fastPath, proxyMode);
  if (problem !== undefined) throw new PodwrightError('E_INVALID', problem);
}

/** @throws E_INVALID */
function checkHandlers({ runtimeHandler }: KeptOptions): void {
  const [problem] = handlerProblems(runtimeHandler);
  if (problem !== undefined) throw new PodwrightError('E_INVALID', problem);
}

/** Nodes keep their ranges of addresses for life, and Services theirs. @throws E_CONFLICT */
function checkFamily(dataDir: string, earlier: KeptOptions | undefined, asked: UpIpFamily | undefined): void {
  if (earlier === undefined || asked === undefined || asked === earlier.ipFamily) return;
  throw new PodwrightError(
    'E_CONFLICT',
    `start a cluster with --ip-family ${asked}: the one that is kept in ${dataDir} has ${earlier.ipFamily}; ` +
      'choose another directory with --data, or remove that one with podwright down --purge',
  );
}

/** What was said on this command line; what was not is as it was at the last `up`. */
function givenOptions(options: UpCommandOptions): Partial<KeptOptions> {
  const given = keptNames.filter((name) => options[name] !== undefined);
  return Object.fromEntries(given.map((name) => [name, options[name]]));
}

/** What is remembered, with its words on a command line. */
const keptFlags: Readonly<Record<keyof KeptOptions, string>> = {
  nodes: '--nodes',
  port: '--port',
  ipFamily: '--ip-family',
  nodeCidrMaskSize: '--node-cidr-mask-size',
  maxPods: '--max-pods',
  fabric: '--fabric',
  serverOption: '--server-option',
  egress: '--egress',
  expose: '--expose',
  proxyMode: '--proxy-mode',
  fastPath: '--fast-path',
  loadBalancerCidr: '--load-balancer-cidr',
  fakeNodes: '--fake-nodes',
  runtimeHandler: '--runtime-handler',
};

const keptNames = Object.keys(keptFlags) as readonly (keyof KeptOptions)[];

/** At the end: a directory that this `up` made goes with what it put there; any other stays as it is. */
async function leaveDataDir(
  dataDir: string,
  claim: UpClaim,
  { keepsData, progress }: { readonly keepsData: boolean; readonly progress: Progress },
): Promise<void> {
  claim[Symbol.dispose]();
  if (!claim.isNew || keepsData) return;
  const owned = proveOwned(dataDir, 'up');
  if (owned === undefined) return;
  const kept = describeKept(dataDir, await removeOwned(owned));
  if (kept !== undefined) progress.say(kept);
}

/** Starts itself again in the background, with its output in DIR/up.log, and waits until that is ready. */
async function runDetached(options: UpCommandOptions): Promise<void> {
  const dataDir = resolve(options.data);
  // Before the log is opened: it may be that of a cluster that runs.
  using claim = await claimDataDir(dataDir, process.env);

  const logFile = join(dataDir, 'up.log');
  const log = openSync(logFile, 'w', 0o600);
  const given = keptNames.filter((name) => options[name] !== undefined);
  const args = [
    ...['up', '--keep', '--data', dataDir],
    ...given.flatMap((name) => [options[name]].flat().flatMap((value) => [keptFlags[name], String(value)])),
    ...['--output', options.output],
  ];
  const child = spawn(
    process.execPath,
    [...process.execArgv, join(repositoryRoot, 'bin', 'podwright.ts'), ...args],
    {
      stdio: ['ignore', log, log, 'ignore', 'pipe', claim.fd],
      detached: true,
      env: {
        ...process.env,
        PODWRIGHT_READY_FD: '4',
        [logFileVariable]: logFile,
        ...claimEnvironment(5),
      },
      cwd: '/',
    },
  );
  closeSync(log);
  // It is in a session of its own, where a Ctrl-C does not reach it.
  void stopSignal().then((signal) => child.kill(signal));
  const pipe = child.stdio[4];
  if (pipe === null || pipe === undefined) throw new TypeError('fd 4 is a pipe');
  const isReady = await Promise.race([
    once(pipe, 'data').then(() => true),
    once(child, 'exit').then(() => false),
  ]);
  pipe.destroy();
  const said = await readFile(logFile, 'utf8');
  if (isReady) {
    printText(said);
    child.unref();
    return;
  }
  const reason = said.trim().split('\n').at(-1) ?? '';
  const code = exitCodeOf(child);
  // A launcher that was killed left more than files: `down` needs the directory to end that.
  if (child.signalCode === null && claim.isNew) {
    printText(said.slice(0, said.lastIndexOf(reason)));
    const progress = createProgress(systemClock, options.output, print);
    await leaveDataDir(dataDir, claim, { keepsData: options.keep === true, progress }).catch((error) =>
      progress.say(describeError(error)),
    );
  }
  if (code <= 128) throw new PodwrightError('E_CONNECTION', reason.replace(/^podwright: /, ''));
  print(reason);
  process.exitCode = code;
}

/** As a shell tells of a child: 128 and its number for a signal. */
function exitCodeOf({ exitCode, signalCode }: ChildProcess): number {
  return signalCode === null ? (exitCode ?? 1) : 128 + constants.signals[signalCode];
}

export interface DownCommandOptions {
  readonly data: string;
  readonly purge?: boolean;
  readonly output: OutputFormat;
}

export async function runDown(options: DownCommandOptions): Promise<void> {
  requireRoot('down');
  const dataDir = resolve(options.data);
  await using netlink = createSyncNetlink();
  const result = await bringDown(dataDir, {
    purge: options.purge === true,
    clock: systemClock,
    cgroupRoot: findCgroupRoot(),
    network: () => ({ nft: createSyncNft(), netlink }),
  });
  const what = result.stopped ? 'stopped' : 'nothing ran';
  const data = result.purged ? (result.kept ?? `${dataDir} removed`) : dataLeft(dataDir);
  createProgress(systemClock, options.output, print).say(`${what}; ${data}`, { ...result, dataDir });
}

const dataLeft = (dataDir: string): string =>
  existsSync(dataDir) ? `data kept in ${dataDir}` : `${dataDir} was gone already`;

function requireRoot(command: string): void {
  if (process.getuid?.() !== 0) {
    throw new PodwrightError(
      'E_PERMISSION',
      `run podwright ${command}: it makes namespaces and mounts, so it needs root; try sudo`,
    );
  }
}
