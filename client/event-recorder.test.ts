import { expect, it, vi } from 'vitest';
import { createFakeClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { events, pods } from '#api/schema/kind-ref.ts';
import { createFakeApiClient } from './client.fake.ts';
import { createEventRecorder } from './event-recorder.ts';

const object = { metadata: { name: 'p', namespace: 'default', uid: 'u' } };

function setUp() {
  const clock = createFakeClock(Date.UTC(2026, 0, 1));
  const client = createFakeApiClient(clock);
  const recorder = createEventRecorder({
    client,
    component: 'kubelet',
    host: 'n',
    clock,
    logger: silentLogger,
  });
  return { clock, client, recorder };
}

it('a repeated event is one object with a count', async () => {
  const { clock, client, recorder } = setUp();
  for (let time = 0; time < 3; time++) {
    recorder.record({ kind: pods, object }, 'Warning', 'BackOff', 'again');
    await recorder.flush();
    clock.advance(1000);
  }
  expect(client.all(events)).toMatchObject([
    {
      count: 3,
      reason: 'BackOff',
      type: 'Warning',
      firstTimestamp: '2026-01-01T00:00:00Z',
      lastTimestamp: '2026-01-01T00:00:02Z',
      involvedObject: { kind: 'Pod', name: 'p', uid: 'u' },
      source: { component: 'kubelet', host: 'n' },
    },
  ]);
});

it('a Normal event waits for half a second, a Warning for nothing', async () => {
  const { clock, client, recorder } = setUp();
  recorder.record({ kind: pods, object }, 'Normal', 'Pulled', 'm');
  recorder.record({ kind: pods, object }, 'Warning', 'Failed', 'm');
  const reasons = (): readonly unknown[] => client.all(events).map(({ reason }) => reason);
  await vi.waitFor(() => expect(reasons()).toEqual(['Failed']), { timeout: 60_000 });
  clock.advance(499);
  recorder.record({ kind: pods, object }, 'Normal', 'Pulled', 'm'); // Said again, it waits no longer for that.
  clock.advance(1);
  await vi.waitFor(() => expect(client.all(events)).toHaveLength(2), { timeout: 60_000 });
  expect(client.all(events)).toContainEqual(
    expect.objectContaining({ reason: 'Pulled', count: 2, firstTimestamp: '2026-01-01T00:00:00Z' }),
  );
});

it('an object that never stops is bounded', async () => {
  const { client, recorder } = setUp();
  for (let time = 0; time < 100; time++)
    recorder.record({ kind: pods, object }, 'Normal', 'R', `message ${time}`);
  await recorder.flush();
  expect(client.all(events).length).toBe(25);
});

it('what is said again and again takes no place of what is new', async () => {
  const { client, recorder } = setUp();
  for (let time = 0; time < 100; time++)
    recorder.record({ kind: pods, object }, 'Warning', 'FailedGetResourceMetric', 'no metrics');
  recorder.record({ kind: pods, object }, 'Normal', 'SuccessfulRescale', 'New size: 2');
  await recorder.flush();
  expect(client.all(events).map(({ reason, count }) => `${reason} ${count}`)).toEqual([
    'FailedGetResourceMetric 26',
    'SuccessfulRescale 1',
  ]);
});

it('of a burst none is lost that waits to be written', async () => {
  const { clock, client, recorder } = setUp();
  const count = 4_300;
  for (let pod = 0; pod < count; pod++) {
    const metadata = { name: `p${pod}`, namespace: 'default', uid: `u${pod}` };
    recorder.record({ kind: pods, object: { metadata } }, 'Normal', 'Scheduled', `to n${pod}`);
  }
  clock.advance(500);
  await recorder.flush();
  expect(client.all(events)).toHaveLength(count);
});

it('an event that expired is written anew', async () => {
  const { client, recorder } = setUp();
  recorder.record({ kind: pods, object }, 'Normal', 'R', 'm');
  await recorder.flush();
  const [first] = client.all(events);
  await client.delete(events, { namespace: 'default', name: first?.metadata.name ?? '' });
  recorder.record({ kind: pods, object }, 'Normal', 'R', 'm');
  await recorder.flush();
  expect(client.all(events)).toMatchObject([{ count: 2 }]);
});

it('writes what it holds before it closes, and waits no longer than two seconds for that', async () => {
  const { client, recorder } = setUp();
  recorder.record({ kind: pods, object }, 'Normal', 'Pulled', 'm');
  await recorder[Symbol.asyncDispose]();
  expect(client.all(events)).toMatchObject([{ reason: 'Pulled' }]);

  const stuck = setUp();
  const never = new Promise<never>(() => undefined);
  vi.spyOn(stuck.client, 'create').mockReturnValue(never);
  stuck.recorder.record({ kind: pods, object }, 'Normal', 'Pulled', 'm');
  const closed = stuck.recorder[Symbol.asyncDispose]();
  stuck.clock.advance(2000);
  await closed;
});

it('an event of an object with a long name is stored, under a name that is cut', async () => {
  const { client, recorder } = setUp();
  for (const name of ['q'.repeat(253), `${'q'.repeat(235)}.${'q'.repeat(17)}`]) {
    const long = { metadata: { ...object.metadata, name, uid: name } };
    recorder.record({ kind: pods, object: long }, 'Warning', 'Failed', 'x');
  }
  await recorder.flush();
  const names = client.all(events).map(({ metadata }) => metadata?.name ?? '');
  expect(names).toHaveLength(2);
  for (const name of names) {
    expect(name).toMatch(/^q{235,236}\.[0-9a-f]+$/);
    expect(name.length).toBeLessThanOrEqual(253);
  }
});
