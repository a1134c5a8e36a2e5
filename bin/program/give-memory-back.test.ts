import { expect, it } from 'vitest';
import { createFakeClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { giveMemoryBack } from './give-memory-back.ts';

const mib = 1_048_576;

function setUp({ trim, isForStart = false }: { trim?: () => Promise<unknown>; isForStart?: boolean } = {}) {
  const clock = createFakeClock();
  const memory = { rss: 150 * mib, heapTotal: 40 * mib, external: 10 * mib, heapUsed: 0, arrayBuffers: 0 };
  let trims = 0;
  const sweeps = { asked: 0, isDue: false, letGo: 0 };
  const ports = {
    clock,
    logger: silentLogger,
    isForStart,
    usage: () => memory,
    trim: trim ?? (async () => void trims++),
    sweep: async () => {
      sweeps.asked++;
      return sweeps.isDue;
    },
    letGo: () => void sweeps.letGo++,
  };
  const advance = async (byMs = 15_000): Promise<number> => {
    clock.advance(byMs);
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
    await advance(1_000);
  }
  expect(sweeps.asked).toBe(0);
  memory.heapUsed = 53 * mib;
  expect(await advance(1_000)).toBe(0);
  expect(sweeps.asked).toBe(1);
  sweeps.isDue = true;
  expect(await advance(1_000)).toBe(1);
});

it('looks each second until what the start left is swept, and lets go of the compile cache then, once', async () => {
  const { sweeps, advance } = setUp();
  for (let looks = 1; looks <= 3; looks++) {
    await advance(1_000);
    expect(sweeps).toEqual({ asked: looks - 1, isDue: false, letGo: 0 }); // The first finds out what there is.
  }
  sweeps.isDue = true;
  await advance(1_000);
  expect(sweeps).toMatchObject({ asked: 3, letGo: 1 });
  await advance(14_999);
  expect(sweeps.asked).toBe(3);
  await advance(1);
  expect(sweeps).toMatchObject({ asked: 4, letGo: 1 });
});

it('looks no more, where only what the start left is meant, once that is swept', async () => {
  const { sweeps, advance } = setUp({ isForStart: true });
  await advance(1_000);
  sweeps.isDue = true;
  expect(await advance(1_000)).toBe(1);
  expect(await advance(600_000)).toBe(1);
  expect(sweeps).toMatchObject({ asked: 1, letGo: 1 });
});

it('asks no more where the C library cannot', async () => {
  let asked = 0;
  const { memory, advance } = setUp({
    trim: async () => {
      asked++;
      throw new Error('no malloc_trim');
    },
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
