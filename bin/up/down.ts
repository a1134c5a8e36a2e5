import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';

import type { Clock } from '#base/clock.ts';
import { PodwrightError } from '#base/errors.ts';
import { endCgroup, removeFiles } from './cleanup.ts';
import { isAlive, readState, removeState } from './state.ts';

const pollMs = 20;
const stopDeadlineMs = 30_000;

export interface DownResult {
  readonly stopped: boolean; // something ran
  readonly purged: boolean;
}

/**
 * Stops the cluster of a data directory, whoever started it and however it ended; with `purge` its data goes as well.
 * Succeeds if there is nothing to stop. @throws E_NOT_FOUND when there is no such data directory
 */
export async function bringDown(
  dataDir: string,
  options: { readonly purge: boolean; readonly clock: Clock },
): Promise<DownResult> {
  const { clock, purge } = options;
  if (!existsSync(dataDir)) {
    throw new PodwrightError(
      'E_NOT_FOUND',
      `stop the cluster of ${dataDir}: no such directory; name it with --data DIR`,
    );
  }
  const state = await readState(dataDir);
  if (state !== undefined) {
    if (isAlive(state)) {
      process.kill(state.pid, 'SIGTERM');
      const giveUpMs = clock.monotonic() + stopDeadlineMs;
      while (isAlive(state) && clock.monotonic() < giveUpMs) await clock.sleep(pollMs);
      if (isAlive(state)) process.kill(state.pid, 'SIGKILL');
    }
    // Whatever the launcher could not do, because it was killed or hung.
    await endCgroup(state.cgroup, clock);
    await removeFiles(state.runDir, undefined);
    await removeState(dataDir);
  }
  if (purge) await rm(dataDir, { recursive: true, force: true });
  return { stopped: state !== undefined, purged: purge };
}
