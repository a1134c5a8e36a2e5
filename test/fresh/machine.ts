/**
 * A fresh machine: pid, mount, network, IPC, UTS and cgroup namespaces of its own, on a tmpfs, entered by pivot_root. It has a loopback and
 * nothing else of a network; a relay on 127.0.0.1 leads to the proxy outside. Whatever ends this process ends it, with all its mounts.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { createInterface } from 'node:readline';

import { findCgroupRoot } from '#bin/program/cgroup-root.ts';
import { startRegistryProxy } from './registry-proxy.ts';

export interface MachineOptions {
  /** A tar of its root. */
  readonly base: string;
  /** What is checked out at /srv/podwright. */
  readonly repository: string;
  readonly commit: string;
  /** Archives of Node and of npm, for /opt/node. */
  readonly node?: readonly [string, string];
  /** On the host; shared by all machines, so that a package is fetched once. */
  readonly npmCache: string;
}

export interface StepResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Machine extends AsyncDisposable {
  /** Runs a shell script as root, in /srv/podwright; `onLine` sees each line as it comes. */
  run(
    script: string,
    options?: { readonly onLine?: (line: string) => void; readonly offline?: boolean },
  ): Promise<StepResult>;
}

const relayPort = 3128;
const machineAuthorities = '/etc/ssl/certs/ca-certificates.crt';
const prefix = 'podwright-fresh-'; // Then the pid of whose it is.

/** $1 directory on the host, $2 base, $3 repository, $4 commit, $5 npm's cache, $6 $7 archives or nothing. The last lines run as pid 1. */
const bootScript = `
root=$1/root
mount -t tmpfs -o mode=0755,size=75% podwright-fresh "$root"
tar --extract --file="$2" --directory="$root" --numeric-owner
git -c safe.directory='*' clone --quiet --no-hardlinks "$3" "$root/srv/podwright"
git -C "$root/srv/podwright" checkout --quiet "$4"
if [ -n "\${6:-}" ]; then
  mkdir -p "$root/opt/node/lib/node_modules/npm" "$root/opt/node/bin"
  tar -xzf "$6" -C "$root/opt/node" --strip-components=1 --no-same-owner
  tar -xzf "$7" -C "$root/opt/node/lib/node_modules/npm" --strip-components=1 --no-same-owner
  ln -s ../lib/node_modules/npm/bin/npm-cli.js "$root/opt/node/bin/npm"
fi
if [ -f ${machineAuthorities} ]; then cp -L ${machineAuthorities} "$root/opt/machine-ca.crt"; fi
mkdir -p "$root/root/.npm" "$root/old"
mount --bind "$5" "$root/root/.npm"
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount -t cgroup2 none "$root/sys/fs/cgroup"
mount -t tmpfs -o mode=0755 dev "$root/dev"
for device in null:1:3 zero:1:5 full:1:7 random:1:8 urandom:1:9 kmsg:1:11 tty:5:0; do
  mknod -m 0666 "$root/dev/\${device%%:*}" c $(echo "\${device#*:}" | tr : ' ')
done
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
mount -t tmpfs -o mode=1777 shm "$root/dev/shm"
for link in fd:/proc/self/fd stdin:/proc/self/fd/0 stdout:/proc/self/fd/1 stderr:/proc/self/fd/2; do
  ln -s "\${link#*:}" "$root/dev/\${link%%:*}"
done
mount -t tmpfs -o mode=0755 run "$root/run"
ip link set lo up
echo fresh >/proc/sys/kernel/hostname
echo '127.0.0.1 localhost fresh' >"$root/etc/hosts"
cd "$root"
pivot_root . old
umount -l /old
rmdir /old
echo booted
exec chroot . /bin/sh -c 'exec >/dev/null 2>&1; while :; do sleep 3600 & wait; done'
`;

