import { describe, expect, it } from 'vitest';
import { createFakeClock, type FakeClock } from '#base/clock.ts';
import { leases } from '#api/schema/kind-ref.ts';
import { createFakeApiClient } from './client.fake.ts';
import type { ApiClient } from './client.ts';
import { holderEndsMs, leaseSeconds, runWithLease, waitForLease } from './lease.ts';

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

/** Whose requests come to nothing once it is killed: answers never come, as those of a store without a majority. */
function mortal(client: ApiClient): ApiClient & { kill(): void } {
  let isKilled = false;
  const mayNever = <T>(answer: () => Promise<T>): Promise<T> =>
    isKilled ? Promise.withResolvers<T>().promise : answer();
  return {
    ...client,
    get: (kind, where) => mayNever(() => client.get(kind, where)),
    update: (kind, object) => mayNever(() => client.update(kind, object)),
    kill: () => {
      isKilled = true;
    },
  };
}

it('who waits for a renewal ends in its time, and another begins after that and well before the term', async () => {
  const clock = createFakeClock(Date.UTC(2026, 0, 1));
  const client = createFakeApiClient(clock);
  const told: [string, number][] = [];
  const stop = new AbortController();
  const run = (identity: string, own: ApiClient, offsetMs: number) => {
    const lead = async (term: AbortSignal): Promise<void> => {
      told.push([`${identity} begins`, clock.monotonic()]);
      await new Promise((resolve) => term.addEventListener('abort', resolve, { once: true }));
      told.push([`${identity} ends`, clock.monotonic()]);
    };
    const wrong = { ...clock, now: () => clock.now() + offsetMs };
    const options = { client: own, where, identity, clock: wrong, onError: () => undefined };
    return runWithLease(options, lead, stop.signal);
  };
  const first = mortal(client);
  void run('a', first, -3_600_000); // It waits for ever in the end.
  await pass(clock, 1000);
  const other = run('b', client, 0);
  await pass(clock, 5000);
  first.kill();
  const killedMs = clock.monotonic();
  await pass(clock, leaseSeconds * 1000 - 1000);
  expect(told.map(([what]) => what)).toEqual(['a begins', 'a ends', 'b begins']);
  const [, [, endedMs] = ['', 0], [, begunMs] = ['', 0]] = told;
  expect(endedMs - killedMs).toBeLessThanOrEqual(holderEndsMs);
  expect(begunMs).toBeGreaterThan(endedMs);
  stop.abort();
  await pass(clock, 3000);
  await other;
});

it('work that throws gives the lease back, and another has its turn', async () => {
  const clock = createFakeClock(Date.UTC(2026, 0, 1));
  const client = createFakeApiClient(clock);
  const stop = new AbortController();
  const told: string[] = [];
  const failing = async (): Promise<void> => {
    told.push('a begins');
    throw new Error('no disk');
  };
  const leading = async (term: AbortSignal): Promise<void> => {
    told.push('b begins');
    await new Promise((resolve) => term.addEventListener('abort', resolve, { once: true }));
  };
  const options = { client, where, clock, onError: (error: unknown) => void told.push(String(error)) };
  const a = runWithLease({ ...options, identity: 'a' }, failing, stop.signal);
  await pass(clock, 0);
  const b = runWithLease({ ...options, identity: 'b' }, leading, stop.signal);
  await pass(clock, 5000);
  expect(told).toEqual(['a begins', 'Error: no disk', 'b begins']);
  stop.abort();
  await pass(clock, 3000);
  await Promise.all([a, b]);
});

it('work that does not end is told of when another may lead, and not before', async () => {
  const clock = createFakeClock(Date.UTC(2026, 0, 1));
  const client = createFakeApiClient(clock);
  const told: number[] = [];
  const gate = Promise.withResolvers<void>();
  const onOverrun = (): void => void told.push(clock.monotonic());
  const options = { client, where, clock, identity: 'a', onError: () => undefined, onOverrun };
  const stop = new AbortController();
  const running = runWithLease(options, () => gate.promise, stop.signal);
  await pass(clock, 1000);
  client.intercept = () => new Error('unreachable');
  await pass(clock, holderEndsMs + 1000);
  expect(told).toEqual([]);
  await pass(clock, 8000);
  expect(told).toHaveLength(1);
  expect(told[0]).toBeLessThanOrEqual(leaseSeconds * 1000 + 1000);
  gate.resolve();
  stop.abort();
  await pass(clock, 3000);
  await running;
});

it('work that is done ends, and the lease is free', async () => {
  const clock = createFakeClock(Date.UTC(2026, 0, 1));
  const client = createFakeApiClient(clock);
  const options = { client, where, clock, identity: 'a', onError: () => undefined };
  const running = runWithLease(options, async () => undefined, new AbortController().signal);
  await pass(clock, 2000);
  await running;
  expect((await client.get(leases, where)).spec?.holderIdentity).toBe('');
});

it('the end does not wait for an API that does not answer', async () => {
  const clock = createFakeClock(Date.UTC(2026, 0, 1));
  const client = mortal(createFakeApiClient(clock));
  const stop = new AbortController();
  const lead = async (term: AbortSignal): Promise<void> => {
    await new Promise((resolve) => term.addEventListener('abort', resolve, { once: true }));
  };
  const options = { client, where, clock, identity: 'a', onError: () => undefined };
  const running = runWithLease(options, lead, stop.signal);
  await pass(clock, 1000);
  client.kill();
  stop.abort();
  await pass(clock, 6000);
  await running;
});

it('refuses times in which two could lead', async () => {
  const clock = createFakeClock();
  const options = {
    client: createFakeApiClient(clock),
    where,
    clock,
    identity: 'a',
    onError: () => undefined,
  };
  const times = { lookMs: 1000, renewMs: 2000, holderEndsMs: 16_000, leaseMs: 15_000 };
  const stop = new AbortController();
  await expect(runWithLease({ ...options, times }, async () => undefined, stop.signal)).rejects.toThrow(
    /does not hold/,
  );
});

describe('waitForLease()', () => {
  const annotations = { 'podwright.holder-ends-ms': 'a 7000' };
  it.each([
    { name: 'free', holder: '', want: 0 },
    { name: 'ours', holder: 'b', want: 0 },
    { name: "another's, which says when it ends", holder: 'a', annotations, want: 9000 },
    { name: "another's, of whom nothing is known", holder: 'a', want: 15_000 },
    { name: "another program's, after one of ours", holder: 'c', annotations, want: 15_000 },
    { name: 'of a shorter term', holder: 'a', annotations, seconds: 5, want: 5000 },
    {
      name: 'of a promise that is none',
      holder: 'a',
      annotations: { 'podwright.holder-ends-ms': 'a -1' },
      want: 15_000,
    },
  ])('$name', ({ holder, annotations: given = {}, seconds = 15, want }) => {
    const spec = { holderIdentity: holder, leaseDurationSeconds: seconds };
    expect(waitForLease({ metadata: { name: 'l', annotations: given }, spec }, 'b')).toBe(want);
  });
});
