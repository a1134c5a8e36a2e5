import { expect, it } from 'vitest';
import { createFakeClock } from '#base/clock.ts';
import { sandboxConfig } from '#agent/runtime/runtime.conformance.ts';
import { createFakeRuntime } from '#agent/runtime/runtime.fake.ts';
import { adoptOrphans } from './orphans.ts';
import type { PodMemories } from './pod-memory.ts';

it('adoptOrphans() takes pods that the API no longer has, to end them, and none of those that clients of CRI made', async () => {
  const clock = createFakeClock();
  const runtime = createFakeRuntime({ clock });
  const signal = new AbortController().signal;
  for (const uid of ['wanted', 'gone', 'cri-1']) await runtime.runSandbox(sandboxConfig(uid), signal);
  const memories: PodMemories = new Map();
  const queued: string[] = [];
  const source = { list: () => [{ metadata: { uid: 'wanted' }, spec: { containers: [] } }] };
  adoptOrphans(source, memories, {
    runtime,
    clock,
    enqueue: (uid) => void queued.push(uid),
    onOutcome: () => undefined,
  });
  expect([queued, [...memories.keys()]]).toEqual([['gone'], ['gone']]);
});
