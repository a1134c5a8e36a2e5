import { spawn } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { errnoOf } from '#base/errors.ts';
import { ensureSupervisor } from './build.ts';
import { openConnection, requestMs } from './connection.ts';
import { createKernelPod } from './kernel.fixture.ts';
import { execOf, quiet } from './launcher.conformance.ts';
import { createLauncher } from './launcher.linux.ts';
import { createProgramBuilder, encodeProgram, number, register, text, texts } from './program.ts';
import { encodeRequest, exitRecordBytes, frameBytesMax, MSG, wireVersion } from './protocol.ts';
import type { Reply } from './protocol.ts';
import { createRandom } from '#base/random.fixture.ts';
import { hostArchitecture } from './syscall-numbers.ts';

const cgroupRoot = ['/sys/fs/cgroup', '/sys/fs/cgroup/unified'].find(
  (path) => existsSync(`${path}/cgroup.procs`) && existsSync(`${path}/cgroup.controllers`),
);

/** Sends bytes in pieces; resolves with what came back when the supervisor closed or `ms` passed. */
async function talk(
  path: string,
  pieces: readonly Buffer[],
  ms: number,
  bytes = Number.POSITIVE_INFINITY,
): Promise<{ readonly closed: boolean; readonly data: Buffer }> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect(path);
  const got: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => {
    got.push(chunk);
    if (Buffer.concat(got).length >= bytes) resolve(false);
  });
  socket.on('error', () => undefined);
  socket.on('close', () => resolve(true));
  const timer = setTimeout(() => resolve(false), ms);
  for (const piece of pieces) {
    socket.write(piece);
    await new Promise((next) => setImmediate(next));
  }
  const closed = await promise;
  clearTimeout(timer);
  socket.destroy();
  return { closed, data: Buffer.concat(got) };
}

