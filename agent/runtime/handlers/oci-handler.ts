/**
 * Containers made by another OCI runtime (crun, runc), from a bundle that we render. Of a pod there is on this node, besides what every pod has:
 *
 *     RUNDIR/pods/UID/oci/            a tmpfs of the pod's own: environments are in it
 *     RUNDIR/pods/UID/oci/state/      what the runtime keeps (--root)
 *     RUNDIR/pods/UID/oci/ID/         a bundle: config.json, the number of the process, the runtime's own log, while it starts a terminal's socket
 *     RUNDIR/pods/UID/oci/exec-ID/    the same of an exec, as long as that starts
 */
import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { posix } from 'node:path';
import { describeError, errnoOf, isPodwrightError, PodwrightError } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import { removeTree } from '#native/fs/remove-tree.ts';
import type { MadeLaunch, LaunchStdio } from '#native/launch/launch.ts';
import type { Architecture } from '#native/launch/syscall-numbers.ts';
import type { ContainerPlan } from '#agent/runtime/plan/plan-container.ts';
import type { RuntimeSystem } from '#agent/runtime/system.ts';
import type { HandlerFeatures } from '#agent/runtime/runtime.ts';
import type { Handler, HandlerExec, HandlerLaunch, HandlerPod } from './handler.ts';
import { placeOfExec, placeUsers, type PlacedUsers } from './users-place.ts';
import { renderBundleConfig, renderBundleProcess, renderResources } from './render-bundle.ts';

