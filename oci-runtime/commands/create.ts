/** `create`, and what `run` begins with. */
import { lstatSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import { systemClock } from '#base/clock.ts';
import { describeError, errnoOf, PodwrightError } from '#base/errors.ts';
import { parseOciConfig } from '#api/oci/runtime/config.ts';
import type { OciConfig } from '#api/oci/runtime/config.ts';
import { bundleCloneFlags, compileBundle, compilePrologue } from '#native/launch/runner/compile-bundle.ts';
import { startRun } from '#native/launch/runner/runner.ts';
import type { Run, RunEvent } from '#native/launch/runner/runner.ts';
import { hostArchitecture } from '#native/launch/syscall-numbers.ts';
import type { BundleLaunch, IdMapping } from '#native/launch/runner/bundle-launch.ts';
import { readFacts, writeLog } from '#oci-runtime/host.ts';
import { renderBundle } from '#oci-runtime/render/render-launch.ts';
import { isDefault, renderDeviceRules, renderResources } from '#oci-runtime/render/render-resources.ts';
import { filterDevices, findCgroupPlace, makeCgroup } from '#oci-runtime/state/container-cgroup.ts';
import { runHooks } from '#oci-runtime/state/hooks.ts';
import { keyOf, renderState, StateDirectory } from '#oci-runtime/state/state.ts';
import type { ContainerState } from '#oci-runtime/state/state.ts';
import type { Runtime } from './runtime.ts';
import { removeContainer } from './delete.ts';
import { runHooksInside } from './join.ts';

export interface CreateOptions {
  readonly id: string;
  readonly bundle: string;
  readonly consoleSocket: string | undefined;
  readonly pidFile: string | undefined;
  readonly hasOwnKeyring: boolean;
  /** Until the container's end. */
  readonly waits: boolean;
}

/** The container is there, its process waits for the start. Nothing is left where it fails. @throws as what it does, by name */
export async function createContainer(runtime: Runtime, options: CreateOptions): Promise<Run> {
  const bundle = realpathSync(options.bundle);
  const { config, unknown } = readConfig(bundle, options);
  for (const path of unknown) writeLog(runtime.log, 'warning', `${path}: no such member is known`);
  const directory = new StateDirectory(runtime.root, options.id);
  const place = runtime.usesCgroups ? findCgroupPlace(options.id, config.linux?.cgroupsPath) : undefined;
  const writes = renderResources(config.linux?.resources ?? {}, 'linux.resources');
  if (place === undefined && writes.some((write) => !isDefault(write)))
    throw new PodwrightError('E_UNSUPPORTED', `linux.resources: ${writes[0]?.file}: cgroups are disabled`);
  // All that can be refused is, before anything is made.
  const facts = { ...readFacts(bundle, config.root.path, runtime.log), hasOwnKeyring: options.hasOwnKeyring };
  renderBundle(config, { ...facts, isNodev: false });

  const creator = keyOf(process.pid);
  if (creator === undefined)
    throw new PodwrightError('E_INTERNAL', 'find this process in /proc: it is not there');
  directory.make();
  let state: ContainerState = {
    ...{
      version: 1,
      id: options.id,
      bundle,
      config,
      creator,
      phase: 'creating',
      process: undefined,
      isNodev: false,
    },
    created: new Date(systemClock.now()).toISOString(),
    cgroup: place?.directory,
    madeCgroups: place?.missing ?? [],
  };
  try {
    directory.write(state);
    const rules = renderDeviceRules(config.linux?.resources?.devices ?? [], config.linux?.devices ?? []);
    if (place !== undefined) await makeCgroup(place, writes);
    const isFiltered = place !== undefined && (await filterDevices(place.directory, rules));
    // As of a pod: where no filter stands behind it, nobody makes a device or opens a mounted one.
    const isNodev = !isFiltered && (config.linux?.resources?.devices ?? []).length > 0;
    const launch = renderBundle(config, { ...facts, isNodev });
    state = { ...state, isNodev };
    const run = startRun(runtime.runner, {
      program: compileBundle(launch, hostArchitecture),
      prologue: compilePrologue(launch),
      args: launch.process.args,
      cloneFlags: bundleCloneFlags(launch).clone,
      users: usersOf(launch),
      userPath: launch.namespaces.find(({ kind }) => kind === 'user')?.path,
      cgroupProcs: place === undefined ? undefined : join(place.directory, 'cgroup.procs'),
      consoleSocket: options.consoleSocket,
      fifo: directory.fifo,
      waits: options.waits,
    });
    state = await followCreation(runtime, { run, state, directory });
    if (options.pidFile !== undefined) writeFileSync(options.pidFile, String(state.process?.pid ?? 0));
    return run;
  } catch (error) {
    await removeContainer(runtime, directory, state).catch((cause: unknown) =>
      writeLog(runtime.log, 'warning', `remove what was made of ${options.id}: ${describeError(cause)}`),
    );
    throw error;
  }
}

function readConfig(bundle: string, { consoleSocket }: CreateOptions): ReturnType<typeof parseOciConfig> {
  const path = join(bundle, 'config.json');
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new PodwrightError('E_NOT_FOUND', `read ${path}: ${errnoOf(error) ?? ''}`, { cause: error });
  }
  const parsed = parseOciConfig(text);
  const isTerminal = parsed.config.process?.terminal === true;
  if (isTerminal && consoleSocket === undefined)
    throw new PodwrightError('E_USAGE', 'process.terminal: give --console-socket, which gets the terminal');
  if (!isTerminal && consoleSocket !== undefined)
    throw new PodwrightError('E_USAGE', '--console-socket: process.terminal is not set');
  return { ...parsed, config: withHome(bundle, parsed.config) };
}

