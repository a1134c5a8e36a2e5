import { expect, it } from 'vitest';
import { createFakeClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { giveMemoryBack } from './give-memory-back.ts';

const mib = 1_048_576;

function setUp(trim?: () => Promise<unknown>) {
  const clock = createFakeClock();
  const memory = { rss: 150 * mib, heapTotal: 40 * mib, external: 10 * mib, heapUsed: 0, arrayBuffers: 0 };
  let trims = 0;
  const sweeps = { asked: 0, isDue: false };
  const ports = {
    clock,
    logger: silentLogger,
    usage: () => memory,
    trim: trim ?? (async () => void trims++),
    sweep: () => {
      sweeps.asked++;
      return sweeps.isDue;
    },
  };
  const advance = async (): Promise<number> => {
    clock.advance(15_000);
    await new Promise(setImmediate);
    return trims;
  };
  return { memory, sweeps, advance, giving: giveMemoryBack(ports), clock };
}

it('trims when much is held beyond the heap, and again only when it has grown', async () => {
  const { memory, advance, giving } = setUp();
  expect(await advance()).toBe(0);
  memory.rss = 500 * mib;
  expect(await advance()).toBe(1);
  expect(await advance()).toBe(1);
  memory.rss = 540 * mib;
  expect(await advance()).toBe(2);
  memory.heapTotal = 400 * mib; // The heap's own is V8's to give back.
  memory.rss = 600 * mib;
  expect(await advance()).toBe(2);
  giving[Symbol.dispose]();
  memory.rss = 2000 * mib;
  expect(await advance()).toBe(2);
});

it('has the heap swept when it is quiet, and then gives back what that left', async () => {
  const { memory, sweeps, advance } = setUp();
  for (const heapUsed of [100, 200, 50]) {
    memory.heapUsed = heapUsed * mib;
    await advance();
  }
  expect(sweeps.asked).toBe(0);
  memory.heapUsed = 53 * mib;
  expect(await advance()).toBe(0);
  expect(sweeps.asked).toBe(1);
  sweeps.isDue = true;
  expect(await advance()).toBe(1);
});

it('asks no more where the C library cannot', async () => {
  let asked = 0;
  const { memory, advance } = setUp(async () => {
    asked++;
    throw new Error('no malloc_trim');
  });
  memory.rss = 500 * mib;
  await advance();
  await advance();
  expect(asked).toBe(1);
});

it('the C library gives back what was freed', async () => {
  const { mallocTrim } = await import('#native/sys/libc.ts');
  expect(await mallocTrim(0)).toBeOneOf([0, 1]);
});
