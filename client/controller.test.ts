import { expect, it } from 'vitest';
import { createFakeClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { nextTurn } from '#base/time-slice.ts';
import { untilTurnsEnd } from '#base/quiet.fixture.ts';
import { runController, type ControllerOptions, type Reconciled } from './controller.ts';

function start(reconcile: ControllerOptions['reconcile'], more: Partial<ControllerOptions> = {}) {
  const clock = createFakeClock();
  const told: Reconciled[] = [];
  const options = { name: 'c', sources: [], reconcile, clock, logger: silentLogger, ...more };
  const controller = runController({ ...options, onReconciled: (one) => void told.push(one) });
  return { clock, told, controller };
}

it('tells how each reconcile ended', async () => {
  const outcomes = [undefined, { kind: 'again', afterMs: 1000 } as const, new Error('no')];
  const { told, controller } = start(async () => {
    const outcome = outcomes.shift();
    if (outcome instanceof Error) throw outcome;
    return outcome;
  });
  for (const key of ['a', 'b', 'd']) {
    controller.enqueue(key);
    await controller.idle();
  }
  expect(told.map(({ key, outcome }) => [key, outcome])).toEqual([
    ['a', 'done'],
    ['b', 'again'],
    ['d', 'failed'],
  ]);
  await controller[Symbol.asyncDispose]();
});

it('a reconcile that takes too long is told to end, and comes again', async () => {
  let runs = 0;
  const { clock, told, controller } = start(
    async (_key, signal) => {
      if (runs++ > 0) return;
      await new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    },
    { timeoutMs: 1000 },
  );
  controller.enqueue('a');
  await untilTurnsEnd();
  clock.advance(1000);
  await controller.idle();
  clock.advance(1000);
  await controller.idle();
  expect(told.map(({ outcome }) => outcome)).toEqual(['failed', 'done']);
  await controller[Symbol.asyncDispose]();
});

it('works on nothing before its caches are full, whoever asks for it', async () => {
  const full = Promise.withResolvers<void>();
  const attach = () => ({ [Symbol.dispose]: () => {} });
  const { clock, told, controller } = start(async () => {}, { sources: [{ synced: full.promise, attach }] });
  controller.enqueue('a');
  controller.enqueueAfter('b', 1000);
  clock.advance(5000);
  await untilTurnsEnd();
  expect(told).toEqual([]);
  full.resolve();
  await controller.idle();
  clock.advance(1000);
  await controller.idle();
  expect(told.map(({ key }) => key)).toEqual(['a', 'b']);
  await controller[Symbol.asyncDispose]();
});

it('the end waits for what runs, whose signal aborts', async () => {
  let ended = false;
  const { controller } = start(async (_key, signal) => {
    await new Promise((resolve) => signal.addEventListener('abort', resolve));
    await nextTurn();
    ended = true;
  });
  controller.enqueue('a');
  await untilTurnsEnd();
  await controller[Symbol.asyncDispose]();
  expect(ended).toBe(true);
});
