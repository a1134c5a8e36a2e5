/** Containers that crun and runc make, in pods of ours: the suite of runtimes, and what it does not ask. */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chown, mkdir, readFile, readlink, stat, writeFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { systemClock } from '#base/clock.ts';
import { cgroupMount, isRoot, makeNode, type TestNode } from '#agent/runtime/local-runtime.fixture.ts';
import { readLogs } from '#agent/runtime/logs/read-logs.ts';
import type { ContainerConfig, Runtime, SandboxConfig } from '#agent/runtime/runtime.ts';
import {
  containerConfig,
  runtimeConformance,
  sandboxConfig,
  waitForState,
} from '#agent/runtime/runtime.conformance.ts';

const programs = ['crun', 'runc'].map((name) => ({
  name,
  program: ['/usr/bin', '/usr/sbin']
    .map((directory) => `${directory}/${name}`)
    .find((path) => existsSync(path)),
}));
const uid = 'u1';
const shell = (script: string): Partial<ContainerConfig> => ({ command: ['/bin/sh', '-c', script] });
const logDeadlineMs = 20_000;

async function logText(path: string | undefined, signal: AbortSignal): Promise<string> {
  const chunks = await Array.fromAsync(readLogs(path ?? '', { clock: systemClock }, signal));
  return Buffer.concat(chunks).toString();
}

async function output(
  runtime: Runtime,
  id: string,
  how: { readonly script: string; readonly tty?: boolean; readonly signal: AbortSignal },
): Promise<{ readonly text: string; readonly code: number }> {
  const { script, tty = false, signal } = how;
  const args = ['/bin/sh', '-c', script];
  const session = await runtime.exec(uid, id, { args, stdin: false, tty }, signal);
  const chunks = await Array.fromAsync(session.streams.stdout as AsyncIterable<Buffer>);
  const code = await session.exitCode;
  await session.streams[Symbol.asyncDispose]();
  return { text: Buffer.concat(chunks).toString(), code };
}

