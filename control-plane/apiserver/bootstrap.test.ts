import { expect, it } from 'vitest';
import { systemClock, type Clock } from '#base/clock.ts';
import type { AdmissionPlugin } from './chain/admission/admission.ts';
import { startTestServer } from './test-server.fixture.ts';

it('what the server keeps of its own, and is as it should be, goes through no admission again and again', async () => {
  const due = new Set<() => void>();
  // Time passes when the test says so, for what waits ten seconds.
  const clock: Clock = {
    ...systemClock,
    after: (ms, callback) => {
      if (ms !== 10_000) return systemClock.after(ms, callback);
      due.add(callback);
      return { [Symbol.dispose]: () => due.delete(callback) };
    },
  };
  const asked: string[] = [];
  const witness: AdmissionPlugin = {
    name: 'Witness',
    handles: ({ operation, kind }) => {
      asked.push(`${operation} ${kind.resource}`);
      return 'no';
    },
  };
  await using _test = await startTestServer({ clock, admissionPlugins: [witness] });
  const waiting = due.size;
  asked.length = 0;

  const now = [...due];
  due.clear();
  for (const callback of now) callback();
  await expect.poll(() => due.size).toBe(waiting); // Each waits for its next turn once it has looked.
  expect(asked.filter((one) => !one.endsWith(' leases'))).toEqual([]);
});
