/** A creation that is killed at any moment: `delete --force` leaves nothing of it. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { systemClock } from '#base/clock.ts';
import { scratchDirectory } from '#base/scratch-directory.fixture.ts';
import { repositoryRoot } from '#bin/paths.ts';
import { findBusybox } from '#native/launch/busybox.ts';
import { findCgroupRoot } from '#bin/program/cgroup-root.ts';
import { installOci } from './install-oci.ts';

const busybox = findBusybox();
const directory = scratchDirectory('oci-kill-');

/** Another moment each run: what is to hold, holds at each. */
const seed = Number(process.env['PODWRIGHT_FUZZ_SEED'] ?? Math.floor(systemClock.now() % 1000));
const kills = Number(process.env['PODWRIGHT_OCI_KILLS'] ?? 6);

test.skipIf(process.getuid?.() !== 0 || busybox === undefined)(
  `a creation killed at ${kills} moments (seed ${seed}) leaves nothing once it is deleted (needs root, busybox)`,
  async () => {
    const program = await installOci({ binDir: directory, nodePath: process.execPath, root: repositoryRoot });
    mkdirSync(join(directory, 'rootfs/bin'), { recursive: true });
    copyFileSync(busybox ?? '', join(directory, 'rootfs/bin/busybox'));
    const config = {
      ociVersion: '1.2.0',
      root: { path: 'rootfs' },
      process: { args: ['/bin/busybox', 'sleep', '1000'], cwd: '/' },
      hooks: { createRuntime: [{ path: busybox, args: ['sleep', '0.01'] }] },
      linux: { namespaces: ['pid', 'mount', 'network'].map((type) => ({ type })) },
    };
    writeFileSync(join(directory, 'config.json'), JSON.stringify(config));
    const root = join(directory, 'state');
    for (let turn = 0; turn < kills; turn++) {
      const id = `kill-${process.pid}-${turn}`;
      const child = spawn(program, ['--root', root, 'create', '--bundle', directory, id], {
        stdio: 'ignore',
      });
      const ended = once(child, 'exit');
      // From before the program runs to after it is done.
      await Promise.race([ended, systemClock.sleep((seed + turn * 37) % 120)]);
      child.kill('SIGKILL');
      await ended;
      const { status, stderr } = spawnSync(program, ['--root', root, 'delete', '--force', id], {
        encoding: 'utf8',
      });
      expect(status, stderr).toBe(0);
      expect(existsSync(join(findCgroupRoot(), id))).toBe(false);
    }
    expect(existsSync(root) ? readdirSync(root) : []).toEqual([]);
    // Of the processes that waited none is left.
    const left = spawnSync('grep', ['-l', join(directory, 'rootfs'), ...mountinfos()], {
      encoding: 'utf8',
    }).stdout;
    expect(left).toBe('');
  },
);

function mountinfos(): readonly string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => `/proc/${name}/mountinfo`);
}
