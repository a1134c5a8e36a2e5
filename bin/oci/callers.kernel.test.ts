/** Debian's containerd and podman run containers by podwright-oci: in namespaces, roots and states of the test's own. */
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { scratchDirectory } from '#base/scratch-directory.fixture.ts';
import { repositoryRoot } from '#bin/paths.ts';
import { findBusybox } from '#native/launch/busybox.ts';
import { installOci } from './install-oci.ts';

const busybox = findBusybox();
const canRun = process.getuid?.() === 0 && busybox !== undefined;
const lacks = (...paths: readonly string[]): readonly string[] => paths.filter((path) => !existsSync(path));
const containerd = lacks('/usr/bin/containerd', '/usr/bin/containerd-shim-runc-v2', '/usr/bin/ctr');
const podman = lacks('/usr/bin/podman', '/usr/bin/conmon');

const dir = scratchDirectory('oci-'); // A socket's path is short.
beforeAll(async () => {
  if (!canRun) return;
  await installOci({ binDir: join(dir, 'bin'), nodePath: process.execPath, root: repositoryRoot });
  mkdirSync(join(dir, 'rootfs/bin'), { recursive: true });
  copyFileSync(busybox ?? '', join(dir, 'rootfs/bin/busybox'));
  for (const applet of ['sh', 'cat', 'id', 'sleep', 'echo', 'tty'])
    symlinkSync('busybox', join(dir, 'rootfs/bin', applet));
});

/** cgroup v2 is all that there is: of the machine's v1 nothing is touched. */
const own = `set -e
cd ${dir}
mkdir -p root state v2 tmp
ip link set lo up
mount -t tmpfs own /run
mount -t proc proc /proc
if [ -e /sys/fs/cgroup/unified ]; then
  mount --bind /sys/fs/cgroup/unified v2
  umount -R /sys/fs/cgroup
  mount --move v2 /sys/fs/cgroup
fi
said() { set +e; "$@"; echo "code $?"; set -e; }
`;

/** A line of what it printed each; its end ends all that it started. */
function run(script: string): readonly string[] {
  const flags = ['--net', '--mount', '--propagation', 'private', '--pid', '--fork', '--kill-child'];
  const { stdout, stderr, status } = spawnSync('unshare', [...flags, 'sh', '-c', `${own}${script}`], {
    encoding: 'utf8',
    timeout: 120_000,
  });
  expect(status, stderr).toBe(0);
  return stdout
    .replaceAll(/[\0\r]/g, '')
    .trim()
    .split('\n');
}

describe.skipIf(!canRun)('podwright-oci is driven (needs root, busybox)', () => {
  test.skipIf(containerd.length > 0)(`by containerd (missing: ${containerd.join(', ') || 'nothing'})`, () => {
    const off = [
      'grpc.v1.cri',
      'snapshotter.v1.btrfs',
      'snapshotter.v1.devmapper',
      'snapshotter.v1.zfs',
      'internal.v1.opt',
    ];
    const disabled = JSON.stringify(off.map((name) => `io.containerd.${name}`));
    writeFileSync(
      join(dir, 'config.toml'),
      `version = 2\nroot = "${dir}/root"\nstate = "${dir}/state"\ndisabled_plugins = ${disabled}\n[grpc]\n  address = "${dir}/sock"\n`,
    );
    const lines = run(`
containerd -c config.toml > log 2>&1 &
until ctr -a ${dir}/sock version > /dev/null 2>&1; do kill -0 $!; sleep 0.1; done
ctr="ctr -a ${dir}/sock"
oci="--runc-binary ${dir}/bin/podwright-oci --rootfs ${dir}/rootfs"
said $ctr run --rm $oci one sh -c 'id -u; exit 7'
$ctr run -d $oci two sleep 1000
said $ctr task exec --exec-id e two sh -c 'echo inside; exit 5'
$ctr task pause two; $ctr task ls | grep -o PAUSED; $ctr task resume two
$ctr task kill -s KILL two
until $ctr task ls | grep -q STOPPED; do sleep 0.05; done
$ctr task rm two 2> /dev/null || true; $ctr c rm two
$ctr run --rm $oci three nowhere 2>&1 | grep -o 'executable file not found in $PATH'
find /sys/fs/cgroup/default 2> /dev/null || echo nothing left
`);
    expect(lines).toEqual([
      ...['0', 'code 7', 'inside', 'code 5', 'PAUSED'],
      ...['executable file not found in $PATH', 'nothing left'],
    ]);
  });

  test.skipIf(podman.length > 0)(`by podman and conmon (missing: ${podman.join(', ') || 'nothing'})`, () => {
    writeFileSync(
      join(dir, 'containers.conf'),
      `[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "podwright-oci"
runtime_supports_json = ["podwright-oci"]
runtime_supports_nocgroup = ["podwright-oci"]
[engine.runtimes]
podwright-oci = ["${dir}/bin/podwright-oci"]
`,
    );
    const lines = run(`
mount -t tmpfs own /var/tmp
mkdir -p /run/lock
export CONTAINERS_CONF=${dir}/containers.conf TMPDIR=${dir}/tmp
podman="podman --root ${dir}/podman --runroot /run/runroot --tmpdir /run/tmp --storage-driver vfs"
how="--cgroups=disabled --network none"
said $podman run --rm $how --rootfs ${dir}/rootfs sh -c 'id -u; exit 6'
$podman run -d --name two $how --rootfs ${dir}/rootfs sh -c 'echo started; exec sleep 1000' > /dev/null
said $podman exec --user 7 two sh -c 'id -u; exit 5'
$podman logs two
$podman inspect -f '{{.State.Status}} {{.OCIRuntime}}' two
$podman kill two > /dev/null; $podman rm -f two > /dev/null
echo hello | $podman run -i --rm $how --user 1000:1000 --tmpfs /scratch --rootfs ${dir}/rootfs sh -c 'cat; echo x > /scratch/x; cat /scratch/x'
said $podman run --rm $how --rootfs ${dir}/rootfs nowhere 2> /dev/null
$podman ps -aq
`);
    expect(lines).toEqual([
      ...['0', 'code 6', '7', 'code 5', 'started', 'running podwright-oci', 'hello', 'x', 'code 127'],
    ]);
  });
});