/** What a program said and how it ended. */
export interface ProgramEnd {
  /** 128 and the signal where it was one. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** What of this host a bundle is made with. */
export interface HandlerHost {
  readonly architecture: Architecture;
  readonly permitted: readonly string[];
  /** Where cgroup v2 is mounted. */
  readonly cgroupRoot: string;
  /** Where the mount is that a path is in. */
  readonly mountPointOf: (path: string) => string;
  /** The pod-wide pid namespace that a supervisor has made, as a path. @throws E_NOT_FOUND */
  readonly podPidNamespace: (supervisorPid: number) => Promise<string>;
  /** The one that a supervisor holds for its pod, as a path. @throws E_NOT_FOUND */
  readonly userNamespace: (supervisorPid: number) => Promise<string>;
  /** To its end, which is not waited for longer than `programMsMax`. @throws E_TIMEOUT, E_NOT_FOUND */
  readonly run: (program: string, args: readonly string[], stdin?: string) => Promise<ProgramEnd>;
}

export interface OciHandlerOptions {
  /** Of the RuntimeClass. */
  readonly name: string;
  readonly program: string;
  /** It can be told to leave cgroups alone, so that they are as we made them: crun. Others are told which it is. */
  readonly leavesCgroups: boolean;
  readonly features: HandlerFeatures;
  readonly system: Pick<RuntimeSystem, 'mountSharedMemory'>;
  readonly host: HandlerHost;
  readonly log: Logger;
}

/** Bundles and states of a pod, in which an environment is several times: three times what its containers may have. */
const bytesMax = 100_663_296;
/** Of the runtime's own log that is read for what went wrong. */
const logBytesMax = 65_536;
const SIGKILL = 9;
const cgroupPlace = '/sys/fs/cgroup';

export function createOciHandler(options: OciHandlerOptions): Handler {
  const { features, host, program } = options;
  return {
    features,
    launch: async (pod, container) => {
      const directory = await makeDirectory(pod, container.plan.id, options);
      const { launch, hooks } = container.plan;
      const placed = launch.ids === undefined ? undefined : placeUsers(launch, launch.ids);
      const facts = { ...(await factsOf(pod, container, { options, placed })), hooks };
      const config = renderBundleConfig({ ...launch, mounts: placed?.mounts ?? launch.mounts }, facts);
      await writeFile(`${directory}/config.json`, JSON.stringify(config), { mode: 0o600 });
      const made = renderLaunch(pod, container, { options, placed });
      return orItsWords('create', directory, () =>
        pod.supervisor.launchMade(container.plan.id, made, container.plan.stdio),
      );
    },
    exec: async (pod, exec) => {
      const directory = await makeDirectory(pod, exec.id, options);
      try {
        const process = renderBundleProcess(exec.exec, { ...host, isTerminal: exec.stdio.tty });
        await writeFile(`${directory}/process.json`, JSON.stringify(process), { mode: 0o600 });
        const made = renderExec(pod, exec, options);
        return await orItsWords('exec', directory, () => pod.supervisor.execMade(exec.id, made, exec.stdio));
      } finally {
        await removeTree(directory);
      }
    },
    kill: async (pod, id, { signal, all }) => {
      const isDone = await attempt(options, pod, ['kill', id, String(signal)]);
      // One that hangs, or that does not know the container, must not keep it alive.
      if (!isDone || signal === SIGKILL) await pod.supervisor.kill(id, signal, all ? { all } : undefined);
    },
    update: async (pod, id, resources) => {
      if (options.leavesCgroups) return;
      // The limits alone: it would set what may be opened anew, and does without it.
      const { devices: _, ...limits } = renderResources({ devices: [], resources, missing: [] });
      if (Object.keys(limits).length === 0) return;
      const { code, stderr } = await host.run(
        program,
        [...globalArguments(pod, options), 'update', '--resources', '-', id],
        JSON.stringify(limits),
      );
      if (code !== 0)
        options.log.warn({ handler: options.name, container: id, error: stderr }, 'update a container');
    },
    remove: async (pod, id) => {
      const directory = directoryOf(pod, id);
      if (!existsSync(directory)) return;
      await attempt(options, pod, ['delete', '--force', id]);
      await removeTree(directory);
    },
  };
}

/** What pods of any handler left of bundles and states; their containers are removed. */
export async function forgetBundles(
  podDirectory: string,
  system: Pick<RuntimeSystem, 'unmount'>,
): Promise<void> {
  const directory = `${podDirectory}/oci`;
  if (existsSync(directory)) await system.unmount(directory);
}

function directoryOf({ directory }: HandlerPod, id: string): string {
  return `${directory}/oci/${id}`;
}

async function makeDirectory(pod: HandlerPod, id: string, { system }: OciHandlerOptions): Promise<string> {
  await system.mountSharedMemory(`${pod.directory}/oci`, bytesMax);
  const directory = directoryOf(pod, id);
  await mkdir(directory, { recursive: true, mode: 0o700 });
  return directory;
}

async function factsOf(
  { supervisor }: Parameters<Handler['launch']>[0],
  { plan, cgroup, missing }: HandlerLaunch,
  { options: { leavesCgroups, host }, placed }: HowToMake,
): Promise<Parameters<typeof renderBundleConfig>[1]> {
  const { pidNamespace } = plan.launch;
  return {
    ...{ root: placed?.root ?? rootOf(plan), architecture: host.architecture, permitted: host.permitted },
    pidNamespacePath:
      typeof pidNamespace === 'object'
        ? `/proc/${pidNamespace.ofPid}/ns/pid`
        : pidNamespace === 'pod'
          ? await host.podPidNamespace(supervisor.pid)
          : undefined,
    cgroupsPath:
      leavesCgroups || cgroup === undefined ? undefined : `/${posix.relative(host.cgroupRoot, cgroup)}`,
    devices: plan.cgroup.devices,
    resources: plan.cgroup.resources,
    missing,
    isTerminal: plan.stdio.tty,
    userNamespacePath: placed === undefined ? undefined : await host.userNamespace(supervisor.pid),
  };
}

interface HowToMake {
  readonly options: OciHandlerOptions;
  /** Undefined: the container is of the host's user namespace. */
  readonly placed: PlacedUsers | undefined;
}

function rootOf({ launch: { root } }: ContainerPlan): string {
  return root.kind === 'overlay' ? root.merged : root.path;
}

/** Pure but for what the host says of its mounts. */
function renderLaunch(
  pod: HandlerPod,
  { plan, cgroup }: HandlerLaunch,
  { options, placed }: HowToMake,
): MadeLaunch {
  const { host, leavesCgroups } = options;
  const { root, security, oomScoreAdj } = plan.launch;
  const cgroupMount = cgroupMountOf(host);
  const place = placed?.place;
  const places = [rootOf(plan), ...(cgroupMount === undefined ? [] : [cgroupPlace])];
  const terminal = plan.stdio.tty ? ['--console-socket', 'tty'] : [];
  return {
    ...commonOf(pod, plan.id, { options, stdio: plan.stdio }),
    make: [
      ...argumentsOf(pod, plan.id, options),
      ...['create', '--bundle', directoryOf(pod, plan.id), '--pid-file', 'pid', ...terminal, plan.id],
    ],
    start: [...argumentsOf(pod, plan.id, options), 'start', plan.id],
    root,
    isNodev: security.nodev === true && !security.privileged,
    privateMounts: [...new Set(places.map((path) => host.mountPointOf(path)))],
    cgroupMount,
    cgroup: leavesCgroups ? cgroup : undefined,
    oomScoreAdj,
    place,
  };
}

function renderExec(pod: HandlerPod, exec: HandlerExec, options: OciHandlerOptions): MadeLaunch {
  const { host, leavesCgroups } = options;
  const { id, containerId, stdio } = exec;
  const cgroupMount = cgroupMountOf(host);
  const place = exec.exec.ids === undefined ? undefined : placeOfExec(exec.exec.ids);
  const terminal = stdio.tty ? ['--tty', '--console-socket', 'tty'] : [];
  return {
    ...commonOf(pod, id, { options, stdio }),
    make: [
      ...argumentsOf(pod, id, options),
      ...['exec', '--detach', '--pid-file', 'pid', '--process', 'process.json', ...terminal, containerId],
    ],
    start: undefined,
    root: undefined,
    isNodev: false,
    privateMounts: cgroupMount === undefined ? [] : [host.mountPointOf(cgroupPlace)],
    cgroupMount,
    cgroup: leavesCgroups ? exec.exec.cgroup : undefined,
    oomScoreAdj: undefined,
    place,
  };
}

function commonOf(
  pod: HandlerPod,
  id: string,
  { options, stdio }: { readonly options: OciHandlerOptions; readonly stdio: LaunchStdio },
): Pick<MadeLaunch, 'program' | 'directory' | 'env' | 'pidFile' | 'consoleSocket'> {
  return {
    program: options.program,
    directory: directoryOf(pod, id),
    env: programEnvironment,
    pidFile: 'pid',
    consoleSocket: stdio.tty ? 'tty' : undefined,
  };
}

/** Of the runtime, not of the container: runtimes look for helpers of theirs. */
export const programEnvironment: readonly string[] = [
  'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
];

/** Where v2 is mounted beside v1, runtimes look at v1. */
function cgroupMountOf({ cgroupRoot }: HandlerHost): string | undefined {
  return cgroupRoot === cgroupPlace ? undefined : cgroupRoot;
}

function argumentsOf(pod: HandlerPod, id: string, options: OciHandlerOptions): readonly string[] {
  const log = ['--log', `${directoryOf(pod, id)}/log`, '--log-format', 'json'];
  return [posix.basename(options.program), ...globalArguments(pod, options), ...log];
}

function globalArguments({ directory }: HandlerPod, { leavesCgroups }: OciHandlerOptions): readonly string[] {
  return ['--root', `${directory}/oci/state`, ...(leavesCgroups ? ['--cgroup-manager=disabled'] : [])];
}

/** Whether the program did it; why not is for the log. */
async function attempt(
  options: OciHandlerOptions,
  pod: HandlerPod,
  command: readonly string[],
): Promise<boolean> {
  const { host, program, name, log } = options;
  try {
    const { code, stderr } = await host.run(program, [...globalArguments(pod, options), ...command]);
    if (code === 0) return true;
    log.debug(
      { handler: name, command: command[0], code, said: stderr.trim().slice(0, 1000) },
      'ask a runtime',
    );
  } catch (error) {
    log.warn({ handler: name, command: command[0], error: describeError(error) }, 'ask a runtime');
  }
  return false;
}

/** A program that fails says why in its own log. */
async function orItsWords<T>(what: string, directory: string, make: () => Promise<T>): Promise<T> {
  try {
    return await make();
  } catch (cause) {
    if (!isPodwrightError(cause, 'E_LAUNCH') || cause.detail?.['errno'] !== 'ECANCELED') throw cause;
    const words = await readWords(`${directory}/log`);
    if (words === undefined) throw cause;
    throw new PodwrightError('E_LAUNCH', `OCI runtime ${what} failed: ${words}`, {
      cause,
      detail: cause.detail,
    });
  }
}

async function readWords(path: string): Promise<string | undefined> {
  try {
    return parseWords((await readFile(path, 'utf8')).slice(-logBytesMax));
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** What the last error of a log says, whose lines are JSON; any last line where none is. Pure. */
export function parseWords(text: string): string | undefined {
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  const errors = lines.flatMap((line) => {
    try {
      const { level, msg }: { level?: unknown; msg?: unknown } = JSON.parse(line);
      return typeof msg === 'string' && level === 'error' ? [msg.trim()] : [];
    } catch {
      return [];
    }
  });
  return errors.at(-1) ?? lines.at(-1)?.trim();
}
