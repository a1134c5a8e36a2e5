import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';

import { systemClock } from '#base/clock.ts';
import { PodwrightError } from '#base/errors.ts';
import { Keeper, type KeptProcess } from './keeper.ts';

const deadline = { timeout: 30_000 };

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
  await kept.keeper.start();
  const first = kept.keeper.pid;
  if (first === undefined) expect.unreachable();
  process.kill(first, 'SIGKILL');
  await expect.poll(() => kept.ends, deadline).toEqual(['SIGKILL']);
  await expect.poll(() => kept.keeper.pid, deadline).not.toBe(first);
});

it('Keeper says why a first start failed, in the last words of the process', async () => {
  await using kept = setUp('echo "podwright: open store: no" >&2; exit 3');
  await expect(kept.keeper.start()).rejects.toThrow('start kept: exit code 3: open store: no');
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
  await kept.keeper.start();
  await expect
    .poll(() => kept.ends, deadline)
    .toEqual(expect.arrayContaining(['exit code 7', 'listen on 127.0.0.1:1: something else listens there']));
  await expect.poll(() => starts, deadline).toBeGreaterThan(2);
});
