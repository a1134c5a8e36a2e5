import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { createInterface } from 'node:readline';

import { PodwrightError } from '#base/errors.ts';
import type { NetnsRef } from '#native/netlink/netlink.ts';
import type { HostPlan } from './plan.ts';

/** The process that holds a host's namespaces open, so that its agent may come and go. */
export interface Host {
  readonly plan: HostPlan;
  readonly pid: number;
  readonly netns: NetnsRef;
  readonly process: ChildProcess;
}

/** Runs in the new namespaces: a tmpfs for volatile state, the host's name, then nothing but waiting. */
const holderScript = `
set -e
echo 0 > "$1/cgroup.procs"
mount -t tmpfs -o mode=0755,size=64m podwright-run "$2"
echo "$3" > /proc/sys/kernel/hostname
echo ready
exec >/dev/null
exec sleep infinity
`;

/** Makes the host's directories and namespaces (network, mount, UTS) and waits until they stand. @throws E_UNSUPPORTED */
export async function startHost(plan: HostPlan, cgroup: string): Promise<Host> {
  await mkdir(plan.dataDir, { recursive: true, mode: 0o700 });
  await mkdir(plan.runDir, { recursive: true, mode: 0o755 });
  const child = spawn(
    'unshare',
    [
      '--net',
      '--mount',
      '--uts',
      '--propagation',
      'slave',
      'sh',
      '-c',
      holderScript,
      `podwright-${plan.name}`,
      cgroup,
      plan.runDir,
      plan.name,
    ],
    { stdio: ['ignore', 'pipe', 'pipe'], detached: true, cwd: '/' },
  );
  const problems: string[] = [];
  child.stderr.on('data', (chunk: Buffer) => void problems.push(chunk.toString()));
  const lines = createInterface({ input: child.stdout });
  const ready = await Promise.race([
    once(lines, 'line').then(() => true),
    once(child, 'exit').then(() => false),
  ]);
  if (!ready || child.pid === undefined) {
    throw new PodwrightError(
      'E_UNSUPPORTED',
      `make namespaces of ${plan.name}: ${problems.join('').trim() || 'unshare failed'}; podwright doctor tells what is missing`,
    );
  }
  child.unref();
  return { plan, pid: child.pid, netns: { kind: 'path', path: `/proc/${child.pid}/ns/net` }, process: child };
}

/** The command that runs a program inside a host and its cgroup. */
export function insideHost(host: Host, cgroup: string, command: readonly string[]): readonly string[] {
  return [
    'sh',
    '-c',
    'echo 0 > "$1/cgroup.procs" && shift && exec "$@"',
    'sh',
    cgroup,
    'nsenter',
    `--target=${host.pid}`,
    '--net',
    '--mount',
    '--uts',
    '--',
    ...command,
  ];
}
