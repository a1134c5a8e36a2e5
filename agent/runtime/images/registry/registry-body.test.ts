import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { createFakeClock } from '#base/clock.ts';
import { expectProgress, readBody } from './registry-body.ts';

const url = new URL('https://registry.example/v2/');

describe('readBody()', () => {
  it('gives what came whole, and gives up what trickles', async () => {
    const clock = createFakeClock();
    const whole = new PassThrough();
    whole.end('abc');
    expect((await readBody({ url, body: whole }, clock)).toString()).toBe('abc');
    const slow = new PassThrough();
    const reading = readBody({ url, body: slow }, clock);
    reading.catch(() => undefined);
    for (let second = 0; second < 119; second++) {
      slow.write('x');
      clock.advance(1000);
    }
    expect(slow.destroyed).toBe(false);
    clock.advance(1000);
    await expect(reading).rejects.toThrow('not whole after 120 s');
  });
});

describe('expectProgress()', () => {
  it('ends what comes a byte now and then, and not what comes slowly', () => {
    const clock = createFakeClock();
    const ended: string[] = [];
    const end = (error: Error): void => void ended.push(error.message);
    using slow = expectProgress(clock, end);

    for (let hour = 0; hour < 12; hour++) {
      slow.came(65_536);
      clock.advance(300_000);
    }
    expect(ended).toEqual([]);
    using trickle = expectProgress(clock, end);

    for (let second = 0; second < 300; second++) {
      slow.came(10_000);
      trickle.came(200);
      clock.advance(1000);
    }
    expect(ended).toEqual(['read answer of registry: 60000 bytes in 300 s, 65536 are waited for']);
    expectProgress(clock, end)[Symbol.dispose]();
    clock.advance(300_000);
    expect(ended.filter((text) => text.includes(' 0 bytes'))).toHaveLength(1);
  });
});
