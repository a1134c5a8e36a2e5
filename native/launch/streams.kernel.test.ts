import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createKernelPod, stripTimes } from './kernel.fixture.ts';
import type { KernelPod } from './kernel.fixture.ts';
import { execOf, quiet, readAll } from './launcher.conformance.ts';
import { createLauncher } from './launcher.linux.ts';
import type { ExecLaunch } from './launch.ts';

const digest = (data: Buffer | string): string => createHash('sha256').update(data).digest('hex');

describe.skipIf(process.getuid?.() !== 0)('streams on the kernel (needs root and busybox-static)', () => {
  let pod: KernelPod;
  let targetPid: number;
  beforeAll(async () => {
    pod = await createKernelPod();
    targetPid = (await pod.supervisor.launch('target', pod.container('exec sleep 1000'), quiet)).pid;
  });
  afterAll(async () => pod[Symbol.asyncDispose]());
  const exec = (script: string): ExecLaunch => execOf(pod.container(''), targetPid, script);

  it('cuts a line at 16 KiB into parts, and joins what came in pieces', async () => {
    const script =
      'head -c 40000 /dev/zero | tr "\\0" x; echo; for i in a b c; do printf $i; sleep 0.02; done; echo; printf end';
    const { log } = await pod.run(pod.container(script));
    const lines = log
      .trimEnd()
      .split('\n')
      .map((line) => [line.slice(0, 8), line.length - 9]);
    expect(lines).toEqual([
      ['stdout P', 16_384],
      ['stdout P', 16_384],
      ['stdout F', 40_000 - 32_768],
      ['stdout F', 3],
      ['stdout P', 3],
    ]);
    expect(log).toContain('stdout F abc\nstdout P end\n');
  });

  it('has every line in the log when the exit is told', async () => {
    const { log } = await pod.run(pod.container('seq 1 20000'));
    const numbers = log
      .trimEnd()
      .split('\n')
      .map((line) => Number(line.slice(9)));
    expect(numbers).toEqual(Array.from({ length: 20_000 }, (_, index) => index + 1));
  });

  it('lets a container run on when its log cannot be written', async () => {
    await pod.supervisor.launch('full', pod.container('seq 1 20000; exit 5'), {
      ...quiet,
      logPath: '/dev/full',
    });
    expect(await pod.exitOf('full')).toMatchObject({ code: 5 });
  });

  it('loses nothing of an exec whose reader is slow, on either stream', async () => {
    const { streams } = await pod.supervisor.exec('slow', exec('seq 1 200000; seq 1 100 >&2'), quiet);
    // stderr first: stdout must not hold it up, though the process must stop long before it is there.
    const out = await new Promise<string>((resolve) =>
      setTimeout(() => resolve(readAll(streams.stdout)), 50),
    );
    expect(await readAll(streams.stderr)).toBe(
      Array.from({ length: 100 }, (_, index) => `${index + 1}\n`).join(''),
    );
    expect(digest(out)).toBe(
      digest(Array.from({ length: 200_000 }, (_, index) => `${index + 1}\n`).join('')),
    );
    expect(await pod.exitOf('slow')).toMatchObject({ code: 0 });
  });

  it('carries megabytes through stdin and back', async () => {
    const { streams } = await pod.supervisor.exec('echo', exec('exec cat'), { ...quiet, stdin: true });
    const sent = Buffer.from(Array.from({ length: 300_000 }, (_, index) => `${index},`).join(''));
    const { stdin } = streams;
    if (stdin === undefined) throw new Error('no stdin');
    const [back] = await Promise.all([readAll(streams.stdout), pipeline(Readable.from([sent]), stdin)]);
    expect(digest(back)).toBe(digest(sent));
  });

  it('does not wait for a process that closes stdin before it is read', async () => {
    const { streams } = await pod.supervisor.exec('deaf', exec('exec <&-; echo closed; sleep 0.1'), {
      ...quiet,
      stdin: true,
    });
    const all = readAll(streams.stdout);
    const { stdin } = streams;
    if (stdin === undefined) throw new Error('no stdin');
    await pipeline(Readable.from([Buffer.alloc(2_000_000)]), stdin);
    expect(await all).toBe('closed\n');
  });

  it('lets go of an attached reader that is too slow, but never of the log', async () => {
    const logPath = join(pod.directory, 'attached');
    const stdio = { ...quiet, logPath, stdin: true };
    await pod.supervisor.launch('loud', pod.container('read x; seq 1 100000'), stdio);
    const streams = await pod.supervisor.attach('loud');
    streams.stdin?.write('go\n');
    expect(await pod.exitOf('loud')).toMatchObject({ code: 0 });
    await expect(readAll(streams.stdout)).rejects.toMatchObject({ code: 'E_LIMIT' });
    expect(stripTimes(readFileSync(logPath, 'utf8'))).toMatch(/stdout F 100000\n$/);
  });

  it('gives a container a terminal of its own: ttyname, size, input, echo', async () => {
    const logPath = join(pod.directory, 'terminal');
    const script = 'tty; read line; stty size; echo got $line; test -t 0 && test -t 2 && exit 4';
    await pod.supervisor.launch('tty', pod.container(script), {
      logPath,
      stdin: true,
      stdinOnce: false,
      tty: true,
    });
    const streams = await pod.supervisor.attach('tty');
    expect(streams.stderr).toBeUndefined();
    const all = readAll(streams.stdout);
    streams.resize(132, 43);
    streams.stdin?.write('typed\n');
    expect(await pod.exitOf('tty')).toMatchObject({ code: 4 });
    expect(await all).toContain('43 132\r\ngot typed\r\n');
    expect(stripTimes(readFileSync(logPath, 'utf8'))).toContain('stdout F /dev/pts/0\r\n');
  });

  it('gives an exec a terminal in the container, for a user that is not root, and hangs up when its client goes', async () => {
    const stdio = { ...quiet, stdin: true, tty: true };
    const asUser = {
      ...exec('tty; echo to the terminal > $(tty); exec sleep 1000'),
      user: { uid: 7, gid: 7, additionalGids: [] },
    };
    const { streams } = await pod.supervisor.exec('shell', asUser, stdio);
    let said = '';
    for await (const chunk of streams.stdout) {
      said += String(chunk);
      if (said.includes('terminal')) break;
    }
    expect(said).toMatch(/^\/dev\/pts\/\d+\r\nto the terminal\r\n$/);
    await streams[Symbol.asyncDispose]();
    expect(await pod.exitOf('shell')).toMatchObject({ signal: 1 });
  });

  it('drains and forgets an exec whose client is gone', async () => {
    const other = await createLauncher().connectSupervisor(join(pod.directory, 'pod'));
    if (other === undefined) throw new Error('no supervisor');
    await other.exec('orphan', exec('cat; seq 1 100000; exit 6'), { ...quiet, stdin: true });
    other[Symbol.dispose]();
    expect(await pod.exitOf('orphan')).toMatchObject({ code: 6 });
  });
});
