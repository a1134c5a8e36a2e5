/** What of the host's file systems a container has in its hands: nothing, but what is listed here with a reason. */
import { chmodSync, chownSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { defaultMounts } from '#native/launch/compile-container.ts';
import { createKernelPod } from '#native/launch/kernel.fixture.ts';
import type { KernelPod } from '#native/launch/kernel.fixture.ts';
import { execOf, quiet } from '#native/launch/launcher.conformance.ts';
import type { ContainerLaunch, LaunchMount } from '#native/launch/launch.ts';

/** File systems that there is one of in the kernel, or per namespace: what they show is decided by namespace, not by who mounts them. */
const oneForAll: Readonly<Record<string, string>> = {
  sysfs: 'one per network namespace (the pod of these tests has the host’s); read-only',
  cgroup2: 'one for the kernel; read-only, and its root is the container’s cgroup',
};
const given = '/etc/hosts';

describe.skipIf(process.getuid?.() !== 0)('the host’s inodes (needs root and busybox-static)', () => {
  it('are not in a container: no mount, device, mask or stream, at its start and in an exec', async () => {
    await using pod = await createKernelPod();

    const container = containerOf(pod)();
    const script = `${listing}; sleep 1000`;
    const logPath = join(pod.directory, 'log');
    const launched = { ...container, args: ['/bin/sh', '-c', script] };
    const { pid } = await pod.supervisor.launch('c', launched, { ...quiet, logPath });
    await expect.poll(() => readFileSync(logPath, 'utf8'), { timeout: 60_000 }).toContain('F end');
    const first = readFileSync(logPath, 'utf8').replaceAll(/^\S+ std\w+ F /gm, '');
    const second = await pod.exec(execOf(container, pid, listing));
    for (const listed of [first, second.stdout]) {
      const mounts = [...listed.matchAll(/^mount \d+ \d+ (\S+) \S+ (\S+) .* - (\S+) /gm)];
      expect(mounts.length).toBeGreaterThan(12);
      const ofHost = mounts.filter(
        ([, device = '', target, type = '']) =>
          hostDevices().has(device) && target !== given && !(type in oneForAll),
      );
      expect(ofHost.map(([line]) => line)).toEqual([]);
      const files = [...listed.matchAll(/^file (\d+) (\d+) (.*)$/gm)];
      expect(files.length).toBeGreaterThan(10);
      const null_ = statSync('/dev/null');
      const numbers = new Set([...hostDevices()].map(deviceNumber));
      const handedIn = files.filter(
        ([, device, inode]) =>
          numbers.has(Number(device)) || (Number(device) === null_.dev && Number(inode) === null_.ino),
      );
      expect(handedIn.map(([line]) => line)).toEqual([]);
    }
  });

  it('keep their mode and owner, whatever uid 0 of a container does to its masks, streams and devices', async () => {
    await using pod = await createKernelPod();

    const before = statSync('/dev/null');
    using _ = { [Symbol.dispose]: restoreNull };

    const paths =
      '/proc/keys /proc/timer_list /dev/null /dev/stdin /proc/self/fd/0 /proc/1/fd/0 /sys/firmware /proc/acpi';
    const script = `for path in ${paths}; do chmod 0642 $path; chown 7:8 $path; done 2>&1`;
    const at = containerOf(pod);
    const container = at();
    const security = { ...container.security, capabilities: ['CAP_CHOWN', 'CAP_FOWNER', 'CAP_DAC_OVERRIDE'] };
    const launched = { ...container, security, args: ['/bin/sh', '-c', `${script}; sleep 1000`] };
    const { pid } = await pod.supervisor.launch('c', launched, quiet);
    await pod.exec({ ...execOf(container, pid, script), security });
    const after = statSync('/dev/null');
    expect([after.mode, after.uid, after.gid]).toEqual([before.mode, before.uid, before.gid]);
    // Another container has masks, streams and devices of its own.
    const other = await pod.run({
      ...at(),
      args: ['/bin/sh', '-c', `stat -Lc '%a %u:%g' /dev/null /dev/stdin /proc/keys`],
    });
    expect(other.stdout).toEqual(Array.from({ length: 3 }, () => '666 0:0'));
  });

  it('are not what an exec reads from, whatever the container made of its /dev/null', async () => {
    await using pod = await createKernelPod();

    const at = containerOf(pod);
    for (const replace of ['mkfifo /dev/null', 'ln -s /etc/shadow /dev/null', 'true', 'mkdir /dev/null']) {
      const id = `c${replace.length}`;
      const container = at();
      const launched = { ...container, args: ['/bin/sh', '-c', `rm /dev/null; ${replace}; exec sleep 1000`] };
      const { pid } = await pod.supervisor.launch(id, launched, quiet);
      await expect.poll(() => readFileSync(`/proc/${pid}/comm`, 'utf8')).toBe('sleep\n');
      expect(await pod.exec(execOf(container, pid, 'cat; echo end'))).toMatchObject({
        code: 0,
        stdout: 'end\n',
      });
    }
  });
});

/** Every mount, and every file of /dev and every stream with its device and inode. */
const listing =
  "sed 's/^/mount /' /proc/self/mountinfo; " +
  "find /dev -xdev ! -type l -exec stat -c 'file %d %i %n' {} +; " +
  'for fd in 0 1 2; do stat -Lc "file %d %i fd $fd" /proc/self/fd/$fd; done; echo end';

/** A container with all that one of a pod has, each with a root of its own. */
function containerOf(pod: KernelPod): () => ContainerLaunch {
  const at = (name: string): string => join(pod.directory, 'own', name);
  for (const name of ['merged', 'layers']) mkdirSync(at(name), { recursive: true });
  writeFileSync(at('hosts'), '127.0.0.1 localhost\n');
  const container = pod.container('');
  const own = ['nosuid', 'nodev', 'noexec'];
  const mounts: readonly LaunchMount[] = [
    ...defaultMounts,
    { type: 'tmpfs', source: 'shm', target: '/dev/shm', options: own },
    { type: 'cgroup2', source: 'cgroup', target: '/sys/fs/cgroup', options: [...own, 'ro'] },
    { type: 'bind', source: at('hosts'), target: given, isFile: true, options: ['rbind', 'rprivate'] },
  ];
  const security = {
    ...container.security,
    maskedPaths: ['/proc/keys', '/proc/timer_list', '/proc/acpi', '/proc/kcore', '/sys/firmware'],
    readonlyPaths: ['/proc/sys', '/proc/bus'],
  };
  let count = 0;
  return () => {
    const directory = at(`layers/${count++}`);
    const lower = [join(pod.directory, 'root')];
    const make = { directory, mode: 0o755, uid: 0, gid: 0 };
    const layers = { upper: `${directory}/upper`, work: `${directory}/work`, merged: at('merged') };
    return { ...container, root: { kind: 'overlay', lower, ...layers, make }, mounts, security };
  };
}

/** Where this test fails, the machine has lost the mode and owner of the one that everybody uses. */
function restoreNull(): void {
  chmodSync('/dev/null', 0o666);
  chownSync('/dev/null', 0, 0);
}

/** `major:minor` of every file system that is mounted on the host. */
function hostDevices(): ReadonlySet<string> {
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8').trim().split('\n');
  return new Set(mounts.map((line) => line.split(' ')[2] ?? ''));
}

/** As stat(1) prints it. */
function deviceNumber(device: string): number {
  const [major = 0, minor = 0] = device.split(':').map(Number);
  return (minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12);
}
