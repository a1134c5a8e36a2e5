/** The real runtime on this kernel: supervisors, namespaces, overlay roots. The pod network is a loopback. */
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { existsSync, readlinkSync, statSync } from 'node:fs';
import type { Socket } from 'node:net';
import { hostname } from 'node:os';
import { Readable } from 'node:stream';
import { systemClock } from '#base/clock.ts';
import { createMounts } from '#native/mount/mount.linux.ts';
import { findBusybox } from '#native/launch/busybox.ts';
import { describe, expect, it, vi } from 'vitest';
import { cgroupMount, isRoot, makeNode, type TestNode } from './local-runtime.fixture.ts';
import { ociArchive, tarOf } from './images/test-archive.ts';
import type { LocalRuntime } from './local-runtime.ts';
import { readLogs } from './logs/read-logs.ts';
import { rotatedLogs } from './logs/rotate-logs.ts';
import type { ContainerConfig } from './runtime.ts';
import { containerConfig, runtimeConformance, sandboxConfig, waitForState } from './runtime.conformance.ts';

describe.skipIf(!isRoot)('LocalRuntime on the kernel (needs root)', () => {
  runtimeConformance('kernel', makeNode);

  const signal = AbortSignal.timeout(300_000);
  const uid = 'u1';
  const shell = (script: string): Partial<ContainerConfig> => ({ command: ['/bin/sh', '-c', script] });
  const startOn = async (node: TestNode, change: Partial<ContainerConfig>): Promise<string> => {
    const config = containerConfig(node, change);
    await node.runtime.startContainer(uid, config, signal);
    return config.id;
  };
  const output = async (runtime: LocalRuntime, id: string, script: string): Promise<string> => {
    const args = ['/bin/sh', '-c', script];
    const session = await runtime.exec(uid, id, { args, stdin: false, tty: false }, signal);
    const chunks = await Array.fromAsync(session.streams.stdout as AsyncIterable<Buffer>);
    await session.exitCode;
    return Buffer.concat(chunks).toString();
  };
  const logText = async (path: string | undefined): Promise<string> => {
    const chunks = await Array.fromAsync(readLogs(path ?? '', { clock: systemClock }, signal));
    return Buffer.concat(chunks).toString();
  };

  it('a new agent finds running containers running and missed exits with their codes', async () => {
    await using node = await makeNode();

    await node.runtime.runSandbox(sandboxConfig(uid), signal);
    const running = await startOn(node, {
      ...shell('while true; do echo line; sleep 0.02; done'),
      name: 'a',
    });
    const ending = await startOn(node, {
      ...shell('while [ ! -e /end ]; do sleep 0.02; done; exit 7'),
      name: 'b',
    });
    const before = node.runtime.observe(uid)?.containers.find((each) => each.id === running)?.state;
    await output(node.runtime, ending, 'touch /end');
    // The exit may come before the old agent is gone or after: both are to be right.
    const runtime = await node.restart();
    const state = await waitForState(runtime, { uid, id: ending }, 'exited');
    expect(state).toMatchObject({ exitCode: 7, reason: 'Error' });
    const after = runtime.observe(uid)?.containers.find((each) => each.id === running)?.state;
    expect(after).toEqual(before);
    await runtime.stopContainer(uid, running, 0, signal);
    expect(await waitForState(runtime, { uid, id: running }, 'exited')).toMatchObject({ exitCode: 137 });
  });

  it('exits while no agent ran are read from the file, and a lost supervisor makes the rest unknown', async () => {
    await using node = await makeNode();

    await node.runtime.runSandbox(sandboxConfig(uid), signal);
    const short = await startOn(node, { ...shell('sleep 0.3; exit 4'), name: 'a' });
    const long = await startOn(node, { ...shell('sleep 1000'), name: 'b' });
    const { supervisorPid } = await node.detach();
    await waitFor(async () => (await readFile(`${node.root}/run/pods/${uid}/s0/exits`)).length > 0);
    process.kill(supervisorPid, 'SIGKILL');
    const runtime = await node.restart();
    expect(runtime.observe(uid)?.sandbox?.state).toBe('dead');
    const states = new Map(runtime.observe(uid)?.containers.map((each) => [each.id, each.state]));
    expect(states.get(short)).toMatchObject({ state: 'exited', exitCode: 4, reason: 'Error' });
    expect(states.get(long)).toMatchObject({
      state: 'exited',
      exitCode: 137,
      reason: 'ContainerStatusUnknown',
    });
    await runtime.stopSandbox(uid, signal);
    await runtime.runSandbox(sandboxConfig(uid, { attempt: 1 }), signal);
    await startOn({ ...node, runtime }, { ...shell('sleep 1000'), name: 'b', attempt: 1 });
  });

  it('a supervisor killed under a living agent is seen, and nothing of the pod goes on', async () => {
    await using node = await makeNode();

    await node.runtime.runSandbox(sandboxConfig(uid), signal);
    const id = await startOn(node, shell('sleep 1000'));
    const { pid } = await waitForState(node.runtime, { uid, id }, 'running');
    process.kill(await node.supervisorPid(), 'SIGKILL');
    expect(await waitForState(node.runtime, { uid, id }, 'exited')).toMatchObject({
      reason: 'ContainerStatusUnknown',
    });
    await waitFor(() => node.runtime.observe(uid)?.sandbox?.state === 'dead');
    await waitFor(() => !existsSync(`/proc/${pid}`));
    const netns = node.runtime.observe(uid)?.sandbox?.netnsPath ?? '';
    expect(existsSync(netns)).toBe(true);
    await expect(node.runtime.removePod(uid, signal)).rejects.toMatchObject({ code: 'E_BUSY' });
    await node.runtime.stopSandbox(uid, signal);
    expect(existsSync(netns)).toBe(false);
    await node.runtime.removePod(uid, signal);
    expect(node.runtime.observeAll()).toEqual([]);
  });

  it('an agent cut off while it made a sandbox: the next one undoes it', async () => {
    await using node = await makeNode();

    await node.runtime.runSandbox(sandboxConfig(uid), signal);
    const path = `${node.root}/run/pods/${uid}/sandbox.json`;
    const supervisorPid = await node.supervisorPid();
    await node.detach();
    await writeFile(path, (await readFile(path, 'utf8')).replace('"phase":"ready"', '"phase":"starting"'));
    const runtime = await node.restart();
    expect(runtime.observe(uid)?.sandbox?.state).toBe('stopped');
    await waitFor(() => !existsSync(`/proc/${supervisorPid}`));
    await runtime.removePod(uid, signal);
    expect(runtime.observeAll()).toEqual([]);
  });

  it('a container sees its own host name, mounts, devices, environment and user', async () => {
    await using node = await makeNode();

    await node.runtime.runSandbox(sandboxConfig(uid), signal);
    const change = {
      env: [{ name: 'GREETING', value: 'hello' }],
      user: { uid: 1000, fsGroups: [2000] },
      workingDir: '/tmp',
    };
    const id = await startOn(node, { ...shell('sleep 1000'), ...change });
    const script =
      'hostname; id -u; id -G; pwd; echo $GREETING $HOME $HOSTNAME; df /dev/shm | tail -1; echo x > /dev/null && echo null';
    const [name, user, groups, directory, env, shm, devices] = (await output(node.runtime, id, script)).split(
      '\n',
    );
    expect([name, user, directory, env, devices]).toEqual([
      'pod-u1',
      '1000',
      '/tmp',
      'hello /home pod-u1',
      'null',
    ]);
    expect(groups).toBe('1000 2000');
    expect(await output(node.runtime, id, 'grep ^Groups: /proc/self/status')).toBe('Groups:\t1000 2000 \n');
    expect(shm).toMatch(/65536 .*\/dev\/shm$/);
  });

  it.skipIf(cgroupMount === undefined)(
    'a container makes any device and opens those of every container, in execs too and under another agent (needs cgroup v2)',
    async () => {
      await using node = await makeNode();

      await node.runtime.runSandbox(sandboxConfig(uid), signal);
      const security = {
        ...containerConfig(node).security,
        seccomp: 'unconfined' as const,
        capabilities: ['CAP_MKNOD', 'CAP_DAC_OVERRIDE'],
      };
      const tries =
        'for node in "c 10 237" "c 10 200" "c 1 1" "c 1 11" "b 7 0" "c 1 5"; do rm -f /tmp/n; mknod /tmp/n $node && echo made; ' +
        '(exec 3</tmp/n) 2>/dev/null && echo open $node; done; echo x >/dev/null && echo null';
      const all = `${'made\n'.repeat(6)}open c 1 5\nnull`;
      const id = await startOn(node, { ...shell(`(${tries}) >/tmp/first; exec sleep 1000`), security });
      await vi.waitFor(
        async () => expect(await output(node.runtime, id, 'cat /tmp/first')).toContain('null'),
        { timeout: 60_000 },
      );
      expect((await output(node.runtime, id, 'cat /tmp/first')).trim()).toBe(all);
      expect((await output(node.runtime, id, tries)).trim()).toBe(all);
      const agent = await node.restart();
      expect((await output(agent, id, tries)).trim()).toBe(all);
    },
  );

  it('a privileged container has the devices of the host in its /dev and opens them', async () => {
    await using node = await makeNode();

    await node.runtime.runSandbox(sandboxConfig(uid), signal);
    const base = containerConfig(node).security;
    const security = {
      ...base,
      privileged: true,
      seccomp: 'unconfined' as const,
      maskedPaths: [],
      readonlyPaths: [],
    };
    const id = await startOn(node, { ...shell('exec sleep 1000'), security });
    const kmsg = statSync('/dev/kmsg');
    const text = await output(
      node.runtime,
      id,
      "stat -c '%a %u %g' /dev/kmsg; (exec 3</dev/kmsg) && echo open",
    );
    expect(text.trim()).toBe(`${(kmsg.mode & 0o777).toString(8)} ${kmsg.uid} ${kmsg.gid}\nopen`);
  });

  it('an image without layers runs what is mounted into it', async () => {
    await using node = await makeNode();

    const archive = await ociArchive({ name: 'bare', layers: [] });
    const [image] = await node.runtime.images.importArchive(Readable.from([archive]), {}, signal);
    await node.runtime.runSandbox(sandboxConfig(uid), signal);
    const id = await startOn(node, {
      imageId: image?.id ?? '',
      command: ['/busybox', 'sleep', '1000'],
      mounts: [
        {
          type: 'bind',
          source: findBusybox() ?? '/bin/busybox',
          target: '/busybox',
          isFile: true,
          options: ['rbind', 'rprivate', 'ro'],
        },
      ],
    });
    expect(await waitForState(node.runtime, { uid, id }, 'running')).toBeDefined();
  });

  it('logs, the termination message and its fallback are read', async () => {
    await using node = await makeNode();

    await node.runtime.runSandbox(sandboxConfig(uid), signal);
    const path = `${node.root}/message`;
    await writeFile(path, '');
    const mounts = [
      { type: 'bind', source: path, target: '/dev/termination-log', isFile: true, options: ['rbind'] },
    ] as const;
    const said = await startOn(node, {
      ...shell('echo out; echo err >&2; printf gone > /dev/termination-log; exit 1'),
      mounts,
      termination: { path, fallbackToLogsOnError: true },
    });
    const state = await waitForState(node.runtime, { uid, id: said }, 'exited');
    expect(state).toMatchObject({ exitCode: 1, message: 'gone' });
    const { logPath } = node.runtime.observe(uid)?.containers[0] ?? {};
    expect((await logText(logPath)).split('\n').toSorted()).toEqual(['', 'err', 'out']);
    await writeFile(path, '');
    const silent = await startOn(node, {
      ...shell('echo why; exit 1'),
      attempt: 1,
      termination: { path, fallbackToLogsOnError: true },
    });
    expect(await waitForState(node.runtime, { uid, id: silent }, 'exited')).toMatchObject({
      message: 'why\n',
    });
  });

  it('a command that is not there is named as other runtimes do', async () => {
    await using node = await makeNode();

    await node.runtime.runSandbox(sandboxConfig(uid), signal);
    const message = 'exec: "xyz": executable file not found in $PATH';
    const config = containerConfig(node, { command: ['xyz'] });
    await expect(node.runtime.startContainer(uid, config, signal)).rejects.toThrow(message);
    expect(await waitForState(node.runtime, { uid, id: config.id }, 'exited')).toMatchObject({
      exitCode: 128,
      reason: 'StartError',
      message,
    });
    const id = await startOn(node, shell('sleep 1000'));
    const exec = node.runtime.exec(uid, id, { args: ['xyz'], stdin: false, tty: false }, signal);
    await expect(exec).rejects.toThrow(message);
  });

  it('connectPort reaches 127.0.0.1 in the pod, and attach its output', async () => {
    await using node = await makeNode();

    await node.runtime.runSandbox(sandboxConfig(uid), signal);
    const id = await startOn(node, {
      command: [],
      stdio: { logPath: undefined, stdin: false, stdinOnce: false, tty: false },
    });
    await expect(node.runtime.connectPort(uid, 81)).rejects.toThrow('ECONNREFUSED');
    const answer = await waitFor(async () => {
      const socket = await node.runtime.connectPort(uid, 8080).catch(() => undefined);
      if (socket === undefined) return undefined;
      socket.write('GET / HTTP/1.0\r\n\r\n');
      return Buffer.concat(await Array.fromAsync(socket as AsyncIterable<Buffer>)).toString();
    });
    expect(answer).toContain('Hello from pod-u1');
    const stats = await node.runtime.stats(uid);
    expect(stats?.containers[0]).toMatchObject({ id, name: 'main' });
    expect(stats?.containers[0]?.memoryBytes).toBeGreaterThan(0);
    const attached = await node.runtime.attach(uid, id);
    await attached[Symbol.asyncDispose]();
  });

  it.each([
    [
      'whose directions end by themselves',
      `nc -l -p 9300 -e sh -c 'cat; echo more'`,
      'sent, ',
      /^sent, more\n$/,
    ],
    ['on ::1 alone', 'httpd -f -p [::1]:9300', 'GET / HTTP/1.0\r\n\r\n', /^HTTP\/1\.[01] /],
  ])('connectPort gives a connection %s', async (_how, command, request, answer) => {
    await using node = await makeNode();

    await node.runtime.runSandbox(sandboxConfig(uid), signal);
    await startOn(node, shell(command));
    const connect = async (): Promise<Socket | undefined> =>
      node.runtime.connectPort(uid, 9300).catch(() => undefined);
    const socket = await waitFor(connect);
    socket.end(request);
    const chunks = await Array.fromAsync(socket as AsyncIterable<Buffer>);
    expect(Buffer.concat(chunks).toString()).toMatch(answer);
  });

  it('a log is rotated under a writer, and no line of it is lost to a follower', async () => {
    await using node = await makeNode({ logRotation: { sizeBytesMax: 2_000, filesMax: 20 } });

    await node.runtime.runSandbox(sandboxConfig(uid), signal);
    const id = await startOn(node, shell('for i in $(seq 1 300); do echo line $i; sleep 0.002; done'));
    const logPath = node.runtime.observe(uid)?.containers[0]?.logPath ?? '';
    const isRunning = (): boolean => node.runtime.observe(uid)?.containers[0]?.state.state === 'running';
    const follow = {
      follow: true,
      isRunning,
      onEnd: (wake: () => void) => node.runtime.onChange(wake),
      clock: systemClock,
    };
    const text = collect(readLogs(logPath, follow, signal));
    while (isRunning()) {
      await node.runtime.rotateLogs();
      await systemClock.sleep(30);
    }
    await waitForState(node.runtime, { uid, id }, 'exited');
    expect((await text).trim().split('\n')).toEqual(Array.from({ length: 300 }, (_, at) => `line ${at + 1}`));
    expect((await rotatedLogs(logPath)).length).toBeGreaterThan(0);
  });

  it.each(['lives on', 'is killed too'])(
    'a rotation that the agent did not live to finish is finished by the next; the supervisor %s',
    async (fate) => {
      await using node = await makeNode();

      await node.runtime.runSandbox(sandboxConfig(uid), signal);
      const id = await startOn(
        node,
        shell('for i in $(seq 1 400); do echo line $i; sleep 0.005; done; sleep 60'),
      );
      const logPath = node.runtime.observe(uid)?.containers[0]?.logPath ?? '';
      const read = (): Promise<string> => collect(readLogs(logPath, { clock: systemClock }, signal));
      await vi.waitFor(async () => expect(await read()).toContain('line 20'), 60_000);
      await rename(logPath, `${logPath}.20260101-000000`);
      const { supervisorPid } = await node.detach();
      if (fate === 'is killed too') process.kill(supervisorPid, 'SIGKILL');
      const runtime = await node.restart();
      if (fate === 'lives on') {
        await vi.waitFor(async () => expect(await read()).toContain('line 400'), 60_000);
        const lines = (
          await Promise.all([...(await rotatedLogs(logPath)), logPath].map((file) => readFile(file, 'utf8')))
        )
          .join('')
          .trim()
          .split('\n');
        expect(lines.map((line) => line.split(' ').at(-1))).toEqual(
          Array.from({ length: 400 }, (_, at) => `${at + 1}`),
        );
      } else {
        await waitForState(runtime, { uid, id }, 'exited');
        expect(await rotatedLogs(logPath)).toEqual([]);
        expect(await read()).toContain('line 20\n');
      }
    },
  );

  it.each([
    ['of the host', false],
    ['of its own', true],
  ])('limits of the node are those of containers and execs, with users %s', async (_name, hasOwnUsers) => {
    await using node = await makeNode({ ulimits: [{ name: 'RLIMIT_NOFILE', soft: 100, hard: 200 }] });

    await node.runtime.runSandbox(sandboxConfig(uid, { hasOwnUsers }), signal);
    const id = await startOn(node, shell('sleep 1000'));
    const { pid } = await waitForState(node.runtime, { uid, id }, 'running');
    const limits = [
      await readFile(`/proc/${pid}/limits`, 'utf8'),
      await output(node.runtime, id, 'cat /proc/self/limits'),
    ];
    for (const text of limits) expect(text).toMatch(/^Max open files +100 +200 /m);
  });

  it('a privileged pod of the host has its network, name, pids and ipc', async () => {
    await using node = await makeNode();

    const host = { hostNetwork: true, hostPid: true, hostIpc: true, hostname: hostname() };
    expect(await node.runtime.runSandbox(sandboxConfig(uid, host), signal)).toMatchObject({
      ips: [],
      netnsPath: undefined,
    });
    const security = {
      ...containerConfig(node).security,
      privileged: true,
      maskedPaths: [],
      readonlyPaths: [],
    };
    const id = await startOn(node, { ...shell('exec sleep 1000'), security });
    const [name, net, pids] = (
      await output(node.runtime, id, 'hostname; readlink /proc/self/ns/net; ls -d /proc/1/ns; ')
    ).split('\n');
    expect([name, net, pids]).toEqual([hostname(), readlinkSync('/proc/self/ns/net'), '/proc/1/ns']);
    await node.runtime.stopContainer(uid, id, 0, signal);
    expect(await waitForState(node.runtime, { uid, id }, 'exited')).toMatchObject({ exitCode: 137 });
  });

  it('mounts images read-only without execution, of one layer and of several, and keeps what it mounts', async () => {
    await using node = await makeNode();
    const { runtime, root } = node;

    const layers = await Promise.all(
      ['old', 'new'].map(async (content) => ({
        tar: await tarOf([
          { name: 'docs', type: 'directory' },
          { name: 'docs/a', content },
        ]),
      })),
    );
    const archive = Readable.from([await ociArchive({ name: 'docs', layers })]);
    const [docs] = await runtime.images.importArchive(archive, {}, signal);
    const options = ['rbind', 'rprivate', 'ro', 'noexec'];
    const files = (source: string, target: string, subPath?: string): ContainerConfig['mounts'][number] => ({
      ...{ type: 'image', source, target, options, subPath },
    });
    const mounts = [
      files(docs?.id ?? '', '/docs', 'docs'),
      files(docs?.id ?? '', '/a', 'docs/a'),
      files(node.imageId, '/other'),
    ];
    await runtime.runSandbox(sandboxConfig(uid), signal);
    const id = await startOn(node, { ...shell('sleep 1000'), mounts });
    const script = `cat /docs/a /a; touch /docs/b; /other/bin/busybox true; ls /other/bin/busybox`;
    const seen = await output(runtime, id, `exec 2>&1; ${script}`);
    expect(seen).toMatch(
      /^newnewtouch: .*: Read-only file system\n.*: Permission denied\n\/other\/bin\/busybox\n$/s,
    );
    // The mounts are the container's alone by now.
    expect(await readFile('/proc/self/mountinfo', 'utf8')).not.toContain(
      `${root}/data/containers/${id}.images`,
    );
    await runtime.images.remove(docs?.id ?? '');
    expect(await output(runtime, id, 'cat /docs/a')).toBe('new');
    // What an agent that was killed left mounted goes with the next one.
    const [stray, left] = [`${root}/data/containers/stray.images/0`, createMounts()];
    await mkdir(stray, { recursive: true });
    left.mount(stray, { kind: 'tmpfs' });
    const next = await node.restart();
    expect(existsSync(`${root}/data/containers/stray.images`)).toBe(false);
    expect(await output(next, id, 'cat /docs/a')).toBe('new');
    await next.stopSandbox(uid, signal);
    await next.removePod(uid, signal);
    await next.images.collect();
    expect(existsSync(`${root}/data/containers/${id}.images`)).toBe(false);
  });

  it('containers of a pod share memory, and a pid namespace when asked to', async () => {
    await using node = await makeNode();

    await node.runtime.runSandbox(sandboxConfig(uid, { sharePidNamespace: true }), signal);
    const a = await startOn(node, { ...shell('echo shared > /dev/shm/x; exec sleep 1234'), name: 'a' });
    const b = await startOn(node, { ...shell('sleep 1000'), name: 'b' });
    const seen = await waitFor(async () => {
      const text = await output(node.runtime, b, 'cat /dev/shm/x; ps -o args');
      return text.includes('sleep 1234') ? text : undefined;
    });
    expect(seen).toContain('shared\n');
    await node.runtime.stopContainer(uid, a, 0, signal);
    expect(await waitForState(node.runtime, { uid, id: b }, 'running')).toBeDefined();
  });
});

async function collect(logs: AsyncIterable<Uint8Array>): Promise<string> {
  return Buffer.concat(await Array.fromAsync(logs)).toString();
}

/** Asks again until the answer is neither undefined nor false, for what no event tells. */
async function waitFor<T>(ask: () => T | Promise<T>): Promise<NonNullable<T>> {
  const deadline = AbortSignal.timeout(150_000);
  for (;;) {
    const answer = await ask();
    if (answer !== undefined && answer !== false && answer !== null) return answer;
    await systemClock.sleep(10, deadline);
  }
}
