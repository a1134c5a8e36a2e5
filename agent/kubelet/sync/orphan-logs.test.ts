import { mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { scratchDirectory } from '#base/scratch-directory.fixture.ts';
import { createFakeClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { claimLogDirectory } from '#agent/runtime/cri/pod-files.ts';
import { collectOrphanLogs, removeOrphanLogs } from './orphan-logs.ts';

const known = '11111111-1111-4111-8111-111111111111';
const gone = '22222222-2222-4222-8222-222222222222';
const scratch = scratchDirectory('podwright-orphan-logs-');
let root = '';

beforeEach(async () => {
  root = await mkdtemp(`${scratch}/`);
  await mkdir(`${root}/logs`);
});
afterEach(() => rm(root, { recursive: true }));

describe('removeOrphanLogs()', () => {
  it('removes directories of pods that are gone, and nothing else', async () => {
    const names = [`default_web_${known}`, `default_web_${gone}`, `kube-system_a.b_${gone}`];
    const others = ['default_web', `_web_${gone}`, `a_b_c_${gone}`, `Default_web_${gone}`, 'x_y_..', 'notes'];
    for (const name of [...names, ...others]) {
      await mkdir(`${root}/logs/${name}/main`, { recursive: true });
      await writeFile(`${root}/logs/${name}/main/0.log`, 'x');
    }
    // What is outside stays, whatever leads there.
    await mkdir(`${root}/outside`);
    await writeFile(`${root}/outside/precious`, 'x');
    await symlink(`${root}/outside`, `${root}/logs/default_link_${gone}`);
    await symlink(`${root}/outside`, `${root}/logs/default_web_${gone}/main/link`);
    await writeFile(`${root}/logs/default_file_${gone}`, 'x');
    const removed = await removeOrphanLogs(`${root}/logs`, (uid) => uid === known);
    expect(removed.toSorted()).toEqual([`default_web_${gone}`, `kube-system_a.b_${gone}`]);
    const left = [`default_web_${known}`, `default_link_${gone}`, `default_file_${gone}`, ...others];
    expect((await readdir(`${root}/logs`)).toSorted()).toEqual(left.toSorted());
    expect(await readdir(`${root}/outside`)).toEqual(['precious']);
  });

  it('is done where an earlier agent had them, too', async () => {
    for (const place of ['logs', 'former'])
      for (const uid of [known, gone])
        await mkdir(`${root}/${place}/default_web_${uid}`, { recursive: true });
    await using _collecting = collectOrphanLogs({
      directories: { logs: `${root}/logs`, formerLogs: `${root}/former` },
      isKnown: (uid) => uid === known,
      pods: () => [],
      clock: createFakeClock(),
      logger: silentLogger,
    });

    await vi.waitFor(async () => expect(await readdir(`${root}/former`)).toEqual([`default_web_${known}`]), {
      timeout: 60_000,
    });
    expect(await readdir(`${root}/logs`)).toEqual([`default_web_${known}`]);
  });

  it.skipIf(process.getuid?.() !== 0)('leaves alone what a client of CRI named (needs root)', async () => {
    const directory = `${root}/logs/default_web_${gone}`;
    claimLogDirectory(directory);
    expect(await removeOrphanLogs(`${root}/logs`, () => false)).toEqual([]);
    expect(await readdir(`${root}/logs`)).toEqual([`default_web_${gone}`]);
  });

  it('of a directory that is not there removes nothing', async () => {
    expect(await removeOrphanLogs(`${root}/none`, () => false)).toEqual([]);
  });
});
