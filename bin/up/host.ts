import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, open, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

import { PodwrightError } from '#base/errors.ts';
import type { NetnsRef } from '#native/netlink/netlink.ts';
import type { HostPlan } from './plan.ts';

/**
 * A host's namespaces, and the process that stands in them for whoever looks from outside. This process holds them open, so
 * that agents may come and go, and so that nothing hangs on that other one; disposing lets go of them.
 */
export interface Host extends AsyncDisposable {
  readonly plan: HostPlan;
  readonly pid: number;
  readonly netns: NetnsRef;
  /** Paths that open the namespaces for as long as this process lives. */
  readonly namespaces: Readonly<Record<Namespace, string>>;
}

/** As they are called in /proc/PID/ns. */
type Namespace = 'net' | 'mnt' | 'uts';

/**
 * Runs in the new namespaces: a tmpfs for volatile state, the host's own logs at /var/log, the host's name, then nothing but waiting.
 * The tmpfs is for the state of all pods, some 200 KiB each at most: what has no such bound (Secrets, large environments) has a
 * tmpfs per pod. At /var/log collectors look for the logs of pods; a data directory that lies there, or a machine without one, has
 * no such mount. Mounts are shared within the namespace, as on hosts with systemd: else Bidirectional mount propagation would end in
 * the container. To the machine nothing goes.
 */
const holderScript = `
set -e
echo 0 > "$1/cgroup.procs"
mount --make-rshared /
mount -t tmpfs -o mode=0755,size=256m podwright-run "$2"
case "$4" in '' | /var/log/*) ;; *) if [ -d /var/log ]; then mount --bind "$4" /var/log; fi ;; esac
echo "$3" > /proc/sys/kernel/hostname
echo ready
exec >/dev/null
exec sleep infinity
`;

/** Makes the host's directories and namespaces (network, mount, UTS) and waits until they stand. @throws E_UNSUPPORTED */
export async function startHost(plan: HostPlan, cgroup: string): Promise<Host> {
  await mkdir(plan.dataDir, { recursive: true, mode: 0o700 });
  const logs = plan.hasPods ? join(plan.dataDir, 'logs') : undefined;
  if (logs !== undefined) await mkdir(logs, { recursive: true, mode: 0o755 });
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
      logs === undefined ? '' : await realpath(logs),
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
  return holdNamespaces(plan, child.pid);
}

async function holdNamespaces(plan: HostPlan, pid: number): Promise<Host> {
  await using opened = new AsyncDisposableStack();
  const hold = async (namespace: Namespace): Promise<string> => {
    const handle = opened.use(await open(`/proc/${pid}/ns/${namespace}`));
    return `/proc/${process.pid}/fd/${handle.fd}`;
  };
  const namespaces = { net: await hold('net'), mnt: await hold('mnt'), uts: await hold('uts') };
  const held = opened.move();
  return {
    plan,
    pid,
    netns: { kind: 'path', path: namespaces.net },
    namespaces,
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
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
    `--net=${host.namespaces.net}`,
    `--mount=${host.namespaces.mnt}`,
    `--uts=${host.namespaces.uts}`,
    '--',
    ...command,
  ];
}
