/** Ours, and beside it those that Debian has, in one suite; and what of ours is told more exactly. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe } from 'vitest';
import { scratchDirectory } from '#base/scratch-directory.fixture.ts';
import { repositoryRoot } from '#bin/paths.ts';
import { installOci } from '#bin/oci/install-oci.ts';
import { findBusybox } from '#native/launch/busybox.ts';
import { proveRuntime } from './runtime.conformance.ts';
import type { RuntimeUnderTest } from './runtime.conformance.ts';

const busybox = findBusybox();
const canRun = process.getuid?.() === 0 && busybox !== undefined;
const installed = scratchDirectory('oci-bin-');

const ours = async (directory: string): Promise<RuntimeUnderTest> => {
  const path = await installOci({ binDir: installed, nodePath: process.execPath, root: repositoryRoot });
  return { command: [path, '--root', join(directory, 'state')], isOurs: true };
};

/** In a mount namespace where cgroup v2 is all that there is: of the machine's v1 nothing is touched, and crun takes no mixture. */
const onlyV2 = `if [ -e /sys/fs/cgroup/unified ]; then
  held=$0/v2; mkdir -p $held
  mount --bind /sys/fs/cgroup/unified $held; umount -R /sys/fs/cgroup; mount --move $held /sys/fs/cgroup
fi
exec "$@"`;
const beside =
  (...command: readonly string[]) =>
  async (directory: string): Promise<RuntimeUnderTest> => ({
    command: [
      ...['unshare', '--mount', '--propagation', 'private', 'sh', '-c', onlyV2, directory],
      ...command,
      ...['--root', join(directory, 'state')],
    ],
    isOurs: false,
  });

const has = (program: string): boolean => spawnSync('sh', ['-c', `command -v ${program}`]).status === 0;

describe.skipIf(!canRun)('OCI runtimes (needs root, busybox)', () =>
  proveRuntime('ours', ours, busybox ?? ''),
);
/** Fifteen seconds that say nothing new of ours: for who changes the suite. */
const isAsked = process.env['PODWRIGHT_OCI_PEERS'] !== undefined;
for (const [name, find] of [
  ['crun', beside('crun', '--cgroup-manager=disabled')],
  ['runc', beside('runc')],
] as const) {
  describe.skipIf(!canRun || !isAsked || !has(name))(
    `beside ${name} (needs PODWRIGHT_OCI_PEERS=1, root, ${name})`,
    () => proveRuntime(name, find, busybox ?? ''),
  );
}
