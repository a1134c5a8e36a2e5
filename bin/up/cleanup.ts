import { existsSync } from 'node:fs';
import { readdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import type { Clock } from '#base/clock.ts';
import { PodwrightError, errnoOf } from '#base/errors.ts';
import { CGROUP2_SUPER_MAGIC } from '#native/sys/constants.ts';
import { fileSystemMagic } from '#native/sys/file.ts';

const pollMs = 10;
const deadlineMs = 15_000;

/**
 * Ends every process below a cgroup and removes the tree. Namespaces, mounts and interfaces of the cluster live only as
 * long as these processes, so this is what leaves nothing behind. Succeeds if the cgroup is gone. Whose cgroup it is, the caller
 * has made sure of.
 */
export async function endCgroup(cgroup: string, clock: Clock): Promise<void> {
  if (!existsSync(cgroup)) return;
  if (fileSystemMagic(cgroup) !== CGROUP2_SUPER_MAGIC || !existsSync(join(cgroup, 'cgroup.events'))) {
    throw new PodwrightError(
      'E_INVALID',
      `end the processes of ${cgroup}: it is no cgroup v2 below its mount`,
    );
  }
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
  await removeCgroups(cgroup, clock);
}

/** cgroup.kill is there since Linux 5.14; before, each process gets its signal. */
async function killTree(cgroup: string): Promise<void> {
  const kill = join(cgroup, 'cgroup.kill');
  if (existsSync(kill)) {
    await writeFile(kill, '1', { flag: 'r+' });
    return;
  }
  for (const child of await childrenOf(cgroup)) await killTree(child);
  const pids = (await readFile(join(cgroup, 'cgroup.procs'), 'utf8')).split('\n').map(Number);
  // A process of another pid namespace shows as 0, which kill(2) takes for a group: that of the caller.
  for (const pid of pids) if (pid > 1 && pid !== process.pid) process.kill(pid, 'SIGKILL');
}

async function removeCgroups(cgroup: string, clock: Clock): Promise<void> {
  for (const child of await childrenOf(cgroup)) await removeCgroups(child, clock);
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

/**
 * Removes the directory under /run that the nodes mount over, each in its own namespace; out here it stays empty. Where it is
 * not, that is somebody else's, and it stays.
 */
export async function removeRunDirectory(runDir: string): Promise<void> {
  try {
    await rmdir(runDir);
  } catch (error) {
    if (!['ENOENT', 'ENOTEMPTY', 'EBUSY'].includes(errnoOf(error) ?? '')) throw error;
  }
}
