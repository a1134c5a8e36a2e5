/** Containers that crun and runc make, in pods of ours: the suite of runtimes, and what it does not ask. */
import { existsSync } from 'node:fs';
import { readFile, readlink } from 'node:fs/promises';
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
      const script = 'id -u; id -g; id -G; pwd; echo $GREETING; ls -ld /made | cut -c1-10';
      const { text } = await output(node.runtime, id, { script, signal });
      const [asUser, group, groups, ...rest] = text.split('\n');
      expect([asUser, group, groups?.split(' ').toSorted()]).toEqual(['1000', '1001', ['1001', '7']]);
      expect(rest).toEqual(['/made/here', 'hello', 'drwxr-xr-x', '']);
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

    it('refuses what it does not have by name', async () => {
      await using node = await make();

      await expect(runSandbox(node, { hasOwnUsers: true })).rejects.toThrow(
        `RuntimeClass handler "${name}" does not support user namespaces`,
      );
      await expect(runSandbox(node, { runtimeHandler: 'kata' })).rejects.toThrow(
        'RuntimeHandler "kata" not supported',
      );
      expect(node.runtime.observeAll()).toEqual([]);
    });
  });
}

async function namespaceOf(pid: number, kind: string): Promise<string> {
  return readlink(`/proc/${pid}/ns/${kind}`);
}
