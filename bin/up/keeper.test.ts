import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';

import { systemClock } from '#base/clock.ts';
import { PodwrightError } from '#base/errors.ts';
import { Keeper, silence, type KeptProcess } from './keeper.ts';

const deadline = { timeout: 60_000 };
const never = new AbortController().signal;

/** A directory for its log, a keeper of a shell script, and what it said of ends that nobody asked for. */
function setUp(script: string, more: Partial<KeptProcess> = {}) {
  const stack = new AsyncDisposableStack();
  const directory = mkdtempSync(join(tmpdir(), 'keeper-'));
  stack.defer(() => rmSync(directory, { recursive: true, force: true }));
  const ends: string[] = [];
  const keeper = stack.use(
    new Keeper(
      {
        name: 'kept',
        command: ['sh', '-c', script],
        environment: { WORD: 'READY' },
        logFile: join(directory, 'log'),
        ...more,
      },
      {
        clock: systemClock,
        environment: process.env,
        onUnexpectedExit: (_name, how) => void ends.push(how),
      },
    ),
  );
  return { keeper, ends, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

it('Keeper starts a process again that ended, with its own environment', async () => {
  await using kept = setUp('echo "$WORD" >&4; exec sleep 1000');
  await kept.keeper.start(never);
  const first = kept.keeper.pid;
  if (first === undefined) expect.unreachable();
  process.kill(first, 'SIGKILL');
  await expect.poll(() => kept.ends, deadline).toEqual(['SIGKILL']);
  await expect.poll(() => kept.keeper.pid, deadline).not.toBe(first);
});

it('Keeper says why a first start failed, in the last words of the process', async () => {
  await using kept = setUp('echo "podwright: open store: no" >&2; exit 3');
  await expect(kept.keeper.start(never)).rejects.toThrow('start kept: exit code 3: open store: no');
});

it('Keeper tries again when a start itself fails', async () => {
  let starts = 0;
  await using kept = setUp('echo READY >&4; exit 7', {
    takeListener: async () => {
      starts += 1;
      if (starts === 2)
        throw new PodwrightError('E_BUSY', 'listen on 127.0.0.1:1: something else listens there');
      return { fd: 0, release: () => undefined };
    },
  });
  await kept.keeper.start(never);
  await expect
    .poll(() => kept.ends, deadline)
    .toEqual(expect.arrayContaining(['exit code 7', 'listen on 127.0.0.1:1: something else listens there']));
  await expect.poll(() => starts, deadline).toBeGreaterThan(2);
});

it('Keeper says why a later start failed, and not what was said before it', async () => {
  await using kept = setUp(
    'if [ -e "$MARK" ]; then exit 5; fi; echo old >&2; touch "$MARK"; echo READY >&4; exec sleep 1000',
    { environment: { MARK: join(tmpdir(), `keeper-mark-${process.pid}`) } },
  );
  try {
    await kept.keeper.start(never);
    const { pid } = kept.keeper;
    if (pid === undefined) expect.unreachable();
    process.kill(pid, 'SIGKILL');
    await expect
      .poll(() => kept.ends.slice(0, 2), deadline)
      .toEqual(['SIGKILL', 'exit code 5: it said nothing']);
  } finally {
    rmSync(join(tmpdir(), `keeper-mark-${process.pid}`), { force: true });
  }
});

it('Keeper.start() ends when it is aborted, and with it a process that does not look at SIGTERM yet', async () => {
  const stop = new AbortController();
  await using kept = setUp('trap "" TERM; while :; do sleep 1; done');
  const started = kept.keeper.start(stop.signal);
  await expect.poll(() => kept.keeper.pid, deadline).toBeDefined();
  const { pid } = kept.keeper;
  stop.abort();
  await expect(started).rejects.toBe(stop.signal.reason);
  await kept.keeper[Symbol.asyncDispose]();
  expect(() => process.kill(pid ?? 0, 0)).toThrow('ESRCH');
});

it.each([
  ['a full disk', 0, 'no space left in /data/server; free some, or name another directory with --data'],
  ['a disk with room', 1000, 'it said nothing'],
])('a process that ends without a word on %s', (_, bavail, want) => {
  expect(silence('/data/server', { bavail, bsize: 4096 })).toBe(want);
});
