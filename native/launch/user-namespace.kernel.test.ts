import { execFileSync } from 'node:child_process';
import { chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { defaultMounts } from './compile-container.ts';
import { createKernelPod } from './kernel.fixture.ts';
import type { KernelPod } from './kernel.fixture.ts';
import { execOf } from './launcher.conformance.ts';
import type { ContainerLaunch, IdRange, LaunchMount, SupervisorSpec } from './launch.ts';

const ids: IdRange = { first: 1_114_112, count: 65_536 };
const map = '0 1114112 65536';
const words = (log: string): string => log.replaceAll('stdout F ', '').trim();
const squeezed = (text: string): string => text.trim().replaceAll(/ +/g, ' ');

describe.skipIf(process.getuid?.() !== 0)('a pod with a user namespace of its own (needs root)', () => {
  let pod: KernelPod;
  let netns = '';
  beforeAll(async () => {
    netns = join(mkdtempSync('/tmp/podwright-netns-'), 'net');
    const spec: Partial<SupervisorSpec> = {
      ids,
      netns,
      sysctls: { 'net.ipv4.ip_unprivileged_port_start': '81', 'kernel.shm_rmid_forced': '1' },
    };
    pod = await createKernelPod(spec);
  });
  afterAll(async () => {
    await pod[Symbol.asyncDispose]();
    execFileSync('umount', [netns]);
    rmSync(join(netns, '..'), { recursive: true });
  });

  const launch = (script: string, more: Partial<ContainerLaunch> = {}): ContainerLaunch => ({
    ...pod.container(script),
    ids,
    ...more,
  });
  const mounted = (script: string, ...mounts: readonly LaunchMount[]): ContainerLaunch =>
    launch(script, { mounts: [...defaultMounts, ...mounts] });

  it('is root of it, with its range of the host', async () => {
    const script =
      'cat /proc/self/uid_map /proc/self/gid_map; id -u; cat /proc/self/setgroups; hostname; echo $$';
    const { log, code } = await pod.run(launch(script));
    expect(squeezed(words(log)).split('\n').map(squeezed)).toEqual([map, map, '0', 'allow', 'pod', '1']);
    expect(code).toBe(0);
  });

  it('owns its network namespace, and what is set in it', async () => {
    const script =
      'cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/kernel/shm_rmid_forced; ip link set lo up && ip addr show lo | grep -c LOOPBACK,UP';
    const { security } = pod.container('');
    const capabilities = [...security.capabilities, 'CAP_NET_ADMIN'];
    const { log } = await pod.run(launch(script, { security: { ...security, capabilities } }));
    expect(words(log)).toBe('81\n1\n1');
    const inside = execFileSync(
      'nsenter',
      [`--net=${netns}`, 'cat', '/proc/sys/net/ipv4/ip_unprivileged_port_start'],
      { encoding: 'utf8' },
    );
    expect(inside).toBe('81\n');
  });

  it('is nobody on the host, and a host root file is nobody there', async () => {
    const directory = join(pod.directory, 'outside');
    mkdirSync(directory, { mode: 0o777 });
    execFileSync('chmod', ['777', directory]);
    writeFileSync(join(directory, 'secret'), 'secret', { mode: 0o600 });
    const script =
      'cd /outside; stat -c %u secret; cat secret; chown 0 secret; echo own > mine; stat -c %u mine';
    const { log } = await pod.run(
      mounted(script, {
        type: 'bind',
        source: directory,
        target: '/outside',
        options: ['rbind', 'rprivate'],
      }),
    );
    expect(log).toContain('stdout F 65534\n');
    expect(log).toContain("cat: can't open 'secret': Permission denied");
    expect(log).toContain('Operation not permitted');
    expect(log).toContain('stdout F 0\n');
    expect(statSync(join(directory, 'mine')).uid).toBe(ids.first);
  });

  it('has the ids of what is shifted for it, and leaves the same on disk', async () => {
    const directory = join(pod.directory, 'volume');
    mkdirSync(directory);
    writeFileSync(join(directory, 'of1000'), 'x');
    chownSync(join(directory, 'of1000'), 1000, 2000);
    const script =
      'stat -c %u:%g /volume /volume/of1000; touch /volume/new; chown 7:8 /volume/new; stat -c %u:%g /volume/new; touch /here; stat -c %u / /here /dev /dev/null';
    const { log } = await pod.run(
      mounted(script, {
        type: 'bind',
        source: directory,
        target: '/volume',
        options: ['rbind', 'rprivate'],
        isIdMapped: true,
      }),
    );
    expect(words(log).split('\n')).toEqual(['0:0', '1000:2000', '7:8', '0', '0', '0', '0']);
    const { uid, gid } = statSync(join(directory, 'new'));
    expect([uid, gid]).toEqual([7, 8]);
    expect(statSync(join(pod.directory, 'root/here')).uid).toBe(0);
  });

  it('has an overlay with shifted layers', async () => {
    const place = mkdtempSync('/tmp/podwright-overlay-');
    mkdirSync(join(place, 'merged'));
    const root: ContainerLaunch['root'] = {
      kind: 'overlay',
      lower: [join(pod.directory, 'root')],
      upper: join(place, 'c/upper'),
      work: join(place, 'c/work'),
      merged: join(place, 'merged'),
      make: { directory: join(place, 'c'), mode: 0o755, uid: 0, gid: 0 },
    };
    const script =
      'stat -c %u / /bin/busybox; chown 5 /bin/sh; stat -c %u /bin; rm /bin/true; mkdir /new; echo $(ls -ld /new | cut -c1-4)';
    const { log } = await pod.run(launch(script, { root }));
    expect(words(log).split('\n')).toEqual(['0', '0', '0', 'drwx']);
    expect(statSync(join(place, 'c/upper/new')).uid).toBe(0);
    rmSync(place, { recursive: true });
  });

  it('cannot take apart what it was given, but mounts in a namespace that it owns', async () => {
    const { security } = pod.container('');
    const script =
      'umount /dev/pts 2>&1; mount -t tmpfs none /tmp && echo mounted; echo x > /proc/sys/kernel/domainname; cat /proc/kcore | head -c1 | wc -c';
    const masked = {
      maskedPaths: ['/proc/kcore'],
      readonlyPaths: ['/proc/sys'],
      seccomp: 'unconfined' as const,
    };
    const capabilities = [...security.capabilities, 'CAP_SYS_ADMIN'];
    const { log } = await pod.run(launch(script, { security: { ...security, ...masked, capabilities } }));
    expect(log).toContain("umount: can't unmount /dev/pts: Invalid argument");
    expect(log).toContain('stdout F mounted\n');
    expect(log).toContain('Read-only file system');
    expect(log).toContain('stdout F 0\n');
  });

  it('is joined by an exec, as any of its users', async () => {
    const container = launch('sleep 100', { user: { uid: 1000, gid: 1000, additionalGids: [] } });
    await pod.supervisor.launch('long', container, {
      logPath: undefined,
      stdin: false,
      stdinOnce: false,
      tty: false,
    });
    const running = (await pod.supervisor.running()).find(({ id }) => id === 'long');
    const status = readFileSync(`/proc/${running?.pid ?? 0}/status`, 'utf8');
    expect(status).toContain(`Uid:\t${ids.first + 1000}`);
    const exec = execOf(
      container,
      running?.pid ?? 0,
      'id -u; cat /proc/self/uid_map; echo named > /dev/stdout',
    );
    const { stdout, code } = await pod.exec({ ...exec, ids });
    expect(squeezed(stdout).split('\n').map(squeezed)).toEqual(['1000', map, 'named']);
    expect(code).toBe(0);
    await pod.supervisor.kill('long', 9);
    await pod.exitOf('long');
  });

  it('may share a pid namespace', async () => {
    await using shared = await createKernelPod({ ids, pidNamespace: true });
    const container = {
      ...shared.container(
        'cat /proc/self/uid_map; stat -c %u /proc/1 /proc/$$; echo $$ | grep -vx 1 | wc -l',
      ),
      ids,
    };
    const { log } = await shared.run({ ...container, pidNamespace: 'pod' });
    expect(words(log).split('\n').map(squeezed)).toEqual([map, '65534', '0', '1']);
  });
});
