/** A root file system for tests: busybox and links to it. */
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { findBusybox } from './busybox.ts';
import { defaultMounts } from './compile-container.ts';
import type { ContainerLaunch } from './launch.ts';

const busybox = findBusybox() ?? '/bin/busybox';

/** Makes a root in `directory`, once, and gives back what runs a script in it. */
export function createBusyboxContainer(directory: string): (script: string) => ContainerLaunch {
  const path = join(directory, 'root');
  if (!existsSync(path)) {
    for (const name of ['bin', 'etc', 'tmp']) mkdirSync(join(path, name), { recursive: true });
    copyFileSync(busybox, join(path, 'bin/busybox'));
    const applets = execFileSync(busybox, ['--list'], { encoding: 'utf8' }).trim().split('\n');
    for (const applet of applets.filter((name) => name !== 'busybox'))
      symlinkSync('busybox', join(path, 'bin', applet));
  }
  return (script) => ({
    root: { kind: 'directory', path },
    mounts: defaultMounts,
    devices: [],
    args: ['/bin/sh', '-c', script],
    env: ['PATH=/bin', 'GREETING=hello'],
    cwd: '/',
    user: { uid: 0, gid: 0, additionalGids: [] },
    security: {
      capabilities: ['CAP_CHOWN', 'CAP_KILL', 'CAP_SETUID', 'CAP_SETGID', 'CAP_DAC_OVERRIDE'],
      noNewPrivileges: true,
      privileged: false,
      seccomp: 'runtime-default',
      readonlyRoot: false,
      maskedPaths: [],
      readonlyPaths: [],
    },
    rlimits: [],
    sysctls: {},
    oomScoreAdj: undefined,
    pidNamespace: 'private',
    cgroup: undefined,
  });
}
