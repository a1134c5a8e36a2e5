/** `delete`, and the end of what could not be created. */
import { systemClock } from '#base/clock.ts';
import { describeError, errnoOf, PodwrightError } from '#base/errors.ts';
import { writeLog } from '#oci-runtime/host.ts';
import { removeCgroups } from '#oci-runtime/state/container-cgroup.ts';
import { runHooks } from '#oci-runtime/state/hooks.ts';
import { lives, renderState, StateDirectory, statusOf } from '#oci-runtime/state/state.ts';
import type { ContainerState, ProcessKey } from '#oci-runtime/state/state.ts';
import type { Runtime } from './runtime.ts';

/** How long a process may take to go once it is killed. */
const killMsMax = 10_000;
const killPollMs = 2;

/** @throws {E_BUSY} for one that runs, but by force */
export async function deleteContainer(runtime: Runtime, id: string, isForced: boolean): Promise<void> {
  const directory = new StateDirectory(runtime.root, id);
  if (!directory.exists() && isForced) return;
  const state = directory.readIfWritten();
  if (state === undefined) {
    if (!isForced)
      throw new PodwrightError('E_BUSY', `cannot delete container ${id}: it is being created; --force does`);
    directory.remove();
    return;
  }
  const status = statusOf(directory, state);
  // One that was never started is taken away as runc and crun do it.
  if (!['stopped', 'created'].includes(status) && !isForced)
    throw new PodwrightError('E_BUSY', `cannot delete container ${id} that is not stopped: ${status}`);
  await removeContainer(runtime, directory, state);
}

/** Kills what is left, and removes all that was made for it; hooks come last. */
export async function removeContainer(
  runtime: Runtime,
  directory: StateDirectory,
  state: ContainerState,
): Promise<void> {
  // Whoever makes it would go on making.
  if (state.phase === 'creating' && state.creator.pid !== process.pid) await end(state.creator);
  await end(state.process);
  if (state.cgroup !== undefined) await removeCgroups(state.cgroup, state.madeCgroups);
  directory.remove();
  try {
    const { hooks = {} } = state.config;
    await runHooks('poststop', hooks.poststop ?? [], renderState(state, 'stopped'));
  } catch (error) {
    writeLog(runtime.log, 'warning', describeError(error));
  }
}

/** @throws E_TIMEOUT */
async function end(key: ProcessKey | undefined): Promise<void> {
  if (!lives(key)) return;
  try {
    process.kill(key.pid, 'SIGKILL');
  } catch (error) {
    if (errnoOf(error) !== 'ESRCH') throw error;
  }
  const until = systemClock.monotonic() + killMsMax;
  while (lives(key)) {
    if (systemClock.monotonic() > until)
      throw new PodwrightError('E_TIMEOUT', `kill process ${key.pid}: it is there ${killMsMax} ms later`);
    await systemClock.sleep(killPollMs);
  }
}
