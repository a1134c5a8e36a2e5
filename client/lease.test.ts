import { expect, it } from 'vitest';
import { createFakeClock, type FakeClock } from '#base/clock.ts';
import { leases } from '#api/schema/kind-ref.ts';
import { createFakeApiClient } from './client.fake.ts';
import { runWithLease } from './lease.ts';

const where = { namespace: 'kube-system', name: 'l' };

async function pass(clock: FakeClock, ms: number): Promise<void> {
  for (let passed = 0; passed <= ms; passed += 500) {
    for (let turn = 0; turn < 40; turn++) await Promise.resolve();
    clock.advance(500);
  }
}

it('one leads at a time; another takes over when the first falls silent', async () => {
  const clock = createFakeClock(Date.UTC(2026, 0, 1));
  const client = createFakeApiClient(clock);
  const leading = new Set<string>();
  let both = false;
  const run = (identity: string, signal: AbortSignal) => {
    const lead = async (term: AbortSignal): Promise<void> => {
      leading.add(identity);
      both ||= leading.size > 1;
      await new Promise((resolve) => term.addEventListener('abort', resolve, { once: true }));
      leading.delete(identity);
    };
    return runWithLease({ client, where, identity, clock, onError: () => undefined }, lead, signal);
  };
  const stop = new AbortController();
  const a = run('a', stop.signal);
  const b = run('b', stop.signal);
  await pass(clock, 5000);
  expect([...leading]).toEqual(['a']);
  client.intercept = ({ verb }) => (verb === 'update' ? new Error('unreachable') : undefined);
  await pass(clock, 14_000);
  expect([...leading]).toEqual([]);
  client.intercept = () => undefined;
  await pass(clock, 6000);
  expect(leading.size).toBe(1);
  expect(both).toBe(false);
  stop.abort();
  await pass(clock, 3000);
  await Promise.all([a, b]);
  expect((await client.get(leases, where)).spec?.holderIdentity).toBe('');
});

it('who was stopped for longer than the term stops leading before it asks again', async () => {
  const clock = createFakeClock(Date.UTC(2026, 0, 1));
  const client = createFakeApiClient(clock);
  const stop = new AbortController();
  let requests = 0;
  const requestsAtEnd: number[] = [];
  let terms = 0;
  const lead = async (term: AbortSignal): Promise<void> => {
    terms++;
    await new Promise((resolve) => term.addEventListener('abort', resolve, { once: true }));
    requestsAtEnd.push(requests);
  };
  const options = { client, where, identity: 'a', clock, onError: () => undefined };
  const running = runWithLease(options, lead, stop.signal);
  await pass(clock, 5000);
  client.intercept = () => {
    requests++;
    return undefined;
  };
  clock.stop(62_000);
  await pass(clock, 5000);
  expect([terms, requestsAtEnd]).toEqual([2, [0]]);
  stop.abort();
  await pass(clock, 3000);
  await running;
});
