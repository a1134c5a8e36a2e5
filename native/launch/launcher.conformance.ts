/** What every launcher does; run on the fake (launcher.fake.test.ts) and on the kernel (launcher.linux.test.ts). */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { FakeProgram } from './launcher.fake.ts';
import type {
  ContainerLaunch,
  ExecLaunch,
  Launcher,
  LaunchStdio,
  ProcessExit,
  Supervisor,
} from './launch.ts';

/** The programs that the suite runs: as a shell says them, and as the fake does them. */
export const conformancePrograms: Readonly<
  Record<string, { readonly shell: string; readonly fake: FakeProgram }>
> = {
  seven: { shell: 'exit 7', fake: () => 7 },
  wait: { shell: 'exec sleep 1000', fake: () => new Promise(() => undefined) },
  speak: {
    shell: 'echo out; echo err >&2; printf rest',
    fake: (process) => {
      process.write('stdout', 'out\n');
      process.write('stderr', 'err\n');
      process.write('stdout', 'rest');
      return 0;
    },
  },
  cat: {
    shell: 'exec cat',
    fake: async (process) => {
      for await (const chunk of process.stdin) process.write('stdout', String(chunk));
      return 0;
    },
  },
  once: {
    shell: 'read line; echo $line; exec sleep 1000',
    fake: async (process) => {
      for await (const chunk of process.stdin) {
        process.write('stdout', String(chunk));
        break;
      }
      return new Promise(() => undefined);
    },
  },
};

export interface LauncherHarness {
  readonly launcher: Launcher;
  /** A container that runs `sh -c script`. */
  readonly container: (script: string) => ContainerLaunch;
  readonly killSupervisor: (supervisor: Supervisor) => void;
}

export const quiet: LaunchStdio = { logPath: undefined, stdin: false, stdinOnce: false, tty: false };

/** An exec of `sh -c script` in a container's process. */
export function execOf(container: ContainerLaunch, targetPid: number, script: string): ExecLaunch {
  const { env, user, security } = container;
  return { targetPid, args: ['/bin/sh', '-c', script], env, cwd: '/', user, security, cgroup: undefined };
}

export async function readAll(stream: Readable | undefined): Promise<string> {
  let all = '';
  for await (const chunk of stream ?? []) all += String(chunk);
  return all;
}

/** The next exit of each id, whenever it comes. */
export function watchExits(supervisor: Supervisor): (id: string) => Promise<ProcessExit> {
  const waits = new Map<string, PromiseWithResolvers<ProcessExit>>();
  const of = (id: string): PromiseWithResolvers<ProcessExit> => {
    const wait = waits.get(id) ?? Promise.withResolvers<ProcessExit>();
    waits.set(id, wait);
    return wait;
  };
  supervisor.onExit((exit) => exit !== undefined && of(exit.id).resolve(exit));
  return (id) => of(id).promise;
}