/** Aborting ends it, and whatever runs in it. @throws where it does not come up, the signal's reason */
export async function startMachine(options: MachineOptions, signal: AbortSignal): Promise<Machine> {
  signal.throwIfAborted();
  await using undo = new AsyncDisposableStack();

  removeAbandoned();
  const directory = await mkdtemp(join(tmpdir(), `${prefix}${process.pid}-`));
  undo.defer(() => removeDirectory(directory));
  mkdirSync(join(directory, 'root'));
  const cgroup = join(findCgroupRoot(), basename(directory));
  mkdirSync(cgroup, { recursive: true });
  undo.defer(() => removeCgroup(cgroup));
  const proxySocket = join(directory, 'proxy.sock');
  undo.use(await startRegistryProxy(proxySocket, process.env));
  const boot = spawnTied(cgroup, [
    'unshare',
    ...[
      '--pid',
      '--mount',
      '--net',
      '--ipc',
      '--uts',
      '--cgroup',
      '--fork',
      '--kill-child',
      '--propagation',
      'private',
    ],
    ...[
      'sh',
      '-ec',
      bootScript,
      'sh',
      directory,
      options.base,
      options.repository,
      options.commit,
      options.npmCache,
    ],
    ...(options.node ?? []),
  ]);
  undo.defer(() => end(boot));
  const abort = (): void => void end(boot);
  signal.addEventListener('abort', abort, { once: true });
  undo.defer(() => signal.removeEventListener('abort', abort));
  await untilBooted(boot, signal);
  const pid = Number(readFileSync(`/proc/${boot.pid}/task/${boot.pid}/children`, 'utf8').trim());
  const enter = ['nsenter', `--target=${pid}`, '--mount', '--net', '--ipc', '--uts', '--pid', '--cgroup'];
  const relay = spawnTied(cgroup, [
    'nsenter',
    `--net=/proc/${pid}/ns/net`,
    process.execPath,
    '--eval',
    relayScript,
    proxySocket,
  ]);
  undo.defer(() => end(relay));
  await once(relay.stdout ?? relay, 'data');
  const environment = environmentOf(options);
  const held = undo.move();
  return {
    run: async (script, { onLine, offline } = {}) => {
      signal.throwIfAborted();
      const settings = offline === true ? { ...environment, ...noRegistry } : environment;
      const words = Object.entries(settings).map(([name, value]) => `${name}=${value}`);
      const child = spawnTied(cgroup, [
        ...enter,
        'env',
        '--ignore-environment',
        ...words,
        'sh',
        '-c',
        `cd /srv/podwright && ${script}`,
      ]);
      const result = await collect(child, onLine);
      signal.throwIfAborted();
      return result;
    },
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}

const relayScript = `
const net = require('node:net');
net.createServer((client) => {
  const upstream = net.connect(process.argv[1]);
  client.on('error', () => upstream.destroy()).pipe(upstream);
  upstream.on('error', () => client.destroy()).pipe(client);
}).listen(${relayPort}, '127.0.0.1', () => console.log('listening'));
`;

function environmentOf(options: MachineOptions): Readonly<Record<string, string>> {
  const path = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
  const proxy = `http://127.0.0.1:${relayPort}`;
  return {
    PATH: options.node === undefined ? path : `/opt/node/bin:${path}`,
    HOME: '/root',
    LANG: 'C.UTF-8',
    http_proxy: proxy,
    https_proxy: proxy,
    // Where the machine's way to the registries has a certificate authority of its own.
    ...(existsSync(machineAuthorities)
      ? { NODE_EXTRA_CA_CERTS: '/opt/machine-ca.crt', npm_config_cafile: '/opt/machine-ca.crt' }
      : {}),
  };
}

/** A registry's port that is closed, and no cache. */
const noRegistry: Readonly<Record<string, string>> = {
  http_proxy: 'http://127.0.0.1:9',
  https_proxy: 'http://127.0.0.1:9',
  npm_config_registry: 'http://127.0.0.1:9/',
  npm_config_cache: '/tmp/empty-cache',
};

/** In the machine's cgroup; the kernel ends it when this process is gone, however that went. */
function spawnTied(cgroup: string, command: readonly string[]): ChildProcess {
  const script = 'echo 0 >"$1/cgroup.procs"; shift; exec setpriv --pdeathsig KILL "$@"';
  return spawn('sh', ['-ec', script, 'sh', cgroup, ...command], {
    stdio: ['ignore', 'pipe', 'pipe'],
    cwd: '/',
  });
}

async function untilBooted(boot: ChildProcess, signal: AbortSignal): Promise<void> {
  const said: string[] = [];
  boot.stderr?.on('data', (chunk: Buffer) => void said.push(chunk.toString()));
  const isUp = await Promise.race([
    once(boot.stdout ?? boot, 'data').then(() => true),
    once(boot, 'exit').then(() => false),
  ]);
  signal.throwIfAborted();
  if (!isUp) throw new Error(`start a fresh machine: ${said.join('').trim() || 'it ended'}`);
}

/** For what reads of a child that is to end: killing unshare kills its pid namespace. */
async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill('SIGKILL');
  await gone;
}

async function collect(
  child: ChildProcess,
  onLine: ((line: string) => void) | undefined,
): Promise<StepResult> {
  const texts = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    const stream = child[name];
    if (stream === null) throw new TypeError(`${name} is a pipe`);
    createInterface({ input: stream }).on('line', (line) => {
      texts[name] += `${line}\n`;
      onLine?.(line);
    });
  }
  await once(child, 'close');
  return { code: child.exitCode ?? 128, ...texts };
}

/** Depth first; its processes have been killed, and may take a moment to be gone. */
function removeCgroup(cgroup: string): void {
  if (!existsSync(cgroup)) return;
  for (const entry of readdirSync(cgroup, { withFileTypes: true }))
    if (entry.isDirectory()) removeCgroup(join(cgroup, entry.name));
  for (let tries = 0; ; tries++) {
    try {
      rmdirSync(cgroup);
      return;
    } catch (error) {
      if (tries === 200) throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 25);
    }
  }
}

/** Of a machine, whose mounts are gone with its namespaces: an empty directory and a socket. Nothing else would be removed. */
function removeDirectory(directory: string): void {
  rmSync(join(directory, 'proxy.sock'), { force: true });
  if (existsSync(join(directory, 'root'))) rmdirSync(join(directory, 'root'));
  rmdirSync(directory);
}

/** What a process left that was killed. */
function removeAbandoned(): void {
  const isAbandoned = (name: string): boolean => {
    const pid = /^podwright-fresh-(\d+)(?:-|$)/.exec(name)?.[1];
    return pid !== undefined && pid !== String(process.pid) && !existsSync(`/proc/${pid}`);
  };
  for (const name of readdirSync(tmpdir()).filter(isAbandoned)) removeDirectory(join(tmpdir(), name));
  const cgroups = findCgroupRoot();
  for (const name of readdirSync(cgroups).filter(isAbandoned)) removeCgroup(join(cgroups, name));
}