for (const { name, program } of programs) {
  const canRun = isRoot && program !== undefined && cgroupMount !== undefined;
  describe.skipIf(!canRun)(`handler ${name} (needs root, cgroup v2, ${name})`, () => {
    const make = async (): Promise<TestNode> => {
      const handlers = { programs: [{ name, program: program ?? '' }], cgroupRoot: cgroupMount ?? '' };
      return { ...(await makeNode({ handlers })), sandbox: { runtimeHandler: name } };
    };
    runtimeConformance(name, make);

    const signal = AbortSignal.timeout(300_000);
    const runSandbox = async (node: TestNode, change: Partial<SandboxConfig> = {}): Promise<void> =>
      void (await node.runtime.runSandbox(sandboxConfig(uid, { ...node.sandbox, ...change }), signal));
    const start = async (node: TestNode, change: Partial<ContainerConfig>): Promise<ContainerConfig> => {
      const config = containerConfig(node, change);
      await node.runtime.startContainer(uid, config, signal);
      return config;
    };

    it('is in the namespaces and the cgroup of its pod, with the root, user and limits that it asks for', async () => {
      await using node = await make();

      await runSandbox(node);
      const { id } = await start(node, {
        ...shell('umask; sleep 1000'),
        user: { uid: 1000, gid: 1001, additionalGids: [7], fsGroups: [] },
        workingDir: '/made/here',
        rlimits: [{ name: 'RLIMIT_NOFILE', soft: 100, hard: 200 }],
        env: [{ name: 'GREETING', value: 'hello' }],
      });
      const { pid } = await waitForState(node.runtime, { uid, id }, 'running');
      const supervisor = await node.supervisorPid();
      for (const kind of ['net', 'ipc', 'uts', 'user', 'pid', 'mnt']) {
        const [own, pods] = await Promise.all([pid, supervisor].map((each) => namespaceOf(each, kind)));
        expect(own === pods, kind).toBe(!['pid', 'mnt'].includes(kind));
      }
      expect(await readFile(`/proc/${pid}/cgroup`, 'utf8')).toMatch(
        new RegExp(`^0::.*/kubepods/besteffort/pod${uid}/${id}$`, 'm'),
      );
      // Not the soft one: runc 1.1, a Go program, raises that of an exec to it (opencontainers/runc 4195).
      // Of an exec not the soft limit: runc 1.1, a Go program, has raised it to the hard one.
      const script = 'id -u; id -g; id -G; pwd; echo $GREETING; ls -ld /made | cut -c1-10; ulimit -Hn';
      const { text } = await output(node.runtime, id, { script, signal });
      const [asUser, group, groups, ...rest] = text.split('\n');
      expect([asUser, group, groups?.split(' ').toSorted()]).toEqual(['1000', '1001', ['1001', '7']]);
      expect(rest).toEqual(['/made/here', 'hello', 'drwxr-xr-x', '200', '']);
      expect(await readFile(`/proc/${pid}/limits`, 'utf8')).toMatch(/^Max open files +100 +200 /m);
      // Nothing of the root is mounted where the host sees it.
      expect(await readFile('/proc/self/mountinfo', 'utf8')).not.toContain(`upperdir=${node.root}`);
      const stats = await node.runtime.stats(uid);
      expect(stats?.containers.map((each) => [each.id, each.pid])).toEqual([[id, pid]]);
    });

    it('writes its log in the form of CRI, and its message of termination is read', async () => {
      await using node = await make();

      await runSandbox(node);
      const path = `${node.root}/message`;
      const { id, stdio } = await start(node, {
        ...shell('echo out; echo err >&2; printf last; exit 4'),
        termination: { path, fallbackToLogsOnError: true },
      });
      const state = await waitForState(node.runtime, { uid, id }, 'exited');
      expect(state).toMatchObject({ exitCode: 4, reason: 'Error', message: expect.stringContaining('last') });
      const lines = (await readFile(stdio.logPath ?? '', 'utf8')).trimEnd().split('\n');
      expect(lines.map((line) => line.replace(/^\S+ /, '')).toSorted()).toEqual(
        ['stderr F err', 'stdout F out', 'stdout P last'].toSorted(),
      );
    });

    it('has a terminal of its own, which exec has too', async () => {
      await using node = await make();

      await runSandbox(node);
      const tty = { logPath: `${node.directory}/tty.log`, stdin: true, stdinOnce: false, tty: true };
      const { id } = await start(node, {
        ...shell('tty; read line; echo got $line; sleep 1000'),
        stdio: tty,
      });
      await waitForState(node.runtime, { uid, id }, 'running');
      await using streams = await node.runtime.attach(uid, id);

      streams.stdin?.write('word\n');
      await expect
        .poll(() => logText(tty.logPath, signal), { timeout: logDeadlineMs })
        .toMatch(/\/dev\/(?:pts\/0|console)[^]*got word/);
      // A controlling terminal: it can be opened by that name.
      const script = 'tty && echo opened > /dev/tty; exit 3';
      const ended = await output(node.runtime, id, { script, tty: true, signal });
      expect(ended.code).toBe(3);
      expect(ended.text).toMatch(/\/dev\/pts\/\d+\r\nopened\r\n/);
    });

    it('the ends of execs that are over at once are all seen', async () => {
      await using node = await make();

      await runSandbox(node);
      const { id } = await start(node, shell('sleep 1000'));
      const codes = Array.from({ length: 12 }, (_, index) => index);
      const ends = await Promise.all(
        codes.map((code) => output(node.runtime, id, { script: `echo ${code}; exit ${code}`, signal })),
      );
      expect(ends).toEqual(codes.map((code) => ({ text: `${code}\n`, code })));
      // Neither do containers wait for anybody.
      for (const code of [0, 1, 2]) {
        const short = await start(node, { ...shell(`exit ${code}`), attempt: code + 1 });
        const state = await waitForState(node.runtime, { uid, id: short.id }, 'exited');
        expect(state).toMatchObject({ exitCode: code });
      }
    });

    it('runs the hooks of devices, of which one that fails ends the start', async () => {
      await using node = await make();

      await runSandbox(node);
      const state = `${node.root}/state`;
      const hook = { path: '/bin/sh', args: ['sh', '-c', `cat >${state}`], env: ['PATH=/bin:/usr/bin'] };
      const { id } = await start(node, { ...shell('sleep 1000'), hooks: { createRuntime: [hook] } });
      expect(JSON.parse(await readFile(state, 'utf8'))).toMatchObject({ id, pid: expect.any(Number) });
      const failing = { ...hook, args: ['sh', '-c', 'exit 7'] };
      const config = containerConfig(node, {
        ...shell('true'),
        attempt: 1,
        hooks: { createRuntime: [failing] },
      });
      await expect(node.runtime.startContainer(uid, config, signal)).rejects.toMatchObject({
        code: 'E_LAUNCH',
      });
    });

    it('what cannot be executed is said in the words of the runtime, and leaves nothing', async () => {
      await using node = await make();

      await runSandbox(node);
      const config = containerConfig(node, { command: ['/nonexistent'] });
      await expect(node.runtime.startContainer(uid, config, signal)).rejects.toMatchObject({
        code: 'E_LAUNCH',
        message: expect.stringMatching(
          /^OCI runtime create failed: .*\/nonexistent.*no such file or directory/i,
        ),
      });
      const [observed] = node.runtime.observe(uid)?.containers ?? [];
      expect(observed?.state).toMatchObject({ state: 'exited', exitCode: 128, reason: 'StartError' });
      expect(existsSync(`${node.root}/run/pods/${uid}/oci/${config.id}`)).toBe(false);
      const { id } = await start(node, { ...shell('sleep 1000'), attempt: 1 });
      const args = ['/nonexistent'];
      await expect(
        node.runtime.exec(uid, id, { args, stdin: false, tty: false }, signal),
      ).rejects.toMatchObject({ code: 'E_LAUNCH', message: expect.stringContaining('/nonexistent') });
    });

    it('shares the pid namespace of its pod', async () => {
      await using node = await make();

      await runSandbox(node, { sharePidNamespace: true });
      const first = await start(node, shell('sleep 1000'));
      const second = await start(node, { ...shell('sleep 1000'), name: 'second' });
      const pids = await Promise.all(
        [first, second].map(async ({ id }) => (await waitForState(node.runtime, { uid, id }, 'running')).pid),
      );
      const [one, other] = await Promise.all(pids.map((pid) => namespaceOf(pid, 'pid')));
      expect(one).toBe(other);
      expect(one).not.toBe(await namespaceOf(await node.supervisorPid(), 'pid'));
      const { text } = await output(node.runtime, first.id, { script: 'cat /proc/[0-9]*/cmdline', signal });
      expect(text.split('\0').filter((word) => word === '1000').length).toBeGreaterThanOrEqual(2);
      await node.runtime.stopContainer(uid, first.id, 0, signal);
      expect(await waitForState(node.runtime, { uid, id: second.id }, 'running')).toBeDefined();
    });

    it('is found again by a new agent, which stops it and is told of ends that nobody saw', async () => {
      await using node = await make();

      await runSandbox(node);
      const long = await start(node, shell('sleep 1000'));
      const short = await start(node, { ...shell('sleep 0.3; exit 9'), name: 'short' });
      const before = await waitForState(node.runtime, { uid, id: long.id }, 'running');
      await node.detach();
      const runtime = await node.restart();
      expect(await waitForState(runtime, { uid, id: short.id }, 'exited')).toMatchObject({ exitCode: 9 });
      expect(await waitForState(runtime, { uid, id: long.id }, 'running')).toEqual(before);
      const { text } = await output(runtime, long.id, { script: 'echo there', signal });
      expect(text).toBe('there\n');
      await runtime.stopContainer(uid, long.id, 0, signal);
      expect(await waitForState(runtime, { uid, id: long.id }, 'exited')).toMatchObject({ exitCode: 137 });
      expect(existsSync(`/proc/${before.pid}`)).toBe(false);
    });

    it('keeps to the default filter of system calls', async () => {
      await using node = await make();

      await runSandbox(node);
      const base = containerConfig(node).security;
      const { id } = await start(node, {
        ...shell('sleep 1000'),
        security: { ...base, seccomp: 'runtime-default', noNewPrivileges: true },
      });
      const script =
        'grep -E "^(Seccomp|NoNewPrivs):" /proc/1/status; unshare -n true; echo $?; ls / > /dev/null; echo $?';
      const { text } = await output(node.runtime, id, { script, signal });
      expect(text).toMatch(/NoNewPrivs:\t1\nSeccomp:\t2\n[1-9]\d*\n0\n$/);
    });

    it('is in the user namespace of its pod, with roots, volumes and devices whose owners are its own', async () => {
      await using node = await make();

      using _shared = shareMounts(node.root);

      await runSandbox(node, { hasOwnUsers: true });
      const [volume, file] = [`${node.root}/volume`, `${node.root}/file`];
      await mkdir(volume, { mode: 0o700 });
      await chown(volume, 1000, 1000);
      await writeFile(file, 'content\n', { mode: 0o600 });
      const bind = { type: 'bind' as const, options: ['rbind', 'rprivate'] };
      const { id } = await start(node, {
        ...shell('cat /proc/self/uid_map; sleep 1000'),
        user: { uid: 1000, gid: 1000, additionalGids: [7], fsGroups: [] },
        mounts: [
          { ...bind, source: volume, target: '/volume' },
          { ...bind, options: ['rbind', 'rprivate', 'ro'], source: file, target: '/file', isFile: true },
        ],
        devices: [{ path: '/dev/mine', type: 'c', major: 1, minor: 5, mode: 0o666 }],
        rlimits: [{ name: 'RLIMIT_NOFILE', soft: 100, hard: 200 }],
        oomScoreAdj: 500,
      });
      const { pid } = await waitForState(node.runtime, { uid, id }, 'running');
      const supervisor = await node.supervisorPid();
      // Its own, but for what the pod has once.
      for (const kind of ['net', 'ipc', 'uts', 'user', 'pid', 'mnt', 'cgroup']) {
        const [own, pods] = await Promise.all([pid, supervisor].map((each) => namespaceOf(each, kind)));
        expect(own === pods, kind).toBe(['net', 'ipc', 'uts'].includes(kind));
      }
      const status = await readFile(`/proc/${pid}/status`, 'utf8');
      expect(Number(/^Uid:\t(\d+)/m.exec(status)?.[1])).toBeGreaterThanOrEqual(65_536 + 1000);
      expect(await readFile(`/proc/${pid}/limits`, 'utf8')).toMatch(/^Max open files +100 +200 /m);
      expect(await readFile(`/proc/${pid}/oom_score_adj`, 'utf8')).toBe('500\n');
      const script = `stat -c '%u %g' /volume /file /bin; echo mine > /volume/mine; cat /file 2>&1; echo > /file;
        head -c 4 /dev/mine | wc -c; echo > /dev/null; ls /dev/shm; mount | grep -c /dev/mine`;
      const { text } = await output(node.runtime, id, { script, signal });
      expect(text.split('\n')).toEqual([
        ...['1000 1000', '0 0', '0 0'],
        expect.stringContaining('ermission denied'),
        ...['4', '1', ''],
      ]);
      expect(await stat(`${volume}/mine`)).toMatchObject({ uid: 1000, gid: 1000 });
      const tty = await output(node.runtime, id, { script: 'tty; id -u; exit 3', tty: true, signal });
      expect(tty).toMatchObject({ code: 3, text: expect.stringMatching(/\/dev\/pts\/\d+\r\n1000\r\n/) });
      // Nothing of it is mounted where the host sees it.
      const targets = (await readFile('/proc/self/mountinfo', 'utf8'))
        .split('\n')
        .map((line) => line.split(' ')[4]);
      expect(targets.filter((target) => /\/dev\/shm\/./.test(target ?? ''))).toEqual([]);
      const below = targets.filter((target) => target?.startsWith(`${node.root}/`));
      const pods = below.map((target) =>
        target?.slice(`${node.root}/run/`.length).replace(/^netns.*/, 'netns'),
      );
      expect(pods.toSorted()).toEqual(['netns', 'pods/u1/oci', 'pods/u1/shm']);
      await node.runtime.stopContainer(uid, id, 0, signal);
      expect(await waitForState(node.runtime, { uid, id }, 'exited')).toMatchObject({ exitCode: 137 });
      await node.runtime.stopSandbox(uid, signal);
      await node.runtime.removePod(uid, signal);
    });

    it('root of a user namespace has rights in its namespaces alone', async () => {
      await using node = await make();

      await runSandbox(node, { hasOwnUsers: true });
      const base = containerConfig(node).security;
      const { id } = await start(node, {
        ...shell('sleep 1000'),
        security: { ...base, capabilities: [...base.capabilities, 'CAP_SYS_ADMIN', 'CAP_NET_ADMIN'] },
      });
      const script = `id -u; touch /made; stat -c %u /made; ip link set lo down; echo $?; hostname other; hostname;
        echo 1 > /proc/sys/kernel/panic; mkdir /m; mount -t tmpfs none /m && echo mounted; umount /proc || echo kept;
        cat /proc/self/uid_map | wc -l; grep Seccomp: /proc/self/status`;
      const { text } = await output(node.runtime, id, { script, signal });
      expect(text).toMatch(/^0\n0\n0\nother\nmounted\n(?:kept\n)?1\nSeccomp:\t\d\n$/);
    });

    it('refuses what it does not have by name', async () => {
      await using node = await make();

      await expect(runSandbox(node, { hasOwnUsers: true, sharePidNamespace: true })).rejects.toThrow(
        `RuntimeClass handler "${name}" does not support user namespaces with shareProcessNamespace`,
      );
      await expect(runSandbox(node, { runtimeHandler: 'kata' })).rejects.toThrow(
        'RuntimeHandler "kata" not supported',
      );
      expect(node.runtime.observeAll()).toEqual([]);
    });
  });
}

/** As systemd has a host's: what is mounted in one namespace shows in all that are not slaves of it. */
function shareMounts(directory: string): Disposable {
  execFileSync('mount', ['--bind', directory, directory]);
  execFileSync('mount', ['--make-shared', directory]);
  return { [Symbol.dispose]: () => void execFileSync('umount', ['--lazy', directory]) };
}

async function namespaceOf(pid: number, kind: string): Promise<string> {
  return readlink(`/proc/${pid}/ns/${kind}`);
}
