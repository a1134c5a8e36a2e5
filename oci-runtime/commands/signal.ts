/** `kill`, `pause`, `resume`, `update`. */
import { constants } from 'node:os';
import { errnoOf, PodwrightError } from '#base/errors.ts';
import type { OciResources } from '#api/oci/runtime/config.ts';
import { renderDeviceRules, renderResources } from '#oci-runtime/render/render-resources.ts';
import { filterDevices, freeze, processesOf, writeResources } from '#oci-runtime/state/container-cgroup.ts';
import { StateDirectory, statusOf } from '#oci-runtime/state/state.ts';
import type { ContainerState, Status } from '#oci-runtime/state/state.ts';
import type { Runtime } from './runtime.ts';

/** `TERM`, `SIGTERM` and `15`. @throws E_USAGE */
export function parseSignal(text: string): number {
  if (/^\d{1,2}$/.test(text) && Number(text) > 0 && Number(text) <= 64) return Number(text);
  const name = `SIG${text.toUpperCase().replace(/^SIG/, '')}`;
  const found = Object.entries(constants.signals).find(([known]) => known === name)?.[1];
  if (found !== undefined) return found;
  const [, sign, offset] = /^SIGRTM(IN\+|AX-)(\d{1,2})$/.exec(name) ?? [];
  const realTime = sign === undefined ? NaN : sign === 'IN+' ? 34 + Number(offset) : 64 - Number(offset);
  if (realTime >= 34 && realTime <= 64) return realTime;
  throw new PodwrightError('E_USAGE', `unknown signal ${JSON.stringify(text)}`);
}

/** @throws {E_INVALID} for a container that has ended, but with `all` */
export function killContainer(
  runtime: Runtime,
  id: string,
  { signal, all }: { readonly signal: number; readonly all: boolean },
): void {
  const { state, status } = find(runtime, id);
  // Others look for these words (containerd, podman).
  if (status === 'stopped' && !all) throw new PodwrightError('E_INVALID', 'container not running');
  if (!all) return send(state.process?.pid ?? 0, signal);
  const isAlone = (state.config.linux?.namespaces ?? []).some(({ type }) => type === 'pid');
  if (state.cgroup !== undefined) for (const pid of processesOf(state.cgroup)) send(pid, signal);
  else if (isAlone && status !== 'stopped') send(state.process?.pid ?? 0, signal);
  else if (!isAlone)
    throw new PodwrightError(
      'E_UNSUPPORTED',
      `--all: ${id} has neither a cgroup nor a pid namespace of its own`,
    );
}

function send(pid: number, signal: number): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (errnoOf(error) !== 'ESRCH') throw error;
  }
}

export async function pauseContainer(runtime: Runtime, id: string, isPaused: boolean): Promise<void> {
  const { state, status } = find(runtime, id);
  const [verb, from] = isPaused
    ? (['pause', ['running', 'created']] as const)
    : (['resume', ['paused']] as const);
  if (!(from as readonly Status[]).includes(status))
    throw new PodwrightError('E_INVALID', `cannot ${verb} a container in the ${status} state`);
  await freeze(cgroupOf(state, verb), isPaused);
}

/** @throws {E_UNSUPPORTED} for a limit whose controller is not there */
export async function updateContainer(runtime: Runtime, id: string, resources: OciResources): Promise<void> {
  const { state, status } = find(runtime, id);
  if (status === 'stopped') throw new PodwrightError('E_INVALID', 'cannot update a stopped container');
  const directory = cgroupOf(state, 'update');
  const writes = renderResources(resources, 'resources');
  const { devices = [] } = resources;
  writeResources(directory, writes);
  if (devices.length === 0) return;
  if (await filterDevices(directory, renderDeviceRules(devices, state.config.linux?.devices ?? []))) return;
  throw new PodwrightError('E_UNSUPPORTED', 'resources.devices: this kernel filters no devices');
}

export function cgroupOf({ id, cgroup }: ContainerState, verb: string): string {
  if (cgroup !== undefined) return cgroup;
  throw new PodwrightError('E_UNSUPPORTED', `cannot ${verb} container ${id}: it was made without a cgroup`);
}

export function find(
  runtime: Runtime,
  id: string,
): { readonly state: ContainerState; readonly status: Status; readonly directory: StateDirectory } {
  const directory = new StateDirectory(runtime.root, id);
  const state = directory.read();
  return { state, status: statusOf(directory, state), directory };
}
