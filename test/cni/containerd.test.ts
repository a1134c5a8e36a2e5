/**
 * Debian's containerd runs a container whose network our programs make: its own root, state and socket, in namespaces of the test's, where
 * /opt, /run and the directory of configurations are other ones than the machine's.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { scratchDirectory } from '#base/scratch-directory.fixture.ts';
import { repositoryRoot } from '#bin/paths.ts';
import { installPlugins } from '#cni-plugins/program/install.ts';
import { findBusybox } from '#native/launch/busybox.ts';

const busybox = findBusybox();
const needed = [
  '/usr/bin/containerd',
  '/usr/bin/containerd-shim-runc-v2',
  '/usr/bin/ctr',
  '/usr/bin/python3',
  '/etc/cni/net.d',
];
const missing = [
  ...needed.filter((path) => !existsSync(path)),
  ...(busybox === undefined ? ['busybox'] : []),
];
const isRoot = process.getuid?.() === 0;

const dir = scratchDirectory('ctr-'); // A socket's path is short.

/** As a file: `ctr` reads a specification, of which runc gives the rest. Limits need controllers that a machine may not have in v2. */
const edit = `
import json
spec = json.load(open('config.json'))
spec['process'].update(terminal=False, args=['sh', '-c', 'ip -o -4 addr show eth0; ip route; ip -o link show lo'])
spec['root'] = {'path': '${dir}/rootfs', 'readonly': True}
for name in ('resources', 'cgroupsPath'): spec['linux'].pop(name, None)
json.dump(spec, open('config.json', 'w'))
`;
const setUp = `set -e
cd ${dir}
ip link set lo up
mount -t tmpfs own /opt
mkdir -p /opt/cni/bin
cp -a bin/. /opt/cni/bin/
mount --bind net.d /etc/cni/net.d
mount -t tmpfs own /run
mkdir /run/netns
if [ -e /sys/fs/cgroup/unified ]; then
  mount --bind /sys/fs/cgroup/unified v2
  umount -R /sys/fs/cgroup
  mount --move v2 /sys/fs/cgroup
fi
runc spec
python3 edit.py
containerd -c config.toml > log 2>&1 &
daemon=$!
trap 'kill $daemon; wait $daemon || true' EXIT
until ctr -a ${dir}/sock version > /dev/null 2>&1; do kill -0 $daemon; sleep 0.1; done
ctr -a ${dir}/sock run --rm --cni --config config.json one
ctr -a ${dir}/sock run --rm --cni --config config.json two
ip -o link
`;

test.skipIf(!isRoot || missing.length > 0)(
  `Debian's containerd starts containers by our programs (needs root; missing: ${missing.join(', ') || 'nothing'})`,
  async () => {
    for (const name of ['net.d', 'rootfs', 'rootfs/bin', 'root', 'state', 'v2']) mkdirSync(join(dir, name));
    await installPlugins({
      binDir: join(dir, 'bin'),
      nodePath: process.execPath,
      root: repositoryRoot,
      sockets: [join(dir, 'none'), join(dir, 'neither')],
    });
    const ipam = { type: 'host-local', dataDir: join(dir, 'leases'), ranges: [[{ subnet: '10.66.0.0/24' }]] };
    const plugins = [
      { type: 'bridge', bridge: 'ctr0', isDefaultGateway: true, ipam },
      { type: 'portmap', capabilities: { portMappings: true } },
    ];
    writeFileSync(
      join(dir, 'net.d/10-ours.conflist'),
      JSON.stringify({ cniVersion: '1.0.0', name: 'ctr', plugins }),
    );
    spawnSync('cp', [busybox ?? '', join(dir, 'rootfs/bin/busybox')]);
    spawnSync('ln', ['-sf', 'busybox', join(dir, 'rootfs/bin/sh')]);
    spawnSync('ln', ['-sf', 'busybox', join(dir, 'rootfs/bin/ip')]);
    writeFileSync(join(dir, 'edit.py'), edit);
    const disabled = [
      'grpc.v1.cri',
      'snapshotter.v1.btrfs',
      'snapshotter.v1.devmapper',
      'snapshotter.v1.zfs',
      'internal.v1.opt',
    ];
    writeFileSync(
      join(dir, 'config.toml'),
      `version = 2\nroot = "${dir}/root"\nstate = "${dir}/state"\ndisabled_plugins = ${JSON.stringify(disabled.map((name) => `io.containerd.${name}`))}\n[grpc]\n  address = "${dir}/sock"\n`,
    );
    const { status, stdout, stderr } = spawnSync(
      'unshare',
      ['--net', '--mount', '--propagation', 'private', 'sh', '-c', setUp],
      {
        encoding: 'utf8',
        timeout: 120_000,
      },
    );
    expect(status, stderr).toBe(0);
    expect(stdout).toContain('inet 10.66.0.2/24');
    expect(stdout).toContain('default via 10.66.0.1 dev eth0');
    expect(stdout).toContain('inet 10.66.0.3/24');
    expect(stdout).toMatch(/lo: <LOOPBACK,UP/);
    // What is left on the host is the bridge.
    expect(stdout).not.toMatch(/: veth/);
    expect(readdirSync(join(dir, 'leases/ctr')).filter((name) => /^\d/.test(name))).toEqual([]);
  },
  180_000,
);
