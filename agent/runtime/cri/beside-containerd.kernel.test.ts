/**
 * Debian's containerd is asked the same: what the suite counts on is not only ours. Its root, state and socket are the test's own, in
 * namespaces whose end ends its shims too.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { describe } from 'vitest';
import { createDemoImage, demoImageName } from '#agent/runtime/images/demo-image.ts';
import { findBusybox } from '#native/launch/busybox.ts';
import { loadContract } from '#proto/load.ts';
import { createUnixClient } from '#proto/unix-client.ts';
import { criConformance, type CriUnderTest } from './cri.conformance.ts';

const needed = [
  '/usr/bin/containerd',
  '/usr/bin/containerd-shim-runc-v2',
  '/usr/bin/ctr',
  '/usr/sbin/runc',
  '/usr/lib/cni/bridge',
];
const missing = needed.filter((path) => !existsSync(path));
const isRoot = process.getuid?.() === 0;
/** Half a minute of processor time that says nothing new of ours: for who changes the suite, or has another containerd. */
const isAsked = process.env['PODWRIGHT_CRI_PEERS'] !== undefined;

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
containerd -c ${dir}/config.toml > ${dir}/log 2>&1 &
until ctr -a ${dir}/sock version > /dev/null 2>&1; do kill -0 $!; sleep 0.1; done
ctr -a ${dir}/sock -n k8s.io images import --base-name docker.io/podwright/demo ${dir}/demo.tar >&2
echo ready
wait
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

async function startContainerd(): Promise<CriUnderTest> {
  const dir = mkdtempSync(join(tmpdir(), 'ctr-')); // A socket's path is short.
  for (const name of ['root', 'state', 'v2', 'net.d']) mkdirSync(join(dir, name));
  const ipam = { type: 'host-local', dataDir: join(dir, 'leases'), ranges: [[{ subnet: '10.66.0.0/24' }]] };
  const plugins = [{ type: 'bridge', bridge: 'ctr0', ipam }];
  const network = { cniVersion: '1.0.0', name: 'ctr', plugins };
  writeFileSync(join(dir, 'net.d/10.conflist'), JSON.stringify(network));
  writeFileSync(join(dir, 'config.toml'), config(dir));
  await pipeline(await createDemoImage(), createWriteStream(join(dir, 'demo.tar')));
  const flags = ['--net', '--mount', '--propagation', 'private', '--pid', '--fork', '--kill-child'];
  const daemon: ChildProcess = spawn('unshare', [...flags, 'sh', '-c', setUp(dir)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(daemon, 'exit');
  const { stdout } = daemon;
  if (stdout !== null) await Promise.race([once(stdout, 'data'), ended]);
  const contract = await loadContract('cri-v1');
  const client = createUnixClient(contract, { endpoint: `unix://${dir}/sock`, timeoutMs: 120_000 });
  return {
    client,
    runtime: contract.services['runtime.v1.RuntimeService'],
    images: contract.services['runtime.v1.ImageService'],
    directory: `${dir}/logs`,
    image: demoImageName,
    isReal: true,
    isOurs: false,
    sandbox: { linux: { security_context: { namespace_options: { pid: 'CONTAINER' } } } },
    [Symbol.asyncDispose]: async () => {
      client[Symbol.dispose]();
      daemon.kill('SIGKILL');
      await ended;
      rmSync(dir, { recursive: true });
    },
  };
}

describe.skipIf(!isAsked || !isRoot || missing.length > 0 || findBusybox() === undefined)(
  `beside Debian's containerd (needs PODWRIGHT_CRI_PEERS=1, root, busybox; missing: ${missing.join(', ') || 'nothing'})`,
  () => criConformance("Debian's containerd", startContainerd),
);
