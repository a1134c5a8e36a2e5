import { expect, it } from 'vitest';
import { untilQuiet } from '#base/quiet.fixture.ts';
import { createCriEvents } from './events.ts';
import { inParts } from './parts.ts';
import type { SandboxView } from './views.ts';

const view = (isReady: boolean): SandboxView => ({
  uid: 'u',
  id: 's',
  metadata: { name: 'p', namespace: 'n', uid: 'u', attempt: 0 },
  labels: {},
  annotations: {},
  runtimeHandler: '',
  createdAtMs: 0,
  isReady,
  ips: [],
  namespaces: null,
  isOwn: true,
  containers: [],
});

it('createCriEvents() tells each who follows, lets go who takes nothing, and takes no more than it can serve', async () => {
  const now = { view: view(true) as SandboxView | undefined };
  const events = createCriEvents({
    view: () => now.view,
    uids: () => ['u'],
    images: () => undefined,
    now: () => 1,
  });
  const stop = new AbortController();
  const [quick, other, slow] = [0, 1, 2].map(() => events.follow(stop.signal)[Symbol.asyncIterator]());
  const firsts = [quick, other, slow].map((each) => each?.next());
  await untilQuiet();
  now.view = view(false);
  events.look('u');
  for (const first of firsts)
    expect((await first)?.value).toMatchObject({
      container_id: 's',
      container_event_type: 'CONTAINER_STOPPED_EVENT',
    });
  // It takes no more.
  for (let at = 0; at < 600; at++) {
    const [next, also] = [quick?.next(), quick?.next()];
    await untilQuiet();
    now.view = undefined;
    events.look('u');
    now.view = view(false);
    events.look('u');
    await Promise.all([next, also]);
  }
  const taken = async (): Promise<number> => {
    for (let count = 0; ; count++) await slow?.next();
  };
  await expect(taken()).rejects.toMatchObject({ detail: { status: 'RESOURCE_EXHAUSTED' } });
  const many = Array.from({ length: 70 }, () => events.follow(stop.signal)[Symbol.asyncIterator]().next());
  stop.abort();
  const refused = (await Promise.allSettled(many)).filter(({ status }) => status === 'rejected');
  expect(refused.length).toBeGreaterThan(0);
});

it('inParts() cuts a list, and tells of an empty one', () => {
  expect([...inParts([])]).toEqual([[]]);
  expect([...inParts(Array.from({ length: 250 }, () => 0))].map((part) => part.length)).toEqual([
    100, 100, 50,
  ]);
});
