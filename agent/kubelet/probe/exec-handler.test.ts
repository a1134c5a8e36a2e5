import { PassThrough } from 'node:stream';
import { expect, test } from 'vitest';
import { createFakeClock } from '#base/clock.ts';
import type { ExecSession } from '#agent/runtime/runtime.ts';
import { runExec } from './handler.ts';

const target = {
  pod: { metadata: { uid: 'u' } },
  container: { name: 'c' },
  containerId: 'id',
  podIp: '10.0.0.1',
};

/** A session of a process that has ended with 1, whose output is on its way. */
function endedSession(): {
  readonly session: ExecSession;
  readonly stdout: PassThrough;
  readonly stderr: PassThrough;
} {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  const streams = {
    stdin: undefined,
    stdout,
    stderr,
    resize: () => {},
    [Symbol.asyncDispose]: async () => {},
  };
  return { session: { streams, exitCode: Promise.resolve(1), kill: async () => {} }, stdout, stderr };
}

test('runExec() waits for the output of a process that has ended', async () => {
  const { session, stdout, stderr } = endedSession();
  const running = runExec(
    ['x'],
    target,
    { runtime: { exec: async () => session }, clock: createFakeClock() },
    new AbortController().signal,
  );
  await session.exitCode;
  stderr.end('no such file\n');
  stdout.end();
  expect(await running).toEqual({ isSuccess: false, output: 'no such file\n' });
});

test('runExec() does not wait for ever for what a child in the background holds open', async () => {
  const { session } = endedSession();
  const clock = createFakeClock();
  const running = runExec(
    ['x'],
    target,
    { runtime: { exec: async () => session }, clock },
    new AbortController().signal,
  );
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
  clock.advance(1000);
  expect(await running).toEqual({ isSuccess: false, output: 'command exited with 1' });
});
