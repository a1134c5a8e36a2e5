/** Debian's containerd, with root, state and socket of the test's own, in namespaces whose end ends its shims too. */
import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createDemoImage, demoImageName } from '#agent/runtime/images/demo-image.ts';
import { findBusybox } from '#native/launch/busybox.ts';

const needed = [
  '/usr/bin/containerd',
  '/usr/bin/containerd-shim-runc-v2',
  '/usr/bin/ctr',
  '/usr/sbin/runc',
  '/usr/lib/cni/bridge',
];
const missing = needed.filter((path) => !existsSync(path));

/** Half a minute of processor time that says nothing new of ours: for who changes the suite, or has another containerd. */
const isAsked = process.env['PODWRIGHT_CRI_PEERS'] !== undefined;

/** What lacks, in words; undefined: nothing. */
export const containerdLacks: string | undefined =
  isAsked && process.getuid?.() === 0 && missing.length === 0 && findBusybox() !== undefined
    ? undefined
    : `needs PODWRIGHT_CRI_PEERS=1, root, busybox; missing: ${missing.join(', ') || 'nothing'}`;

/** A line on stdin kills it, and starts it anew. */
const setUp = (dir: string): string => `set -e
ip link set lo up
mount -t tmpfs own /opt
mount -t tmpfs own /run
mount -t proc proc /proc
if [ -e /sys/fs/cgroup/unified ]; then
  mount --bind /sys/fs/cgroup/unified ${dir}/v2
  umount -R /sys/fs/cgroup
  mount --move ${dir}/v2 /sys/fs/cgroup
fi
mount --make-rshared /
start() {
  containerd -c ${dir}/config.toml >> ${dir}/log 2>&1 &
  daemon=$!
  until ctr -a ${dir}/sock version > /dev/null 2>&1; do kill -0 $daemon; sleep 0.1; done
}
start
ctr -a ${dir}/sock -n k8s.io images import --base-name docker.io/podwright/demo ${dir}/demo.tar >&2
echo ready
while read _; do
  kill -KILL $daemon
  wait $daemon || true
  start
  echo ready
done
`;

const config = (dir: string): string => `version = 2
root = "${dir}/root"
state = "${dir}/state"
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs", "io.containerd.internal.v1.opt"]
[grpc]
  address = "${dir}/sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${demoImageName}"
  disable_cgroup = true
  disable_apparmor = true
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "${dir}/net.d"
`;

export interface Containerd extends AsyncDisposable {
  readonly directory: string;
  readonly endpoint: string;
  readonly image: string;
  /** kill -9, and another; what runs goes on. */
  restart(): Promise<void>;
}

/** Where it runs: in a network namespace of its own; in that of this process, where its streams are reached; in the namespaces of a node, whose mounts it sees. */
export type ContainerdPlace =
  | 'apart'
  | 'here'
  | { readonly within: (command: readonly string[]) => readonly string[] };

export async function startContainerd(place: ContainerdPlace): Promise<Containerd> {
  const dir = mkdtempSync(join(tmpdir(), 'ctr-')); // A socket's path is short.
  for (const name of ['root', 'state', 'v2', 'net.d']) mkdirSync(join(dir, name));
  const ipam = { type: 'host-local', dataDir: join(dir, 'leases'), ranges: [[{ subnet: '10.66.0.0/24' }]] };
  const plugins = [
    { type: 'bridge', bridge: 'ctr0', isDefaultGateway: true, ipam },
    { type: 'portmap', capabilities: { portMappings: true } },
  ];
  const network = { cniVersion: '1.0.0', name: 'ctr', plugins };
  writeFileSync(join(dir, 'net.d/10.conflist'), JSON.stringify(network));
  writeFileSync(join(dir, 'config.toml'), config(dir));
  await pipeline(await createDemoImage(), createWriteStream(join(dir, 'demo.tar')));
  const isWithin = typeof place === 'object';
  const own = ['--mount', '--propagation', isWithin ? 'slave' : 'private', '--pid', '--fork', '--kill-child'];
  const flags = place === 'apart' ? ['--net', ...own] : own;
  const command = ['unshare', ...flags, 'sh', '-c', setUp(dir)];
  const [program = '', ...args] = isWithin ? place.within(command) : command;
  const daemon: ChildProcessByStdio<Writable, Readable, null> = spawn(program, args, {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const ended = once(daemon, 'exit');
  const ready = async (): Promise<void> => void (await Promise.race([once(daemon.stdout, 'data'), ended]));
  await ready();
  return {
    directory: dir,
    endpoint: `unix://${dir}/sock`,
    image: demoImageName,
    restart: async () => {
      daemon.stdin.write('again\n');
      await ready();
    },
    [Symbol.asyncDispose]: async () => {
      daemon.kill('SIGKILL');
      await ended;
      rmSync(dir, { recursive: true });
    },
  };
}
