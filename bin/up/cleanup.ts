import { existsSync } from 'node:fs';
import { readdir, readFile, rm, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import type { Clock } from '#base/clock.ts';
import { PodwrightError, errnoOf } from '#base/errors.ts';

const pollMs = 10;
const deadlineMs = 15_000;

/**
 * Ends every process below a cgroup and removes the tree. Namespaces, mounts and interfaces of the cluster live only as
 * long as these processes, so this is what leaves nothing behind. Succeeds if the cgroup is gone.
 */
export async function endCgroup(cgroup: string, clock: Clock): Promise<void> {
  if (!existsSync(cgroup)) return;
  await killTree(cgroup);
  const giveUpMs = clock.monotonic() + deadlineMs;
  while (/^populated 1$/m.test(await readFile(join(cgroup, 'cgroup.events'), 'utf8'))) {
    if (clock.monotonic() > giveUpMs)
      throw new PodwrightError(
        'E_TIMEOUT',
        `end the processes of ${cgroup}: some are still there after ${deadlineMs} ms`,
      );
    await clock.sleep(pollMs);
  }
  await removeTree(cgroup, clock);
}

/** cgroup.kill is there since Linux 5.14; before, each process gets its signal. */
async function killTree(cgroup: string): Promise<void> {
  const kill = join(cgroup, 'cgroup.kill');
  if (existsSync(kill)) {
    await writeFile(kill, '1');
    return;
  }
  for (const child of await childrenOf(cgroup)) await killTree(child);
  const pids = await readFile(join(cgroup, 'cgroup.procs'), 'utf8');
  for (const pid of pids.split('\n').filter((line) => line !== '')) process.kill(Number(pid), 'SIGKILL');
}

async function removeTree(cgroup: string, clock: Clock): Promise<void> {
  for (const child of await childrenOf(cgroup)) await removeTree(child, clock);
  for (let tries = 0; ; tries++) {
    try {
      await rmdir(cgroup);
      return;
    } catch (error) {
      // A dying process leaves its cgroup a moment after `populated` says 0.
      if (errnoOf(error) === 'ENOENT') return;
      if (errnoOf(error) !== 'EBUSY' || tries >= 100) throw error;
      await clock.sleep(pollMs);
    }
  }
}

async function childrenOf(cgroup: string): Promise<readonly string[]> {
  const entries = await readdir(cgroup, { withFileTypes: true });
  return entries.filter((entry) => entry.isDirectory()).map((entry) => join(cgroup, entry.name));
}

/** Removes the mount point directory under /run and, where this cluster's end is to leave nothing, its data. */
export async function removeFiles(runDir: string, dataDir: string | undefined): Promise<void> {
  await rm(runDir, { recursive: true, force: true });
  if (dataDir !== undefined) await rm(dataDir, { recursive: true, force: true });
}
