import { expect, it } from 'vitest';
import { createFakeClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { createFakeRuntime } from '#agent/runtime/runtime.fake.ts';
import type { StreamCall } from '#agent/kubelet/server/upgrade.ts';
import { takeStream } from './cri.conformance.ts';
import { startCriStreams } from './streams.ts';

const call: StreamCall = {
  kind: 'exec',
  target: { podUid: 'u', containerId: 'c' },
  args: ['x'],
  request: { stdin: false, stdout: true, stderr: false, tty: false },
};

it('startCriStreams() serves a URL once, for a minute, at its own path, and the last thousand of them', async () => {
  const clock = createFakeClock(1);
  await using streams = await startCriStreams('127.0.0.1', {
    runtime: createFakeRuntime({ clock }),
    clock,
    logger: silentLogger,
  });

  const [first, elsewhere] = [streams.urlOf(call), streams.urlOf(call).replace('/exec/', '/attach/')];
  await expect(takeStream(elsewhere)).rejects.toThrow('404');
  expect(JSON.parse((await takeStream(first))[3] ?? '')).toMatchObject({ status: 'Failure' });
  await expect(takeStream(first)).rejects.toThrow('404');
  const late = streams.urlOf(call);
  clock.advance(60_001);
  await expect(takeStream(late)).rejects.toThrow('404');
  const forgotten = streams.urlOf(call);
  const kept = Array.from({ length: 1000 }, () => streams.urlOf(call));
  await expect(takeStream(forgotten)).rejects.toThrow('404');
  expect(await takeStream(kept[0] ?? '')).toHaveProperty('3');
  expect((await fetch(kept[1] ?? '')).status).toBe(400);
});
