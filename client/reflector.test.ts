import { expect, it } from 'vitest';
import { createFakeClock } from '#base/clock.ts';
import { silentLogger, type Logger } from '#base/log.ts';
import { configMaps } from '#api/schema/kind-ref.ts';
import { apiError } from './api-error.ts';
import { createFakeApiClient } from './client.fake.ts';
import { createInformers } from './informers.ts';

async function settle(): Promise<void> {
  for (let turn = 0; turn < 60; turn++) await Promise.resolve();
}

it('a watch that carries nothing and does not end is given up after its time, and misses nothing', async () => {
  const clock = createFakeClock();
  const client = createFakeApiClient(clock);
  let watches = 0;
  // As a balancer that keeps a connection whose server is gone.
  // oxlint-disable-next-line require-yield
  const stuck = async function* (): AsyncGenerator<never, void, void> {
    await new Promise((_resolve, reject) =>
      signals.at(-1)?.addEventListener('abort', () => reject(new Error('over'))),
    );
  };
  const signals: AbortSignal[] = [];
  await using informers = createInformers({
    client: {
      ...client,
      watch: (kind, options, signal) => {
        signals.push(signal);
        return watches++ === 0 ? stuck() : client.watch(kind, options, signal);
      },
    },
    clock,
    random: () => 0,
  });
  const informer = informers.for(configMaps);
  await informer.synced;
  await client.create(configMaps, { metadata: { namespace: 'n', name: 'm' } });
  await settle();
  expect(informer.get('n/m')).toBeUndefined();
  clock.advance(629_000);
  await settle();
  expect(watches).toBe(1);
  clock.advance(1000);
  await settle();
  clock.advance(1000);
  await settle();
  expect(informer.get('n/m')).toBeDefined();
  expect(watches).toBe(2);
});

it('what stays wrong is told once, and again when it was right in between', async () => {
  const clock = createFakeClock();
  const client = createFakeApiClient(clock);
  let refusal: Error | undefined = apiError('list', { reason: 'NotFound' }, 404);
  const lines: string[] = [];
  const logger: Logger = {
    ...silentLogger,
    warn: (_fields, message) => void lines.push(message),
    child: () => logger,
  };
  await using informers = createInformers({
    client: {
      ...client,
      list: (kind, options) => (refusal === undefined ? client.list(kind, options) : Promise.reject(refusal)),
    },
    ...{ clock, logger, random: () => 0 },
  });
  const pass = async (): Promise<void> => {
    for (let second = 0; second < 20; second++) {
      clock.advance(1000);
      await settle();
    }
  };

  const informer = informers.for(configMaps);
  await pass();
  expect(lines).toEqual([expect.stringContaining('does not have this kind')]);
  refusal = new Error('full');
  await pass();
  expect(lines).toHaveLength(2);
  refusal = undefined;
  await pass();
  expect(informer.hasSynced).toBe(true);
});

it('a kind that was there and went, as when its definition is deleted, is no warning', async () => {
  const clock = createFakeClock();
  const client = createFakeApiClient(clock);
  const gone = apiError('list', { reason: 'NotFound' }, 404);
  let isGone = false;
  const warnings: string[] = [];
  const infos: string[] = [];
  const logger: Logger = {
    ...silentLogger,
    warn: (_fields, message) => void warnings.push(message),
    info: (_fields, message) => void infos.push(message),
    child: () => logger,
  };
  await using informers = createInformers({
    client: {
      ...client,
      list: (...asked) => (isGone ? Promise.reject(gone) : client.list(...asked)),
      watch: () => {
        isGone = true;
        throw gone;
      },
    },
    ...{ clock, logger, random: () => 0 },
  });
  informers.for(configMaps);
  for (let second = 0; second < 20; second++) {
    clock.advance(1000);
    await settle();
  }
  expect(infos).toEqual([expect.stringContaining('has this kind no more')]);
  expect(warnings).toEqual([]);
});

it('what is kept counts as current until the watch is lost, and again when the server tells of something', async () => {
  const clock = createFakeClock();
  const client = createFakeApiClient(clock);
  let refusal: Error | undefined = apiError('list', { reason: 'NotFound' }, 404);
  const signals: AbortController[] = [];
  await using informers = createInformers({
    client: {
      ...client,
      list: (...asked) => (refusal === undefined ? client.list(...asked) : Promise.reject(refusal)),
      watch: (kind, options, signal) => {
        const lost = new AbortController();
        signals.push(lost);
        return client.watch(kind, options, AbortSignal.any([signal, lost.signal]));
      },
    },
    clock,
    random: () => 0,
  });
  const informer = informers.for(configMaps);
  await settle();
  expect(informer.isCurrent, 'before the first list').toBe(false);
  refusal = undefined;
  clock.advance(5000);
  await settle();
  expect(informer.isCurrent).toBe(true);
  signals.at(-1)?.abort(new Error('lost'));
  await settle();
  expect(informer.isCurrent).toBe(false);
  clock.advance(5000);
  await settle();
  await client.create(configMaps, { metadata: { namespace: 'n', name: 'm' } });
  await settle();
  expect(informer.isCurrent).toBe(true);
});
