import { describe, expect, it } from 'vitest';
import { createFakeClock } from './clock.ts';
import { watchPresence } from './presence.ts';

describe('watchPresence()', () => {
  it('is there as long as it ticks', () => {
    const clock = createFakeClock();
    using presence = watchPresence(clock);

    clock.advance(3_600_000);
    expect(presence.sinceMs()).toBe(0);
  });

  it('was away when ticks are missing, whoever asks first', () => {
    const clock = createFakeClock();
    using presence = watchPresence(clock);

    clock.advance(10_000);
    clock.stop(62_000);
    expect(presence.sinceMs()).toBe(72_000);
    clock.advance(10_000);
    expect(presence.sinceMs()).toBe(72_000);
  });

  it('was away when the machine slept', () => {
    const clock = createFakeClock();
    let sleptMs = 0;
    using presence = watchPresence({ ...clock, now: () => clock.now() + sleptMs });

    clock.advance(10_000);
    sleptMs = 8 * 3_600_000;
    expect(presence.sinceMs()).toBe(10_000);
  });

  it('takes a busy second for nothing', () => {
    const clock = createFakeClock();
    using presence = watchPresence(clock);

    clock.stop(4900);
    expect(presence.sinceMs()).toBe(0);
    clock.advance(0);
    presence.restart();
    expect(presence.sinceMs()).toBe(4900);
  });
});