describe.skipIf(process.getuid?.() !== 0)('the supervisor (needs root and busybox-static)', () => {
  it('tells an exit though a child of the process writes on without end', async () => {
    await using pod = await createKernelPod({ pidNamespace: true });

    const container = { ...pod.container('timeout 60 yes & exit 3'), pidNamespace: 'pod' as const };
    const logPath = join(pod.directory, 'endless.log');
    await pod.supervisor.launch('endless', container, { ...quiet, logPath });
    expect(await pod.exitOf('endless')).toMatchObject({ code: 3 });
    // It still writes: the exit did not wait for its end.
    const size = (): number => statSync(logPath).size;
    const atExit = size();
    await expect.poll(size, { timeout: 60_000 }).toBeGreaterThan(atExit);
  });

  it('that is stopped is given up after two minutes, and kills what it starts later', async () => {
    await using pod = await createKernelPod();

    const { pid } = pod.supervisor;
    process.kill(pid, 'SIGSTOP');
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
    const asked = [
      pod.supervisor.running(),
      pod.supervisor.launch('late', pod.container('sleep 1000'), {
        ...quiet,
        logPath: join(pod.directory, 'late.log'),
      }),
    ];
    const outcomes = Promise.allSettled(asked);
    await new Promise((resolve) => setImmediate(resolve));
    await vi.advanceTimersByTimeAsync(requestMs);
    vi.useRealTimers();
    process.kill(pid, 'SIGCONT');
    expect(await outcomes).toMatchObject([
      { status: 'rejected', reason: { code: 'E_TIMEOUT' } },
      { status: 'rejected', reason: { code: 'E_TIMEOUT' } },
    ]);
    expect(await pod.exitOf('late')).toMatchObject({ signal: 9 });
  });

  it('is small when it is quiet, and has only its own descriptors', async () => {
    await using pod = await createKernelPod();

    await pod.run(pod.container('seq 1 20000'));
    const rss = (): number =>
      Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pod.supervisor.pid}/status`, 'utf8'))?.[1]);
    // 60 or 64 KiB; the kernel counts pages by processor, and is some off.
    await expect.poll(rss, { timeout: 60_000 }).toBeLessThanOrEqual(96);
    const status = readFileSync(`/proc/${pod.supervisor.pid}/status`, 'utf8');
    expect(status).toMatch(/Name:\tpodwright-pod\n/);
    expect(readFileSync(`/proc/${pod.supervisor.pid}/cmdline`, 'latin1')).toMatch(/^podwright-pod\0/);
    const links = readdirSync(`/proc/${pod.supervisor.pid}/fd`).map((fd) =>
      readlinkSync(`/proc/${pod.supervisor.pid}/fd/${fd}`),
    );
    expect(
      links.filter((link) => !/^(\/dev\/null|anon_inode:.*|socket:.*|pid:.*|.*\/pod\/exits)$/.test(link)),
    ).toEqual([]);
  });

  it('runs from a mount that cannot be written, even after it ended', async () => {
    const directory = mkdtempSync('/tmp/podwright-seal-');
    using _ = { [Symbol.dispose]: () => rmSync(directory, { recursive: true }) };
    const supervisorPath = join(directory, 'supervisor'); // a file that no other test is executing
    copyFileSync(await ensureSupervisor(), supervisorPath);
    chmodSync(supervisorPath, 0o755);
    const pod = await createKernelPod({}, { supervisorPath });
    const fd = openSync(`/proc/${pod.supervisor.pid}/exe`, 'r');
    await pod[Symbol.asyncDispose]();
    const openToWrite = (): string | undefined => {
      try {
        closeSync(openSync(`/proc/self/fd/${fd}`, 'r+'));
        return undefined;
      } catch (error) {
        return errnoOf(error);
      }
    };
    await expect.poll(openToWrite).toBe('EROFS'); // ETXTBSY until it has ended
    closeSync(fd);
  });

  it('ends with what it runs when it is killed', async () => {
    await using pod = await createKernelPod();

    const { pid } = await pod.supervisor.launch('c1', pod.container('exec sleep 1000'), quiet);
    process.kill(pod.supervisor.pid, 'SIGKILL');
    await expect.poll(() => isAlive(pid), { timeout: 60_000 }).toBe(false);
  });

  it('kills everything of a process that shares its pid namespace, where asked to', async () => {
    await using pod = await createKernelPod();

    const logPath = join(pod.directory, 'log');
    const container = { ...pod.container('sleep 1000 & echo $!; wait'), pidNamespace: 'host' } as const;
    const { pid } = await pod.supervisor.launch('c1', container, { ...quiet, logPath });
    await expect.poll(() => readFileSync(logPath, 'utf8')).toMatch(/F \d+\n$/);
    const child = Number(readFileSync(logPath, 'utf8').trim().split(' ').at(-1));
    expect([pid, child].map(isAlive)).toEqual([true, true]);
    await pod.supervisor.kill('c1', 15, { all: true });
    expect(await pod.exitOf('c1')).toMatchObject({ signal: 15 });
    await expect.poll(() => isAlive(child)).toBe(false);
  });

  it('says what could not be joined', async () => {
    const failure = createKernelPod({ netns: '/run/netns/not-there' });
    await expect(failure).rejects.toMatchObject({
      code: 'E_LAUNCH',
      detail: { errno: 'ENOENT', op: '/run/netns/not-there' },
    });
    const sysctl = createKernelPod({ sysctls: { 'kernel.nothing': '1' } });
    await expect(sysctl).rejects.toThrow(/\/proc\/sys\/kernel\/nothing: ENOENT$/);
  });

  it('says why it ended, whether or not it was told by then that it may go on', async () => {
    const directory = mkdtempSync('/tmp/podwright-early-');
    using _ = { [Symbol.dispose]: () => rmSync(directory, { recursive: true }) };

    const rest = { hostname: 'pod', ipcNamespace: true, pidNamespace: false, sysctls: {} };
    const launcher = createLauncher();
    for (let round = 0; round < 5; round++) {
      const early = { directory, netns: undefined, cgroup: '/nowhere', ...rest };
      await expect(launcher.startSupervisor(early, Promise.resolve())).rejects.toMatchObject({
        code: 'E_LAUNCH',
        detail: { errno: 'ENOENT', op: '/nowhere' },
      });
      const late = { directory, netns: '/not/there', cgroup: undefined, ...rest };
      await expect(launcher.startSupervisor(late, Promise.resolve())).rejects.toMatchObject({
        code: 'E_LAUNCH',
        detail: { errno: 'ENOENT', op: '/not/there' },
      });
    }
  });

  it('joins a network namespace, sets its sysctls, and has an ipc namespace of its own', async () => {
    const holder = spawn('unshare', ['-n', 'sleep', '1000'], { stdio: 'ignore' });
    using _ = { [Symbol.dispose]: () => void holder.kill('SIGKILL') };
    const netns = `/proc/${holder.pid}/ns/net`;
    await expect.poll(() => readlinkSync(netns)).not.toBe(readlinkSync('/proc/self/ns/net'));
    await using pod = await createKernelPod({
      netns,
      sysctls: { 'net.ipv4.ip_unprivileged_port_start': '77', 'kernel.shmmni': '99' },
    });

    const { log } = await pod.run(
      pod.container(
        'readlink /proc/self/ns/net; cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/kernel/shmmni',
      ),
    );
    expect(log).toBe(`stdout F ${readlinkSync(netns)}\nstdout F 77\nstdout F 99\n`);
    expect(readFileSync('/proc/sys/kernel/shmmni', 'utf8')).not.toBe('99\n');
  });

  it('shares one pid namespace where the pod asks for it', async () => {
    await using pod = await createKernelPod({ pidNamespace: true });

    const container = { ...pod.container('exec sleep 1000'), pidNamespace: 'pod' } as const;
    const { pid } = await pod.supervisor.launch('c1', container, quiet);
    const { log } = await pod.run({
      ...container,
      // The pattern does not match itself on the shell's own command line.
      args: [
        '/bin/sh',
        '-c',
        'cat /proc/1/comm; until grep -qs "10[0]0" /proc/[0-9]*/cmdline; do :; done; echo seen',
      ],
    });
    expect(log).toBe('stdout F pause\nstdout F seen\n');
    expect((await pod.exec(execOf(container, pid, 'cat /proc/1/comm'))).stdout).toBe('pause\n');
    const args = ['cat', '/proc/1/comm'];
    expect((await pod.run({ ...container, args, pidNamespace: { ofPid: pid } })).log).toBe(
      'stdout F pause\n',
    );
    expect((await pod.run({ ...container, args })).log).toBe('stdout F pause\n');
    const host = pod.supervisor.launch('c2', { ...container, pidNamespace: 'host' }, quiet);
    await expect(host).rejects.toMatchObject({ code: 'E_LAUNCH', detail: { errno: 'EINVAL' } });
  });

  it.skipIf(cgroupRoot === undefined)(
    'puts itself, containers and execs into their cgroups (needs cgroup v2)',
    async () => {
      const parent = join(cgroupRoot ?? '', `podwright-test-${process.pid}`);
      for (const path of [parent, `${parent}/sup`, `${parent}/c1`]) mkdirSync(path);
      const pod = await createKernelPod({ cgroup: `${parent}/sup` });
      const container = { ...pod.container('exec sleep 1000'), cgroup: `${parent}/c1` };
      const { pid } = await pod.supervisor.launch('c1', container, quiet);
      const { stdout } = await pod.exec({
        ...execOf(container, pid, 'cat /proc/self/cgroup'),
        cgroup: `${parent}/c1`,
      });
      const members = readFileSync(`${parent}/c1/cgroup.procs`, 'utf8');
      const supervisors = readFileSync(`${parent}/sup/cgroup.procs`, 'utf8');
      writeFileSync(`${parent}/c1/cgroup.kill`, '1');
      expect(await pod.exitOf('c1')).toMatchObject({ signal: 9 });
      const missing = pod.supervisor.launch('c2', { ...container, cgroup: `${parent}/none` }, quiet);
      await expect(missing).rejects.toMatchObject({
        code: 'E_LAUNCH',
        detail: { errno: 'ENOENT', op: 'enter the cgroup' },
      });
      await pod[Symbol.asyncDispose]();
      await expect.poll(() => readFileSync(`${parent}/sup/cgroup.procs`, 'utf8')).toBe('');
      for (const path of [`${parent}/sup`, `${parent}/c1`, parent]) rmdirSync(path);
      expect(members).toBe(`${pid}\n`);
      expect(supervisors).toBe(`${pod.supervisor.pid}\n`);
      expect(stdout).toContain('0::/\n');
    },
  );

  it('listens on no abstract socket, which every process of its network namespace could reach', async () => {
    await using pod = await createKernelPod();

    const sockets = readFileSync(`/proc/${pod.supervisor.pid}/net/unix`, 'utf8').split('\n');
    expect(sockets.filter((line) => line.endsWith(' sock'))).not.toEqual([]); // by its path in its directory
    expect(sockets.filter((line) => /@.*podwright/.test(line))).toEqual([]);
  });

  it('appends one record of fixed size for each exit', async () => {
    await using pod = await createKernelPod();

    await Promise.all(Array.from({ length: 20 }, () => pod.run(pod.container('true'))));
    expect(statSync(join(pod.directory, 'pod/exits')).size).toBe(20 * exitRecordBytes);
  });

  it('refuses the 129th process', async () => {
    await using pod = await createKernelPod();

    const { pid } = await pod.supervisor.launch('c1', pod.container('exec sleep 1000'), quiet);
    const exec = execOf(pod.container(''), pid, 'exec sleep 1000');
    for (let index = 0; index < 127; index++) await pod.supervisor.exec(`e${index}`, exec, quiet);
    await expect(pod.supervisor.exec('one-more', exec, quiet)).rejects.toMatchObject({ code: 'E_LIMIT' });
    await pod.supervisor.kill('e0', 9);
    await pod.exitOf('e0');
    await pod.supervisor.exec('one-more', exec, quiet);
  });
});

describe.skipIf(process.getuid?.() !== 0)(
  'the supervisor and rubbish (needs root and busybox-static)',
  () => {
    it('answers requests that arrive byte by byte, and several at once', async () => {
      await using pod = await createKernelPod();

      const path = join(pod.directory, 'pod/sock');
      const list = encodeRequest({ kind: 'list', tag: 7 });
      const split = await talk(
        path,
        [...list].map((byte) => Buffer.of(byte)),
        30_000,
        28 + 12,
      );
      const joined = await talk(path, [Buffer.concat([list, list, list])], 30_000, 28 + 36);
      expect([split.closed, split.data.length]).toEqual([false, 28 + 12]);
      expect([joined.closed, joined.data.length]).toEqual([false, 28 + 36]);
    });

    it('drops a client that breaks the rules and no other', async () => {
      await using pod = await createKernelPod();

      const path = join(pod.directory, 'pod/sock');
      const header = (length: number, version: number, type: number): Buffer => {
        const frame = Buffer.alloc(12);
        frame.writeUInt32LE(length, 0);
        frame.writeUInt8(version, 4);
        frame.writeUInt8(type, 5);
        return frame;
      };
      const bad = [
        header(11, wireVersion, MSG.LIST),
        header(frameBytesMax + 1, wireVersion, MSG.LIST),
        header(12, wireVersion + 1, MSG.LIST),
        header(12, wireVersion, 255),
        header(12, wireVersion, MSG.KILL),
        header(12, wireVersion, MSG.RESIZE),
      ];
      for (const frame of bad) expect((await talk(path, [frame], 1000)).closed).toBe(true);
      expect(await pod.supervisor.running()).toEqual([]);
    });

    it('survives random frames and mutated launches', async () => {
      const seed = Number(process.env['FUZZ_SEED'] ?? Date.now() % 1_000_000);
      const random = createRandom(seed);
      const below = (limit: number): number => Math.floor(random() * limit);
      await using pod = await createKernelPod();

      const path = join(pod.directory, 'pod/sock');
      // Everything but LAUNCH, whose program could do anything that root can: that one only with a program that is cut or not one.
      const types = Object.values(MSG).filter(
        (type) => type !== MSG.LAUNCH && type !== MSG.STOP && type !== MSG.KILL,
      );
      for (let round = 0; round < 150; round++) {
        const pieces = Array.from({ length: 1 + below(4) }, () => {
          const body = Buffer.from(Array.from({ length: below(200) }, () => below(256)));
          const isLaunch = below(3) === 0;
          const frame = Buffer.alloc(12 + body.length);
          body.copy(frame, 12);
          frame.writeUInt32LE(below(20) === 0 ? below(0xffff_ffff) : frame.length, 0);
          frame.writeUInt8(below(20) === 0 ? below(256) : wireVersion, 4);
          frame.writeUInt8(isLaunch ? MSG.LAUNCH : (types[below(types.length)] ?? 0), 5);
          frame.writeUInt16LE(below(3), 6);
          return frame;
        });
        await talk(path, pieces, 3);
        expect(await pod.supervisor.running(), `seed ${seed}, round ${round}`).toEqual([]);
      }
      const { code } = await pod.run(pod.container('exit 9'));
      expect(code, `seed ${seed}`).toBe(9);
    });

    it('checks every bound of a program before it runs', async () => {
      const seed = Number(process.env['FUZZ_SEED'] ?? Date.now() % 1_000_000);
      const random = createRandom(seed);
      await using pod = await createKernelPod();

      using connection = await openConnection(join(pod.directory, 'pod/sock'));
      const builder = createProgramBuilder();
      // Nothing that could do harm, whatever becomes of its arguments; the last op fails.
      for (let index = 0; index < 4; index++)
        builder.op('getpid', [number(1), text('one'), register(2), texts(['two', 'three'])]);
      builder.op('fcntl', [9999, 1]);
      const whole = encodeProgram(builder.build(), hostArchitecture);
      const send = async (program: Buffer): Promise<Reply | undefined> => {
        const launch = {
          id: 'fuzz',
          flags: 0,
          targetPid: 0,
          cloneFlags: 0,
          logPath: undefined,
          cgroup: undefined,
          program,
        };
        return connection?.request({ kind: 'launch', launch }, (reply) => reply);
      };
      expect(await send(whole)).toMatchObject({ index: 4, errno: 'EBADF' });
      for (let length = 0; length < whole.length; length++) {
        expect(await send(whole.subarray(0, length)), `length ${length}`).toMatchObject({
          index: -2,
          errno: 'EINVAL',
        });
      }
      const opNumbers = new Set([0, 1, 2, 3, 4].flatMap((op) => [16 + op * 64, 17 + op * 64]));
      for (let round = 0; round < 300; round++) {
        const mutated = Buffer.from(whole);
        for (let count = 0; count < 3; count++) {
          const at = Math.floor(random() * whole.length);
          if (!opNumbers.has(at)) mutated.writeUInt8(Math.floor(random() * 256), at);
        }
        expect(await send(mutated), `seed ${seed}, round ${round}`).toBeDefined();
      }
      await expect.poll(() => pod.supervisor.running(), { message: `seed ${seed}` }).toEqual([]);
    });

    it('shares nothing of its own with a child but what a child has', async () => {
      await using pod = await createKernelPod();

      using connection = await openConnection(join(pod.directory, 'pod/sock'));
      const program = encodeProgram(createProgramBuilder().build(), hostArchitecture);
      const common = { flags: 0, targetPid: 0, logPath: undefined, cgroup: undefined, program };
      const allowed = 0x7e02_0000; // CLONE_NEW* of linux/sched.h but CLONE_NEWTIME.
      for (let bit = 0; bit < 53; bit++) {
        const cloneFlags = 2 ** bit;
        if (bit < 32 && (allowed & cloneFlags) !== 0) continue;
        const launch = { ...common, id: `bit-${bit}`, cloneFlags };
        const reply = await connection?.request({ kind: 'launch', launch }, (each) => each);
        expect(reply, `bit ${bit}`).toMatchObject({ index: -2, errno: 'EINVAL' });
      }
      expect(await pod.supervisor.running()).toEqual([]);
    });

    it('drops a client that does not read, while logs go on', async () => {
      await using pod = await createKernelPod();

      const socket = connect(join(pod.directory, 'pod/sock'));
      socket.on('error', () => undefined);
      socket.pause();
      const closed = new Promise((resolve) => socket.on('close', resolve));
      const list = encodeRequest({ kind: 'list', tag: 1 });
      await pod.supervisor.launch('c1', pod.container('exec sleep 1000'), quiet);
      const many = Buffer.concat(Array.from({ length: 40_000 }, () => list));
      socket.write(many);
      const { log } = await pod.run(pod.container('seq 1 1000'));
      expect(log).toContain('stdout F 1000\n');
      socket.resume();
      await closed;
      const again = await createLauncher().connectSupervisor(join(pod.directory, 'pod'));
      expect(again).toBeDefined();
      again?.[Symbol.dispose]();
    });
  },
);

function isAlive(pid: number): boolean {
  return existsSync(`/proc/${pid}/exe`) && !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
}
