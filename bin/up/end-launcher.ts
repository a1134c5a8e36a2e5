import { readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';

import type { Clock } from '#base/clock.ts';
import { openPidfd, signalPidfd } from '#native/sys/process.ts';
import { markerName } from '#bin/ownership/role.ts';
import { hasEnded, isAlive, isLauncher, startTicksOf, type UpState } from './state.ts';

const pollMs = 20;
const stopDeadlineMs = 30_000;
const SIGTERM = 15;
const SIGKILL = 9;

type Launcher = Pick<UpState, 'pid' | 'startTicks'>;

/**
 * The launcher of a data directory: the one that its state names, or where that is lost the process that holds the directory's
 * marker open, and is `podwright up` by its command.
 */
export function findLauncher(dataDir: string, state: UpState | undefined): Launcher | undefined {
  if (state !== undefined && isAlive(state)) return state;
  const marker = join(dataDir, markerName('up'));
  for (const name of readdirSync('/proc')) {
    const pid = Number(name);
    if (!Number.isInteger(pid) || pid <= 1 || pid === process.pid || !holdsOpen(pid, marker)) continue;
    const startTicks = startTicksOf(pid);
    if (startTicks !== undefined && isLauncher(pid)) return { pid, startTicks };
  }
  return undefined;
}

function holdsOpen(pid: number, path: string): boolean {
  try {
    return readdirSync(`/proc/${pid}/fd`).some((fd) => {
      const target = readlinkSync(`/proc/${pid}/fd/${fd}`);
      return target === path || target === `${path} (deleted)`;
    });
  } catch {
    return false; // It ended meanwhile, or is a kernel thread.
  }
}

/** SIGTERM, and SIGKILL when that was not enough: through a pidfd, so that no other process can have the number by then. */
export async function endLauncher(launcher: Launcher, clock: Clock): Promise<void> {
  using pidfd = openPidfd(launcher.pid);

  if (pidfd === undefined || !isAlive(launcher)) return;
  signalPidfd(pidfd, SIGTERM);
  const giveUpMs = clock.monotonic() + stopDeadlineMs;
  while (!hasEnded(launcher) && clock.monotonic() < giveUpMs) await clock.sleep(pollMs);
  if (!hasEnded(launcher)) signalPidfd(pidfd, SIGKILL);
  while (!hasEnded(launcher) && clock.monotonic() < giveUpMs + stopDeadlineMs) await clock.sleep(pollMs);
}