export function launcherConformance(
  name: string,
  createHarness: (directory: string) => LauncherHarness,
): void {
  describe(name, () => {
    let directory: string;
    let harness: LauncherHarness;
    let supervisor: Supervisor;
    let exitOf: (id: string) => Promise<ProcessExit>;

    beforeEach(async () => {
      directory = mkdtempSync('/tmp/podwright-launch-');
      mkdirSync(join(directory, 'pod'));
      harness = createHarness(directory);
      supervisor = await harness.launcher.startSupervisor({
        directory: join(directory, 'pod'),
        netns: undefined,
        hostname: 'pod',
        ipcNamespace: true,
        pidNamespace: false,
        cgroup: undefined,
        sysctls: {},
      });
      exitOf = watchExits(supervisor);
    });

    afterEach(async () => {
      const last = await harness.launcher.connectSupervisor(join(directory, 'pod'));
      if (last !== undefined) {
        const exited = watchExits(last);
        for (const { id } of await last.running()) {
          await last.kill(id, 9);
          await exited(id);
        }
        await last.stop();
        last[Symbol.dispose]();
      }
      supervisor[Symbol.dispose]();
      rmSync(directory, { recursive: true, force: true });
    });

    const program = (name: string): ContainerLaunch =>
      harness.container(conformancePrograms[name]?.shell ?? name);

    it('startSupervisor() is done after what it is to wait for, or fails as that did and leaves nothing', async () => {
      const spec = {
        directory: join(directory, 'late'),
        netns: undefined,
        hostname: 'late',
        ipcNamespace: true,
        pidNamespace: false,
        cgroup: undefined,
        sysctls: {},
      };
      mkdirSync(spec.directory);
      const { launcher } = harness;
      const refused = new Error('not made');
      await expect(launcher.startSupervisor(spec, Promise.reject(refused))).rejects.toBe(refused);
      const made = Promise.withResolvers<void>();
      const starting = launcher.startSupervisor(spec, made.promise);
      expect(await launcher.connectSupervisor(spec.directory)).toBeUndefined();
      made.resolve();
      using late = await starting;

      await late.stop();
    });

    it('launch() reports the process, then its exit, which is in exits()', async () => {
      const process = await supervisor.launch('c1', program('seven'), quiet);
      const exit = await exitOf('c1');
      expect(exit).toMatchObject({ id: 'c1', pid: process.pid, code: 7, signal: undefined });
      expect(exit.finishedAtMs).toBeGreaterThanOrEqual(exit.startedAtMs);
      expect(await supervisor.exits()).toEqual([exit]);
      expect(await supervisor.running()).toEqual([]);
    });

    it('running() lists what runs; kill() ends it with 128 + signal, and succeeds when it is gone', async () => {
      const process = await supervisor.launch('c1', program('wait'), quiet);
      expect(await supervisor.running()).toEqual([process]);
      await supervisor.kill('c1', 9);
      expect(await exitOf('c1')).toMatchObject({ code: 137, signal: 9 });
      await supervisor.kill('c1', 9);
      await supervisor.kill('never', 15);
    });

    it('writes both streams to a CRI log, a last line without newline as a part', async () => {
      const logPath = join(directory, 'made/for/log');
      await supervisor.launch('c1', program('speak'), { ...quiet, logPath });
      await exitOf('c1');
      expect(statSync(dirname(logPath)).mode & 0o777).toBe(0o755);
      const lines = readFileSync(logPath, 'utf8').trimEnd().split('\n');
      expect(
        lines.every((line) => /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z (stdout|stderr) [FP] /.test(line)),
      ).toBe(true);
      expect(lines.map((line) => line.slice(31)).toSorted()).toEqual([
        'stderr F err',
        'stdout F out',
        'stdout P rest',
      ]);
    });

    it('reopenLog() goes on in a new file at the same path', async () => {
      const logPath = join(directory, 'log');
      await supervisor.launch('c1', program('once'), { ...quiet, logPath, stdin: true });
      renameSync(logPath, `${logPath}.1`);
      await supervisor.reopenLog('c1');
      await using streams = await supervisor.attach('c1');

      const said = readFirst(streams.stdout);
      streams.stdin?.write('hello\n');
      expect(await said).toBe('hello\n');
      await supervisor.kill('c1', 9);
      await exitOf('c1');
      expect(readFileSync(`${logPath}.1`, 'utf8')).toBe('');
      expect(existsSync(logPath)).toBe(true);
      expect(readFileSync(logPath, 'utf8')).toMatch(/ stdout F hello\n$/);
      await expect(supervisor.reopenLog('never')).rejects.toMatchObject({ code: 'E_NOT_FOUND' });
    });

    it('exec() carries stdin and stdout, and the exit', async () => {
      const container = program('wait');
      const target = await supervisor.launch('c1', container, quiet);
      const exec = execOf(container, target.pid, conformancePrograms['cat']?.shell ?? '');
      const { process, streams } = await supervisor.exec('e1', exec, { ...quiet, stdin: true });
      const all = readAll(streams.stdout);
      streams.stdin?.end('to and fro\n');
      expect(await all).toBe('to and fro\n');
      expect(await exitOf('e1')).toMatchObject({ pid: process.pid, code: 0 });
      expect(await supervisor.exits()).toEqual([]);
    });

    it('attach() works for several at once', async () => {
      await supervisor.launch('c1', program('once'), { ...quiet, stdin: true });
      const both = [await supervisor.attach('c1'), await supervisor.attach('c1')];
      const said = both.map((streams) => readFirst(streams.stdout));
      both[1]?.stdin?.write('to both\n');
      expect(await Promise.all(said)).toEqual(['to both\n', 'to both\n']);
      for (const streams of both) await streams[Symbol.asyncDispose]();
    });

    it('exec() into a process that is not there is E_LAUNCH with ESRCH', async () => {
      const exec = execOf(program('wait'), 0x7fff_fff0, 'exit 0');
      const failure = supervisor.exec('e1', exec, quiet);
      await expect(failure).rejects.toMatchObject({ code: 'E_LAUNCH', detail: { errno: 'ESRCH' } });
    });

    it('launch() into the pid namespace of a process: it ends with that, and cannot start after it', async () => {
      const target = await supervisor.launch('c1', program('wait'), quiet);
      const beside: ContainerLaunch = { ...program('wait'), pidNamespace: { ofPid: target.pid } };
      await supervisor.launch('c2', beside, quiet);
      await supervisor.launch('c3', { ...program('seven'), pidNamespace: { ofPid: target.pid } }, quiet);
      expect(await exitOf('c3')).toMatchObject({ code: 7 });
      expect((await supervisor.running()).map(({ id }) => id)).toEqual(['c1', 'c2']);
      await supervisor.kill('c1', 9);
      expect(await exitOf('c2')).toMatchObject({ code: 137, signal: 9 });
      expect(await exitOf('c1')).toMatchObject({ code: 137, signal: 9 });
      const late = supervisor.launch('c4', beside, quiet);
      await expect(late).rejects.toMatchObject({ code: 'E_LAUNCH', detail: { errno: 'ESRCH' } });
      expect((await supervisor.exits()).map((exit) => exit.id)).toEqual(['c3', 'c2', 'c1']);
    });

    it('attach() without stdin has none; of what does not run it is E_NOT_FOUND', async () => {
      await supervisor.launch('c1', program('wait'), quiet);
      await using streams = await supervisor.attach('c1');

      expect(streams.stdin).toBeUndefined();
      expect(streams.stderr).toBeDefined();
      await expect(supervisor.attach('never')).rejects.toMatchObject({ code: 'E_NOT_FOUND' });
    });

    it('stdinOnce closes stdin when the attached client closes its own', async () => {
      await supervisor.launch('c1', program('cat'), { ...quiet, stdin: true, stdinOnce: true });
      const streams = await supervisor.attach('c1');
      const all = readAll(streams.stdout);
      streams.stdin?.end('last words\n');
      expect(await all).toBe('last words\n');
      expect(await exitOf('c1')).toMatchObject({ code: 0 });
    });

    it('a program that is not there is E_LAUNCH with ENOENT', async () => {
      const failure = supervisor.launch('c1', { ...program('wait'), args: ['/bin/nothing'] }, quiet);
      await expect(failure).rejects.toMatchObject({
        code: 'E_LAUNCH',
        message: 'exec: "/bin/nothing": no such file or directory',
        detail: { errno: 'ENOENT', index: expect.any(Number) },
      });
      expect(await supervisor.running()).toEqual([]);
      expect(await supervisor.exits()).toEqual([]);
    });

    it('an id that runs is E_EXISTS, one with a slash E_INVALID', async () => {
      await supervisor.launch('c1', program('wait'), quiet);
      await expect(supervisor.launch('c1', program('wait'), quiet)).rejects.toMatchObject({
        code: 'E_EXISTS',
      });
      await expect(supervisor.launch('a/b', program('wait'), quiet)).rejects.toMatchObject({
        code: 'E_INVALID',
      });
    });

    it('an agent that comes back finds what runs, what exited, and the log', async () => {
      const logPath = join(directory, 'log');
      const process = await supervisor.launch('c1', program('wait'), quiet);
      supervisor[Symbol.dispose]();
      const again = await harness.launcher.connectSupervisor(join(directory, 'pod'));
      if (again === undefined) throw new Error('the supervisor is gone');
      using second = again;
      const exited = watchExits(second);
      expect(second.pid).toBe(supervisor.pid);
      expect(await second.running()).toEqual([process]);
      await second.launch('c2', program('speak'), { ...quiet, logPath });
      await exited('c2');
      await second.kill('c1', 15);
      await second.kill('c1', 9);
      await exited('c1');
      expect((await second.exits()).map((exit) => exit.id)).toEqual(['c2', 'c1']);
      expect(readFileSync(logPath, 'utf8')).toContain('stdout F out');
    });

    it('stop() refuses while something runs; afterwards there is nobody to connect to', async () => {
      await supervisor.launch('c1', program('wait'), quiet);
      await expect(supervisor.stop()).rejects.toMatchObject({ code: 'E_BUSY' });
      await supervisor.kill('c1', 9);
      await exitOf('c1');
      await supervisor.stop();
      expect(await harness.launcher.connectSupervisor(join(directory, 'pod'))).toBeUndefined();
    });

    it('tells of its own end, fails what waits, and leaves the exits readable', async () => {
      await supervisor.launch('c1', program('seven'), quiet);
      await exitOf('c1');
      const ended = new Promise<void>((resolve) => {
        supervisor.onExit((exit) => void (exit === undefined && resolve()));
      });
      await supervisor.launch('c2', program('wait'), quiet);
      harness.killSupervisor(supervisor);
      await ended;
      await expect(supervisor.running()).rejects.toMatchObject({ code: 'E_CONNECTION' });
      expect((await supervisor.exits()).map((exit) => exit.id)).toEqual(['c1']);
      expect(await harness.launcher.connectSupervisor(join(directory, 'pod'))).toBeUndefined();
    });

    it('after dispose every use is E_CLOSED', async () => {
      supervisor[Symbol.dispose]();
      await expect(supervisor.running()).rejects.toMatchObject({ code: 'E_CLOSED' });
    });
  });
}

async function readFirst(stream: Readable): Promise<string> {
  return new Promise((resolve, reject) => {
    stream.once('data', (chunk: Buffer) => resolve(String(chunk)));
    stream.once('error', reject);
  });
}
