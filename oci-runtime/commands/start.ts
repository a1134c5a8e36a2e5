/** `start`. */
import { closeSync, constants, openSync, rmSync, writeSync } from 'node:fs';
import { describeError, errnoOf, PodwrightError } from '#base/errors.ts';
import { writeLog } from '#oci-runtime/host.ts';
import { runHooks } from '#oci-runtime/state/hooks.ts';
import { renderState, StateDirectory, statusOf } from '#oci-runtime/state/state.ts';
import { removeContainer } from './delete.ts';
import { runHooksInside } from './join.ts';
import type { Runtime } from './runtime.ts';

/** @throws {E_INVALID} where it is not there to be started; what hooks say, then it is gone */
export async function startContainer(runtime: Runtime, id: string): Promise<void> {
  const directory = new StateDirectory(runtime.root, id);
  const state = directory.read();
  const status = statusOf(directory, state);
  if (status !== 'created')
    throw new PodwrightError('E_INVALID', `cannot start a container in the ${status} state`);
  try {
    await runHooksInside(runtime, {
      stage: 'startContainer',
      state,
      document: renderState(state, 'created'),
    });
  } catch (error) {
    await removeContainer(runtime, directory, state);
    throw error;
  }
  tell(directory);
  try {
    await runHooks('poststart', state.config.hooks?.poststart ?? [], renderState(state, 'running'));
  } catch (error) {
    // A warning, since version 1.0 of the specification (runtime.md, "Lifecycle").
    writeLog(runtime.log, 'warning', describeError(error));
  }
}

/** Whoever waits at the FIFO reads one byte; of two starts one finds nobody. */
function tell(directory: StateDirectory): void {
  let fifo: number;
  try {
    fifo = openSync(directory.fifo, constants.O_WRONLY | constants.O_NONBLOCK);
  } catch (error) {
    if (!['ENXIO', 'ENOENT'].includes(errnoOf(error) ?? '')) throw error;
    throw new PodwrightError('E_INVALID', 'cannot start a container that does not wait for it', {
      cause: error,
    });
  }
  try {
    writeSync(fifo, 's');
  } finally {
    closeSync(fifo);
  }
  rmSync(directory.fifo, { force: true });
}