/** A process has a HOME, that of its user where the bundle says none. */
function withHome(bundle: string, config: OciConfig): OciConfig {
  const { process, root } = config;
  if (process === undefined || (process.env ?? []).some((each) => each.startsWith('HOME='))) return config;
  const path = isAbsolute(root.path) ? root.path : join(bundle, root.path);
  const uid = String(process.user?.uid ?? 0);
  const home = passwdOf(path)
    .split('\n')
    .map((line) => line.split(':'))
    .find((entry) => entry[2] === uid)?.[5];
  return { ...config, process: { ...process, env: [...(process.env ?? []), `HOME=${home ?? '/'}`] } };
}

/** Bytes of a list of users that are looked through. */
const passwdBytesMax = 1_048_576;

/** A container's own file, which need not be one: nothing is followed out of the root, and nobody waited for. */
function passwdOf(root: string): string {
  try {
    const directory = lstatSync(join(root, 'etc'));
    const file = lstatSync(join(root, 'etc/passwd'));
    if (!directory.isDirectory() || !file.isFile() || file.size > passwdBytesMax) return '';
    return readFileSync(join(root, 'etc/passwd'), 'utf8');
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(errnoOf(error) ?? '')) return '';
    throw error;
  }
}

function usersOf(launch: BundleLaunch): Parameters<typeof startRun>[1]['users'] {
  const { users, namespaces } = launch;
  const own = namespaces.find(({ kind }) => kind === 'user');
  if (users === undefined || own === undefined || own.path !== undefined) return undefined;
  const render = (mappings: readonly IdMapping[]): string =>
    mappings.map(({ containerId, hostId, size }) => `${containerId} ${hostId} ${size}\n`).join('');
  return {
    cloneFlags: bundleCloneFlags(launch).user,
    uidMap: render(users.uidMappings),
    gidMap: render(users.gidMappings),
  };
}

interface Creation {
  readonly run: Run;
  readonly state: ContainerState;
  readonly directory: StateDirectory;
}

/** From the clone to where it waits for the start, with the hooks between. */
async function followCreation(runtime: Runtime, creation: Creation): Promise<ContainerState> {
  const { run, directory } = creation;
  let { state } = creation;
  let pauses = 0;
  for (;;) {
    const event: RunEvent | undefined = await run.next();
    if (event === undefined || event.kind === 'died' || event.kind === 'exited' || event.kind === 'executed')
      throw new PodwrightError('E_LAUNCH', `create ${state.id}: its process ended before it was there`);
    if (event.kind === 'cloned') {
      state = { ...state, process: keyOf(event.pid) };
      directory.write(state);
    } else if (event.kind === 'paused') {
      await runStage(runtime, state, pauses++);
      run.go();
    } else {
      state = { ...state, phase: 'there' };
      directory.write(state);
      return state;
    }
  }
}

async function runStage(runtime: Runtime, state: ContainerState, pause: number): Promise<void> {
  const { hooks = {} } = state.config;
  const document = renderState(state, 'creating');
  if (pause === 0) {
    await runHooks('prestart', hooks.prestart ?? [], document);
    await runHooks('createRuntime', hooks.createRuntime ?? [], document);
  } else {
    await runHooksInside(runtime, { stage: 'createContainer', state, document });
  }
}
